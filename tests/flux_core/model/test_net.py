"""Nets: fields and defaults, tracing, helpers, replaced fields, and what cannot be traced."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from flux_core.errors import GraphError
from flux_core.ir import Param, graph, param
from flux_core.layers import Affine, Chain
from flux_core.model import Array, Capacitor, Model, back, net, parameters, runmodel
from flux_core.ops import relu, sigmoid, softmax

X = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
W = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


@net
class TLP(Model):
    """Two layers."""

    first: Model
    second: Model

    def forward(self, x):
        return softmax(self.second(sigmoid(self.first(x))))


@net
class Gate(Model):
    W: Array
    b: Array = np.zeros(2, np.float32)
    activation: Model = relu
    times: int = 2
    count: ClassVar[int] = 0

    def forward(self, x, y):
        for _ in range(self.times):
            x = self.activation(self.mixed(x))
        return self.half(x) * y + self.third(y)

    def mixed(self, x):
        return x @ self.W + self.b

    @staticmethod
    def half(x):
        return 0.5 * x

    @classmethod
    def third(cls, x):
        return x / 3.0


def test_fields_are_the_arguments_in_order():
    a, b = Affine(2, 3), Affine(3, 2)
    for model in (TLP(a, b), TLP(a, second=b), TLP(first=a, second=b)):
        assert (model.first, model.second) == (a, b)
    assert isinstance(model, Model)
    assert (TLP.__name__, TLP.__doc__) == ("TLP", "Two layers.")
    h = 1 / (1 + np.exp(-(X @ a.W.x + a.b.x)))
    z = np.exp(h @ b.W.x + b.b.x)
    np.testing.assert_allclose(model(X), z / z.sum(1, keepdims=True), rtol=1e-5)
    for wrong in (lambda: TLP(a), lambda: TLP(a, b, a), lambda: TLP(a, b, third=a)):
        with pytest.raises(TypeError, match=r"^TLP\(first.*, second.*\): "):
            wrong()


def test_arrays_become_params_and_defaults_are_used():
    model = Gate(W)
    assert isinstance(model.W, Param)
    assert isinstance(model.b, Param)
    assert "count" not in vars(model)
    assert list(parameters(model)) == ["W", "b"]
    assert Gate(W).b is not model.b
    shared = param(W)
    assert Gate(shared).W is shared
    assert isinstance(Gate(W.tolist()).W, Param)
    x = X
    for _ in range(2):
        x = np.maximum(x @ W, 0)
    np.testing.assert_allclose(model(X, X), 0.5 * x * X + X / 3, rtol=1e-6)
    np.testing.assert_allclose(Gate(W, activation=np.negative, times=1)(X, X), -0.5 * X @ W * X + X / 3, rtol=1e-6)


def test_a_replaced_field_is_traced_again():
    model = Gate(W, times=1)
    outer = Chain(net(lambda x: (x, x)), net(lambda pair: model(pair[0], pair[1])))
    first = graph(model)
    assert graph(model) is first
    before = outer(X)
    model.W = param(2 * W)
    assert graph(model) is not first
    np.testing.assert_allclose(outer(X) - X / 3, 2 * (before - X / 3), rtol=1e-5)
    model.W.x[...] = W  # a value that changes needs no new graph
    np.testing.assert_allclose(outer(X), before, rtol=1e-6)


def test_inheritance():
    class Base(Model):
        scale: Array = np.full(2, 3.0)

        def forward(self, x):
            return x * self.scale

    @net
    class Shifted(Base):
        shift: Array = np.ones(2)

        def forward(self, x):
            return x * self.scale + self.shift

    np.testing.assert_array_equal(Shifted()(X), 3 * X + 1)
    np.testing.assert_array_equal(Shifted(np.ones(2), np.zeros(2))(X), X)

    @net
    class Own(Model):
        def __init__(self, n):
            self.layers = [Affine.of(np.eye(2, dtype=np.float32)) for _ in range(n)]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x) + 1.0
            return x

    model = Own(3)
    np.testing.assert_array_equal(model(X), X + 3)
    assert len(parameters(model)) == 3

    @net
    class Plain:  # not a Model by itself
        def forward(self, x):
            return -x

    assert isinstance(Plain(), Model)
    np.testing.assert_array_equal(Plain()(X), -X)


def test_functions_become_capacitors():
    w = param(W)

    def affine(x, b):
        return x @ w + b

    model = net(affine)
    assert isinstance(model, Capacitor)
    np.testing.assert_array_equal(model(X, [1.0, 1.0]), X @ W + 1)
    dx, db = back(model, np.ones((2, 2)), X, [1.0, 1.0])
    np.testing.assert_array_equal(db, [2.0, 2.0])
    np.testing.assert_array_equal(w.dx, X.T @ np.ones((2, 2)))
    np.testing.assert_array_equal(dx, np.ones((2, 2)) @ W.T)


def test_arguments_with_defaults_are_no_inputs():
    models = [net(lambda x, k=k: x * k) for k in (2.0, 3.0)]
    assert [graph(model).arity for model in models] == [1, 1]
    np.testing.assert_array_equal(models[1](X), 3 * X)


def traced(body):
    return net(type("T", (Model,), {"__annotations__": {"W": Array}, "forward": body, "__module__": __name__}))(W)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: net(3), TypeError, r"net takes a function, or a class with a method forward\(self, x\)"),
        (lambda: net(int), TypeError, "net takes a function"),
        (lambda: net(lambda *xs: xs[0]), TypeError, "names its inputs one by one"),
        (lambda: net(lambda x: None), GraphError, "a NoneType cannot stand in a graph"),
        (lambda: net(lambda x: x if x > 0 else -x), GraphError, r"use where\(condition, a, b\)"),
        (lambda: net(lambda x: [x]), GraphError, "a list cannot stand in a graph"),
        (lambda: traced(lambda self, x: setattr(self, "y", x))(X), AttributeError, "cannot set self.y"),
        (lambda: traced(lambda self, x: x @ self.V)(X), AttributeError, "V"),
        (
            lambda: runmodel(traced(lambda self, x: x @ self.W), X[:, :1]),
            GraphError,
            r"in T: x \(2, 1\) does not fit W",
        ),
    ],
)
def test_what_cannot_be_a_net(make, error, text):
    with pytest.raises(error, match=text):
        make()
