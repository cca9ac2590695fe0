"""The tape: a graph of arrays as rows of machine words, each the address of a kernel and its operands.

    graph ── the pipeline of passes ──▶ Layout ── lower ──▶ Tape(instructions, places)

A tape is made for one size of minibatch; the kernels it names know no sizes, so making one compiles nothing
that was compiled before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from flux_core.engine.arena import Flat, aligned
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import Context, Instruction, lower
from flux_core.engine.meetings import meetings
from flux_core.engine.repeat import Repeated, lower_scan, require_flat
from flux_core.engine.store import Store
from flux_core.engine.tiles import tiled
from flux_core.ir import Graph, Node, Param
from flux_core.ops import EVALUATION, Run
from flux_core.passes import TypeTree
from flux_core.passes.loops import Loop
from flux_core.passes.memory import LINE
from flux_core.passes.pipeline import Work, stages
from flux_core.passes.schedule import Schedule, units

WIDTH = 32  # words in a row: an address, up to 29 operands, a tile and a flag
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Layout:
    """A graph laid out: what is computed in which order, and where every buffer lies in the workspace.

    `stages` is the work behind every stage of the pipeline, by name.
    """

    schedule: Schedule
    types: Mapping[Node, TypeTree]
    offsets: Mapping[Node, int]
    size: int
    inputs: tuple[Node | None, ...]
    constants: tuple[Node, ...]
    stages: Mapping[str, Work]
    loops: Mapping[Node, Loop] = field(default_factory=dict)


def lay_out(
    graph: Graph,
    inputs: Sequence[TypeTree],
    run: Run = EVALUATION,
    placed: Callable[[Sequence[Node]], Iterable[Node]] = lambda owners: (),
    kept: Sequence[int] = (),
    outside: Sequence[int] = (),
) -> Layout:
    """Send a graph for inputs of these types through the pipeline; what follows `run` is that of `Work`.

    Raises CannotLowerError for a scan inside of a scan.
    """
    require_flat(graph)
    done = dict(stages(Work(graph, tuple(inputs), run, placed, tuple(kept), tuple(outside))))
    last = list(done.values())[-1]
    plan = last.schedule
    assert plan is not None, "the pipeline has a stage that makes it"
    leaves = {n.attrs["index"]: n for n in plan.order if n.op == "input"}
    orders = (plan.order, *(loop.schedule.order for loop in last.loops.values()))
    constants = tuple(n for order in orders for n in order if n.op == "constant")
    found = tuple(leaves.get(i) for i in range(graph.arity))
    return Layout(plan, last.types, last.offsets, last.size, found, constants, done, last.loops)


class Tape:
    """A laid-out graph as machine words.

    `base` is the array that all places count from; `param_place` says where a Param lies, `result_place` where a
    result or an input lies that the caller owns.
    """

    def __init__(
        self,
        layout: Layout,
        base: Flat,
        *,
        param_place: Callable[[Param], int],
        result_place: Callable[[Node], int | None],
        seed: int,
        step_place: int,
    ) -> None:
        self.layout, self.base = layout, base
        self.workspace = aligned(layout.size, np.float32)
        sizes = [-(-units(layout.types[n]) // LINE) * LINE for n in layout.constants]
        self.constants = aligned(sum(sizes), np.float32)
        starts = np.cumsum([0, *sizes])[:-1]
        self._constant_at = {n: int(start) for n, start in zip(layout.constants, starts, strict=True)}
        for node, start in self._constant_at.items():
            value = np.asarray(node.attrs["value"])
            kind = np.int64 if value.dtype.kind in "iub" else np.float32
            flat = np.ascontiguousarray(value, kind).reshape(-1).view(np.float32)
            self.constants[start : start + flat.size] = flat
        self._param_place, self._result_place = param_place, result_place
        self.rooms: list[Flat] = []
        context = Context(self.place, layout.types, seed, step_place, layout.schedule.lead, self._room)
        self.instructions: list[Instruction | Repeated] = []
        for node in layout.schedule.computed():
            if node.op == "scan":
                self.instructions += lower_scan(node, layout.loops[node], context)
            else:
                self.instructions += lower(node, context)

    def memory_of(self, node: Node) -> Flat:
        """The workspace or constant that holds a node's value, float32 (units,)."""
        plan, size = self.layout.schedule, units(self.layout.types[node])
        owner, shift = plan.owner[node], plan.shift[node]
        if owner.op == "constant":
            return self.constants[self._constant_at[owner] + shift :][:size]
        return self.workspace[self.layout.offsets[owner] + shift :][:size]

    def place(self, node: Node) -> int:
        """Where the value of a node lies, in float32 units from the base."""
        if node in self._constant_at:  # also those inside of loops
            return offset(self.constants, self.base) + self._constant_at[node]
        owner, shift = self.layout.schedule.owner[node], self.layout.schedule.shift[node]
        if owner.op == "param":
            return self._param_place(owner.attrs["param"]) + shift
        if owner.op == "constant":
            return self.place(owner) + shift
        own = self._result_place(owner)
        return (offset(self.workspace, self.base) + self.layout.offsets[owner] if own is None else own) + shift

    def _room(self, size: int) -> int:
        """Memory of the tape's own."""
        self.rooms.append(aligned(size, np.float32))
        return offset(self.rooms[-1], self.base)


def offset(array: NDArray[np.generic], base: Flat) -> int:
    """Where an array begins, in float32 units from another."""
    return (array.ctypes.data - base.ctypes.data) // FLOAT


@dataclass(frozen=True)
class Code:
    """Machine words: `rows` int64 (tiles, WIDTH), and the tables of loops, which rows point to.

    A row is an address, operands, and last its tile and a flag. The row of a loop has the tile -1; its operands are
    the place of its table, how many rows a step has, the number of steps, and a place for each thread's row. A table
    has the rows of the first step, what is added to them at every further step, and room for a row of each thread.
    """

    rows: NDArray[np.int64]
    tables: tuple[NDArray[np.int64], ...]

    @property
    def tiles(self) -> int:
        """How many threads can be of use."""
        return 1 + max((int(part[:, -2].max()) for part in (self.rows, *self.tables) if len(part)), default=0)


def kernels_of(instructions: Iterable[Instruction | Repeated]) -> list[Kernel]:
    """The kernels that instructions call, those inside of loops included."""
    found: list[Kernel] = []
    for one in instructions:
        found += [inside.kernel for inside in one.first] if isinstance(one, Repeated) else [one.kernel]
    return found


def encode(instructions: Sequence[Instruction | Repeated], store: Store, base: Flat, threads: int = 2) -> Code:
    """Instructions as machine words for at most so many threads; `base` is the array that places count from.

    The flag stands at the first tile of every stage before which threads must meet. Kernels are loaded, or
    compiled once.
    """
    kernels = kernels_of(instructions)
    addresses = dict(zip(kernels, store.load(kernels), strict=True))
    plain = iter(tiled([one for one in instructions if isinstance(one, Instruction)], threads))
    rows: list[NDArray[np.int64]] = []
    tables: list[NDArray[np.int64]] = []
    for looping, group in groupby(instructions, lambda one: isinstance(one, Repeated)):
        if looping:
            for loop in group:
                assert isinstance(loop, Repeated)
                table, length = _table(loop, addresses, threads)
                tables.append(table)
                header = np.zeros((1, WIDTH), np.int64)
                place = offset(table, base)
                header[0, 1:5] = place, length, loop.steps, place + 2 * length * WIDTH * 2
                header[0, -2:] = -1, 1
                rows.append(header)
        else:
            stages = [next(plain) for _ in group]
            meets = meetings(stages)
            meets[0] = meets[0] or bool(tables)  # all threads leave a loop before one goes on
            rows.append(_rows(stages, meets, addresses))
    return Code(np.concatenate(rows) if rows else np.zeros((0, WIDTH), np.int64), tuple(tables))


def _rows(
    stages: Sequence[Sequence[Instruction]], meets: Sequence[bool], addresses: Mapping[Kernel, int]
) -> NDArray[np.int64]:
    rows = np.zeros((sum(map(len, stages)), WIDTH), np.int64)
    at = 0
    for stage, meet in zip(stages, meets, strict=True):
        for number, tile in enumerate(stage):
            rows[at, 0] = addresses[tile.kernel]
            rows[at, 1 : 1 + len(tile.operands)] = tile.operands
            rows[at, -2:] = number, meet and number == 0
            at += 1
    return rows


def _table(loop: Repeated, addresses: Mapping[Kernel, int], most: int) -> tuple[NDArray[np.int64], int]:
    """The table of a loop and the number of rows of one step.

    Threads meet where the first step or, following it, the second one needs it; what holds for a step and the next
    holds for all.
    """
    first, second = tiled(loop.first, most), tiled(loop.second, most)
    found = meetings([*first, *second])
    meets = [a or b for a, b in zip(found[: len(first)], found[len(first) :], strict=True)]
    rows, strides = _rows(first, meets, addresses), _rows(second, meets, addresses)
    strides -= rows
    threads = 1 + int(rows[:, -2].max())
    return np.concatenate([rows, strides, np.zeros((threads, WIDTH), np.int64)]), len(rows)
