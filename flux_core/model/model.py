"""The model protocol.

    y   = m(x)             through the batching containers
    y   = runmodel(m, x)   on raw arrays
    dx  = back(m, dy, x)   and every Param gathers its gradient
    m   = update(m, eta)   x -= eta * dx; dx = 0, once for every Param

A model with a graph gets all of these from it. A class may define any of them itself, and is then asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from flux_core.dims import Batch, BatchSeq, Seq, rawbatch, rebatch, rebatchseq
from flux_core.errors import BackpropError, GraphError
from flux_core.interpreter import current_run, interpret
from flux_core.ir import Graph, Node, Param, Step, accumulate, call, graph, has_own, input_node
from flux_core.ir.walk import nodes_of
from flux_core.passes import GradGraph, TypeTree, grad, infer_types, laid_out, shape_tree, type_tree, verify
from flux_core.passes.atomise import name_of

M = TypeVar("M")
_gradients: WeakKeyDictionary[Graph, GradGraph] = WeakKeyDictionary()


class Model:
    """A function with state, called on arrays or on the containers of `dims`.

    A subclass defines `graph(self)`, and gets everything else from it, or `run(self, *xs)` with `back` and
    `update` as it needs them.
    """

    def __call__(self, *xs: Any) -> Any:
        """The value at `xs`; a Batch gives a Batch, a BatchSeq a BatchSeq, and a Seq counts as one example.

        On nodes it is the node of the call, so that a formula may use any model.
        """
        if any(_has_node(x) for x in xs):
            return call(self, *xs)
        return wrapped(lambda *raw: runmodel(self, *raw), xs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _has_node(x: Any) -> bool:
    return any(map(_has_node, x)) if isinstance(x, tuple) else isinstance(x, Node)


def wrapped(f: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
    """Call `f` on the raw arrays of containers and wrap what it gives alike."""
    if any(isinstance(x, BatchSeq) for x in xs):
        return _each(f(*(_raw(x) for x in xs)), rebatchseq)
    if any(isinstance(x, Batch) for x in xs):
        return _each(f(*(_raw(x) for x in xs)), rebatch)
    if any(isinstance(x, Seq) for x in xs):
        one = (rawbatch(x)[None] if isinstance(x, Seq) else x for x in xs)
        return _each(f(*one), lambda y: rebatchseq(y)[0])
    return f(*xs)


def _raw(x: Any) -> Any:
    return rawbatch(x) if isinstance(x, Batch | Seq) else x


def _each(value: Any, wrap: Callable[[Any], Any]) -> Any:
    return tuple(_each(part, wrap) for part in value) if isinstance(value, tuple) else wrap(value)


def runmodel(m: Any, *xs: Any) -> Any:
    """runmodel(m, x...) => y: the forward pass on raw inputs, without batching."""
    whole = laid_out(m)
    if whole is not None:
        return interpret(whole, xs)
    if has_own(m, "run"):
        return m.run(*xs)
    if isinstance(m, Model) and type(m).__call__ is Model.__call__:
        raise GraphError(f"{type(m).__name__} has neither a graph(self) nor a run(self, *xs)")
    return m(*xs)


def interpmodel(m: Any, *xs: Any) -> Any:
    """interpmodel(m, x...) => y: any model through its graph, node by node; a model without one is called."""
    whole = laid_out(m)
    return runmodel(m, *xs) if whole is None else interpret(whole, xs)


def back(m: Any, dy: Any, *xs: Any) -> Any:
    """back(m, dy, x...) => dx: accumulate the gradients of all Params at `xs` and return that of the inputs.

    One input gives its gradient, several a tuple of theirs, with the structure of the inputs. Raises BackpropError
    where a model has neither a `back` of its own nor a graph.
    """
    if has_own(m, "back"):
        return m.back(dy, *xs)
    whole = laid_out(m)
    if whole is None:
        raise BackpropError(f"Backprop not implemented for {name_of(m)}")
    if len(xs) != whole.arity:
        raise GraphError(f"{name_of(m)} takes {whole.arity} inputs, not {len(xs)}: back(model, dy, *inputs)")
    if whole not in _gradients:
        _gradients[whole] = grad(verify(whole))
    backward = _gradients[whole]
    dxs, dps, _ = interpret(backward.graph, (*xs, dy), run=replace(current_run(), repeats=True))
    for p, d in zip(backward.params, dps, strict=True):
        accumulate(p, d)
    return dxs[0] if len(xs) == 1 else dxs


def update(m: M, eta: float) -> M:
    """update(m, eta) => m: step every Param against its gradient once, and clear the gradient."""
    if isinstance(m, Param):
        m.x -= np.asarray(eta, m.x.dtype) * m.dx
        m.dx[...] = 0
    elif has_own(m, "update"):
        m.update(eta)  # type: ignore[attr-defined]  # asked for just above
    else:
        for part in _parts(m):
            update(part, eta)  # a Param that is met again has no gradient left
    return m


def infer(m: Any, *shapes: Any) -> Any:
    """infer(m, shape...) => the shape of the output, without running: batch axis first, tuples as tuples of shapes.

    Raises ShapeError where sizes do not fit. A plain function is tried on zeros; a model with a `back` of its own and
    no graph needs a method infer(*shapes), or GraphError is raised.
    """
    return shape_tree(output_type(m, *map(type_tree, shapes)))


def output_type(m: Any, *inputs: TypeTree) -> TypeTree:
    """The type of the output of a model at inputs of these types."""
    x = [input_node(i) for i in range(len(inputs))]
    whole = laid_out(Graph(call(m, *x, step=Step("", name_of(m))), len(x)))
    assert whole is not None  # a Graph has a graph
    return infer_types(whole, inputs)[whole.output]


def parameters(m: Any) -> dict[str, Param]:
    """Every Param of a model by its path, such as `0.W`; one that is shared stands under its first path only."""
    found: dict[str, Param] = {}
    seen: set[int] = set()
    for path, p in _walk_params(m, ""):
        if id(p) not in seen:
            seen.add(id(p))
            name, nth = path, 0
            while name in found:
                nth += 1
                name = f"{path}{nth}"
            found[name] = p
    return found


def submodels(m: Any) -> list[Any]:
    """The models that a model calls, each once; of a model without a graph, those in its fields."""
    return [part for part in _parts(m) if not isinstance(part, Param)]


def _parts(m: Any) -> list[Any]:
    """The Params and models that a model is made of, each once: those of its graph, else those in its fields."""
    whole = graph(m)
    if whole is None:
        return [part for _, part in _fields(m)]
    held = {"param": "param", "call": "model", "scan": "body"}  # a body is a graph, and so a model
    parts = [node.attrs[held[node.op]] for node in nodes_of(whole) if node.op in held]
    return list({id(part): part for part in parts}.values())


def _walk_params(m: Any, path: str) -> Iterator[tuple[str, Param]]:
    whole = laid_out(m)
    if whole is not None:
        for node in nodes_of(whole):
            if node.op == "param":
                yield _join(path, node.origin.path or "param"), node.attrs["param"]
            elif node.op == "scan":
                yield from _walk_params(node.attrs["body"], path)
            elif node.op == "call":
                yield from _walk_params(node.attrs["model"], _join(path, node.origin.path))
        return
    for name, value in _fields(m):
        if isinstance(value, Param):
            yield _join(path, name), value
        else:
            yield from _walk_params(value, _join(path, name))


def _fields(m: Any) -> Iterator[tuple[str, Any]]:
    """The Params and models among the attributes of a model that has no graph, also inside lists and tuples."""
    for name, value in getattr(m, "__dict__", {}).items():
        many = isinstance(value, list | tuple)
        for i, item in enumerate(value if many else (value,)):
            if isinstance(item, Param | Graph | Model) or has_own(item, "graph") or has_own(item, "back"):
                yield (f"{name}.{i}" if many else name), item


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


__all__ = ["Graph", "Model", "Node", "back", "graph", "infer", "interpmodel", "parameters", "runmodel", "update"]
