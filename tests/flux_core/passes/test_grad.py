"""Gradients, graph to graph: sums over uses, un-broadcasting, tuples, ids, opaque calls, and gradients of gradients."""

import numpy as np
import pytest

from flux_core.errors import BackpropError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, accumulate, call, constant, input_node, pack, param, topological
from flux_core.layers import Chain, OneHot
from flux_core.model import back, net
from flux_core.ops import exp, gather, relu, sum_
from flux_core.passes import grad, gradients, laid_out


class Scale:
    """x w with a `back` of its own, which counts its calls."""

    def __init__(self, w):
        self.w, self.calls = param(np.array(w)), 0

    def __call__(self, x):
        return x * self.w.x

    def back(self, dy, x):
        self.calls += 1
        accumulate(self.w, (dy * x).sum())
        return dy * self.w.x


A, B = np.array([1.0, 2.0, 3.0]), np.array([[4.0], [5.0]])


def test_uses_of_a_value_are_added_up():
    f = net(lambda x: x * x + x * exp(x) - x)
    np.testing.assert_allclose(back(f, np.ones(3), A), 2 * A + np.exp(A) * (1 + A) - 1)
    deep = net(lambda x: _doubled(x, 40))  # 2 ** 40 paths
    np.testing.assert_array_equal(back(deep, np.ones(3), A), 2.0**40)


def _doubled(x, n):
    for _ in range(n):
        x = x + x
    return x


def test_broadcast_operands_get_gradients_of_their_shape():
    w, b, s = param(B), param(A), param(np.array(2.0))
    f = net(lambda x: (x * w + b) * s)
    dy, x = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    np.testing.assert_array_equal(back(f, dy, x), dy * B * 2)
    np.testing.assert_array_equal(w.dx, 2 * dy.sum(1, keepdims=True))
    np.testing.assert_array_equal(b.dx, 2 * dy.sum(0))
    np.testing.assert_array_equal(s.dx, (dy * (B + A)).sum())


def test_tuples_in_and_out():
    f = net(lambda pair, z: (pair[0] * z, (pair[1][0], pair[0])))
    x, y, z = A, B, np.array(3.0)
    dpair, dz = back(f, (np.ones(3), (2 * np.ones((2, 1)), 5 * np.ones(3))), (x, (y, y)), z)
    np.testing.assert_array_equal(dpair[0], 3.0 + 5.0)
    np.testing.assert_array_equal(dpair[1][0], 2 * np.ones((2, 1)))
    np.testing.assert_array_equal(dpair[1][1], np.zeros((2, 1)))  # an element that nothing reads
    np.testing.assert_array_equal(dz, 6.0)
    single = back(net(lambda pair: pair[0]), A, (A,))
    assert isinstance(single, tuple)
    np.testing.assert_array_equal(single[0], A)


@pytest.mark.parametrize("kind", ["twice", "three", "nested", "elements"])
def test_a_tuple_that_is_used_as_a_whole(kind):
    dy, pair = (A, 2 * A), (A, A)
    formula = {
        "twice": lambda p: (p, p),
        "three": lambda p: (p, (p, p[0])),
        "nested": lambda p: ((p, p), p),
        "elements": lambda p: ((p, p[1]), p[-1]),
    }[kind]
    given = {"twice": (dy, dy), "three": (dy, (dy, A)), "nested": ((dy, dy), dy), "elements": ((dy, A), A)}[kind]
    want = {"twice": (2, 4), "three": (3, 4), "nested": (3, 6), "elements": (1, 4)}[kind]
    got = back(net(formula), given, pair)
    np.testing.assert_array_equal(got, (want[0] * A, want[1] * A))
    wrapped = net(lambda q: formula(q[0]))  # the same behind a `get`, whose own type only a run tells
    np.testing.assert_array_equal(back(wrapped, given, (pair,))[0], got)


def test_unused_inputs_and_params_get_zeros_of_their_shape():
    p = param(A)
    f = net(lambda x, y, pair, rows: (x * 2, pack(y, p)[0] * 0.0))
    dx, dy, dpair, drows = back(f, (A, B), A, B, (A, (B,)), np.array([1, 2]))
    np.testing.assert_array_equal(dx, 2 * A)
    np.testing.assert_array_equal(dy, np.zeros_like(B))
    np.testing.assert_array_equal(dpair[0], np.zeros(3))
    np.testing.assert_array_equal(dpair[1][0], np.zeros((2, 1)))
    np.testing.assert_array_equal(drows, np.zeros(2))
    assert drows.dtype.kind == "f"
    x, q = input_node(0), constant(1.0)
    (found,) = gradients(x * 2.0, q, [input_node(1)])
    np.testing.assert_array_equal(interpret(Graph(found, 2), [A, B]), np.zeros_like(B))


def test_a_constant_output_has_no_gradient_but_zeros():
    np.testing.assert_array_equal(back(net(lambda x: constant(A)), A, B), np.zeros_like(B))
    np.testing.assert_array_equal(back(net(lambda x: x), A, A), A)


def test_opaque_models_are_run_backwards_once_wherever_they_stand():
    scale = Scale(3.0)
    np.testing.assert_array_equal(back(Chain(relu, scale, relu), A, A), 3 * A)
    assert scale.calls == 1
    np.testing.assert_array_equal(scale.w.dx, (A * A).sum())
    behind_ids, on_a_constant = Scale(2.0), Scale(2.0)
    rows = np.array([0, 2])
    np.testing.assert_array_equal(back(Chain(OneHot(3), behind_ids), np.ones((2, 3)), rows), np.zeros(2))
    assert (behind_ids.calls, float(behind_ids.w.dx)) == (1, 2.0)
    back(net(lambda x: x + call(on_a_constant, A)), np.ones(3), A)
    assert (on_a_constant.calls, float(on_a_constant.w.dx)) == (1, 6.0)


def test_a_plain_function_fails_only_where_its_gradient_is_asked_for():
    with pytest.raises(BackpropError, match=r"not implemented for <lambda> \(in Chain -> 1: <lambda>\): give it a m"):
        back(Chain(relu, lambda x: x, relu), A, A)
    w = param(A)
    whole = laid_out(net(lambda x: call(np.cos, x) * w))
    leaf = next(node for node in topological(whole.output) if node.op == "param")
    calls: list = []
    (found,) = gradients(whole.output, constant(1.0), [leaf], calls)
    np.testing.assert_allclose(interpret(Graph(found, 1), [A]), np.cos(A))
    assert calls == []
    embed = net(lambda rows: gather(constant(np.eye(3)), call(lambda r: r + 1, rows)))
    np.testing.assert_array_equal(back(embed, np.ones((1, 3)), np.array([1])), [0.0])


def test_gradients_can_be_differentiated_again_through_tuples():
    """f(x, y) = x² y with its inputs in a tuple: the mixed second derivatives are 2y, 2x."""
    first = grad(laid_out(net(lambda pair: pair[0] * pair[0] * pair[1]))).graph
    dpair = first.output[0][0]
    x, y = A, np.array([2.0, 5.0, 7.0])
    seed = input_node(2)
    leaf = next(node for node in topological(dpair) if node.op == "input" and node.attrs["index"] == 0)
    (second,) = gradients(sum_(dpair[0]), seed, [leaf])
    found = interpret(Graph(second, 3), [(x, y), np.ones(3), np.array(1.0)])
    np.testing.assert_array_equal(found, (2 * y, 2 * x))
    with pytest.raises(BackpropError, match="Scale"):
        grad(grad(laid_out(Chain(Scale(1.0)))).graph)


def test_gradient_nodes_carry_the_origin_of_their_op():
    whole = laid_out(Chain(relu, np.tanh))
    backward = grad(whole)
    made = {str(node.origin) for node in topological(backward.graph.output) if node.op in ("multiply", "greater")}
    assert made == {"Chain -> 0: relu", "Chain -> 1: tanh"}
    assert backward.params == ()
