"""Lowering: a scheduled node becomes instructions, a kernel and its operands each.

    %7 = matmul %0 %3      →   gemm  sgemm N N  64 128 784  x 784  W 128  0  out 128

The table at the end has one entry for each op that is left after `legalise`. Operands are places in the arena,
in float32 units, and sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from flux_core.engine.blas import sgemm_address
from flux_core.engine.elementwise import elementwise_kernel
from flux_core.engine.kernel import Kernel
from flux_core.errors import FluxError
from flux_core.ir import Node
from flux_core.ops.shape import order_of
from flux_core.passes.infer import Type, TypeTree
from flux_core.passes.legalise import reads_of
from flux_core.passes.parts import dense, part_of
from flux_core.philox import Stream

Shape = tuple[int, ...]
AXES = 6  # of a strided copy


class CannotLowerError(FluxError):
    """The graph has something that no kernel runs; the interpreter can."""


@dataclass(frozen=True)
class Instruction:
    """A kernel and what it is called with; `note` says what it does, for people."""

    kernel: Kernel
    operands: tuple[int, ...]
    note: str
    reads: str = ""  # how an elementwise kernel reads its operands


@dataclass(frozen=True)
class Context:
    """What lowering knows: where each node's value lies and how, its type, and where the run's numbers are."""

    place: Callable[[Node], int]
    types: Mapping[Node, TypeTree]
    seed: int
    step_place: int
    lead: Mapping[Node, int] = field(default_factory=dict)  # how far the rows of parts of wider arrays lie apart
    room: Callable[[int], int] = lambda size: 0  # where so many numbers of memory are, for as long as the tape lives

    def shape(self, node: Node) -> Shape:
        """The shape of an array."""
        found = self.types[node]
        assert isinstance(found, Type)
        return found.shape

    def places(self, *nodes: Node) -> tuple[int, ...]:
        """Where values lie."""
        return tuple(self.place(node) for node in nodes)


def lower(node: Node, context: Context) -> list[Instruction]:
    """The instructions of one node. Raises CannotLowerError for an op without a kernel."""
    if node.op == "fused":
        return [_fused(node, context)]
    rule = RULES.get(node.op)
    if rule is None:
        raise CannotLowerError(f"no kernel runs {node.op} (in {node.origin})")
    return [Instruction(kernel, operands, node.op) for kernel, operands in rule(node, context)]


Lowered = Iterable[tuple[Kernel, tuple[int, ...]]]


def _written(name: str, file: str) -> Kernel:
    return Kernel.written(name, file)


def _fused(node: Node, c: Context) -> Instruction:
    shape = c.shape(node)
    reads, columns = reads_of([c.shape(x) for x in node.inputs], shape)
    size, places = prod(shape), (*c.places(*node.inputs), c.place(node))
    columns = (shape or (1,))[-1] if columns is None else columns
    apart = {"f": columns, "r": 0, "c": 1, "s": 0}
    strides = [c.lead.get(x, apart[how]) for x, how in zip((*node.inputs, node), (*reads, "f"), strict=True)]
    how = "".join("f" if read == "r" else read for read in reads)
    for i, read in enumerate(reads):
        if read == "f" and (places[i], strides[i]) == (places[-1], strides[-1]):
            how = how[:i] + "i" + how[i + 1 :]
            break
    operands = (*places, size // columns if columns else 0, columns, *strides)
    return Instruction(elementwise_kernel(node.attrs["formula"], how), operands, node.attrs["formula"], how)


def _gemm(c: Context, a: int, b: int, out: int, m: int, n: int, k: int, ta: bool, tb: bool, beta: int) -> Any:
    # the row length of an operand is that of its memory, before it is transposed; BLAS wants at least 1
    lengths = (m if ta else k, k if tb else n, n)
    lda, ldb, ldc = (max(1, length) for length in lengths)
    operands = (sgemm_address(), int(ta), int(tb), m, n, k, a, lda, b, ldb, beta, out, ldc)
    return _written("gemm", "gemm"), operands


def _product(tb: bool) -> Callable[[Node, Context], Lowered]:
    """matmul, and matmul_t with the last two axes of w exchanged."""

    def rule(node: Node, c: Context) -> Lowered:
        x, w = node.inputs
        xs, ws = c.shape(x), c.shape(w)
        k, n = (ws[-1], ws[-2]) if tb else (ws[-2], ws[-1])
        a, b, out = c.places(x, w, node)
        if len(ws) == 2:
            yield _gemm(c, a, b, out, prod(xs[:-1]), n, k, False, tb, 0)
            return
        m = xs[-2]
        lead = c.shape(node)[:-2]
        for i, (ia, ib) in enumerate(zip(_stack(xs[:-2], lead), _stack(ws[:-2], lead), strict=True)):
            yield _gemm(c, a + ia * m * k, b + ib * k * n, out + i * m * n, m, n, k, False, tb, 0)

    return rule


def _matmul_w(node: Node, c: Context) -> Lowered:
    x, dy, _ = node.inputs
    xs, ds, ws = c.shape(x), c.shape(dy), c.shape(node)
    m, n = ws[-2:]
    a, b, out = c.places(x, dy, node)
    if len(ws) == 2:
        yield _gemm(c, a, b, out, m, n, prod(xs[:-1]), True, False, 0)
        return
    k = xs[-2]
    lead = np.broadcast_shapes(xs[:-2], ds[:-2])
    started: set[int] = set()
    stacks = (_stack(xs[:-2], lead), _stack(ds[:-2], lead), _stack(ws[:-2], lead))
    for ia, ib, io in zip(*stacks, strict=True):
        beta = int(io in started)  # what was broadcast adds up
        started.add(io)
        yield _gemm(c, a + ia * k * m, b + ib * k * n, out + io * m * n, m, n, k, True, False, beta)


def _stack(own: Shape, lead: Shape) -> list[int]:
    """For each matrix of a stack of shape `lead`, which of `own` it reads."""
    return [int(i) for i in np.broadcast_to(np.arange(prod(own)).reshape(own), lead).ravel()]


def _reduction(node: Node, c: Context) -> Lowered:
    shape = c.shape(node.inputs[0])
    first, last = node.attrs["axes"]
    outer, n, inner = prod(shape[:first]), prod(shape[first : last + 1]), prod(shape[last + 1 :])
    places = c.places(node.inputs[0], node)
    if node.op == "max":
        yield _written("reduce_max", "reduce"), (*places, outer, n, inner)
    else:
        yield _written("reduce_sum", "reduce"), (*places, outer, n, inner, n if node.op == "mean" else 1)


def _rows(name: str) -> Callable[[Node, Context], Lowered]:
    def rule(node: Node, c: Context) -> Lowered:
        shape = c.shape(node)
        n = shape[-1] if shape else 1
        yield _written(name, "rows"), (*c.places(*node.inputs, node), prod(shape) // n if n else 0, n)

    return rule


def _cross_entropy(node: Node, c: Context) -> Lowered:
    z, ids = node.inputs
    shape = c.shape(z)
    yield _written("cross_entropy", "rows"), (*c.places(z, ids, node), prod(shape[:-1]), shape[-1])


def _cross_entropy_back(node: Node, c: Context) -> Lowered:
    shape = c.shape(node)
    yield _written("cross_entropy_back", "rows"), (*c.places(*node.inputs, node), prod(shape[:-1]), shape[-1])


def _copy(c: Context, x: int, y: int, sizes: Shape, source: Shape, target: Shape, unit: int) -> Any:
    """A strided copy; axes along which both sides go on without a gap are laid together."""
    axes: list[list[int]] = []
    apart = [(size, s * unit, t * unit) for size, s, t in zip(sizes, source, target, strict=True)]
    for size, s, t in [*apart, (unit, 1, 1)]:  # an id is two numbers side by side
        if size == 1:
            continue
        if axes and axes[-1][1] == size * s and axes[-1][2] == size * t:
            axes[-1] = [axes[-1][0] * size, s, t]
        else:
            axes.append([size, s, t])
    if len(axes) > AXES:
        raise CannotLowerError(f"a copy over {len(axes)} axes")
    axes = [[1, 0, 0]] * (AXES - len(axes)) + axes
    if axes[-1] == [1, 0, 0]:
        axes[-1] = [1, 1, 1]
    columns = [tuple(axis[i] for axis in axes) for i in range(3)]
    return _written("copy", "move"), (x, y, *columns[0], *columns[1], *columns[2])


def copied(source: int, target: int, size: int) -> Instruction:
    """A copy of `size` float32 numbers."""
    sizes, ones = (1,) * (AXES - 1) + (size,), (0,) * (AXES - 1) + (1,)
    return Instruction(_written("copy", "move"), (source, target, *sizes, *ones, *ones), "copy")


def _unit(c: Context, node: Node) -> int:
    found = c.types[node]
    assert isinstance(found, Type)
    return 1 if found.kind == "float" else 2


def _slice(node: Node, c: Context) -> Lowered:
    (x,) = node.inputs
    begin, sizes, strides = part_of(c.shape(x), node.attrs["index"])
    unit = _unit(c, node)
    yield _copy(c, c.place(x) + begin * unit, c.place(node), sizes, strides, dense(sizes), unit)


def _unslice(node: Node, c: Context) -> Lowered:
    d, _, zero = node.inputs
    out = c.place(node)
    yield _written("fill", "move"), (out, prod(c.shape(node)), c.place(zero))
    begin, sizes, strides = part_of(c.shape(node), node.attrs["index"])
    yield _copy(c, c.place(d), out + begin, sizes, dense(sizes), strides, 1)


def _concat(node: Node, c: Context) -> Lowered:
    shape, unit = c.shape(node), _unit(c, node)
    axis = node.attrs["axis"] % len(shape)
    at = c.place(node)
    for x in node.inputs:
        sizes = c.shape(x)
        if x not in c.lead:  # else it was computed in its place
            yield _copy(c, c.place(x), at, sizes, dense(sizes), dense(shape), unit)
        at += sizes[axis] * dense(shape)[axis] * unit


def _concat_part(node: Node, c: Context) -> Lowered:
    whole, *xs = node.inputs
    shape = c.shape(whole)
    axis = node.attrs["axis"] % len(shape)
    begin = sum(c.shape(x)[axis] for x in xs[: node.attrs["part"]]) * dense(shape)[axis]
    sizes = c.shape(node)
    yield _copy(c, c.place(whole) + begin, c.place(node), sizes, dense(shape), dense(sizes), 1)


def _transpose(node: Node, c: Context) -> Lowered:
    (x,) = node.inputs
    shape = c.shape(x)
    order = order_of(node.attrs["axes"], len(shape))
    strides, sizes = tuple(dense(shape)[axis] for axis in order), c.shape(node)
    yield _copy(c, c.place(x), c.place(node), sizes, strides, dense(sizes), _unit(c, node))


def _broadcast(node: Node, c: Context) -> Lowered:
    """A copy that stands still along the axes that it repeats."""
    x, sizes = node.inputs[0], c.shape(node)
    shape = c.shape(x)
    if node.op == "expand_like" and not node.attrs["keepdims"]:
        from flux_core.ops.reduce import axes_of

        gone = axes_of(node.attrs["axis"], len(sizes))
        shape = tuple(1 if i in gone else n for i, n in enumerate(sizes))
    shape = (*(1,) * (len(sizes) - len(shape)), *shape)
    strides = tuple(0 if n == 1 and size != 1 else s for n, size, s in zip(shape, sizes, dense(shape), strict=True))
    yield _copy(c, c.place(x), c.place(node), sizes, strides, dense(sizes), 1)


def _by_ids(name: str, rows: int) -> Callable[[Node, Context], Lowered]:
    """gather and scatter: a table and rows of it; `rows` says which operand the ids are."""

    def rule(node: Node, c: Context) -> Lowered:
        table = c.shape(node.inputs[0] if name == "gather" else node)
        count, n = prod(c.shape(node.inputs[rows])), prod(table[1:])
        yield _written(name, "move"), (*c.places(*node.inputs[:2], node), count, n, table[0])

    return rule


def _pick(node: Node, c: Context) -> Lowered:
    shape = c.shape(node.inputs[0] if node.op == "pick" else node)
    yield _written(node.op, "move"), (*c.places(*node.inputs[:2], node), prod(shape[:-1]), shape[-1])


def _one_hot(node: Node, c: Context) -> Lowered:
    yield _written("one_hot", "move"), (*c.places(node.inputs[0], node), prod(c.shape(node.inputs[0])), node.attrs["n"])


def _cast(node: Node, c: Context) -> Lowered:
    yield _written("floats_of_ids", "move"), (*c.places(node.inputs[0], node), prod(c.shape(node)))


def _dropout_mask(node: Node, c: Context) -> Lowered:
    shape = c.shape(node)
    rows = shape[0] if shape else 1
    key = Stream.of(c.seed, "dropout", node.attrs["path"]).key
    numbers = c.place(node.inputs[1])
    yield _written("dropout_mask", "dropout"), (c.place(node), rows, prod(shape[1:]), numbers, c.step_place, *key)


RULES: dict[str, Callable[[Node, Context], Lowered]] = {
    "broadcast": _broadcast,
    "broadcast_like": _broadcast,
    "cast": _cast,
    "concat": _concat,
    "concat_part": _concat_part,
    "dropout_mask": _dropout_mask,
    "expand_like": _broadcast,
    "per_row": _broadcast,
    "gather": _by_ids("gather", 1),
    "log_softmax": _rows("log_softmax"),
    "matmul": _product(False),
    "matmul_t": _product(True),
    "matmul_w": _matmul_w,
    "max": _reduction,
    "mean": _reduction,
    "one_hot": _one_hot,
    "pick": _pick,
    "scatter": _by_ids("scatter", 1),
    "slice": _slice,
    "softmax": _rows("softmax"),
    "softmax_cross_entropy": _cross_entropy,
    "softmax_cross_entropy_back": _cross_entropy_back,
    "sum": _reduction,
    "transpose": _transpose,
    "unpick": _pick,
    "unslice": _unslice,
}
