"""Every row of the table of ops against NumPy's shapes, another formula, central differences and its own kernel."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from flux_core.errors import ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, constant, input_node
from flux_core.ops import IDS, NO_GRADIENT, TABLE, Op, operands_of, sum_, tanh
from flux_core.ops.op import Case, elementwise, same_as
from flux_core.passes import gradients, infer_types, type_tree

Arrays = list[np.ndarray]
GOLDEN = Path(__file__).with_name("absences.txt")
ROWS = [pytest.param(op, case, id=f"{op.name}-{i}") for op in TABLE.values() for i, case in enumerate(op.examples)]
SMOOTH = [row for row in ROWS if all(draw.kind != "extreme" for draw in row.values[1].operands)]


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
    "transpose": lambda x, axes: x.T if axes is None else np.moveaxis(x, axes, range(x.ndim)),
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


# gradients ----------------------------------------------------------------------------------------------------------


def differences(f: Callable[[Arrays], float], xs: Arrays, i: int, h: float = 1e-3) -> Any:
    """The slope of f in xs[i] by central differences at h and 2h: the error is of order h**4."""
    slope = np.zeros(xs[i].shape)
    for place in np.ndindex(slope.shape):
        moved = [x.copy() for x in xs]

        def at(step: float, place: Any = place, moved: Arrays = moved) -> float:
            moved[i][place] = xs[i][place] + step
            return f(moved)

        slope[place] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    return slope


def distance(got: Any, want: Any) -> float:
    assert got.shape == want.shape
    return float(np.max(np.abs(got - want), initial=0.0) / max(np.max(np.abs(want), initial=0.0), 1e-3))


def slope_errors(op: Op, case: Case) -> tuple[float, float]:
    """The relative errors of the op's first and second derivatives, the worst over its operands.

    The first is that of sum(dy * op(xs)); the second that of sum(v * dxs), in the operands and in dy.
    """
    rng = np.random.default_rng(11)
    xs = draw(case)
    nodes = [input_node(i) for i in range(len(xs))]
    value = op(*nodes, **case.attrs)
    xs.append(rng.standard_normal(op.shape(*(x.shape for x in xs), **bound(op, case))))
    nodes.append(input_node(len(nodes)))
    dy = nodes[-1]
    run = {"run": case.attrs["run"]} if "run" in case.attrs else {}
    floats = [i for i, x in enumerate(xs[:-1]) if x.dtype.kind == "f"]

    def error_of(scalar: Any, wrt: list[int], seed: Any) -> float:
        found = gradients(scalar, seed, [nodes[i] for i in wrt])
        slopes = [interpret(Graph(node, len(xs)), xs, **run) for node in found]
        total = Graph(scalar, len(xs))
        numeric = [differences(lambda moved: float(interpret(total, moved, **run)), xs, i) for i in wrt]
        return max((distance(a, b) for a, b in zip(slopes, numeric, strict=True)), default=0.0)

    first = error_of(sum_(value * dy), floats, constant(1.0))
    dxs = gradients(value, dy, [nodes[i] for i in floats])
    pulls = [constant(rng.standard_normal(xs[i].shape)) for i in floats]
    second: Any = sum_(dy * 0.0)
    for d, v in zip(dxs, pulls, strict=True):
        second = second + sum_(d * v)
    return first, error_of(second, [*floats, len(xs) - 1], constant(1.0))


@pytest.mark.parametrize(("op", "case"), SMOOTH)
def test_gradients_of_first_and_second_order(op: Op, case: Case) -> None:
    first, second = slope_errors(op, case)
    assert first <= 1e-6
    assert second <= 1e-6


def planted(op: Op, back: Callable[..., Any]) -> Op:
    wrong = object.__new__(Op)
    wrong.__dict__.update(vars(op))
    object.__setattr__(wrong, "back", back)
    return wrong


def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = planted(tanh, lambda d, y, x: (d * (1.0 - y),))
    monkeypatch.setitem(TABLE, "tanh", wrong)
    first, _ = slope_errors(wrong, tanh.examples[0])
    assert first > 1e-3


def test_a_wrong_second_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "detached", tanh)  # put aside again afterwards, with the row made below
    del TABLE["detached"]
    detached = Op(
        name="detached",
        forward=lambda x: +x,
        shape=same_as(0),
        back=lambda d, y, x: (NO_GRADIENT,),
        kernel=elementwise("x"),
        examples=[],
    )
    wrong = planted(tanh, lambda d, y, x: (d * (1.0 - detached(y * y)),))
    monkeypatch.setitem(TABLE, "tanh", wrong)
    first, second = slope_errors(wrong, tanh.examples[0])
    assert first <= 1e-6
    assert second > 1e-3


def test_absences_and_kernels_are_those_declared() -> None:
    lines = []
    for op in TABLE.values():
        case = op.examples[0]
        nodes = [input_node(i) for i in range(len(case.operands) + 2)]
        found = op.back(nodes[-1], nodes[-2], *nodes[:-2], **bound(op, case))
        absent = [str(i) for i, part in enumerate(found) if part is NO_GRADIENT]
        assert len(found) == len(case.operands)
        lines.append(" ".join([f"{op.name:<28}{op.kernel.kind:<12}", ",".join(absent)]).rstrip())
        for i in IDS.get(op.name, ()):
            assert str(i) in absent
    assert "\n".join(sorted(lines)) + "\n" == GOLDEN.read_text()


# edges --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "x", "y", "dx", "dy"),
    [
        ("maximum", 2.0, 2.0, 0.5, 0.5),
        ("minimum", 2.0, 2.0, 0.5, 0.5),
        ("maximum", 2.0, 3.0, 0.0, 1.0),
        ("minimum", 2.0, 3.0, 1.0, 0.0),
        ("power", 0.0, 0.0, 0.0, 0.0),
        ("power", 0.0, 1.0, 1.0, 0.0),
        ("power", 0.0, 2.0, 0.0, 0.0),
        ("power", -2.0, 3.0, 12.0, 0.0),
        ("power", 3.0, 0.0, 0.0, math.log(3)),
    ],
)
def test_slopes_at_ties_and_corners(name: str, x: float, y: float, dx: float, dy: float) -> None:
    a, b = input_node(0), input_node(1)
    found = gradients(TABLE[name](a, b), constant(1.0), [a, b])
    values = [np.array(x), np.array(y)]
    np.testing.assert_allclose([float(interpret(Graph(node, 2), values)) for node in found], [dx, dy], rtol=1e-12)


@pytest.mark.parametrize(("name", "slope"), [("relu", 0), ("absolute", 0), ("leaky_relu", 0.01), ("elu", 1)])
def test_slopes_at_zero(name: str, slope: float) -> None:
    x = input_node(0)
    (found,) = gradients(TABLE[name](x), constant(1.0), [x])
    assert float(interpret(Graph(found, 1), [np.array(0.0)])) == slope


def test_equal_maxima_share_the_gradient() -> None:
    x = input_node(0)
    (found,) = gradients(TABLE["max"](x, axis=1), input_node(1), [x])
    got = interpret(Graph(found, 2), [np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), np.array([1.0, 3.0])])
    np.testing.assert_array_equal(got, [[0, 0.5, 0.5], [1, 1, 1]])


@pytest.mark.parametrize("op", [op for op in TABLE.values() if op.kernel.kind in ("elementwise", "reduction")], ids=str)
def test_an_empty_batch_is_computed_without_a_warning(op: Op) -> None:
    shape, attrs = ((0, 4, 2), {"axis": -1}) if op.name in ("max", "mean", "sum") else ((0, 4), {})
    xs = [np.zeros(shape, np.float32)] * (op.operands or 1)
    nodes = [input_node(i) for i in range(len(xs))]
    graph = Graph(op(*nodes, **attrs), len(xs))
    assert interpret(graph, xs).shape == (0, 4)
    for found in gradients(graph.output, graph.output, nodes):
        assert interpret(Graph(found, len(xs)), xs).shape == shape
    assert np.isnan(interpret(Graph(TABLE["mean"](input_node(0)), 1), [np.zeros((0, 3))]))


MISFITS: list[tuple[str, list[tuple[int, ...]], dict[str, Any]]] = [
    ("add", [(3, 4), (3,)], {}),
    ("where", [(2,), (3,), (1,)], {}),
    ("matmul", [(2, 3), (4, 5)], {}),
    ("matmul", [(2, 3), (3,)], {}),
    ("matmul", [(), (3, 4)], {}),
    ("matmul", [(4,), (2, 4, 5)], {}),
    ("matmul", [(2, 3, 4), (3, 4, 5)], {}),
    ("matmul_t", [(2, 3), (4, 5)], {}),
    ("sum", [(2, 3)], {"axis": 2}),
    ("max", [(2, 3)], {"axis": (0, 0)}),
    ("expand_like", [(3,), (2, 4)], {"axis": 0}),
    ("broadcast_like", [(3,), (2, 4)], {}),
    ("reshape", [(2, 3)], {"shape": (4,)}),
    ("reshape", [(2, 3)], {"shape": (-1, -1)}),
    ("reshape", [(2, 3)], {"shape": (-1, 4), "keep": 1}),
    ("reshape_like", [(2, 3), (5,)], {}),
    ("flatten", [()], {}),
    ("expect", [(2, 3)], {"shape": (4,)}),
    ("transpose", [(2, 3)], {"axes": (0, 2)}),
    ("transpose", [(2, 3)], {"axes": (0, 5)}),
    ("transpose", [(2, 3)], {"axes": (0, -2)}),
    ("slice", [(2, 3)], {"index": (2,)}),
    ("slice", [(2, 3)], {"index": (0, 0, 0)}),
    ("concat", [(2, 3), (3, 3)], {"axis": -1}),
    ("concat", [(2, 3), (2, 3)], {"axis": 2}),
    ("concat", [(), ()], {}),
]


@pytest.mark.parametrize(("name", "shapes", "attrs"), MISFITS)
def test_a_misfit_is_one_for_the_rule_and_for_the_run(name: str, shapes: Any, attrs: Any) -> None:
    op = TABLE[name]
    with pytest.raises(ShapeError) as ruled:
        op.shape(*shapes, **{**op.attrs, **attrs})
    assert str(shapes[0]) in str([str(ruled.value), ruled.value.shapes]) or "no axis" in str(ruled.value)
    graph = Graph(op(*(input_node(i) for i in range(len(shapes))), **attrs), len(shapes))
    with pytest.raises(ShapeError):
        interpret(graph, [np.zeros(shape) for shape in shapes])


@pytest.mark.parametrize("wrong", [-1, 3])
def test_an_id_outside_its_range_is_refused(wrong: int) -> None:
    ids = np.array([0, wrong])
    for call in (
        lambda: TABLE["gather"](np.zeros((3, 2)), ids),
        lambda: TABLE["pick"](np.zeros((2, 3)), ids),
        lambda: TABLE["one_hot"](ids, n=3),
    ):
        with pytest.raises(IndexError, match=rf"the id {wrong} lies outside \[0, 3\)"):
            call()


def test_numbers_take_the_precision_of_the_arrays_beside_them() -> None:
    assert float(TABLE["power"](np.array(3.0), 0.1)) == 3.0**0.1
    assert TABLE["power"](np.array(3.0, np.float32), 0.1).dtype == np.float32
    assert TABLE["add"](1.5, 2.5).dtype == np.float32
    ids, floats = np.array([1, 2]), np.array([0.5, 0.5])
    assert operands_of(TABLE["multiply"], [ids, floats], np.float32)[0].dtype == np.float32
    assert operands_of(TABLE["reshape"], [ids], np.float32)[0].dtype == np.int64


def test_attributes_and_operands_are_checked_when_an_op_is_called() -> None:
    x = input_node(0)
    assert TABLE["leaky_relu"](x, 0.2).attrs["slope"] == 0.2
    for wrong, text in [
        (lambda: TABLE["relu"](x, 1.0), "takes 1 operands, not 2"),
        (lambda: TABLE["add"](x), "takes 2 operands, not 1"),
        (lambda: TABLE["leaky_relu"](x, slop=1), "no attribute 'slop'"),
        (lambda: TABLE["reshape"](x), "needs the attribute 'shape'"),
    ]:
        with pytest.raises(TypeError, match=text):
            wrong()
    with pytest.raises(ValueError, match="two ops are named 'tanh'"):
        Op("tanh", tanh.forward, tanh.shape, tanh.back, tanh.kernel, [])
