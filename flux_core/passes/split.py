"""Splitting: an elementwise op of which only parts are read is done on these parts.

    z = u + v                          i = sigmoid(u[:, :64] + v[:, :64])
    i, g = z[:, :64], z[:, 64:]   →    g = tanh(u[:, 64:] + v[:, 64:])

The parts are read where they lie, and what follows can be fused with them: the sum is never written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flux_core.ir import Graph, Node, rewrite, topological
from flux_core.ir.walk import with_inputs
from flux_core.ops import TABLE
from flux_core.passes.infer import Type, TypeTree


def split(graph: Graph, types: Mapping[Node, TypeTree]) -> tuple[Graph, dict[Node, TypeTree]]:
    """The same function with elementwise ops behind slices of columns instead of in front of them, and the types."""
    known = dict(types)
    while True:
        chosen = _chosen(graph, known)
        if not chosen:
            return graph, known

        def rule(node: Node, inputs: tuple[Node, ...], chosen: set[Node] = chosen) -> Node:
            if node.op == "scan":
                return node if inputs == node.inputs else _typed(Node("scan", inputs, node.attrs, node.origin), node)
            if node.op == "slice" and node.inputs[0] in chosen:
                return _behind(inputs[0], node, known)
            made = with_inputs(node, inputs)
            return made if made is node else _typed(made, node)

        def _typed(made: Node, like: Node) -> Node:
            known[made] = known[like]
            return made

        graph = Graph(rewrite([graph.output], rule)[0], graph.arity)


def _chosen(graph: Graph, types: Mapping[Node, TypeTree]) -> set[Node]:
    """The elementwise ops that are read by slices of disjoint columns only."""
    readers: dict[Node, set[Node]] = {}
    for node in topological(graph.output):
        for x in node.inputs:
            readers.setdefault(x, set()).add(node)
    return {
        node
        for node, those in readers.items()
        if node.op in TABLE and TABLE[node.op].kernel.kind == "elementwise" and _disjoint(node, those, types)
    }


def _disjoint(node: Node, readers: set[Node], types: Mapping[Node, TypeTree]) -> bool:
    whole = types[node]
    if not isinstance(whole, Type) or not whole.shape:
        return False
    total = 0
    for reader in readers:
        part = types[reader]
        if reader.op != "slice" or not isinstance(part, Type) or not _is_of_columns(reader, types):
            return False
        total += part.shape[-1]
    return total <= whole.shape[-1]


def _behind(op: Node, part: Node, types: dict[Node, TypeTree]) -> Node:
    """The op on the columns that a slice names."""
    columns = part.attrs["index"][-1]
    operands = []
    for x in op.inputs:
        found = types[x]
        assert isinstance(found, Type)  # an elementwise op reads arrays
        operands.append(_columns(x, found, range(*columns.indices(found.shape[-1])), types) if _wide(found) else x)
    made = Node(op.op, tuple(operands), op.attrs, op.origin)
    types[made] = types[part]
    return made


def _wide(found: Type) -> bool:
    return bool(found.shape) and found.shape[-1] != 1


def _columns(x: Node, found: Type, chosen: range, types: dict[Node, TypeTree]) -> Node:
    """Some columns of a value; of columns of another value, columns of that one."""
    while x.op == "slice" and _is_of_columns(x, types):
        whole = types[x.inputs[0]]
        assert isinstance(whole, Type)  # a slice is of an array
        first = range(*x.attrs["index"][-1].indices(whole.shape[-1]))
        chosen, x = first[chosen.start : chosen.stop : chosen.step], x.inputs[0]
    index = (Ellipsis, slice(chosen.start, chosen.stop, chosen.step))
    made = Node("slice", (x,), MappingProxyType({"index": index}), x.origin)
    types[made] = Type((*found.shape[:-1], len(chosen)), found.kind)
    return made


def _is_of_columns(x: Node, types: Mapping[Node, TypeTree]) -> bool:
    """Whether a slice names columns of the last axis and nothing else."""
    part, whole, index = types[x], types[x.inputs[0]], x.attrs["index"]
    if not isinstance(part, Type) or not isinstance(whole, Type) or not isinstance(index[-1], slice):
        return False
    last = Ellipsis in index or len(index) == len(whole.shape)
    return last and len(part.shape) == len(whole.shape) and part.shape[:-1] == whole.shape[:-1]
