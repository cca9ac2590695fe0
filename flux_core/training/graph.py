"""The graph of a training step: the loss of a minibatch, the prediction, and the gradients of all Params.

(x..., y) ──▶ model ──▶ prediction ──▶ loss ──▶ gradients          with `carry` also first, states ──▶ states
                                                                   with `padded` also lengths, in front of these
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flux_core.data import Examples
from flux_core.ir import Graph, Node, Param, Step, as_node, call, constant, input_node, pack, topological
from flux_core.passes import Type, TypeTree, gradients, infer_types, laid_out, merged, verify
from flux_core.passes.atomise import name_of
from flux_core.passes.carry import Carried, carried
from flux_core.passes.mask import masked


@dataclass(frozen=True)
class TrainingGraph:
    """`step` is (x..., y) -> (loss, prediction, (dps...), (calls...), (states...)), `forward` the same without the
    gradients; `params` are those of the graph, in the order of their gradients; `calls` are the opaque models run
    backwards, if there are any.

    Both graphs take one input more, the lengths, where sequences have such (`passes.mask`). Where states are carried on
    from minibatch to minibatch, they take two kinds of inputs more behind that, `first` and the states
    (`passes.carry`); `plain` is the forward graph without these, and `initial` are its nodes that have the states'
    types.
    """

    step: Graph
    forward: Graph
    params: tuple[Param, ...]
    opaque: bool
    plain: Graph
    initial: tuple[Node, ...] = ()

    def state_types(self, inputs: Sequence[TypeTree]) -> list[Type]:
        """The types of the carried states for inputs of `plain` of these types."""
        if not self.initial:
            return []
        types = infer_types(self.plain, inputs)
        found = [types[node] for node in self.initial]
        return [kind for kind in found if isinstance(kind, Type)]


def training_graph(
    model: Any,
    loss: Callable[[Any, Any], Any],
    arity: int = 1,
    *,
    carry: bool = False,
    padded: Examples | None = None,
) -> TrainingGraph:
    """Lay out a model of `arity` inputs with its loss and the gradients of its Params.

    `padded` are examples of sequences that have lengths, for a model of one input. Raises GraphError where it mixes
    their steps.
    """
    xs = [input_node(i) for i in range(arity)]
    called = call(model, *xs, step=Step("", name_of(model)))
    whole = laid_out(Graph(pack(as_node(loss(called, input_node(arity))), called), arity + 1))
    assert whole is not None  # a Graph has a graph
    verify(whole)  # of what has a cycle there is no gradient
    if padded is not None:
        whole = masked(whole, types_of(padded, 2)[:2], (0, 1) if padded.stepwise else (0,))
    found_states = carried(whole) if carry else Carried(Graph(pack(whole.output, pack()), whole.arity), ())
    forward, states = found_states.graph, found_states.graph.output.inputs[1]
    value, prediction = forward.output.inputs[0].inputs
    nodes = topological(forward.output)
    leaves = [node for node in nodes if node.op == "param"]
    calls: list[Node] = []
    found = gradients(value, constant(1.0), leaves, calls)
    (output,) = merged([pack(value, prediction, pack(*found), pack(*calls), states)])
    step = Graph(output, forward.arity)
    forward = Graph(pack(value, prediction, states), forward.arity)
    opaque = any(node.op == "call" for node in nodes)
    params = tuple(leaf.attrs["param"] for leaf in leaves)
    return TrainingGraph(verify(step), forward, params, opaque, whole, found_states.initial)


def types_of(examples: Examples, rows: int) -> tuple[Type, ...]:
    """The types of x, y and, where there are any, the lengths in a minibatch of so many rows."""
    return tuple(Type((rows, *a.shape[1:]), "int" if a.dtype.kind == "i" else "float") for a in examples.arrays)
