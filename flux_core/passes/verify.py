"""Verification: a graph that passes can be run, as far as this can be known without shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, params_of
from flux_core.ir.walk import nodes_of
from flux_core.ops import TABLE

STRUCTURE = frozenset({"input", "constant", "param", "tuple", "get", "call", "call_back", "tuple_sum", "scan"})


def verify(graph: Graph) -> Graph:
    """The graph itself.

    Raises GraphError for an unknown op, a wrong number of operands, a missing attribute, an input that the graph
    does not have, a delayed value outside of an unrolled model, or Params of different dtypes.
    """
    for node in nodes_of(graph):
        path = str(node.origin)
        if node.op == "input" and not 0 <= node.attrs["index"] < graph.arity:
            raise GraphError(f"input {node.attrs['index']} of a graph of {graph.arity} inputs", path=path)
        if node.op == "offset":
            raise cyclic(node)
        if node.op == "scan":
            verify(node.attrs["body"])
        if node.op in STRUCTURE:
            continue
        op = TABLE.get(node.op)
        if op is None:
            raise GraphError(f"there is no op named {node.op!r}", path=path)
        if op.operands is not None and len(node.inputs) != op.operands:
            raise GraphError(f"{op.name} takes {op.operands} operands, not {len(node.inputs)}", path=path)
        if node.attrs.keys() != op.attrs.keys():
            raise GraphError(f"{op.name} has the attributes {sorted(op.attrs)}, not {sorted(node.attrs)}", path=path)
    dtypes = {str(p.x.dtype): p for p in params_of(graph.output)}
    if len(dtypes) > 1:
        (first, p), (second, q) = list(dtypes.items())[:2]
        raise GraphError(
            f"a model has one dtype, but {p} is {first} and {q} is {second}: make all Params from arrays of one dtype"
        )
    return graph


def cyclic(node: Node) -> GraphError:
    """What is wrong with a delayed value that nothing has unrolled."""
    name, n = node.attrs["name"], node.attrs["n"]
    return GraphError(
        f"this model has a cycle: it reads {name}[{n}], a value of another step; unroll it first, as in "
        f"unroll(model, steps), or run it along sequences, as in Recurrence(model)",
        path=str(node.origin),
        place=node.origin.place,
    )


def dtype_of(graph: Graph) -> np.dtype[np.floating[Any]] | None:
    """The dtype of the model's Params, or None if it has no Param."""
    params = params_of(verify(graph).output)
    return params[0].x.dtype if params else None
