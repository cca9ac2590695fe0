"""The graph of a training step: the loss of a minibatch, the prediction, and the gradients of all Params.

(x..., y) ──▶ model ──▶ prediction ──▶ loss ──▶ gradients
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flux_core.ir import Graph, Node, Param, Step, as_node, call, constant, input_node, pack, topological
from flux_core.passes import gradients, laid_out, merged, verify
from flux_core.passes.atomise import name_of


@dataclass(frozen=True)
class TrainingGraph:
    """`step` is (x..., y) -> (loss, prediction, (dps...), (calls...)), `forward` its first two; `params` are those of
    the graph, in the order of their gradients; `calls` are the opaque models run backwards, if there are any."""

    step: Graph
    forward: Graph
    params: tuple[Param, ...]
    opaque: bool


def training_graph(model: Any, loss: Callable[[Any, Any], Any], arity: int = 1) -> TrainingGraph:
    """Lay out a model of `arity` inputs with its loss and the gradients of its Params."""
    xs = [input_node(i) for i in range(arity)]
    called = call(model, *xs, step=Step("", name_of(model)))
    whole = laid_out(Graph(pack(as_node(loss(called, input_node(arity))), called), arity + 1))
    assert whole is not None  # a Graph has a graph
    verify(whole)  # of what has a cycle there is no gradient
    value, prediction = whole.output.inputs
    nodes = topological(whole.output)
    leaves = [node for node in nodes if node.op == "param"]
    calls: list[Node] = []
    found = gradients(value, constant(1.0), leaves, calls)
    (output,) = merged([pack(value, prediction, pack(*found), pack(*calls))])
    step = Graph(output, whole.arity)
    opaque = any(node.op == "call" for node in nodes)
    return TrainingGraph(verify(step), whole, tuple(leaf.attrs["param"] for leaf in leaves), opaque)
