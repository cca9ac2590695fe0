"""Ties, corners, empty batches, misfits, ids out of range, and how an op is called."""

import math
from typing import Any

import numpy as np
import pytest

from flux_core.errors import ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, constant, input_node
from flux_core.ops import TABLE, Op, operands_of, tanh
from flux_core.passes import gradients


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
    ("expect_like", [(3, 1), (3,)], {}),
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
