"""States in nets: what they begin with, how they are read and assigned, and what is said about each mistake."""

import copy
import pickle

import numpy as np
import pytest

from flux_core.errors import GraphError
from flux_core.ir import Param, graph, param
from flux_core.layers import Affine, Recurrence
from flux_core.model import Array, Model, State, net, parameters, unroll
from flux_core.ops import tanh
from flux_core.passes import laid_out

X = np.arange(12.0).reshape(2, 3, 2)


@net
class Sums(Model):
    W: Array
    y: State
    z: State = 2

    def forward(self, x):
        before = self.y
        self.y = before[-1] + x @ self.W
        self.z = self.y * 2.0 + self.y[-1] + self.z[-1]  # this step's y, and the one before
        return self.z, self.y[:, :1], self.half(self.z)

    def half(self, v):
        return 0.5 * v + 0.0 * self.z[-1]


def by_hand(y, z):
    zs, ys = [], []
    for t in range(3):
        old, y = y, y + X[:, t]
        z = y * 2 + old + z
        zs.append(z), ys.append(y)
    return np.stack(zs, 1), np.stack(ys, 1)


@pytest.mark.parametrize("start", [2, (2,), np.array([1.0, -1.0]), [0.5, 0.25], param(np.array([3.0, 4.0])), State(2)])
def test_what_a_state_begins_with(start):
    model = Sums(np.eye(2), start)
    held = start.initial if isinstance(start, State) else start
    trained = isinstance(start, Param)
    value = held.x if trained else np.zeros(2) if isinstance(held, int | tuple) else np.asarray(held)
    z, y = by_hand(value, np.zeros(2))
    for run in (unroll(model, 3), Recurrence(model)):
        found = run(X)
        for got, want in zip(found, (z, y[..., :1], 0.5 * z), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
    assert list(parameters(model)) == (["y", "W"] if trained else ["W"])
    if trained:
        assert parameters(model)["y"] is start


def test_states_keep_the_order_of_their_declaration():
    assert list(graph(Sums(np.eye(2), 2)).states) == ["y", "z"]
    assert list(laid_out(Sums(np.eye(2), 2)).states) == ["y", "z"]
    assert repr([State(2), State(()), State(param(np.zeros((2, 3))))]) == "[State(2), State(), State(2, 3, trained)]"
    assert State([1, 2]).initial.dtype == np.float32
    assert State(np.zeros(1)).initial.dtype == np.float64


def test_a_replaced_initial_state_is_seen():
    model = Sums(np.eye(2), 2)
    layer = Recurrence(model)
    first = layer(X)[0]
    model.y = np.ones(2)
    assert isinstance(model.y, State)
    np.testing.assert_allclose(layer(X)[0], by_hand(np.ones(2), np.zeros(2))[0])
    model.y = param(np.zeros(2))
    np.testing.assert_allclose(layer(X)[0], first)
    assert "y" in parameters(layer)


def test_models_with_states_are_copied_and_pickled():
    model = Sums(np.eye(2), 2)
    want = Recurrence(model)(X)[0]
    np.testing.assert_array_equal(Recurrence(copy.deepcopy(model))(X)[0], want)
    layer = Affine.of(np.eye(2))
    assert pickle.loads(pickle.dumps(graph(layer))).arity == 1
    again = pickle.loads(pickle.dumps(laid_out(model)))
    assert list(again.states) == ["y", "z"]


def test_opaque_values_are_computed_once():
    calls = []

    def counted(x):
        calls.append(1)
        return x + 1.0

    @net
    class Calls(Model):
        f: Model
        y: State

        def forward(self, x):
            self.y = self.f(x + self.y[-1])
            return self.y + self.y

    np.testing.assert_allclose(Recurrence(Calls(counted, 2))(np.zeros((1, 3, 2)))[0, :, 0], [2.0, 4.0, 6.0])
    calls.clear()
    unroll(Calls(counted, 2), 3)(np.zeros((1, 3, 2)))
    assert len(calls) == 3


def traced(forward, **fields):
    hints = dict.fromkeys(fields, State)
    return net(type("T", (Model,), {"__annotations__": hints, "forward": forward, "__module__": __name__, **fields}))()


def never(self, x):
    return x + self.h[-1]


def other(self, x):
    self.h, self.g = x, x
    return x


def ahead(self, x):
    self.h = x
    return self.h[1]


def now(self, x):
    self.h = self.h[0] + x
    return x


def named(self, x):
    self.h = self.h["y"] + x
    return x


def early(self, x):
    self.h = tanh(self.h) + x
    return x


def added(self, x):
    self.h = self.h + x
    return x


def pair(self, x):
    self.h = (x, x)
    return x


@pytest.mark.parametrize(
    ("forward", "error", "text"),
    [
        (never, GraphError, "^in T: the state 'h' is never assigned: forward must set it"),
        (other, AttributeError, r"cannot set self.g: .*declared as g: State"),
        (ahead, GraphError, r"^in T: h\[1\] is a value of a later step; a step reads h\[-1\] or older"),
        (now, GraphError, r"^in T: h\[0\] would be the value that is being computed; a delayed value is h\[-1\]"),
        (named, GraphError, "^in T: the state 'h' is read with a number of steps"),
        (early, GraphError, r"the state 'h' is read before it is assigned; h\[-1\] is its last value"),
        (added, GraphError, r"the state 'h' is read before it is assigned; h\[-1\] is its last value"),
        (pair, GraphError, "^in T: the state 'h' is one array, not a tuple"),
    ],
)
def test_what_is_said_about_mistakes(forward, error, text):
    with pytest.raises(error, match=text):
        graph(traced(forward, h=2))


def test_a_state_that_changes_its_shape_is_told():
    def grow(self, x):
        self.h = x
        return x

    def kept(self, x):
        self.h = x + self.h[-1]
        return self.h

    from flux_core.model import infer

    assert infer(Recurrence(traced(grow, h=3)), (2, 3, 2)) == (2, 3, 2)  # nothing reads it
    with pytest.raises(GraphError, match="what is assigned to a state must have the state's shape"):
        infer(Recurrence(traced(kept, h=1)), (2, 3, 2))
    for run in (lambda m: infer(m, (2, 3, 2)), lambda m: m(X)):
        with pytest.raises(GraphError, match=r"T: \(2, 2\) and \(2, 1\) should be one shape"):
            run(unroll(traced(kept, h=1), 3))
