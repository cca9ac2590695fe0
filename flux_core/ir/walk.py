"""Walks. Every pass sees a graph as a list in which each node stands behind its inputs.

The walk keeps its own stack, so that the depth of a graph is bounded by memory and not by Python's recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType

from flux_core.ir.node import Graph, Node
from flux_core.ir.param import Param

LEAVES = frozenset({"input", "constant", "param"})


def is_leaf(node: Node) -> bool:
    """Whether a node is an input, a constant or a parameter."""
    return node.op in LEAVES


def topological(*outputs: Node) -> list[Node]:
    """All nodes that `outputs` need, each once and behind its inputs, in a fixed order."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(node, False) for node in reversed(outputs)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in reversed(node.inputs) if parent not in seen)
    return order


def nodes_of(graph: Graph) -> list[Node]:
    """All nodes of a graph, those of its states too, each once and behind its inputs."""
    return topological(graph.output, *graph.states.values())


def rewrite(
    outputs: Iterable[Node],
    rule: Callable[[Node, tuple[Node, ...]], Node],
) -> list[Node]:
    """Build `outputs` anew from the leaves up: `rule(node, its new inputs)` gives the new node."""
    outputs = list(outputs)
    new: dict[Node, Node] = {}
    for node in topological(*outputs):
        new[node] = rule(node, tuple(new[parent] for parent in node.inputs))
    return [new[node] for node in outputs]


def mapped(graph: Graph, rule: Callable[[Node, tuple[Node, ...]], Node]) -> Graph:
    """A graph with its output and its states built anew, by the rule of `rewrite`."""
    output, *states = rewrite([graph.output, *graph.states.values()], rule)
    return Graph(output, graph.arity, MappingProxyType(dict(zip(graph.states, states, strict=True))))


def with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node itself if its inputs are unchanged, else a copy over the new ones."""
    return node if inputs == node.inputs else Node(node.op, inputs, node.attrs, node.origin)


def params_of(*outputs: Node) -> list[Param]:
    """Every Param that `outputs` read, each once, in the order of the walk."""
    found: dict[int, Param] = {}
    for node in topological(*outputs):
        if node.op == "param":
            found.setdefault(id(node.attrs["param"]), node.attrs["param"])
    return list(found.values())
