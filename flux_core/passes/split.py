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
from flux_core.passes.parts import columns_named


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
        columns = _sliced(reader, types) if reader.op == "slice" else None
        if columns is None:
            return False
        total += columns[1] - columns[0]
    return total <= whole.shape[-1]


def _behind(op: Node, part: Node, types: dict[Node, TypeTree]) -> Node:
    """The op on the columns that a slice names."""
    columns = _sliced(part, types)
    assert columns is not None  # else the op would not have been chosen
    operands = []
    for x in op.inputs:
        found = types[x]
        assert isinstance(found, Type)  # an elementwise op reads arrays
        wide = found.shape and found.shape[-1] != 1
        operands.append(_columns(x, found, *columns, types) if wide else x)
    made = Node(op.op, tuple(operands), op.attrs, op.origin)
    types[made] = types[part]
    return made


def _columns(x: Node, found: Type, begin: int, end: int, types: dict[Node, TypeTree]) -> Node:
    """Some columns of a value; of columns of another value, columns of that one."""
    while x.op == "slice" and (outer := _sliced(x, types)) is not None:
        begin, end, x = outer[0] + begin, outer[0] + end, x.inputs[0]
    made = Node("slice", (x,), MappingProxyType({"index": (Ellipsis, slice(begin, end))}), x.origin)
    types[made] = Type((*found.shape[:-1], end - begin), found.kind)
    return made


def _sliced(x: Node, types: Mapping[Node, TypeTree]) -> tuple[int, int] | None:
    """The columns that a slice names, if it names neighbouring ones of all rows and nothing else."""
    whole = types[x.inputs[0]]
    return columns_named(whole.shape, x.attrs["index"]) if isinstance(whole, Type) else None
