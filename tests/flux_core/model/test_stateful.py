"""Stateful: what goes in and comes out, gradients that stop at the call, initial states, reset, stateless."""

import numpy as np
import pytest

from flux_core.dims import rebatch
from flux_core.errors import GraphError
from flux_core.interpreter import interpret
from flux_core.ir import accumulate, graph, param
from flux_core.layers import Affine, Chain, Dropout
from flux_core.model import (
    Capacitor,
    Model,
    SeqModel,
    Stateful,
    back,
    infer,
    net,
    parameters,
    reset,
    runmodel,
    stateless,
    update,
)
from flux_core.ops import Run, tanh
from flux_core.passes import laid_out

U, V = param(np.array([[0.5, -1.0], [0.25, 2.0]])), param(np.array([[1.0, 0.5], [-0.5, 0.1]]))
STEP = net(lambda h, x: ((tanh(x @ U + h[0] @ V),), h[0] + x))
X = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])
H0 = np.zeros((3, 2))


class Counter:
    """A step with everything of its own: ((n,), x) -> ((n + 1,), n x)."""

    def __init__(self):
        self.rate = param(np.array(1.0))

    def __call__(self, h, x):
        return (h[0] + self.rate.x,), h[0] * x

    def back(self, dy, h, x):
        accumulate(self.rate, np.asarray(dy[0][0]).sum())
        return (np.asarray(dy[0][0] + (dy[1] * x).sum()),), dy[1] * h[0]


@pytest.fixture(autouse=True)
def clear():
    U.dx[...] = V.dx[...] = 0


def test_the_states_of_one_call_go_into_the_next():
    model = Stateful(STEP, [H0])
    want, h = [], H0
    for k in range(3):
        assert model.ostate[0] is h or np.array_equal(model.ostate[0], h)
        want.append(h + k * X)
        before, h = h, np.tanh(k * X @ U.x + h @ V.x)
        np.testing.assert_allclose(model(k * X), want[-1])
        np.testing.assert_allclose(model.istate[0], before)
        np.testing.assert_allclose(model.ostate[0], h)
    assert isinstance(model.ostate, list)


def test_one_or_two_lists_of_states():
    model = Stateful(STEP, [H0], [H0 + 1])
    np.testing.assert_array_equal(model(X), H0 + 1 + X)  # the first call takes what came out
    assert Stateful(STEP, (H0,)).ostate == [H0]
    assert repr(model) == "Stateful(Capacitor(Graph(2 inputs -> tuple)), 1 states)"


def test_gradients_stop_at_the_call():
    model = Stateful(STEP, [H0])
    model(X)
    model(2 * X)
    istate, ostate = model.istate, model.ostate
    dy = np.ones((3, 2))
    np.testing.assert_array_equal(back(model, dy, 2 * X), dy)
    np.testing.assert_array_equal(U.dx, 0)  # y does not read the new state, and older calls are out of reach
    assert model.istate is istate
    assert model.ostate is ostate
    other = Stateful(net(lambda h, x: ((h[0] + 1.0,), tanh(x @ U + h[0] @ V))), [H0])
    other(X)
    other(X)
    y = np.tanh(X @ U.x + np.ones((3, 2)) @ V.x)
    np.testing.assert_allclose(back(other, dy, X), (1 - y * y) @ U.x.T)
    np.testing.assert_allclose(U.dx, X.T @ (1 - y * y))
    np.testing.assert_allclose(V.dx, np.ones((2, 3)) @ (1 - y * y))


@pytest.mark.parametrize("place", ["alone", "chain", "nested", "sequence"])
def test_running_backwards_leaves_the_states_where_they_are(place):
    inner = Stateful(net(lambda h, x: ((h[0] + x,), h[0] * x)), [np.ones((3, 2))])
    model = {
        "alone": inner,
        "chain": Chain(np.negative, inner, np.exp),  # exp needs what the inner model gave
        "nested": Chain(Stateful(net(lambda h, x: (h, call_of(inner, x))), []), np.exp),
        "sequence": Chain(SeqModel(net(lambda xs: (call_of(inner, xs[0]),)), 1), np.exp),
    }[place]
    x = X[:, None] if place == "sequence" else X
    model(x)
    y = model(x)
    istate, ostate = [h.copy() for h in inner.istate], [h.copy() for h in inner.ostate]
    sign = -1 if place == "chain" else 1
    h = 1 + sign * X
    np.testing.assert_allclose(istate[0], h)
    want = sign * h if place == "alone" else sign * h * y.reshape(3, 2)
    for _ in range(2):
        np.testing.assert_allclose(back(model, np.ones(x.shape), x).reshape(3, 2), want)
    np.testing.assert_array_equal(inner.istate, istate)
    np.testing.assert_array_equal(inner.ostate, ostate)


def call_of(model, x):
    from flux_core.ir import call

    return call(model, x)


def test_an_initial_state_that_is_a_param_is_trained():
    start = param(np.array([0.5, -0.5]))
    model = Stateful(STEP, [start])
    assert parameters(model)["initial.0"] is start
    model(X)
    back(model, 3 * np.ones((3, 2)), X)
    np.testing.assert_array_equal(start.dx, [9.0, 9.0])  # summed over the examples that share it
    model(X)
    back(model, np.ones((3, 2)), X)
    np.testing.assert_array_equal(start.dx, [9.0, 9.0])  # the second call did not begin from it
    update(model, 0.1)
    np.testing.assert_allclose(start.x, [-0.4, -1.4])
    np.testing.assert_array_equal(start.dx, 0)
    reset(model)
    np.testing.assert_allclose(model(X), start.x + X)


def test_reset_finds_every_stateful_model():
    inner, outer = Stateful(STEP, [H0]), Stateful(STEP, [H0])
    model = Chain(Chain(inner), SeqModel(net(lambda xs: (call_of(outer, xs[0]),)), 1))
    inner(X), outer(X)
    assert reset(model) is model
    assert inner.ostate == outer.ostate == [H0]
    assert reset(np.tanh) is np.tanh


def test_stateless_begins_every_call_from_the_initial_states():
    start = param(np.full((3, 2), 0.5))
    model = Stateful(STEP, [start])
    fixed = stateless(model)
    assert isinstance(fixed, Capacitor)
    assert "call" not in [node.op for node in _nodes(laid_out(fixed))]
    model(X), model(X)
    np.testing.assert_allclose(fixed(X), 0.5 + X)
    np.testing.assert_allclose(fixed(X), 0.5 + X)
    assert all(p is not start for p in parameters(fixed).values())  # the initial states are constants
    inside = stateless(SeqModel(Stateful(net(lambda h, xs: (h, (xs[0] + h[0],))), [H0 + 1]), 1))
    np.testing.assert_array_equal(inside((X,))[0], X + 1)
    assert isinstance(inside, SeqModel)
    for other in (np.tanh, STEP, Chain(model)):
        assert stateless(other) is other


def _nodes(whole):
    from flux_core.ir import topological

    return topological(whole.output)


def test_a_step_without_a_graph():
    step = Counter()
    model = Stateful(step, [np.array(2.0)])
    assert graph(model) is None
    np.testing.assert_array_equal(model(X), 2 * X)
    np.testing.assert_array_equal(model(X), 3 * X)
    np.testing.assert_array_equal(back(model, np.ones((3, 2)), X), 3 * np.ones((3, 2)))
    fixed = stateless(model)
    np.testing.assert_array_equal(fixed(X), 2 * X)
    np.testing.assert_array_equal(back(fixed, np.ones((3, 2)), X), 2 * np.ones((3, 2)))
    assert list(parameters(model)) == ["model.rate"]
    lambdas = Stateful(lambda h, x: ((h[0] + x,), h[0]), [0.0])
    assert [float(lambdas(np.array(2.0))) for _ in range(3)] == [0.0, 2.0, 4.0]


def test_states_of_other_kinds_and_numbers_of_inputs():
    pair = Stateful(net(lambda h, x: (((h[0][0] + x, h[0][1]),), h[0][0] * x)), [(H0 + 2, H0)])
    np.testing.assert_array_equal(pair(X), 2 * X)
    np.testing.assert_array_equal(back(pair, np.ones((3, 2)), X), H0 + 2)
    two = Stateful(net(lambda h, x, y: (h, x * y + h[0])), [H0])
    two(X, 2 * X)
    dx, dy = back(two, np.ones((3, 2)), X, 2 * X)
    np.testing.assert_array_equal(dx, 2 * X)
    np.testing.assert_array_equal(dy, X)
    clock = Stateful(net(lambda h: ((h[0] + 1.0,), h[0])), [np.array(0.0)])
    assert [float(runmodel(clock)) for _ in range(2)] == [0.0, 1.0]
    back(clock, 1.0)
    none = Stateful(net(lambda h, x: (h, 2 * x)), [])
    np.testing.assert_array_equal(none(X), 2 * X)


def test_containers_shapes_and_errors():
    model = Stateful(STEP, [H0])
    assert type(model(rebatch(X))) is type(rebatch(X))
    assert infer(Chain(model, Affine(2, 5)), (3, 2)) == (3, 5)
    assert model.istate[0] is H0  # inferring runs nothing
    with pytest.raises(GraphError, match="takes 2 inputs, not 3"):
        model(X, X)


def test_dropout_inside_works_in_training_with_the_run_around_it():
    inner = Stateful(net(lambda h, x: (h, Dropout(0.5)(x))), [])
    whole, ones = laid_out(Chain(inner, np.negative)), np.ones((100, 8))
    run = Run(training=True, seed=1, step=2)
    y = interpret(whole, [ones], run=run)
    assert 0.4 < (y == 0).mean() < 0.6
    np.testing.assert_array_equal(y, interpret(whole, [ones], run=run))
    np.testing.assert_array_equal(interpret(whole, [ones]), -ones)
    assert isinstance(inner, Model)
