"""A loop on the tape: the instructions of one step, and how far their operands move with every step.

    scan over 3 steps of x (3, 2, 4)        gemm  x 100  ...  out 500     step 0
                                                  +8          +16         added for every further step

The instructions are lowered for the first step and for the second; what differs between them is the stride. So no
kernel knows of loops, and a loop over more steps is the same few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from flux_core.engine.kernel import Kernel
from flux_core.engine.kernels.panels import NARROW, PANEL
from flux_core.engine.lower import CannotLowerError, Context, Instruction, copied, lower
from flux_core.ir import Graph, Node, topological
from flux_core.passes import Type, TypeTree
from flux_core.passes.loops import Loop
from flux_core.passes.schedule import units

FEW = 4  # steps, below which packing a matrix takes longer than it saves


@dataclass(frozen=True)
class Repeated:
    """The instructions of the first step of a loop and of its second, and the number of steps."""

    first: tuple[Instruction, ...]
    second: tuple[Instruction, ...]
    steps: int
    note: str = "loop"


def lower_scan(scan: Node, loop: Loop, context: Context) -> list[Instruction | Repeated]:
    """The initial states copied to where the loop reads them, and the loop."""
    walk = _Walk(scan, loop, context)
    found: list[Instruction | Repeated] = []
    for i in range(scan.attrs["states"]):
        size = units(context.types[scan.inputs[i]])
        found.append(copied(context.place(scan.inputs[i]), walk.before(i, 0), size))
    # a second step that never comes would read and write what is not the loop's
    first, second = (tuple(walk.instructions(t)) for t in (0, min(1, loop.steps - 1)))
    found += walk.packs
    return [*found, Repeated(first, second, loop.steps, f"loop of {loop.steps} steps")]


def require_flat(graph: Graph) -> None:
    """Raise CannotLowerError for a scan inside of a scan."""
    for scan in topological(graph.output):
        inside = topological(scan.attrs["body"].output) if scan.op == "scan" else []
        if any(node.op == "scan" for node in inside):
            raise CannotLowerError(f"no kernel runs a scan inside of a scan (in {scan.origin})")


@dataclass(frozen=True)
class _Walk:
    """Where the values of a body lie at each step; `packs` are the matrices that all steps read, packed before."""

    scan: Node
    loop: Loop
    context: Context
    packs: list[Instruction] = field(default_factory=list)

    def instructions(self, t: int) -> list[Instruction]:
        """The instructions of step `t`, counted in the order in which the steps run."""
        inside = replace(self.context, place=self.places(t), lead=self.loop.schedule.lead)
        found: list[Instruction] = []
        for node in self.loop.schedule.computed():
            made = lower(node, inside)
            found += map(self._packed, made) if self._reads_fixed_matrix(node) else made
        for value, target in self.loop.copies:
            found.append(copied(inside.place(value), self._target(target.output, target.unit, t), target.unit))
        return found

    def _reads_fixed_matrix(self, node: Node) -> bool:
        """Whether a product reads a matrix that is the same at every step, often enough to be packed for it."""
        if node.op not in ("matmul", "matmul_t") or self.loop.steps < FEW:
            return False
        matrix, varying = node.inputs[1], self.scan.attrs["states"] + self.scan.attrs["sequences"]
        return matrix.op == "input" and matrix.attrs["index"] >= varying and len(self._shape(matrix)) == 2

    def _shape(self, node: Node) -> tuple[int, ...]:
        found = self._types[node]
        assert isinstance(found, Type)
        return found.shape

    def _packed(self, product: Instruction) -> Instruction:
        """A product that reads its matrix in panels, unless it is as quick without."""
        blas, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = product.operands
        if n < PANEL or (not tb and ldb <= NARROW):
            return product
        source = (b, ldb, tb, k, n)
        known = next((pack.operands[-1] for pack in self.packs if pack.operands[:-1] == source), None)
        if known is None:
            known = self.context.room(-(-n // PANEL) * PANEL * k)
            self.packs.append(Instruction(Kernel.written("pack", "gemm"), (*source, known), "pack"))
        return replace(product, operands=(blas, ta, 2, m, n, k, a, lda, known, PANEL, beta, c, ldc))

    def places(self, t: int) -> Callable[[Node], int]:
        """Where each value of the body lies at step `t`."""
        plan = self.loop.schedule

        def place(node: Node) -> int:
            owner = plan.owner[node]
            if owner.op == "constant":
                begin = self.context.place(owner)
            elif owner.op == "input":
                begin = self._input(owner, t)
            elif owner in self.loop.homes:
                target = self.loop.homes[owner]
                begin = self._target(target.output, target.unit, t)
            else:
                begin = self.context.place(self.scan) + self.loop.offsets[owner]
            return begin + plan.shift[node]

        return place

    def before(self, state: int, t: int) -> int:
        """Where a state lies before step `t`."""
        slot = self.loop.steps - t if self.scan.attrs["reverse"] else t
        return self._slot(state, slot, self._unit(state))

    def _input(self, leaf: Node, t: int) -> int:
        index: int = leaf.attrs["index"]
        if index < self.scan.attrs["states"]:
            return self.before(index, t)
        begin = self.context.place(self.scan.inputs[index])
        if index < self.scan.attrs["states"] + self.scan.attrs["sequences"]:
            return begin + self._step(t) * units(self._types[leaf])
        return begin

    def _target(self, output: int, unit: int, t: int) -> int:
        if output >= self.scan.attrs["states"]:
            return self._slot(output, self._step(t), unit)
        after = self.loop.steps - 1 - t if self.scan.attrs["reverse"] else t + 1
        return self._slot(output, after, unit)

    def _slot(self, output: int, slot: int, unit: int) -> int:
        return self.context.place(self.loop.outputs[output]) + slot * unit

    def _step(self, t: int) -> int:
        """The step of the sequences that is the `t`th to run."""
        return self.loop.steps - 1 - t if self.scan.attrs["reverse"] else t

    def _unit(self, state: int) -> int:
        return units(self._types[self.scan.inputs[state]])

    @property
    def _types(self) -> Mapping[Node, TypeTree]:
        return self.context.types
