"""Formulas on nodes build graphs; a graph does not change; what cannot stand in one is refused."""

import operator

import numpy as np
import pytest

from flux_core.errors import GraphError, ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, Node, Origin, Step, as_node, constant, get, input_node, pack, param, params_of
from flux_core.ir.walk import rewrite, topological, with_inputs
from flux_core.ops import TABLE

X = np.array([[1.0, -2.0], [3.0, 0.5]])
OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.matmul,
    operator.gt,
    operator.ge,
    operator.lt,
    operator.le,
    lambda a, b: abs(a) ** b,
]


@pytest.mark.parametrize("f", OPERATORS)
def test_operators_mean_what_they_mean_on_arrays(f):
    x, y = input_node(0), X + 0.25
    for formula, want in [(f(x, y), f(X, y)), (f(y, x), f(y, X)), (f(x, x), f(X, X)), (-x, -X), (abs(x), abs(X))]:
        np.testing.assert_allclose(interpret(Graph(formula, 1), [X]), want)
    if f is not operator.matmul:
        for number in (2, 2.0, np.float32(2), np.float64(2)):
            np.testing.assert_allclose(interpret(Graph(f(x, number), 1), [X]), f(X, 2.0))
            np.testing.assert_allclose(interpret(Graph(f(number, x), 1), [X]), f(2.0, X))


@pytest.mark.parametrize("ufunc", [np.tanh, np.exp, np.sign, np.absolute, np.negative, np.true_divide, np.maximum])
def test_numpy_functions_build_nodes(ufunc):
    xs = [input_node(0)] * ufunc.nin
    np.testing.assert_allclose(interpret(Graph(ufunc(*xs), 1), [X]), ufunc(*[X] * ufunc.nin))


def test_numpy_functions_without_an_op_say_so():
    for f in (np.sin, np.square, np.sum, lambda x: np.add(x, x, where=True)):
        with pytest.raises(TypeError):
            f(input_node(0))


@pytest.mark.parametrize("index", [0, -1, np.s_[1:], np.s_[:, 0], np.s_[..., -1], np.s_[::2, 1], np.s_[0, 0]])
def test_slices_are_those_of_arrays(index):
    if isinstance(index, int):
        pair = input_node(0)
        assert interpret(Graph(pair[index], 1), [(X, 2 * X)]) is not None
        with pytest.raises(ShapeError, match=r"takes an element of a tuple.*slice an array along its axes"):
            interpret(Graph(pair[index], 1), [X])
    else:
        np.testing.assert_array_equal(interpret(Graph(input_node(0)[index], 1), [X]), X[index])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda x: x[[0, 1]], "indexed by integers and slices"),
        (lambda x: list(x), "length of this tuple is not known"),
        (lambda x: 1 if x > 0 else 2, r"use where\(condition, a, b\)"),
        (lambda x: x + "a", "a str cannot stand in a graph"),
        (lambda x: as_node([x, x]), "a list cannot stand in a graph"),
        (lambda x: as_node(None), "a NoneType cannot stand in a graph"),
    ],
)
def test_what_cannot_be_traced_is_refused(wrong, text):
    with pytest.raises(GraphError, match=text):
        wrong(input_node(0))


def test_nodes_are_immutable_and_equal_only_to_themselves():
    x = input_node(0)
    with pytest.raises((AttributeError, TypeError)):
        x.op = "param"  # type: ignore[misc]  # what is to fail
    with pytest.raises(TypeError):
        x.attrs["index"] = 1  # type: ignore[index]  # what is to fail
    assert len({x + 1, x + 1}) == 2
    array = np.ones(2)
    fixed = constant(array)
    array[:] = 5
    np.testing.assert_array_equal(fixed.attrs["value"], 1)


def test_tuples_are_taken_apart_where_they_are_built():
    x, y = input_node(0), input_node(1)
    both = pack(x, (y, 3.0))
    assert get(both, 0) is x
    assert both[1][0] is y
    assert [node.op for node in both] == ["input", "tuple"]
    assert get(both, -1) is both.inputs[1]


def test_params_are_leaves_known_by_identity():
    p, q = param(np.ones(2)), param(np.ones(2))
    x = input_node(0)
    formula = (x * p + q) * p
    assert params_of(formula) == [p, q]
    assert [type(found) for found in params_of(x)] == []


def test_walks_see_every_node_once_and_inputs_first():
    x = input_node(0)
    y = x
    for _ in range(60):  # 2 ** 60 paths
        y = y + y
    order = topological(y)
    assert len(order) == 61
    place = {node: i for i, node in enumerate(order)}
    assert all(place[parent] < place[node] for node in order for parent in node.inputs)
    (same,) = rewrite([y], with_inputs)
    assert same is y
    (other,) = rewrite([y], lambda node, inputs: Node(node.op, inputs, node.attrs))
    assert other is not y
    assert len(topological(other)) == 61


def test_origins_are_read_from_outside_in():
    inner = Origin((Step("second", "Affine"),), place="model.1")
    outer = inner.within(Origin((Step("", "TLP"),), place="model"))
    assert str(outer) == "TLP -> second: Affine"
    assert outer.path == "second"
    assert outer.place == "model.1"
    assert "TLP -> second: Affine" in repr(Node("add", (), origin=outer))


def test_every_operator_of_a_node_has_a_row():
    from flux_core.ir.node import UFUNCS

    assert set(UFUNCS.values()) <= set(TABLE)
