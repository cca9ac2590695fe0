"""Gradients, graph to graph. The forward graph is walked backwards; each op's row says how a gradient passes
through it, in ops, so that the result is again a graph and can be differentiated again.

    grad(f):  (x1, ..., xn, dy) -> ((dx1, ..., dxn), (dp1, ..., dpm))

Two things happen here and nowhere else: gradients of the same value are added up, and the gradient of an operand
that was broadcast is summed back to its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from flux_core.ir import Graph, Node, Param, as_node, get, input_node, pack, topological
from flux_core.ops import BROADCASTS, NO_GRADIENT, TABLE, sum_like, zeros_like


class GradGraph(NamedTuple):
    """The graph of all gradients, and the Params in the order of its second output."""

    graph: Graph
    params: tuple[Param, ...]


def grad(forward: Graph) -> GradGraph:
    """grad(f) => (x..., dy) -> (dxs, dps): the gradients of an output's product with `dy`.

    `forward` is one graph of ops whose leaves are unique (`laid_out`).
    """
    leaves = [node for node in topological(forward.output) if not node.inputs]
    inputs = {node.attrs["index"]: node for node in leaves if node.op == "input"}
    xs = [inputs[i] if i in inputs else input_node(i) for i in range(forward.arity)]
    ps = [node for node in leaves if node.op == "param"]
    dy = input_node(forward.arity)
    found = gradients(forward.output, dy, [*xs, *ps])
    output = pack(pack(*found[: len(xs)]), pack(*found[len(xs) :]))
    return GradGraph(Graph(output, forward.arity + 1), tuple(p.attrs["param"] for p in ps))


def gradients(output: Node, dy: Node, wrt: Sequence[Node]) -> list[Node]:
    """The gradient of `output`·`dy` with respect to each node of `wrt`; zeros where nothing leads there."""
    order = topological(output)
    wanted = _leading_to(order, wrt)
    arrived: dict[Node, _Sum] = {output: _Sum([dy])}
    for node in reversed(order):
        if node not in arrived or node not in wanted or not node.inputs:
            continue
        d = arrived[node].total(node)
        for parent, part in zip(node.inputs, _through(node, d), strict=True):
            if part is NO_GRADIENT or parent not in wanted:
                continue
            total = arrived.setdefault(parent, _Sum())
            if node.op == "get":
                total.parts.setdefault(node.attrs["index"], []).append(part)
            else:
                total.whole.append(part)
    return [arrived[node].total(node) if node in arrived else _zeros(node) for node in wrt]


class _Sum:
    """The gradients that have arrived at one value: of the whole, and of single elements of a tuple."""

    def __init__(self, whole: Iterable[Node] = ()) -> None:
        self.whole: list[Node] = list(whole)
        self.parts: dict[int, list[Node]] = {}

    def total(self, node: Node) -> Node:
        if not self.parts:
            if _is_tuple(node) and len(self.whole) > 1:
                return _tuple_sum(node, [(None, part) for part in self.whole])
            return _added(self.whole)
        elements: list[tuple[int | None, Node]] = [(None, part) for part in self.whole]
        elements += [(index, _added(parts)) for index, parts in sorted(self.parts.items())]
        return _tuple_sum(node, elements)


def _is_tuple(node: Node) -> bool:
    return node.op in ("tuple", "tuple_sum")


def _tuple_sum(like: Node, elements: Sequence[tuple[int | None, Node]]) -> Node:
    """Zeros like a tuple, plus whole tuples (index None) and single elements."""
    attrs = MappingProxyType({"indices": tuple(index for index, _ in elements)})
    return Node("tuple_sum", (like, *(part for _, part in elements)), attrs, like.origin)


def _added(parts: Sequence[Node]) -> Node:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _zeros(node: Node) -> Node:
    # an input that nothing reads may be a tuple, which only a run can tell
    return _tuple_sum(node, []) if node.op in ("input", "call", "tuple") else as_node(zeros_like(node))


def _leading_to(order: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """The nodes that depend on one of `wrt`; opaque calls always count, for they may hold Params of their own."""
    wanted = set(wrt)
    for node in order:
        if node.op == "call" or any(parent in wanted for parent in node.inputs):
            wanted.add(node)
    return wanted


def _through(node: Node, d: Node) -> Sequence[Any]:
    """What a gradient `d` of `node` gives to each of its inputs."""
    if node.op == "tuple":
        return [get(d, i) for i in range(len(node.inputs))]
    if node.op == "get":
        return [d]
    if node.op == "call":
        back = Node("call_back", (d, *node.inputs), node.attrs, node.origin)
        return [back] if len(node.inputs) == 1 else [get(back, i) for i in range(len(node.inputs))]
    found = list(TABLE[node.op].back(d, node, *node.inputs, **node.attrs))
    if node.op in BROADCASTS:
        found = [
            part if part is NO_GRADIENT else sum_like(as_node(part), x)
            for part, x in zip(found, node.inputs, strict=True)
        ]
    return _labelled(found, node, d)


def _labelled(found: Sequence[Any], node: Node, d: Node) -> list[Any]:
    """Give the new nodes the origin of the op that they belong to, so that errors and print-outs name it."""
    known = {d, node, *node.inputs}
    new: dict[Node, Node] = {}

    def walk(part: Node) -> Node:
        if part in known or not part.inputs:
            return part
        if part not in new:
            new[part] = Node(part.op, tuple(walk(x) for x in part.inputs), part.attrs, node.origin)
        return new[part]

    return [part if part is NO_GRADIENT else walk(part) for part in found]
