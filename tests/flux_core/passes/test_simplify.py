"""Simplified graphs have the same values on random graphs, do less, and are not simplified further."""

from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_core import ops
from flux_core.interpreter import interpret
from flux_core.ir import Graph, Node, call, constant, input_node, pack, param, rewrite, to_text, topological
from flux_core.ir.walk import with_inputs
from flux_core.layers import Affine, Chain, Dropout
from flux_core.passes import Type, grad, laid_out, simplify
from flux_core.passes.simplify import IDENTITIES

X, Y = np.random.default_rng(5).uniform(0.5, 2.0, (2, 3, 4))
TYPES = [Type((3, 4)), Type((3, 4))]
UNARY = [
    lambda x: -x,
    lambda x: x + 0.0,
    lambda x: 1.0 * x,
    lambda x: x / 1.0,
    lambda x: x**1.0,
    lambda x: ops.tanh(x),
    lambda x: ops.transpose(ops.transpose(x)),
    lambda x: ops.reshape(x, (3, 4)),
    lambda x: ops.reshape(ops.reshape(x, (12,)), (3, 4)),
    lambda x: ops.sum_like(x, input_node(1)),
    lambda x: ops.broadcast_like(ops.sum_(x, axis=0), x),
    lambda x: ops.sum_(x, axis=()),
    lambda x: x * (constant(2) - constant(1)),
    lambda x: x + ops.zeros_like(x),
    lambda x: x - np.zeros((3, 4)),
    lambda x: ops.expect(x, (4,)),
    lambda x: pack(x, 1.0)[0],
]
BINARY = [lambda x, y: x + y, lambda x, y: x * y, ops.maximum, lambda x, y: ops.where(ops.greater(x, y), x, y)]


@st.composite
def formulas(draw):
    made = [input_node(0), input_node(1), constant(0.0), constant(np.ones((3, 4)))]
    for _ in range(draw(st.integers(1, 12))):
        if draw(st.booleans()):
            f, x = draw(st.sampled_from(UNARY)), draw(st.sampled_from(made))
            made.append(f(x if x is not made[2] else made[0]))
        else:
            f = draw(st.sampled_from(BINARY))
            made.append(f(draw(st.sampled_from(made)), draw(st.sampled_from(made))))
    return Graph(pack(*made[-3:]), 2)


def check(whole: Graph) -> None:
    short = simplify(whole, TYPES)
    for got, want in zip(interpret(short, [X, Y]), interpret(whole, [X, Y]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert got.shape == want.shape
    assert len(topological(short.output)) <= len(topological(whole.output))
    assert to_text(simplify(short, TYPES)) == to_text(short)


@settings(max_examples=100, deadline=None, derandomize=True, database=None, report_multiple_bugs=False)
@given(formulas())
def test_values_are_kept_and_nothing_is_left_to_do(whole):
    check(whole)


def test_a_wrong_identity_is_caught(monkeypatch):
    monkeypatch.setitem(IDENTITIES, "multiply", [lambda node, type_of: node.inputs[0]])
    with pytest.raises(AssertionError):
        test_values_are_kept_and_nothing_is_left_to_do()


A = input_node(0)
RULES = [
    (A + 0.0, "input"),
    (0.0 + A, "input"),
    (A - 0, "input"),
    (A * 1.0, "input"),
    (1 * A, "input"),
    (A / 1.0, "input"),
    (A**1, "input"),
    (ops.negative(-A), "input"),
    (ops.transpose(ops.transpose(A)), "input"),
    (ops.transpose(ops.transpose(A, axes=(1, 0)), axes=(-1, -2)), "input"),
    (ops.reshape(A, (3, 4)), "input"),
    (ops.reshape(A, (-1,), keep=1), "input"),
    (ops.flatten(A), "input"),
    (ops.expect(A, (4,)), "input"),
    (ops.reshape_like(A, A), "input"),
    (ops.sum_like(A, A), "input"),
    (ops.broadcast_like(A, A), "input"),
    (ops.expand_like(A, A, axis=()), "input"),
    (ops.sum_(A, axis=()), "input"),
    (ops.log(ops.exp(constant(2.0)) * 1.0), "constant"),
    (A + (-A + 0.0) * 1.0, "add"),
    # what may not go: the shape, or the kind, would change
    (constant(2.0) + np.zeros((3, 4)), "constant"),
    (ops.mean(A) + np.zeros((3, 4)), "add"),
    (A - (A - 0.0), "subtract"),
    (0.0 - A, "subtract"),
    (1.0 / A, "divide"),
    (ops.transpose(A), "transpose"),
    (ops.transpose(ops.transpose(A, axes=(0, 1))), "transpose"),
    (ops.sum_(A, axis=(), keepdims=True), "input"),
    (ops.sum_(A, axis=0), "sum"),
]


@pytest.mark.parametrize(("formula", "op"), RULES, ids=str)
def test_each_rule(formula, op):
    short = simplify(Graph(formula, 2), TYPES)
    assert short.output.op == op
    np.testing.assert_allclose(interpret(short, [X, Y]), interpret(Graph(formula, 2), [X, Y]), rtol=1e-12)


def test_ids_become_floats_by_arithmetic_also_when_it_does_nothing():
    ids = np.array([1, 2])
    short = simplify(Graph(pack(A * 1, A + 0, ops.transpose(A)), 1), [Type((2,), "int")])
    assert [value.dtype.kind for value in interpret(short, [ids])] == ["f", "f", "i"]


def test_equal_nodes_become_one_and_unequal_ones_do_not():
    p, q = param(np.ones(4)), param(np.ones(4))
    two = Graph((A * p + A * p) * (A * q) + ops.sum_(A, axis=0) + ops.sum_(A, axis=0, keepdims=True), 1)
    counts = [node.op for node in topological(simplify(two, TYPES[:1]).output)]
    assert counts.count("multiply") == 3
    assert counts.count("param") == 2
    assert counts.count("sum") == 2
    floats = Graph(constant(np.float32(1)) * A + A * constant(np.ones(1)) + A * constant(np.ones((1, 1))), 1)
    assert len(topological(simplify(floats, TYPES[:1]).output)) == 7  # x·1 is x; (1,) and (1, 1) are two constants
    calls = Graph(call(np.cos, A) + call(np.cos, A), 1)
    assert [n.op for n in topological(simplify(calls, TYPES[:1]).output)].count("call") == 2  # a call may have effects
    slices = Graph(A[1:] + A[1:] + A[:2], 1)
    assert [n.op for n in topological(simplify(slices, TYPES[:1]).output)].count("slice") == 2


def test_masks_of_two_layers_are_not_merged():
    whole = laid_out(Chain(Dropout(0.5), Dropout(0.5)))
    masks = [n for n in topological(simplify(whole, TYPES[:1]).output) if n.op == "dropout_mask"]
    assert len(masks) == 2
    fixed = Graph(ops.dropout_mask(constant(np.ones(3)), rate=0.5), 0)
    assert simplify(fixed, []).output.op == "dropout_mask"


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        (constant(np.uint8(255)) + constant(np.uint8(1)), 256),
        (constant(2) ** constant(-1), 0.5),
        (constant(1) / constant(0), np.inf),
        (ops.log(constant(-1.0)), np.nan),
        (-constant(np.uint8(1)), -1),
        (constant(True) + constant(True), 2),
        (ops.gather(constant(np.array([5.0, 6.0])), constant(np.array([1, 0])))[0:1], [6.0]),
    ],
)
def test_constants_are_folded_as_the_interpreter_would_compute_them(formula, value):
    short = simplify(Graph(formula, 0), [])
    assert short.output.op == "constant"
    np.testing.assert_array_equal(short.output.attrs["value"], value)
    np.testing.assert_array_equal(interpret(Graph(formula, 0), []), value)


def test_what_cannot_be_folded_fails_where_it_runs():
    bad = Graph(ops.one_hot(constant(np.array([7])), n=3), 0)
    assert simplify(bad, []).output.op == "one_hot"


def test_gradients_of_a_model_lose_their_unbroadcasting():
    whole = grad(laid_out(Chain(Affine(4, 3), ops.relu, Affine(3, 2)))).graph
    short = simplify(whole, [Type((5, 4)), Type((5, 2))])
    before, after = ([n.op for n in topological(g.output)] for g in (whole, short))
    assert after.count("sum_like") == 2  # the two biases
    assert before.count("sum_like") > 2
    x, dy = np.random.default_rng(0).standard_normal((5, 4)), np.ones((5, 2))
    for got, want in zip(interpret(short, [x, dy])[1], interpret(whole, [x, dy])[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def test_attributes_tell_nodes_apart():
    made = [Node("leaky_relu", (A,), MappingProxyType({"slope": slope})) for slope in (0.1, 0.1, 0.2)]
    assert len(topological(simplify(Graph(pack(*made), 1), TYPES[:1]).output)) == 4


def test_squares_and_roots_are_no_powers() -> None:
    x = input_node(0)
    value = np.array([-2.0, -0.0, 0.5, np.inf, -np.inf, np.nan])
    for node, left in [
        (x**2.0, {"multiply"}),
        ((x * x) ** 0.5, {"multiply", "sqrt"}),
        (x**0.5, {"power"}),
        (x**3.0, {"power"}),
    ]:
        graph = Graph(node, 1)
        simple = simplify(graph, [Type((6,))])
        assert {n.op for n in topological(simple.output)} - {"input", "constant"} == left
        np.testing.assert_array_equal(interpret(simple, [value]), interpret(graph, [value]))


def test_gradients_of_a_value_that_is_an_array_are_plainly_added():
    x = input_node(0)
    whole = grad(Graph(pack(x, x, input_node(1)), 3)).graph  # the third input leads nowhere
    dy = pack(*(input_node(3 + i) for i in range(3)))

    def opened(node, inputs):
        return dy if node.op == "input" and node.attrs["index"] == 3 else with_inputs(node, inputs)

    graph = Graph(rewrite([whole.output], opened)[0], 6)
    simpler = simplify(graph, [Type((3, 4))] * 6)
    assert "tuple_sum" not in {node.op for node in topological(simpler.output)}
    xs = [X + i for i in range(6)]
    (dx, dz, nothing), *_ = interpret(simpler, xs)
    np.testing.assert_array_equal(dx, xs[3] + xs[4])
    np.testing.assert_array_equal(dz, xs[5])
    np.testing.assert_array_equal(nothing, np.zeros((3, 4)))
