"""Building what a graph calls: each layer that waits for its input size gets it from what reaches it.

x (batch, 8) ── call Affine(16) ──▶ (batch, 16) ── call Affine(3) ──▶ (batch, 3)
                W (8, 16)                          W (16, 3)

Delayed values have the shape of their initial ones, one for each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, Step, call, graph, input_node
from flux_core.ir.walk import nodes_of
from flux_core.layers.base import Layer
from flux_core.layers.init import Draw
from flux_core.passes import Type, TypeTree, laid_out, step_types
from flux_core.passes.infer import type_of
from flux_core.passes.step import rows_of


def output_type(y: Node, *inputs: TypeTree) -> TypeTree:
    """The type of a value over inputs of these types, in a step or in a model without states."""
    laid = laid_out(Graph(y, len(inputs)))
    assert laid is not None  # a Graph has a graph
    return step_types(laid, inputs)


def is_built(model: Any) -> bool:
    """Whether no layer of a model waits for its input size."""
    if isinstance(model, Layer):
        return model.built
    whole = graph(model)
    return whole is None or all(is_built(node.attrs["model"]) for node in nodes_of(whole) if node.op == "call")


def build_model(model: Any, inputs: Sequence[TypeTree], draw: Draw) -> None:
    """Build the layers of a model that wait for their input sizes; raises ShapeError where sizes do not fit."""
    if not isinstance(model, Layer):
        whole = graph(model)
        if whole is not None:
            build_parts(whole, inputs, draw)
    elif not model.built:
        model.build(inputs[0] if len(inputs) == 1 else tuple(inputs), draw)


def build_parts(whole: Graph, inputs: Sequence[TypeTree], draw: Draw) -> None:
    """Build the layers that a graph calls."""
    rows = rows_of(inputs)
    types: dict[Node, TypeTree] = {}
    for node in nodes_of(whole):
        operands = [types[parent] for parent in node.inputs]
        if node.op == "offset":
            (default,) = operands
            assert isinstance(default, Type)  # the initial value of a state is one array
            types[node] = Type((*rows, *default.shape))
        elif node.op == "call":
            types[node] = _called(node, operands, draw)
        else:
            types[node] = type_of(node, operands, inputs)


def _called(node: Node, operands: Sequence[TypeTree], draw: Draw) -> TypeTree:
    model, path = node.attrs["model"], node.origin.path
    try:
        build_model(model, operands, lambda name, shape, init: draw(f"{path}.{name}".lstrip("."), shape, init))
    except GraphError as problem:
        raise problem.within(str(node.origin), node.origin.place) from None
    inputs = [input_node(i) for i in range(len(operands))]
    step = node.origin.steps[-1] if node.origin.steps else Step("", type(model).__name__)
    return output_type(call(model, *inputs, step=step, place=node.origin.place), *operands)
