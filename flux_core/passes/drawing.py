"""Plans as text: the order of a schedule with the lives of its buffers, and the memory that they share.

   offset    size  life      memory, %0 to %9
        0   8,192  %2-%5     ··████····        %2 = matmul %0 %1
    8,192   4,096  %0-end    ██████████        %0 = input 0

In both, %7 is the node that runs at the seventh place, so numbers are times.
"""

from __future__ import annotations

from collections.abc import Mapping

from flux_core.ir import Node
from flux_core.ir.printing import label
from flux_core.passes.infer import Type, TypeTree
from flux_core.passes.parts import VIEWS
from flux_core.passes.pipeline import Work
from flux_core.passes.schedule import Buffer, Schedule

WIDTH = 40  # characters of a chart, at most
FLOAT = 4  # bytes


def type_text(tree: TypeTree) -> str:
    """A type as people write it.

    >>> type_text(Type((64, 10))), type_text(Type((64,), "int")), type_text(Type(()))
    ('64 x 10', '64 ids', 'number')
    """
    if not isinstance(tree, Type):
        return f"({', '.join(map(type_text, tree))})"
    sizes = " x ".join(map(str, tree.shape))
    return f"{sizes} ids".lstrip() if tree.kind == "int" else sizes or "number"


def notes(work: Work) -> dict[Node, str]:
    """What is known about each node so far: its type, its time, the life of its buffer, its offset."""
    found = {node: type_text(kind) for node, kind in work.types.items() if node.op != "tuple"}
    if work.schedule is not None:
        _note(work.schedule, work.offsets, found)
        for loop in work.loops.values():
            _note(loop.schedule, loop.offsets, found)
    return found


def _note(plan: Schedule, offsets: Mapping[Node, int], found: dict[Node, str]) -> None:
    for at, node in enumerate(plan.order):
        owner = plan.owner[node]
        found[node] = f"%{at}, {found[node]}"
        buffer = plan.buffers.get(owner)
        if buffer is not None:
            found[node] += f", lives {_life(buffer, plan)}"
        if owner in offsets:
            found[node] += f", at {offsets[owner]:,}"


def schedule_text(work: Work) -> str:
    """Every node in the order of the schedule, with its type and its memory; the steps of scans indented."""
    plan = _plan(work)
    lines = _schedule_lines(plan, work)
    for scan, loop in work.loops.items():
        lines += ["", f"each of the {loop.steps} steps of {_numbers(plan)[scan]}:"]
        lines += [f"  {line}" for line in _schedule_lines(loop.schedule, work)]
    return "\n".join(lines)


def _schedule_lines(plan: Schedule, work: Work) -> list[str]:
    at = _numbers(plan)
    lines = []
    for node, text in zip(plan.order, _texts(plan), strict=True):
        owner = plan.owner[node]
        if owner is not node:
            named = node.op in VIEWS or node.op == "slice"
            memory = f"{'sees' if named else 'writes' if node in plan.lead else 'takes over'} {at[owner]}"
            memory += f"+{plan.shift[node]:,}" if plan.shift[node] else ""
        elif node in plan.buffers:
            memory = f"{plan.buffers[node].size:,} numbers, {_life(plan.buffers[node], plan)}"
        else:
            memory = {"param": "the model's", "constant": "a constant's"}.get(node.op, "the caller's")
        lines.append(f"{text:<56} {type_text(work.types[node]):<16} {memory}")
    return [*lines, f"return {' '.join(at[node] for node in plan.results)}"]


def memory_text(work: Work) -> str:
    """Every buffer by its offset, a chart of its life, and how much the sharing of memory saves."""
    plan, end = _plan(work), len(_plan(work).order)
    texts = dict(zip(plan.order, _texts(plan), strict=True))
    numbers = _numbers(plan)
    scale = max(1, -(-end // WIDTH))
    columns = -(-end // scale)
    lines = [f"{'offset':>12} {'size':>12}  {'life':<12} {f'%0 to %{end - 1}':<{columns}}"]
    for node in sorted(plan.buffers, key=lambda n: (work.offsets[n], plan.buffers[n].first)):
        buffer = plan.buffers[node]
        first, last = max(0, buffer.first) // scale, min(buffer.last, end - 1) // scale
        chart = "·" * first + "█" * (last - first + 1) + "·" * (columns - last - 1)
        life = _life(buffer, plan)
        lines.append(
            f"{work.offsets[node]:>12,} {buffer.size:>12,}  {life:<12} {chart:<9} {texts.get(node, numbers[node])}"
        )
    whole = sum(buffer.size for buffer in plan.buffers.values())
    most = max((sum(b.size for b in plan.buffers.values() if b.first <= t <= b.last) for t in range(end)), default=0)
    lines.append(
        f"arena: {work.size:,} numbers, {work.size * FLOAT:,} bytes; the sum of its buffers: {whole:,}"
        + (f" ({work.size / whole:.0%} of it)" if whole else "")
        + f"; at most {most:,} live at a time"
    )
    return "\n".join(lines)


def _plan(work: Work) -> Schedule:
    assert work.schedule is not None, "only what has been scheduled can be drawn"
    return work.schedule


def _numbers(plan: Schedule) -> dict[Node, str]:
    """What a node is called: by its place in the order, or as a value of the scan that gives it."""
    found = {node: f"%{i}" for i, node in enumerate(plan.order)}
    for node in plan.owner:
        if node.op == "get":
            found[node] = f"{found[node.inputs[0]]}.{node.attrs['index']}"
    return found


def _texts(plan: Schedule) -> list[str]:
    at = _numbers(plan)
    return [" ".join([f"{at[n]} = {label(n)}", *(at[x] for x in n.inputs if x in at)]) for n in plan.order]


def _life(buffer: Buffer, plan: Schedule) -> str:
    first = "start" if buffer.first < 0 else f"%{buffer.first}"
    return f"{first}-end" if buffer.last >= len(plan.order) else f"{first}-%{buffer.last}"
