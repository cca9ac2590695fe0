"""The protocol: what a model defines is used, the rest follows from its graph; a shared Param is one variable."""

import numpy as np
import pytest

from flux_core.errors import BackpropError, GraphError, ShapeError
from flux_core.ir import Graph, accumulate, graph, input_node, param
from flux_core.layers import Affine, Chain
from flux_core.model import (
    Model,
    Stateful,
    back,
    infer,
    interpmodel,
    net,
    parameters,
    runmodel,
    submodels,
    update,
)
from flux_core.ops import relu, tanh

X = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])
W = np.array([[1.0, 2.0], [3.0, 4.0]])


class Linear:
    """x W with everything of its own, and no base class."""

    def __init__(self, w):
        self.W, self.updates = param(w), 0

    def __call__(self, x):
        return x @ self.W.x

    def back(self, dy, x):
        accumulate(self.W, x.T @ dy)
        return dy @ self.W.x.T

    def update(self, eta):
        self.updates += 1
        update(self.W, eta)


class OnlyGraph:
    """A class that has a graph and nothing else."""

    def __init__(self, w):
        self.W = param(w)
        self._graph = Graph(input_node(0) @ self.W, 1)

    def graph(self):
        return self._graph


class Frozen(OnlyGraph):
    """Overrides one method: `update` leaves the Params alone."""

    def update(self, eta):
        self.W.dx[...] = 0


MODELS = {
    "own": lambda: Linear(W),
    "graph": lambda: OnlyGraph(W),
    "affine": lambda: Affine.of(W, np.ones(2)),
    "chain": lambda: Chain(Affine.of(W), tanh, Affine.of(W, np.ones(2))),
    "mixed": lambda: Chain(Linear(W), np.tanh, OnlyGraph(W), relu, Linear(-W)),
    "nested": lambda: Chain(Chain(Linear(W)), Chain(Chain(tanh, Affine.of(W)))),
    "capacitor": lambda: net(lambda x: tanh(x) * param(np.array(2.0))),
}


@pytest.mark.parametrize("name", MODELS)
def test_back_is_the_slope_in_inputs_and_params_and_update_a_step_against_it(name):
    model = MODELS[name]()
    dy = np.linspace(-1, 1, 6).reshape(3, 2)
    dx = back(model, dy, X)
    assert dx.dtype == np.float64

    def at():
        return float((dy * runmodel(model, X)).sum())

    def numeric(array):
        slope, h = np.zeros(array.shape), 1e-6
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + h
            up = at()
            array[place] = kept - h
            slope[place] = (up - at()) / (2 * h)
            array[place] = kept
        return slope

    np.testing.assert_allclose(dx, numeric(X), rtol=1e-6, atol=1e-7)
    ps = parameters(model)
    for p in ps.values():
        np.testing.assert_allclose(p.dx, numeric(p.x), rtol=1e-6, atol=1e-7)
    want = [p.x - 0.1 * p.dx for p in ps.values()]
    assert update(model, 0.1) is model
    for p, x in zip(ps.values(), want, strict=True):
        np.testing.assert_allclose(p.x, x)
        np.testing.assert_array_equal(p.dx, 0)


def test_gradients_accumulate_until_the_update():
    model = Affine.of(W, np.zeros(2))
    back(model, np.ones((3, 2)), X)
    once = model.W.dx.copy()
    back(model, np.ones((3, 2)), X)
    np.testing.assert_allclose(model.W.dx, 2 * once)


def test_a_shared_param_is_one_variable():
    p = param(W)
    first, second = Affine.of(p), Linear(W)
    second.W = p
    model = Chain(first, tanh, second, Affine.of(p, np.zeros(2)))
    dy = np.ones((3, 2))
    h = np.tanh(X @ W)
    dx = back(model, dy, X)
    d2 = dy @ W.T
    d1 = (d2 @ W.T) * (1 - h * h)
    np.testing.assert_allclose(p.dx, X.T @ d1 + h.T @ d2 + (h @ W).T @ dy)
    np.testing.assert_allclose(dx, d1 @ W.T)
    assert list(parameters(model)) == ["0.W", "3.b"]
    want = W - 0.1 * p.dx
    update(model, 0.1)
    np.testing.assert_allclose(p.x, want)  # one step, though three layers hold it
    assert second.updates == 1


def test_what_a_class_defines_itself_is_used():
    own, frozen = Linear(W), Frozen(W)
    model = Chain(own, Chain(frozen), relu)
    back(model, np.ones((3, 2)), X)
    assert frozen.W.dx.any()
    update(model, 0.1)
    assert own.updates == 1
    np.testing.assert_array_equal(frozen.W.x, W)
    np.testing.assert_array_equal(frozen.W.dx, 0)
    assert submodels(model)[0] is own


def test_a_graph_with_one_method_overridden_needs_no_call():
    class Doubling(OnlyGraph):
        def back(self, dy, x):
            return 7 * dy

    np.testing.assert_array_equal(Chain(Doubling(W), relu)(np.abs(X)), np.abs(X) @ W)
    np.testing.assert_array_equal(back(Chain(Doubling(W)), X, X), 7 * X)


@pytest.mark.parametrize("f", [np.tanh, relu, np.cos, lambda x: x + 1, abs])
def test_plain_functions_are_models_without_params(f):
    assert graph(f) is None
    assert parameters(f) == {}
    assert update(f, 0.1) is f
    np.testing.assert_allclose(runmodel(f, X), f(X))
    np.testing.assert_allclose(interpmodel(f, X), f(X))
    np.testing.assert_allclose(Chain(Affine.of(W), f)(X), f(X @ W))
    assert infer(f, (3, 2)) == (3, 2)


def test_a_known_op_has_its_rule_and_another_function_says_so():
    np.testing.assert_allclose(back(np.tanh, X, X), X * (1 - np.tanh(X) ** 2))
    dx, dy = back(np.multiply, np.ones((3, 2)), X, np.array([2.0, 3.0]))
    np.testing.assert_array_equal(dx, np.broadcast_to([2.0, 3.0], (3, 2)))
    np.testing.assert_array_equal(dy, X.sum(0))

    class Opaque:
        def __call__(self, x):
            return x

    with pytest.raises(BackpropError, match=r"^Backprop not implemented for Opaque$"):
        back(Opaque(), X, X)
    with pytest.raises(BackpropError, match=r"not implemented for cos \(in Chain -> 1: cos\): give it a method back"):
        back(Chain(relu, np.cos, relu), X, X)


def test_several_inputs_and_tuples_keep_their_structure():
    model = net(lambda x, pair: (x * pair[0], (pair[1], x)))
    one, two, three = np.ones((3, 2)), 2 * np.ones((3, 2)), 3 * np.ones((3, 2))
    y, (z, x) = model(X, (two, three))
    np.testing.assert_array_equal(y, 2 * X)
    np.testing.assert_array_equal(z, three)
    np.testing.assert_array_equal(x, X)
    dx, (da, db) = back(model, (one, (two, three)), X, (two, three))
    np.testing.assert_array_equal(dx, 2 * one + three)
    np.testing.assert_array_equal(da, X)
    np.testing.assert_array_equal(db, two)


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda: Affine.of(W)(X, X), "the model takes 1 inputs, not 2"),
        (lambda: back(Affine.of(W), X), r"Affine takes 1 inputs, not 0: back\(model, dy, \*inputs\)"),
        (lambda: Affine.of(W)(np.array(["a"])), "cannot enter a model; give numbers"),
        (lambda: Affine.of(W)(None), "cannot enter a model; give numbers"),
        (lambda: Model()(X), r"Model has neither a graph\(self\) nor a run\(self, \*xs\)"),
    ],
)
def test_wrong_calls_are_named(run, text):
    with pytest.raises(GraphError, match=text):
        run()


def test_errors_inside_opaque_models_tell_the_way_there():
    def bad(x):
        raise KeyError("mine")

    with pytest.raises(KeyError) as found:
        Chain(relu, Chain(bad))(X)
    assert found.value.__notes__ == ["in Chain -> 1: Chain -> 0: bad, at shapes (3, 2)"]
    inner = Stateful(net(lambda h, x: (h, x @ param(W.T @ np.ones((2, 5))))), [])
    with pytest.raises(ShapeError, match=r"^in Chain -> 1: Stateful -> Capacitor: x \(3, 3\) does not fit W \(2, 5\)"):
        Chain(relu, inner)(np.ones((3, 3)))
