"""Carrying: states of scans as inputs and outputs of the graph, so that a minibatch goes on where another stopped.

    (x..., y) -> values            scan(h = 0, ...)
    (x..., y, first, h0) -> values, h1          scan(h = first · initial + h0, ...), whose final state is h1

`first` is 1 in the first minibatch of an epoch, where the carried states are zeros, and 0 in all others. What comes
in is a number like any other: gradients stop there, and those of a trainable initial state come from first
minibatches alone. A scan in reverse has seen the end of its window, which the next window does not follow: it begins
anew every time.
"""

from __future__ import annotations

from typing import NamedTuple

from flux_core.ir import Graph, Node, final_state, get, input_node, pack, rewrite
from flux_core.ir.walk import with_inputs


class Carried(NamedTuple):
    """A graph whose output is a pair of the former output and the states to carry on; `initial` are the nodes of the
    former graph that stood where carried states come in now, in the order of the new inputs."""

    graph: Graph
    initial: tuple[Node, ...]


def carried(graph: Graph) -> Carried:
    """The graph with the states of its forward scans carried; its new inputs follow those it had."""
    first = input_node(graph.arity)
    initial: list[Node] = []
    final: list[Node] = []

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "get":
            return get(inputs[0], node.attrs["index"])
        if node.op != "scan" or node.attrs["reverse"]:
            return with_inputs(node, inputs)
        states: list[Node] = []
        for old, new in zip(node.inputs[: node.attrs["states"]], inputs, strict=False):
            came = input_node(graph.arity + 1 + len(initial))
            initial.append(old)
            states.append(came if _is_zero(new) else first * new + came)
        made = Node("scan", (*states, *inputs[len(states) :]), node.attrs, node.origin)
        final.extend(final_state(made, i) for i in range(len(states)))
        return made

    (output,) = rewrite([graph.output], rule)
    more = 1 + len(initial) if initial else 0
    return Carried(Graph(pack(output, pack(*final)), graph.arity + more), tuple(initial))


def _is_zero(node: Node) -> bool:
    """Whether a state begins with zeros, whatever the shapes are."""
    while node.op in ("per_row", "broadcast_like"):
        node = node.inputs[0]
    return node.op == "constant" and not node.attrs["value"].any()
