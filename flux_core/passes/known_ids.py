"""Ids that a model has no row for, found without computing a single float.

    the places of an example, numbered ──moved as the graph moves ids──▶ gather, one_hot: these places, so many rows

What moves ids moves the numbers of their places too. A scan's body is gone through once, for all steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.ir import Graph, Node, topological
from flux_core.ops import MOVES, TABLE
from flux_core.passes.infer import Type, TypeTree, all_types

READS = {"gather": 1, "pick": 1, "one_hot": 0}  # op -> which operand is the ids
ANY = np.iinfo(np.int64).max  # rows for a place that nothing looks up
OURS = -1  # the place of an id that is the model's own

Lookup = tuple[Node, NDArray[np.int64], int]  # a node that looks up ids, their places, how many rows it has


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
    for node, places, rows in _lookups(graph, largest.shape):
        if places.size and (found := int(largest.ravel()[places].max())) >= rows:
            return Unknown(found, node, rows)
    return None


def known_rows(graph: Graph, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """How many ids a model knows at each place of an example of this shape: those of 0 to one less.

    >>> from flux_core.ir import input_node
    >>> from flux_core.ops import one_hot
    >>> known_rows(Graph(one_hot(input_node(0)[:, 1:], n=3), 1), (3,)) == [ANY, 3, 3]
    array([ True,  True,  True])
    """
    known = np.full(prod(shape), ANY)
    for _, places, rows in _lookups(graph, shape):
        known[places] = np.minimum(known[places], rows)
    return known.reshape(shape)


def _lookups(graph: Graph, shape: tuple[int, ...]) -> Iterator[Lookup]:
    """What is looked up of an example of this shape, in the order of the graph."""
    x = np.arange(prod(shape)).reshape(1, *shape)
    for node, places, rows in _read(graph, [x], all_types(graph, [Type(x.shape, "int")])):
        yield node, places[places != OURS], rows


def _read(graph: Graph, inputs: Sequence[Any], types: dict[Node, TypeTree]) -> Iterator[Lookup]:
    """None among the inputs and values stands for what is no id: it was computed."""
    values: dict[Node, Any] = {}
    for node in topological(graph.output):
        operands = [values[x] for x in node.inputs]
        values[node] = _value(node, operands, inputs)
        if node.op in READS and (places := operands[READS[node.op]]) is not None:
            yield node, places, _rows(node, types)
        if node.op == "scan":
            yield from _read_in_steps(node, operands, types)


def _value(node: Node, operands: Sequence[Any], inputs: Sequence[Any]) -> Any:
    match node.op:
        case "input":
            return inputs[node.attrs["index"]]
        case "constant":
            value = node.attrs["value"]
            return np.full(value.shape, OURS) if value.dtype.kind in "iu" else None
        case op if op in MOVES and all(operand is not None for operand in operands):
            return TABLE[op].forward(*operands, **node.attrs)
    return None


def _rows(node: Node, types: dict[Node, TypeTree]) -> int:
    if node.op == "one_hot":
        return int(node.attrs["n"])
    table = types[node.inputs[0]]
    assert isinstance(table, Type), "ids are looked up in arrays"
    return table.shape[0] if node.op == "gather" else table.shape[-1]


def _read_in_steps(node: Node, operands: Sequence[Any], types: dict[Node, TypeTree]) -> Iterator[Lookup]:
    """What a scan's body looks up; its inputs are numbered anew, and `table` has the places (steps, numbers)."""
    states, end = node.attrs["states"], node.attrs["states"] + node.attrs["sequences"]
    inputs: list[Any] = [None] * states
    places: list[NDArray[np.int64]] = []
    count = 0
    for i, operand in enumerate(operands[states:], states):
        each = operand if i < end or operand is None else operand[None]
        inputs.append(None if each is None else np.arange(count, count + each[0].size).reshape(each.shape[1:]))
        if each is not None:
            places.append(each.reshape(len(each), -1))
            count += each[0].size
    places.append(np.full((1, 1), OURS))  # the last number, which is that of OURS
    steps = max(map(len, places))
    table = np.concatenate([np.broadcast_to(each, (steps, each.shape[1])) for each in places], axis=1)
    for inner, numbers, rows in _read(node.attrs["body"], inputs, types):
        yield inner, table[:, numbers], rows
