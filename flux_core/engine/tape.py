"""The tape: a graph of arrays as rows of machine words, each the address of a kernel and its operands.

    graph ── the pipeline of passes ──▶ Layout ── lower ──▶ Tape(instructions, places)

A tape is made for one size of minibatch; the kernels it names know no sizes, so making one compiles nothing
that was compiled before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flux_core.engine.arena import Flat, aligned
from flux_core.engine.lower import Context, Instruction, lower
from flux_core.engine.meetings import meetings
from flux_core.engine.store import Store
from flux_core.engine.tiles import tiled
from flux_core.ir import Graph, Node, Param, is_leaf
from flux_core.ops import EVALUATION, Run
from flux_core.passes import TypeTree
from flux_core.passes.memory import LINE
from flux_core.passes.pipeline import Work, stages
from flux_core.passes.schedule import VIEWS, Schedule, units

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


def lay_out(
    graph: Graph,
    inputs: Sequence[TypeTree],
    run: Run = EVALUATION,
    placed: Callable[[Sequence[Node]], Iterable[Node]] = lambda owners: (),
    kept: Sequence[int] = (),
) -> Layout:
    """Send a graph for inputs of these types through the pipeline; `placed` and `kept` are those of `Work`."""
    done = dict(stages(Work(graph, tuple(inputs), run, placed, tuple(kept))))
    last = list(done.values())[-1]
    plan = last.schedule
    assert plan is not None, "the pipeline has a stage that makes it"
    leaves = {n.attrs["index"]: n for n in plan.order if n.op == "input"}
    constants = tuple(n for n in plan.order if n.op == "constant")
    found = tuple(leaves.get(i) for i in range(graph.arity))
    return Layout(plan, last.types, last.offsets, last.size, found, constants, done)


class Tape:
    """A laid-out graph as machine words.

    `base` is the array that all places count from; `param_place` says where a Param lies, `result_place` where a
    result that the caller owns is to be written.
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
        context = Context(self.place, layout.types, seed, step_place)
        self.instructions: list[Instruction] = []
        for node in layout.schedule.order:
            if node.op not in VIEWS and not is_leaf(node):
                self.instructions += lower(node, context)

    def memory_of(self, node: Node) -> Flat:
        """The workspace or constant that holds a node's value, float32 (units,)."""
        owner, size = self.layout.schedule.owner[node], units(self.layout.types[node])
        if owner.op == "constant":
            return self.constants[self._constant_at[owner] :][:size]
        return self.workspace[self.layout.offsets[owner] :][:size]

    def place(self, node: Node) -> int:
        """Where the value of a node lies, in float32 units from the base."""
        owner = self.layout.schedule.owner[node]
        if owner.op == "param":
            return self._param_place(owner.attrs["param"])
        if owner.op == "constant":
            return offset(self.constants, self.base) + self._constant_at[owner]
        own = self._result_place(owner)
        return offset(self.workspace, self.base) + self.layout.offsets[owner] if own is None else own


def offset(array: NDArray[np.generic], base: Flat) -> int:
    """Where an array begins, in float32 units from another."""
    return (array.ctypes.data - base.ctypes.data) // FLOAT


def encode(instructions: Sequence[Instruction], store: Store) -> NDArray[np.int64]:
    """Instructions as rows of words, int64 (tiles, WIDTH): address, operands, and last tile and flag.

    The flag stands at the first tile of every stage before which threads must meet. Kernels are loaded, or
    compiled once.
    """
    cut = tiled(instructions)
    rows = np.zeros((sum(map(len, cut)), WIDTH), np.int64)
    addresses = store.load([instruction.kernel for instruction in instructions])
    at = 0
    for stage, address, meet in zip(cut, addresses, meetings(cut), strict=True):
        for number, tile in enumerate(stage):
            row = rows[at]
            row[0] = address
            row[1 : 1 + len(tile.operands)] = tile.operands
            row[-2:] = number, meet and number == 0
            at += 1
    return rows
