"""Atomising. A graph of layers becomes a graph of ops: each call of a sub-model that has a graph is replaced by it.

    call Chain ── call Affine ──▶ matmul, add       origin: Chain -> 0: Affine
               └─ call relu   ──▶ relu              origin: Chain -> 1: relu

What stays a call is opaque: a plain function, a stateful model, a model with a `back` of its own.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, Origin, Step, call, get, graph, has_own, input_node, rewrite
from flux_core.ir.node import UFUNCS
from flux_core.ops import RANDOM, TABLE, Op

Parts = list[tuple[Any, Graph]]  # the sub-models that were entered, and the graph that each had

_laid_out: WeakKeyDictionary[Graph, tuple[Graph, Parts]] = WeakKeyDictionary()


def op_of(model: Any) -> Op | None:
    """The op that a plain function stands for: an op of the table, or a NumPy ufunc that has a row."""
    if isinstance(model, Op):
        return model
    if isinstance(model, np.ufunc) and model.__name__ in UFUNCS:
        return TABLE[UFUNCS[model.__name__]]
    return None


def name_of(model: Any) -> str:
    """What a model is called in a layer path: its type, or the name of a function."""
    op = op_of(model)
    return op.name if op else getattr(model, "__name__", type(model).__name__)


def laid_out(model: Any) -> Graph | None:
    """The whole of a model as one graph of ops and opaque calls, or None if it has no graph.

    Leaves are unique (one node for each input and each Param) and every random op has a stream of its own.
    """
    op = op_of(model)
    if op is not None:
        inputs = [input_node(i) for i in range(op.operands or 1)]
        return _finish(atomise(Graph(call(model, *inputs, step=Step("", op.name)), len(inputs))))
    whole = graph(model)
    if whole is None:
        return None
    known = _laid_out.get(whole)
    if known is None or any(graph(part) is not then for part, then in known[1]):
        parts: Parts = []
        entered = atomise(whole, parts)
        if model is not whole:  # the path of every node begins with the type of the model
            outer = Origin((Step("", name_of(model)),))
            moved = rewrite([entered.output], lambda node, inputs: _moved(node, inputs, outer))
            entered = Graph(moved[0], whole.arity)
        known = _laid_out[whole] = _finish(entered), parts
    return known[0]


def atomise(whole: Graph, parts: Parts | None = None) -> Graph:
    """The same function with every sub-model that has a graph entered; `parts` receives these."""
    entered: Parts = [] if parts is None else parts
    output = whole.output
    while True:  # one level of nesting at a time, so that a deep model costs no recursion
        before = len(entered)
        (output,) = rewrite([output], lambda node, inputs: _enter(node, inputs, entered))
        if len(entered) == before:
            return Graph(output, whole.arity)


def _enter(node: Node, inputs: tuple[Node, ...], entered: Parts) -> Node:
    if node.op == "get":
        return get(inputs[0], node.attrs["index"])
    if node.op != "call":
        return Node(node.op, inputs, node.attrs, node.origin)
    model, op = node.attrs["model"], op_of(node.attrs["model"])
    if op is not None:
        built: Node = op(*inputs)
        return Node(op.name, built.inputs, built.attrs, node.origin)
    sub = None if has_own(model, "back") else graph(model)
    if sub is None:
        return Node("call", inputs, node.attrs, node.origin)
    if len(inputs) != sub.arity:
        raise GraphError(f"{name_of(model)} takes {sub.arity} inputs, not {len(inputs)}", path=str(node.origin))
    entered.append((model, sub))

    def inline(inner: Node, inner_inputs: tuple[Node, ...]) -> Node:
        if inner.op == "input":
            index: int = inner.attrs["index"]
            return inputs[index]
        if inner.op == "get":
            return get(inner_inputs[0], inner.attrs["index"])
        return _moved(inner, inner_inputs, node.origin)

    return rewrite([sub.output], inline)[0]


def _moved(node: Node, inputs: tuple[Node, ...], outer: Origin) -> Node:
    """A node of a sub-model as part of the larger model; an input stays anonymous."""
    origin = node.origin if node.op == "input" else node.origin.within(outer)
    return Node(node.op, inputs, node.attrs, origin)


def _finish(whole: Graph) -> Graph:
    """Merge equal leaves and name the streams of random ops after their layer paths."""
    leaves: dict[Any, Node] = {}
    streams: dict[str, int] = {}

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "input":
            return leaves.setdefault(("input", node.attrs["index"]), node)
        if node.op == "param":
            return leaves.setdefault(("param", id(node.attrs["param"])), node)
        if node.op in RANDOM:
            path = node.origin.path
            nth = streams[path] = streams.get(path, -1) + 1
            attrs = MappingProxyType({**node.attrs, "path": f"{path}#{nth}" if nth else path})
            return Node(node.op, inputs, attrs, node.origin)
        return Node(node.op, inputs, node.attrs, node.origin)

    return replace(whole, output=rewrite([whole.output], rule)[0])
