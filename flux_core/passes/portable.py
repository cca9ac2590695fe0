"""Graphs as plain JSON values, and back: a model that can be read without the code that built it.

    x @ W + b      {"nodes": [["input", [], {"index": 0}], ["param", [], {"param": "W"}], ["matmul", [0, 1], {}], ...],
                    "output": 4, "arity": 1}

Each node stands behind its inputs, which are named by number; Params are named as the model's owner calls them. What
is neither a number nor a text is a map with one key, its type: {"slice": [0, None, None]}, {"array": ...}.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import EllipsisType, MappingProxyType
from typing import Any

import numpy as np

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, Param, topological
from flux_core.ops import TABLE
from flux_core.passes.verify import verify

STRUCTURE = ("input", "constant", "param", "tuple", "get", "scan")
RUN = "run"  # whoever runs a graph says in which run; no graph has one of its own
DTYPES = ("bool", "int64", "float32", "float64")


def to_plain(graph: Graph, names: Mapping[int, str]) -> dict[str, Any]:
    """A graph of ops as JSON values; `names` gives each Param's name by its id.

    >>> from flux_core.ir import input_node
    >>> to_plain(Graph(-input_node(0), 1), {})["nodes"]
    [['input', [], {'index': 0}], ['negative', [0], {}]]

    Raises GraphError for what is no value: a call of a plain function, a state.
    """
    if graph.states:
        raise GraphError("a graph with states has no value by itself")
    order = topological(graph.output)
    number = {node: i for i, node in enumerate(order)}
    nodes = []
    for node in order:
        if node.op == "call":
            raise GraphError(f"{node!r} runs code, which is no value")
        attrs = {name: _plain(value, names) for name, value in node.attrs.items() if name != RUN}
        nodes.append([node.op, [number[parent] for parent in node.inputs], attrs])
    return {"nodes": nodes, "output": number[graph.output], "arity": graph.arity}


def from_plain(data: Any, params: Mapping[str, Param]) -> Graph:
    """The graph that `to_plain` wrote, over these Params, of known ops only; raises ValueError for anything else."""
    try:
        return verify(_graph(data, params))
    except (GraphError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"this is no graph: {error}") from None


def _graph(data: Any, params: Mapping[str, Param]) -> Graph:
    nodes: list[Node] = []
    for op, inputs, attrs in data["nodes"]:
        before = all(type(i) is int and 0 <= i < len(nodes) for i in inputs)
        if not isinstance(op, str) or (op not in TABLE and op not in STRUCTURE) or not before:
            raise ValueError(f"node {len(nodes)} is not described as it should be")
        values = {name: _value(value, params) for name, value in attrs.items()}
        if op in TABLE and RUN in TABLE[op].attrs:
            values[RUN] = TABLE[op].attrs[RUN]
        nodes.append(Node(op, tuple(nodes[i] for i in inputs), MappingProxyType(values)))
    output, arity = data["output"], data["arity"]
    if type(arity) is not int or type(output) is not int or not 0 <= output < len(nodes):
        raise ValueError("it has no output")
    return Graph(nodes[output], arity)


def _plain(value: Any, names: Mapping[int, str]) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else {"float": str(value)}
        case tuple() | list():
            return {"tuple": [_plain(part, names) for part in value]}
        case slice():
            return {"slice": [value.start, value.stop, value.step]}
        case EllipsisType():
            return {"ellipsis": None}
        case Param() if id(value) in names:
            return {"param": names[id(value)]}
        case Graph():
            return {"graph": to_plain(value, names)}
        case np.ndarray() | np.generic():
            if value.dtype.name not in DTYPES:
                raise GraphError(f"an array of {value.dtype} is none that a graph may hold")
            # as text where it is not finite: JSON has no such numbers
            values = value if value.dtype.kind != "f" or np.isfinite(value).all() else value.astype(str)
            return {"array": values.tolist(), "dtype": value.dtype.name}
    raise GraphError(f"{value!r} is no value that can be written down")


def _value(data: Any, params: Mapping[str, Param]) -> Any:
    match data:
        case None | bool() | int() | float() | str():
            return data
        case {"float": str(text)}:
            return float(text)
        case {"tuple": [*parts]}:
            return tuple(_value(part, params) for part in parts)
        case {"slice": [start, stop, step]}:
            return slice(*(end if end is None or type(end) is int else int("") for end in (start, stop, step)))
        case {"ellipsis": None}:
            return ...
        case {"param": str(name)}:
            return params[name]
        case {"graph": inner}:
            return _graph(inner, params)
        case {"array": values, "dtype": str(dtype)} if dtype in DTYPES:
            return np.array(values).astype(dtype)
    raise ValueError(f"{data!r} is no value of a graph")
