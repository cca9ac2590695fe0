"""The reference interpreter: runs a graph node by node, in NumPy. Slow, obvious, the oracle of every other way.

    values = {}                       inputs are cast to the model's dtype; ids stay int64
    for node in topological(graph):   each node is its op's meaning applied to the values before it
        values[node] = op.forward(...)

When a node fails, the error names the path of layers that led there and the shapes that met.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from flux_core.errors import BackpropError, FluxError, GraphError, ShapeError
from flux_core.ir import Graph, Node, has_own, state, topological
from flux_core.ops import EVALUATION, RANDOM, TABLE, Run, operands_of
from flux_core.passes.atomise import laid_out
from flux_core.passes.verify import dtype_of

_current: ContextVar[Run] = ContextVar("run", default=EVALUATION)


def current_run() -> Run:
    """The run that an opaque model is called in: a model that interprets a graph of its own goes on with it."""
    return _current.get()


def interpret(graph: Graph, inputs: Sequence[Any], *, run: Run | None = None) -> Any:
    """The output of a graph of ops and opaque calls at `inputs`: arrays, or tuples of arrays.

    Without Params the dtype is that of the inputs. Raises ShapeError where sizes do not fit.
    """
    run = run or current_run()
    if len(inputs) != graph.arity:
        raise GraphError(f"the model takes {graph.arity} inputs, not {len(inputs)}")
    dtype = dtype_of(graph) or _float_dtype(inputs)
    xs = [_cast(_as_value(x), dtype) for x in inputs]
    values: dict[Node, Any] = {}
    for node in topological(graph.output):
        values[node] = _value(node, [values[parent] for parent in node.inputs], xs, dtype, run)
    return values[graph.output]


def _value(node: Node, operands: list[Any], inputs: list[Any], dtype: Any, run: Run) -> Any:
    match node.op:
        case "input":
            return inputs[node.attrs["index"]]
        case "constant":
            return _cast(node.attrs["value"], dtype)
        case "param":
            return node.attrs["param"].x
        case "tuple":
            return tuple(operands)
        case "get":
            return _element(node, operands[0])
        case "tuple_sum":
            return _tuple_sum(node.attrs["indices"], operands[0], operands[1:], dtype)
        case "scan":
            return _scan(node, operands, run)
        case "call" | "call_back":
            return _opaque(node, operands, dtype, run)
    return _compute(node, operands, dtype, run)


def _compute(node: Node, operands: list[Any], dtype: Any, run: Run) -> Any:
    op = TABLE[node.op]
    if any(isinstance(operand, tuple) for operand in operands):
        raise _at(node, ShapeError(f"{op.name} takes arrays, not a tuple", shapes=_shapes(operands)))
    xs = operands_of(op, operands, dtype)
    attrs = {**node.attrs, "run": run} if op.name in RANDOM else node.attrs
    try:
        # the loss of a diverging run is caught by its value; here an overflow is a number like any other
        with np.errstate(all="ignore"):
            value = op.forward(*xs, **attrs)
    except (ValueError, IndexError, TypeError, FluxError) as problem:
        raise _explained(node, xs, problem) from None
    if value.dtype.kind == "f" and value.dtype != dtype:
        value = value.astype(dtype)
    return value


def _explained(node: Node, xs: list[Any], problem: Exception) -> GraphError:
    """The error of the op's shape rule if it has one to say, else what NumPy said, at the node's place."""
    try:
        TABLE[node.op].shape(*(x.shape for x in xs), **node.attrs)
    except ShapeError as misfit:
        return _at(node, misfit)
    shapes = ", ".join(str(x.shape) for x in xs)
    return _at(node, ShapeError(f"{node.op} of {shapes}: {problem}", shapes=_shapes(xs)))


def _at(node: Node, problem: ShapeError) -> ShapeError:
    place = node.origin.place or problem.place
    return ShapeError(problem.reason, path=str(node.origin), place=place, shapes=problem.shapes)


def _element(node: Node, whole: Any) -> Any:
    index = node.attrs["index"]
    if not isinstance(whole, tuple):
        raise _at(
            node,
            ShapeError(
                f"x[{index}] takes an element of a tuple, and x is an array of shape {whole.shape}; "
                f"slice an array along its axes, as in x[:, {index}]",
                shapes=(whole.shape,),
            ),
        )
    if not -len(whole) <= index < len(whole):
        raise _at(node, ShapeError(f"element {index} of a tuple of {len(whole)}", shapes=_shapes(whole)))
    return whole[index]


def _opaque(node: Node, operands: list[Any], dtype: Any, run: Run) -> Any:
    """The value of a model without a graph, or the gradient that its own `back` gives."""
    model = node.attrs["model"]
    token = _current.set(run)
    try:
        value = _run_back(node, operands) if node.op == "call_back" else _run(model, operands)
        return _cast(_as_value(value), dtype)
    except GraphError as problem:
        raise problem.within(str(node.origin), node.origin.place) from None
    except BackpropError:
        raise
    except Exception as problem:  # a user's own error stays what it is, and says where it happened
        problem.add_note(f"in {node.origin}, at shapes {', '.join(map(str, _shapes(operands)))}")
        raise
    finally:
        _current.reset(token)


def _run(model: Any, operands: list[Any]) -> Any:
    if callable(model):
        return model(*operands)
    whole = laid_out(model)  # its own `back` keeps it out of the larger graph, and its graph still says what it is
    if whole is None:
        raise GraphError(f"{type(model).__name__} can neither be called nor has it a graph")
    return interpret(whole, operands)


def _run_back(node: Node, operands: list[Any]) -> Any:
    model = node.attrs["model"]
    if not has_own(model, "back"):
        name = getattr(model, "__name__", type(model).__name__)
        raise BackpropError(
            f"Backprop not implemented for {name} (in {node.origin}): give it a method back(dy, *xs), "
            f"or write it in ops, so that it has a graph"
        )
    return model.back(*operands)


def _scan(node: Node, operands: list[Any], run: Run) -> Any:
    """Step after step: every body sees the states that the one before it left."""
    body, states = node.attrs["body"], node.attrs["states"]
    now, end = operands[:states], states + node.attrs["sequences"]
    steps = len(operands[states])
    if not steps or any(len(x) != steps for x in operands[states:end]):
        lengths = " and ".join(str(len(x)) for x in operands[states:end])
        raise _at(node, ShapeError(f"a scan along sequences of {lengths} steps", shapes=_shapes(operands)))
    kept: list[list[Any]] = [[] for _ in body.output.inputs]
    for state_, value in zip(kept, now, strict=False):
        state_.append(value)
    for t in reversed(range(steps)) if node.attrs["reverse"] else range(steps):
        found = interpret(body, [*now, *(x[t] for x in operands[states:end]), *operands[end:]], run=run)
        now = found[:states]
        for values, value in zip(kept, found, strict=True):
            values.append(value)
    return tuple(np.stack(values[::-1] if node.attrs["reverse"] else values) for values in kept)


def _tuple_sum(indices: Sequence[int | None], like: Any, parts: Sequence[Any], dtype: Any) -> Any:
    total = zeros_of(like, dtype)
    for index, part in zip(indices, parts, strict=True):
        if index is None:
            total = _plus(total, part)
        else:
            elements = list(total)
            elements[index] = _plus(elements[index], part)
            total = tuple(elements)
    return total


def zeros_of(value: Any, dtype: Any) -> Any:
    """Zeros with the structure and shapes of a value."""
    if isinstance(value, tuple):
        return tuple(zeros_of(part, dtype) for part in value)
    return np.zeros(np.shape(value), dtype)


def _plus(a: Any, b: Any) -> Any:
    return tuple(_plus(x, y) for x, y in zip(a, b, strict=True)) if isinstance(a, tuple) else a + b


def _as_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_as_value(part) for part in value)
    return np.asarray(state(value))


def _float_dtype(values: Sequence[Any]) -> Any:
    """float64 where an array is, else float32: Python's numbers and lists take the precision of the arrays."""
    pending = list(values)
    while pending:
        value = state(pending.pop())
        if isinstance(value, tuple):
            pending.extend(value)
        elif hasattr(value, "dtype") and value.dtype == np.float64:
            return np.dtype(np.float64)
    return np.dtype(np.float32)


def _cast(value: Any, dtype: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_cast(part, dtype) for part in value)
    if value.dtype.kind == "f":
        return value if value.dtype == dtype else value.astype(dtype)
    if value.dtype.kind in "iub":
        return value if value.dtype == np.int64 else value.astype(np.int64)
    raise GraphError(f"an array of {value.dtype} cannot enter a model; give numbers")


def _shapes(values: Sequence[Any]) -> list[Any]:
    return [_shapes(value) if isinstance(value, tuple) else value.shape for value in values]
