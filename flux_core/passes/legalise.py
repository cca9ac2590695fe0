"""Legalising: every op in a form that one or a few kernels can run, without room of their own.

    sum over (0, 2)               →   sum over 2, sum over 0
    softmax along a middle axis   →   transpose, softmax, transpose
    sum_like                      →   sum, reshape
    ids in arithmetic             →   cast
    an operand stretched oddly    →   broadcast, a copy

After this pass an elementwise operand is full, a row, a column or a number (`read_as`), a reduction is over
neighbouring axes, and the last axis is the one along which rows are worked on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from flux_core.ir import Graph, Node, constant, topological
from flux_core.ops import IDS, MOVES, SHAPE_ONLY
from flux_core.ops.reduce import axes_of
from flux_core.passes.infer import Type, TypeTree

Shape = tuple[int, ...]
STRUCTURE = frozenset({"input", "constant", "param", "tuple", "get"})


def legalise(graph: Graph, types: Mapping[Node, TypeTree]) -> tuple[Graph, dict[Node, TypeTree]]:
    """The same function in forms that have kernels, and the types of its nodes."""
    return _Legaliser(types).run(graph)


def read_as(operand: Shape, result: Shape, columns: int | None = None) -> tuple[str, int | None]:
    """How an elementwise kernel reads an operand, and the columns that this asks for.

    `f` full, `s` one number, `r` a row that repeats, `c` a number for each row; `x` where none of these fits
    (or not with the given columns).

    >>> read_as((4,), (3, 4)), read_as((3, 1), (3, 4)), read_as((3, 1), (2, 3, 4)), read_as((1, 4), (3, 4))
    (('r', 4), ('c', 4), ('x', None), ('r', 4))
    """
    size, whole = prod(operand), prod(result)
    if size == 1:
        return "s", None
    if size == whole:
        return "f", None
    bare = operand[next(i for i, n in enumerate(operand) if n != 1) :]
    if bare == result[len(result) - len(bare) :] and columns in (None, size):
        return "r", size
    kept = len(operand) - next(i for i, n in enumerate(reversed(operand)) if n != 1)
    if len(operand) == len(result) and operand[:kept] == result[:kept] and columns in (None, whole // size):
        return "c", whole // size
    return "x", None


def reads_of(operands: Sequence[Shape], result: Shape) -> tuple[list[str], int | None]:
    """How a kernel reads all its operands at once: its rows are split into columns in one way only."""
    columns: int | None = None
    found = []
    for operand in operands:
        how, wanted = read_as(operand, result, columns)
        columns = columns if wanted is None else wanted
        found.append(how)
    return found, columns


class _Legaliser:
    def __init__(self, types: Mapping[Node, TypeTree]) -> None:
        self.old = types
        self.types: dict[Node, TypeTree] = {}
        self.casts: dict[Node, Node] = {}

    def run(self, graph: Graph) -> tuple[Graph, dict[Node, TypeTree]]:
        new: dict[Node, Node] = {}
        for node in topological(graph.output):
            new[node] = self.legal(node, tuple(new[x] for x in node.inputs))
        return Graph(new[graph.output], graph.arity), self.types

    def legal(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op in STRUCTURE:
            return self.made(node.op, inputs, self.old[node], node, **node.attrs)
        inputs = inputs if node.op == "scan" else self.as_floats(node, inputs)
        rule = getattr(self, f"legal_{node.op}", None)
        if rule is not None:
            found: Node = rule(node, inputs)
            return found
        return self.made(node.op, inputs, self.old[node], node, **node.attrs)

    def made(self, op: str, inputs: Sequence[Node], kind: TypeTree, like: Node, **attrs: Any) -> Node:
        node = Node(op, tuple(inputs), MappingProxyType(attrs), like.origin)
        self.types[node] = kind
        return node

    def number(self, value: Any) -> Node:
        node = constant(np.asarray(value, np.float32))
        self.types[node] = Type(node.attrs["value"].shape)
        return node

    def shape(self, node: Node) -> Shape:
        found = self.types[node]
        assert isinstance(found, Type)
        return found.shape

    def legal_scan(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        body, types = legalise(node.attrs["body"], self.old)
        self.types |= types
        return self.made(node.op, inputs, self.old[node], node, **{**node.attrs, "body": body})

    def as_floats(self, node: Node, inputs: tuple[Node, ...]) -> tuple[Node, ...]:
        """Operands that hold ids where the op computes with floats, cast."""
        keep = IDS.get(node.op, frozenset()) | SHAPE_ONLY.get(node.op, frozenset())
        if node.op in MOVES and self.old[node] == Type(self.old_shape(node), "int"):
            return inputs
        return tuple(x if i in keep else self.as_float(x, node) for i, x in enumerate(inputs))

    def old_shape(self, node: Node) -> Shape:
        found = self.old[node]
        assert isinstance(found, Type)
        return found.shape

    def as_float(self, x: Node, like: Node) -> Node:
        found = self.types[x]
        if not isinstance(found, Type) or found.kind == "float":
            return x
        if x not in self.casts:
            self.casts[x] = self.made("cast", [x], Type(found.shape), like)
        return self.casts[x]

    def legal_fused(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        result = self.old_shape(node)
        reads, _ = reads_of([self.shape(x) for x in inputs], result)
        full = [
            self.made("broadcast", [x], Type(result), node) if how == "x" else x
            for x, how in zip(inputs, reads, strict=True)
        ]
        return self.made("fused", full, Type(result), node, **node.attrs)

    def legal_sum_like(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        x, like = self.shape(inputs[0]), self.old_shape(node)
        extra = len(x) - len(like)
        stretched = [i + extra for i, n in enumerate(like) if n == 1 and x[i + extra] != 1]
        total = self.reduced("sum", inputs[0], (*range(extra), *stretched), node)
        return self.viewed(total, like, node)

    def legal_sum(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        axes = axes_of(node.attrs["axis"], len(self.shape(inputs[0])))
        return self.viewed(self.reduced(node.op, inputs[0], axes, node), self.old_shape(node), node)

    legal_mean = legal_max = legal_sum

    def reduced(self, op: str, x: Node, axes: tuple[int, ...], like: Node) -> Node:
        """Reduce groups of neighbouring axes, the last group first."""
        for first, last in reversed(_runs(axes)):
            shape = self.shape(x)
            left = (*shape[:first], *shape[last + 1 :])
            x = self.made(op, [x], Type(left), like, axes=(first, last))
        return x

    def viewed(self, x: Node, shape: Shape, like: Node) -> Node:
        if self.shape(x) == shape:
            return x
        return self.made("reshape", [x], Type(shape), like, shape=shape, keep=0)

    def legal_softmax(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        rank = len(self.shape(inputs[0]))
        axis = node.attrs["axis"] % rank if rank else 0
        if axis >= rank - 1:
            return self.made(node.op, inputs, self.old[node], node)
        there = (*range(axis), *range(axis + 1, rank), axis)
        back = tuple(there.index(i) for i in range(rank))
        turned = self.turned(inputs[0], there, node)
        return self.turned(self.made(node.op, [turned], self.types[turned], node), back, node)

    legal_log_softmax = legal_softmax

    def turned(self, x: Node, axes: tuple[int, ...], like: Node) -> Node:
        shape = self.shape(x)
        return self.made("transpose", [x], Type(tuple(shape[a] for a in axes)), like, axes=axes)

    def legal_dropout_mask(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        rate = node.attrs["rate"]
        numbers = self.number([rate, 1 / (1 - rate)])
        return self.made(node.op, [inputs[0], numbers], self.old[node], node, path=node.attrs["path"])

    def legal_zeros_like(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        return self.made("broadcast", [self.number(0.0)], self.old[node], node)

    def legal_count(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        shape = self.shape(inputs[0])
        return self.number(prod(shape[i] for i in axes_of(node.attrs["axis"], len(shape))))

    def legal_unslice(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        return self.made(node.op, [*inputs, self.number(0.0)], self.old[node], node, **node.attrs)


def _runs(axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Neighbouring axes as (first, last)."""
    runs: list[tuple[int, int]] = []
    for axis in axes:
        if runs and runs[-1][1] == axis - 1:
            runs[-1] = (runs[-1][0], axis)
        else:
            runs.append((axis, axis))
    return runs
