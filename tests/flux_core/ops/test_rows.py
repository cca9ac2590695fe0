"""Every row of the table of ops against NumPy's shapes, another formula, central differences and its own kernel."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from flux_core.interpreter import interpret
from flux_core.ir import Graph, input_node
from flux_core.ops import TABLE, Op
from flux_core.ops.op import Case
from flux_core.passes import infer_types, type_tree

Arrays = list[np.ndarray]
ROWS = [pytest.param(op, case, id=f"{op.name}-{i}") for op in TABLE.values() for i, case in enumerate(op.examples)]


def draw(case: Case, dtype: Any = np.float64) -> Arrays:
    rng = np.random.default_rng(7)
    return [operand.array(rng, dtype) for operand in case.operands]


# the same values by other formulas ----------------------------------------------------------------------------------


def one_by_one(f: Callable[..., float]) -> Callable[..., Any]:
    return lambda *xs: np.vectorize(f, otypes=[float])(*xs)


def axes(axis: Any, rank: int) -> tuple[int, ...]:
    listed = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(a % rank for a in listed)


def over(f: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    whole = np.apply_over_axes(f, x, axes(axis, x.ndim)) if axes(axis, x.ndim) else x
    return whole if keepdims else np.squeeze(whole, axes(axis, x.ndim))


def expand(x: Any, like: Any, axis: Any, keepdims: bool) -> Any:
    kept = [1 if i in axes(axis, like.ndim) else n for i, n in enumerate(like.shape)]
    return np.ones(like.shape) * np.reshape(x, kept)


def sum_to(x: Any, like: Any) -> Any:
    total = np.zeros(like.shape)
    for place in np.ndindex(x.shape):
        last = place[len(place) - like.ndim :]
        total[tuple(0 if n == 1 else i for i, n in zip(last, like.shape, strict=True))] += x[place]
    return total


def product(x: Any, w: Any) -> Any:
    return (x[:, None] * w).sum(0) if x.ndim == 1 else (x[..., None] * w[..., None, :, :]).sum(-2)


def weights(x: Any, dy: Any, w: Any) -> Any:
    x, dy = np.atleast_2d(x), np.atleast_2d(dy)
    if w.ndim == 2:
        return np.tensordot(x, dy, (range(x.ndim - 1), range(x.ndim - 1)))
    return sum_to((x[..., :, None] * dy[..., None, :]).sum(-3), w)


def cut(x: Any, index: Any) -> Any:
    return x.flat[np.arange(x.size).reshape(x.shape)[index]]


def uncut(d: Any, like: Any, index: Any) -> Any:
    whole = np.zeros(like.size)
    whole[np.arange(like.size).reshape(like.shape)[index].ravel()] = d.ravel()
    return whole.reshape(like.shape)


def rows_of(ids: Any, n: int) -> Any:
    return np.eye(n)[ids]


def mask(x: Any, rate: float, path: str, run: Any) -> Any:
    from flux_core.philox import Stream

    if not run.training:
        return np.ones(x.shape)
    words = Stream.of(run.seed, "dropout", path).bits(len(x), x[0].size, step=run.step)
    return np.where(words // 256 < rate * 2**24, 0.0, 1 / (1 - rate)).reshape(x.shape)


def compare(f: Callable[[Any, Any], bool]) -> Any:
    return one_by_one(lambda x, y: 1.0 if f(x, y) else 0.0)


nan = math.nan
ORACLES: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x - (-y),
    "subtract": lambda x, y: x + (-y),
    "multiply": one_by_one(lambda x, y: x * y),
    "divide": lambda x, y: x * (1 / y),
    "negative": lambda x: 0 - x,
    "power": lambda x, y: np.exp(y * np.log(x)),
    "maximum": one_by_one(lambda x, y: x if x >= y else y),
    "minimum": one_by_one(lambda x, y: x if x <= y else y),
    "absolute": lambda x: np.maximum(x, -x),
    "sign": one_by_one(lambda x: nan if math.isnan(x) else (x > 0) - (x < 0)),
    "exp": lambda x: np.expm1(x) + 1,
    "log": lambda x: np.log2(x) * math.log(2),
    "sqrt": one_by_one(lambda x: math.sqrt(x) if x >= 0 else nan),
    "greater": compare(lambda x, y: x > y),
    "greater_equal": compare(lambda x, y: x >= y),
    "less": compare(lambda x, y: x < y),
    "less_equal": compare(lambda x, y: x <= y),
    "equal": compare(lambda x, y: x == y),
    "not_equal": compare(lambda x, y: x != y),
    "where": one_by_one(lambda c, x, y: x if c else y),
    "tanh": lambda x: 2 * special.expit(2 * x) - 1,
    "sigmoid": special.expit,
    "relu": one_by_one(lambda x: x if not x < 0 else 0),
    "leaky_relu": one_by_one(lambda x, slope=0.01: x if x > 0 else slope * x),
    "elu": one_by_one(lambda x, alpha=1.0: x if not x < 0 else alpha * (math.exp(x) - 1)),
    "erf": one_by_one(math.erf),
    "gelu": lambda x: x * special.ndtr(x),
    "silu": lambda x: x * special.expit(x),
    "softplus": lambda x: -special.log_expit(-x),
    "softmax": lambda x, axis: special.softmax(x, axis),
    "log_softmax": lambda x, axis: special.log_softmax(x, axis),
    "softmax_cross_entropy": lambda z, column: (
        -np.log(special.softmax(z, -1)[rows_of(column, z.shape[-1]) == 1]).reshape(column.shape)
    ),
    "softmax_cross_entropy_back": lambda d, z, column: (
        d[..., None] * (special.softmax(z, -1) - rows_of(column, z.shape[-1]))
    ),
    "sum": lambda x, axis, keepdims: over(np.sum, x, axis, keepdims),
    "mean": lambda x, axis, keepdims: over(np.average, x, axis, keepdims) if axis != () else x,
    "max": lambda x, axis, keepdims: -over(np.min, -x, axis, keepdims),
    "expand_like": expand,
    "per_row": lambda x, like, axis: np.stack([x] * like.shape[axis]),
    "sum_like": sum_to,
    "broadcast_like": lambda x, like: np.zeros(like.shape) + x,
    "count": lambda x, axis: math.prod(x.shape[i] for i in axes(axis, x.ndim)),
    "zeros_like": lambda x: x - x,
    "matmul": product,
    "matmul_t": lambda x, w: product(x, np.moveaxis(w, -1, -2)),
    "matmul_w": weights,
    "reshape": lambda x, shape, keep: np.array(list(x.flat)).reshape(x.shape[:keep] + shape),
    "reshape_like": lambda x, like: np.array(list(x.flat)).reshape(like.shape),
    "flatten": lambda x: np.array([list(row.flat) for row in x]),
    "expect": lambda x, shape: x * 1,
    "expect_like": lambda x, like: x * 1,
    "transpose": lambda x, axes: x.T if axes is None else np.moveaxis(x, axes, range(len(axes))),
    "slice": cut,
    "unslice": uncut,
    "concat": lambda *xs, axis: np.moveaxis(np.array([r for x in xs for r in np.moveaxis(x, axis, 0)]), 0, axis),
    "concat_part": lambda d, *xs, axis, part: np.split(d, np.cumsum([x.shape[axis] for x in xs])[:-1], axis)[part],
    "gather": lambda table, rows: rows_of(rows, len(table)) @ table,
    "scatter": lambda d, rows, like: rows_of(rows, len(like)).T @ d,
    "pick": lambda x, column: (x * rows_of(column, x.shape[-1])).sum(-1),
    "unpick": lambda d, column, like: d[..., None] * rows_of(column, like.shape[-1]),
    "one_hot": lambda x, n: rows_of(x, n),
    "dropout_mask": mask,
}


def bound(op: Op, case: Case) -> dict[str, Any]:
    return {**op.attrs, **case.attrs}


@pytest.mark.parametrize(("op", "case"), ROWS)
def test_the_value_is_that_of_another_formula_and_of_the_shape_rule(op: Op, case: Case) -> None:
    xs = draw(case)
    for x in xs:
        x.flags.writeable = False  # an op that wrote to its operands would fail
    with np.errstate(all="ignore"):
        y = op.forward(*xs, **bound(op, case))
        if op.name == "leaky_relu" and not case.attrs:
            want = ORACLES[op.name](*xs)
        elif op.name in ("leaky_relu", "elu"):
            want = ORACLES[op.name](*xs, *bound(op, case).values())
        else:
            want = ORACLES[op.name](*xs, **bound(op, case))
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-14)
    assert np.shape(y) == np.shape(want) == op.shape(*(x.shape for x in xs), **bound(op, case))


@pytest.mark.parametrize(("op", "case"), ROWS)
def test_float32_stays_float32_here_and_in_the_interpreter(op: Op, case: Case) -> None:
    xs = draw(case, np.float32)
    with np.errstate(all="ignore"):
        y = op.forward(*xs, **bound(op, case))
    assert y.dtype == np.float32
    graph = Graph(op(*(input_node(i) for i in range(len(xs))), **case.attrs), len(xs))
    run = case.attrs.get("run")
    got = interpret(graph, xs, **({"run": run} if run else {}))
    np.testing.assert_array_equal(got, y)
    assert got.dtype == np.float32
    kinds = [type_tree(x.shape, "int" if x.dtype == np.int64 else "float") for x in xs]
    assert infer_types(graph, kinds)[graph.output] == type_tree(y.shape)


NAMES: dict[str, Any] = {
    name: getattr(np, name) for name in ("maximum", "absolute", "exp", "expm1", "log", "log1p", "sign", "sqrt", "tanh")
}
NAMES |= {"erf": special.erf, "sigmoid": special.expit}
NAMES |= {"minimum": np.minimum}


@pytest.mark.parametrize(("op", "case"), [row for row in ROWS if row.values[0].kernel.kind == "elementwise"])
def test_the_formula_of_one_element_is_the_op(op: Op, case: Case) -> None:
    operands = [p.name for p in inspect.signature(op.forward).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    xs = draw(case)
    with np.errstate(all="ignore"):
        want = op.forward(*xs, **bound(op, case))
        stretched = [np.broadcast_to(x, want.shape) for x in xs]
        for place in np.ndindex(want.shape):
            values = {name: x[place] for name, x in zip(operands, stretched, strict=True)}
            got = eval(op.kernel.formula or "", {**NAMES, **bound(op, case), **values})
            np.testing.assert_allclose(got, want[place], rtol=1e-12, atol=1e-15, err_msg=str(values))
