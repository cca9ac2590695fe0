"""Ids that a model has no row for, found without computing a single float.

    largest id at each place of an example ──moved as the graph moves ids──▶ gather, one_hot: less than their rows?

What only moves values moves the largest ones too, so that one made-up example stands for all. A scan's body sees the
largest of all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.ir import Graph, Node, topological
from flux_core.ops import MOVES, TABLE
from flux_core.passes.infer import Type, TypeTree, all_types

READS = {"gather": 1, "pick": 1, "one_hot": 0}  # op -> which operand is the ids


@dataclass(frozen=True)
class Unknown:
    """An id of the data, the node that looks it up, and how many rows it has: those of 0 to `rows` - 1."""

    id: int
    node: Node
    rows: int


def unknown_id(graph: Graph, largest: NDArray[np.int64]) -> Unknown | None:
    """The first id that a model of ids cannot look up; `largest` is the largest at each place of an example.

    >>> from flux_core.ir import input_node
    >>> from flux_core.ops import one_hot
    >>> graph = Graph(one_hot(input_node(0), n=3), 1)
    >>> unknown_id(graph, np.array([2, 2])), unknown_id(graph, np.array([2, 7])).id
    (None, 7)
    """
    x = largest[None]
    return _search(graph, [x], all_types(graph, [Type(x.shape, "int")]))


def _search(graph: Graph, inputs: Sequence[Any], types: dict[Node, TypeTree]) -> Unknown | None:
    """None among the inputs and values stands for what is not known: it was computed."""
    values: dict[Node, Any] = {}
    for node in topological(graph.output):
        operands = [values[x] for x in node.inputs]
        values[node] = _value(node, operands, inputs)
        if node.op in READS:
            ids, rows = operands[READS[node.op]], _rows(node, types)
            if ids is not None and ids.size and int(ids.max()) >= rows:
                return Unknown(int(ids.max()), node, rows)
        if node.op == "scan" and (found := _search(node.attrs["body"], _of_a_step(node, operands), types)):
            return found
    return None


def _value(node: Node, operands: Sequence[Any], inputs: Sequence[Any]) -> Any:
    match node.op:
        case "input":
            return inputs[node.attrs["index"]]
        case "constant":
            value = node.attrs["value"]
            return value if value.dtype.kind in "iu" else None
        case op if op in MOVES and all(operand is not None for operand in operands):
            return TABLE[op].forward(*operands, **node.attrs)
    return None


def _rows(node: Node, types: dict[Node, TypeTree]) -> int:
    if node.op == "one_hot":
        return int(node.attrs["n"])
    table = types[node.inputs[0]]
    assert isinstance(table, Type), "ids are looked up in arrays"
    return table.shape[0] if node.op == "gather" else table.shape[-1]


def _of_a_step(node: Node, operands: Sequence[Any]) -> list[Any]:
    """What a scan's body gets, the largest of all steps."""
    states, end = node.attrs["states"], node.attrs["states"] + node.attrs["sequences"]
    steps = [None if x is None else x.max(axis=0) for x in operands[states:end]]
    return [*(None for _ in range(states)), *steps, *operands[end:]]
