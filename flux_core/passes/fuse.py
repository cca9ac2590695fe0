"""Fusion. A tree of elementwise ops becomes one node, whose formula is the formulas of the tree in one.

    add(x, b) ── relu          →   fused[maximum(a0 + a1, 0)] x b
    multiply(d, greater(y, 0)) →   fused[a0 * (a1 > 0)] d y

An op is drawn into the only op that reads it, where both have the same shape. What is left of the ops' names is
the formula, so equal formulas share one compiled kernel, whatever the sizes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from types import MappingProxyType
from typing import Any

from flux_core.ir import Graph, Node, constant, topological
from flux_core.ops import TABLE
from flux_core.passes.infer import Type, TypeTree
from flux_core.passes.split import split

OPS = 24  # in one formula: enough for any cell, and no risk for the parser's recursion
OPERANDS = 6  # more streams than this and their aliasing can no longer be checked in front of a vector loop


@dataclass(frozen=True)
class _Tree:
    """A formula over the nodes that it reads, named a0, a1, ... in their order."""

    formula: str
    inputs: tuple[Node, ...]
    size: int = 0  # ops in it


def fuse(graph: Graph, types: Mapping[Node, TypeTree]) -> tuple[Graph, dict[Node, TypeTree]]:
    """The graph with every tree of elementwise ops as one `fused` node, and the types of the new nodes."""
    graph, types = split(graph, types)
    nodes = topological(graph.output)
    readers: dict[Node, set[Node]] = {}
    for node in nodes:
        for parent in node.inputs:
            readers.setdefault(parent, set()).add(node)
    new: dict[Node, Node] = {}
    new_types: dict[Node, TypeTree] = {}
    trees: dict[Node, _Tree] = {}
    for node in nodes:
        inputs = tuple(new[parent] for parent in node.inputs)
        if node.op == "scan":
            body, inside = fuse(node.attrs["body"], types)
            new_types |= inside
            made = Node("scan", inputs, MappingProxyType({**node.attrs, "body": body}), node.origin)
        elif not _is_elementwise(node):
            made = Node(node.op, inputs, node.attrs, node.origin)
        else:
            tree = _grown(node, inputs, trees, readers, types)
            made = Node("fused", tree.inputs, MappingProxyType({"formula": tree.formula}), node.origin)
            trees[node] = tree
            for x in tree.inputs:  # attributes became constants
                if x not in new_types:
                    new_types[x] = Type(())
        new[node] = made
        new_types[made] = types[node]
    return Graph(new[graph.output], graph.arity), new_types


def _is_elementwise(node: Node) -> bool:
    return node.op in TABLE and TABLE[node.op].kernel.kind == "elementwise"


def _grown(
    node: Node,
    inputs: tuple[Node, ...],
    trees: Mapping[Node, _Tree],
    readers: Mapping[Node, set[Node]],
    types: Mapping[Node, TypeTree],
) -> _Tree:
    """The tree of one op with the trees of its operands drawn in, as far as they fit."""
    op = TABLE[node.op]
    names = list(signature(op.forward).parameters)
    parts: list[_Tree] = [_Tree("a0", (x,)) for x in inputs]
    for i, parent in enumerate(node.inputs):
        # a number that several ops read is computed by each: cheaper than a pass over memory for one element
        alone = readers[parent] == {node}
        if parent not in trees or not alone or types[parent] != types[node]:
            continue
        candidate = [*parts[:i], trees[parent], *parts[i + 1 :]]
        if len(_inputs_of(candidate)) + len(op.attrs) <= OPERANDS and sum(part.size for part in candidate) < OPS:
            parts = candidate
    parts += [_Tree("a0", (constant(float(node.attrs[name])),)) for name in op.attrs]
    whole = _inputs_of(parts)
    places = {id(x): f"a{i}" for i, x in enumerate(whole)}
    terms = {
        name: _substituted(part.formula, {f"a{i}": places[id(x)] for i, x in enumerate(part.inputs)})
        for name, part in zip(names, parts, strict=True)
    }
    assert op.kernel.formula is not None  # elementwise ops have one
    return _Tree(_substituted(op.kernel.formula, terms), whole, 1 + sum(part.size for part in parts))


def _inputs_of(parts: list[_Tree]) -> tuple[Node, ...]:
    return tuple({id(x): x for part in parts for x in part.inputs}.values())


def _substituted(formula: str, terms: Mapping[str, str]) -> str:
    """The formula with names replaced by expressions."""
    parsed = {name: ast.parse(term, mode="eval").body for name, term in terms.items()}

    class Substitute(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> Any:  # the name that ast looks for
            return parsed.get(name.id, name)

    return ast.unparse(Substitute().visit(ast.parse(formula, mode="eval").body))
