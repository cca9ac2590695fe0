"""Formulas as layers: weights of sizes that the input decides, states, sub-models that wait, several inputs."""

import copy
import pickle

import numpy as np
import pytest

from flux_core.errors import GraphError, ShapeError
from flux_core.layers import Affine, Chain, Formula, Recurrence, Start, Weight, initialise
from flux_core.layers.building import build_parts, is_built
from flux_core.layers.init import draws
from flux_core.model import State, back, infer, net, parameters, unroll
from flux_core.ops import concat, tanh
from flux_core.passes import Type

X = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)


def gated(self, x):
    gate = self.gate(concat(x, self.h[-1]))
    self.h = tanh(gate) * (x @ self.W + self.b) + self.h[-1]
    return self.h


def cell(**options):
    weights = {"W": Weight(("in", 5)), "b": Weight((5,), {"normal": {"std": 1.0}})}
    return Formula(gated, weights, {"h": Start((5,), **options)}, {"gate": Affine(5)}, label="Gated")


def by_hand(layer, x):
    h = np.tile(np.asarray(getattr(layer.h.initial, "x", layer.h.initial)), (2, 1))
    out = []
    for t in range(x.shape[1]):
        g = np.concatenate([x[:, t], h], -1) @ layer.gate.W.x + layer.gate.b.x
        h = np.tanh(g) * (x[:, t] @ layer.W.x + layer.b.x) + h
        out.append(h)
    return np.stack(out, 1)


@pytest.mark.parametrize("options", [{}, {"init": "ones"}, {"init": {"normal": {"std": 1.0}}, "trainable": True}])
def test_a_step_from_a_formula(options):
    step = cell(**options)
    model = Chain(Recurrence(step), Affine(2))
    assert not step.built
    assert not model.built
    initialise(model, (1, 3, 4), seed=5)
    np.testing.assert_allclose(model[0](X), by_hand(step, X), rtol=1e-5)
    np.testing.assert_allclose(unroll(step, 3)(X), by_hand(step, X), rtol=1e-5)
    names = {"W": (4, 5), "b": (5,), "gate.W": (9, 5), "gate.b": (5,)} | ({"h": (5,)} if len(options) > 1 else {})
    assert {name: p.shape for name, p in parameters(model[0]).items()} == names
    draw = draws(5)
    for name, init in {"W": "glorot", "b": {"normal": {"std": 1.0}}, "gate.W": "glorot"}.items():
        np.testing.assert_array_equal(parameters(model)[f"0.{name}"].x, draw(f"0.{name}", names[name], init))
    back(model, np.ones((2, 3, 2), np.float32), X)
    assert all(p.dx.any() for p in parameters(model).values())


def test_several_inputs_and_outputs():
    def forward(self, x, y):
        return x @ self.W + y @ self.V, self.W * 1.0

    layer = Formula(forward, {"W": Weight(("in", 2)), "V": Weight(("in.y", 2))}, inputs=("x", "y"), label="Two")
    layer.build((Type((1, 4)), Type((1, 3))), draws(0))
    assert (layer.W.shape, layer.V.shape) == ((4, 2), (3, 2))
    y = np.ones((2, 3), np.float32)
    got, w = layer(X[:, 0], y)
    np.testing.assert_allclose(got, X[:, 0] @ layer.W.x + y @ layer.V.x, rtol=1e-5)
    np.testing.assert_array_equal(w, layer.W.x)
    outer = net(lambda x: Formula(forward, layer.weights, inputs=("x", "y"), label="Two")(x, x)[0])
    build_parts(outer.graph(), [Type((1, 6))], draws(0))
    assert infer(outer, (3, 6)) == (3, 2)


def test_weights_and_states_are_replaced_by_name():
    step = cell()
    initialise(Recurrence(step), (1, 3, 4))
    layer = Recurrence(step)
    before = layer(X)
    step.b = type(step.b)(step.b.x + 1, step.b.dx)
    step.h = np.ones(5, np.float32)
    np.testing.assert_allclose(layer(X), by_hand(step, X), rtol=1e-5)
    assert np.abs(layer(X) - before).max() > 0.1
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(again(X), layer(X))


def test_models_that_wait_inside_of_others():
    waiting = Affine(3)
    outer = net(lambda x: tanh(waiting(x)))
    assert [is_built(m) for m in (outer, waiting, np.tanh, Affine(2, 2), net(lambda x: x))] == [
        False,
        False,
        True,
        True,
        True,
    ]
    layer = Formula(lambda self, x: self.inner(x) + self.other(x), {}, models={"inner": outer, "other": Affine(3)})
    initialise(layer, (1, 4))
    assert waiting.W.shape == (4, 3)
    np.testing.assert_array_equal(waiting.W.x, draws(0)("inner.W", (4, 3), "glorot"))
    assert is_built(outer)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Formula(lambda self, x: x, {"W": Weight(("out", 2))}, label="F"), ShapeError, "F has no size 'out'"),
        (lambda: Formula(lambda self, x: x + self.Q, {}, label="F"), AttributeError, "F has no weight.* named 'Q'"),
        (
            lambda: Formula(lambda self, x: x + self.h[-1], {}, {"h": Start((4,))}, label="F"),
            GraphError,
            "in F: the state 'h' is never assigned",
        ),
        (
            lambda: Formula(lambda self, x, y: x + y, {}, inputs=("x", "y"), label="F"),
            ShapeError,
            r"F\(\) takes 2 inputs, not \(1, 4\)",
        ),
        (
            lambda: Formula(lambda self, x: self.gate(x) @ self.W, {"W": Weight((3, 2))}, models={"gate": Affine(5)}),
            ShapeError,
            r"x \(1, 5\) does not fit W \(3, 2\)",
        ),
        (
            lambda: Formula(lambda self, x: self.gate(x), {}, models={"gate": Affine(n_in=5, out=2)}, label="F"),
            ShapeError,
            r"in gate: Affine: x \(1, 4\) does not fit W \(5, 2\)",
        ),
    ],
)
def test_what_is_said_about_mistakes(make, error, text):
    layer = make()
    with pytest.raises(error, match=text):
        initialise(layer, (1, 4))
    assert not layer.built  # nothing half-made is left


def test_an_unbuilt_formula_says_so():
    with pytest.raises(GraphError, match=r"Gated\(\) does not know its input size yet"):
        cell()(X)
    with pytest.raises(AttributeError, match="Gated has no 'W', or is not built yet"):
        _ = cell().W


def test_a_tuple_is_as_long_as_the_sequence():
    def forward(self, xs):
        self.h = sum(xs) + self.h[-1]
        return self.h

    step = Formula(forward, {}, {"h": Start((4,))})
    step.held = {"h": State(4)}
    for steps in (2, 3):
        xs = tuple(X.swapaxes(0, 1)[:steps])
        ys = unroll(step, steps)((xs,) * steps)
        np.testing.assert_allclose(ys, [sum(xs) * (i + 1) for i in range(steps)], rtol=1e-6)
    with pytest.raises(GraphError, match="the length of this tuple is not known"):
        step.graph()
