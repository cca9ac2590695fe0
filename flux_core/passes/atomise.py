"""Atomising. A graph of layers becomes a graph of ops: each call of a sub-model that has a graph is replaced by it.

    call Chain ── call Affine ──▶ matmul, add       origin: Chain -> 0: Affine
               └─ call relu   ──▶ relu              origin: Chain -> 1: relu

What stays a call is opaque: a plain function, a stateful model, a model with a `back` of its own. A state of a
sub-model is named by its path (`0.h`), so that a model used in two places has a state in each. The body of a scan is
entered like the rest, and the Params in it become operands of the scan.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, Origin, Step, call, get, graph, has_own, input_node, rewrite
from flux_core.ir.node import UFUNCS
from flux_core.ir.walk import mapped, nodes_of, with_inputs
from flux_core.ops import RANDOM, TABLE, Op
from flux_core.passes.lift import lift
from flux_core.passes.verify import cyclic

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

    Leaves are unique (one node for each input and each Param), every random op has a stream of its own, and scans do
    nothing step by step that can be done for all steps at once.
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
            entered = mapped(entered, lambda node, inputs: _moved(node, inputs, outer))
        known = _laid_out[whole] = lift(_finish(entered)), parts
    return known[0]


def atomise(whole: Graph, parts: Parts | None = None) -> Graph:
    """The same function with every sub-model that has a graph entered; `parts` receives these."""
    entered: Parts = [] if parts is None else parts
    while True:  # one level of nesting at a time, so that a deep model costs no recursion
        before, inner = len(entered), dict(whole.states)
        whole = mapped(whole, partial(_enter, entered=entered, states=inner))
        whole = replace(whole, states=MappingProxyType({**inner, **whole.states}))
        if len(entered) == before:
            return whole


def _enter(node: Node, inputs: tuple[Node, ...], entered: Parts, states: dict[str, Node]) -> Node:
    """A node with its model entered, where it is a call of one; `states` receives those of the model."""
    if node.op == "get":
        return get(inputs[0], node.attrs["index"])
    if node.op == "scan":
        return _closed(node, inputs, atomise(node.attrs["body"], entered))
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
    names: dict[str, str] = {}
    for name in sub.states:
        names[name] = _free(f"{node.origin.path}.{name}".lstrip("."), {*states, *names.values()})

    def inline(inner: Node, inner_inputs: tuple[Node, ...]) -> Node:
        if inner.op == "input":
            index: int = inner.attrs["index"]
            return inputs[index]
        if inner.op == "get":
            return get(inner_inputs[0], inner.attrs["index"])
        moved = _moved(inner, inner_inputs, node.origin)
        if inner.op == "offset":
            known = names.get(inner.attrs["name"], inner.attrs["name"])
            return _with(moved, name=known)
        return moved

    inside = mapped(sub, inline)
    states.update((names[name], value) for name, value in inside.states.items())
    return inside.output


def _free(name: str, taken: Collection[str]) -> str:
    """The name itself, or with a number where two models of one path have a state of this name."""
    numbered = (f"{name}#{i}" if i else name for i in count())
    return next(candidate for candidate in numbered if candidate not in taken)


def _with(node: Node, **attrs: Any) -> Node:
    return Node(node.op, node.inputs, MappingProxyType({**node.attrs, **attrs}), node.origin)


def _closed(node: Node, inputs: tuple[Node, ...], body: Graph) -> Node:
    """A scan over a body in which the Params that it reads by itself have become operands."""
    for inner in nodes_of(body):
        if inner.op == "offset":
            raise cyclic(inner)
    params: dict[int, tuple[int, Node]] = {}

    def rule(inner: Node, inner_inputs: tuple[Node, ...]) -> Node:
        if inner.op != "param":
            return with_inputs(inner, inner_inputs)
        index, _ = params.setdefault(id(inner.attrs["param"]), (body.arity + len(params), inner))
        return input_node(index)

    output = rewrite([body.output], rule)[0]
    attrs = {**node.attrs, "body": Graph(output, body.arity + len(params))}
    operands = (*inputs, *(leaf for _, leaf in params.values()))
    return Node("scan", operands, MappingProxyType(attrs), node.origin)


def _moved(node: Node, inputs: tuple[Node, ...], outer: Origin) -> Node:
    """A node of a sub-model as part of the larger model; an input stays anonymous."""
    origin = node.origin if node.op == "input" else node.origin.within(outer)
    moved = Node(node.op, inputs, node.attrs, origin)
    if node.op != "scan":
        return moved
    return _with(moved, body=mapped(node.attrs["body"], lambda inner, above: _moved(inner, above, outer)))


def _finish(whole: Graph, streams: dict[str, int] | None = None) -> Graph:
    """Merge equal leaves and name the streams of random ops after their layer paths, also in the bodies of scans."""
    leaves: dict[Any, Node] = {}
    numbers: dict[str, int] = {} if streams is None else streams

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "input":
            return leaves.setdefault(("input", node.attrs["index"]), node)
        if node.op == "param":
            return leaves.setdefault(("param", id(node.attrs["param"])), node)
        made = Node(node.op, inputs, node.attrs, node.origin)
        if node.op in RANDOM:
            path = node.origin.path
            nth = numbers[path] = numbers.get(path, -1) + 1
            return _with(made, path=f"{path}#{nth}" if nth else path)
        return _with(made, body=_finish(node.attrs["body"], numbers)) if node.op == "scan" else made

    return mapped(whole, rule)
