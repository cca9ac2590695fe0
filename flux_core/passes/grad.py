"""Gradients, graph to graph. The forward graph is walked backwards; each op's row says how a gradient passes
through it, in ops, so that the result is again a graph and can be differentiated again.

    grad(f):  (x1, ..., xn, dy) -> ((dx1, ..., dxn), (dp1, ..., dpm), (what opaque calls gave back))

Two things happen here and nowhere else: gradients of the same value are added up, and the gradient of an operand
that was broadcast is summed back to its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from types import MappingProxyType
from typing import Any, NamedTuple

from flux_core.errors import BackpropError
from flux_core.ir import Graph, Node, Param, as_node, get, has_own, input_node, is_leaf, pack, topological
from flux_core.ops import BROADCASTS, NO_GRADIENT, TABLE, sum_like, zeros_like
from flux_core.passes.merge import merged
from flux_core.passes.scan_grad import scan_gradients


class GradGraph(NamedTuple):
    """The graph of all gradients, and the Params in the order of its second output."""

    graph: Graph
    params: tuple[Param, ...]


def grad(forward: Graph) -> GradGraph:
    """grad(f) => (x..., dy) -> (dxs, dps, calls): the gradients of an output's product with `dy`.

    The third output is every opaque call run backwards: its Params gather their gradients by that.

    `forward` is one graph of ops whose leaves are unique (`laid_out`).
    """
    leaves = [node for node in topological(forward.output) if not node.inputs]
    inputs = {node.attrs["index"]: node for node in leaves if node.op == "input"}
    xs = [inputs[i] if i in inputs else input_node(i) for i in range(forward.arity)]
    ps = [node for node in leaves if node.op == "param"]
    dy = input_node(forward.arity)
    calls: list[Node] = []
    found = gradients(forward.output, dy, [*xs, *ps], calls)
    (output,) = merged([pack(pack(*found[: len(xs)]), pack(*found[len(xs) :]), pack(*calls))])
    return GradGraph(Graph(output, forward.arity + 1), tuple(p.attrs["param"] for p in ps))


def gradients(output: Node, dy: Node, wrt: Sequence[Node], calls: list[Node] | None = None) -> list[Node]:
    """The gradient of `output`·`dy` with respect to each node of `wrt`; zeros where nothing leads there.

    `calls` receives every opaque call run backwards, also those whose result leads nowhere: a model that reads ids
    or a constant may hold Params.
    """
    found = _pulled([output], [dy], wrt, calls)
    return [_zeros(node) if d is None else d for node, d in zip(wrt, found, strict=True)]


def _pulled(
    outputs: Sequence[Node], dys: Sequence[Node], wrt: Sequence[Node], calls: list[Node] | None = None
) -> list[Node | None]:
    """The gradients of Σ outputs·dys, None where nothing leads."""
    order = topological(*outputs)
    wanted = _leading_to(order, wrt)
    arrived: dict[Node, _Sum] = {}
    for output, dy in zip(outputs, dys, strict=True):
        arrived.setdefault(output, _Sum()).whole.append(dy)
    for node in reversed(order):
        if node not in arrived or node not in wanted or is_leaf(node):
            continue
        for parent, part in zip(node.inputs, _parts(node, arrived[node], wanted, calls), strict=True):
            if part is NO_GRADIENT or part is None or parent not in wanted:
                continue
            total = arrived.setdefault(parent, _Sum())
            total.of_arrays |= node.op in TABLE or node.op == "scan"
            if node.op == "get":
                total.parts.setdefault(node.attrs["index"], []).append(part)
            else:
                total.whole.append(part)
    return [arrived[node].total(node) if node in arrived else None for node in wrt]


def _parts(node: Node, found: _Sum, wanted: set[Node], calls: list[Node] | None) -> Sequence[Any]:
    """What the gradient that has arrived at a node gives to each of its inputs."""
    if node.op != "scan":
        return _through(node, found.total(node), calls)
    ds = [found.element(i) for i in range(len(node.attrs["body"].output.inputs))]
    return scan_gradients(node, ds, [x in wanted for x in node.inputs], _pulled)


class _Sum:
    """The gradients that have arrived at one value: of the whole, and of single elements of a tuple."""

    def __init__(self, whole: Iterable[Node] = ()) -> None:
        self.whole: list[Node] = list(whole)
        self.parts: dict[int, list[Node]] = {}
        self.of_arrays = False  # an op reads the value: it is no tuple

    def total(self, node: Node) -> Node:
        if not self.parts and (len(self.whole) == 1 or self.of_arrays or node.op in TABLE or node.op == "param"):
            return reduce(add, self.whole)
        elements: list[tuple[int | None, Node]] = [(None, part) for part in self.whole]
        elements += [(index, part) for index, parts in sorted(self.parts.items()) for part in parts]
        return _tuple_sum(node, elements)

    def element(self, index: int) -> Node | None:
        """What has arrived at one element of a tuple."""
        parts = [*(get(part, index) for part in self.whole), *self.parts.get(index, [])]
        return reduce(add, parts) if parts else None


def _tuple_sum(like: Node, elements: Sequence[tuple[int | None, Node]]) -> Node:
    """Zeros like a tuple, plus whole tuples (index None) and single elements."""
    attrs = MappingProxyType({"indices": tuple(index for index, _ in elements)})
    return Node("tuple_sum", (like, *(part for _, part in elements)), attrs, like.origin)


def _zeros(node: Node) -> Node:
    # an input that nothing reads may be a tuple, which only a run can tell
    return _tuple_sum(node, []) if node.op in ("input", "call", "tuple") else as_node(zeros_like(node))


def _leading_to(order: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """The nodes that depend on one of `wrt`; an opaque model counts itself, for it may hold Params of its own."""
    wanted = set(wrt)
    for node in order:
        if _may_hold_params(node) or any(parent in wanted for parent in node.inputs):
            wanted.add(node)
    return wanted


def _may_hold_params(node: Node) -> bool:
    return node.op == "call" and has_own(node.attrs["model"], "back")


def _through(node: Node, d: Node, calls: list[Node] | None) -> Sequence[Any]:
    """What a gradient `d` of `node` gives to each of its inputs."""
    if node.op == "tuple":
        return [get(d, i) for i in range(len(node.inputs))]
    if node.op == "get":
        return [d]
    if node.op == "call":
        back = Node("call_back", (d, *node.inputs), node.attrs, node.origin)
        if calls is not None and _may_hold_params(node):
            calls.append(back)
        return [back] if len(node.inputs) == 1 else [get(back, i) for i in range(len(node.inputs))]
    if node.op == "tuple_sum":
        return [NO_GRADIENT, *(d if index is None else get(d, index) for index in node.attrs["indices"])]
    if node.op == "call_back":
        raise BackpropError(f"Backprop not implemented for the `back` of {node.origin}: write the model in ops")
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
