"""Declared nets against the same equations in NumPy, and what is said about definitions that cannot be."""

import time

import numpy as np
import pytest

from flux_core import Chain, FormulaError, GraphError, ShapeError, back, declare, infer, parameters, relu, runmodel
from flux_core.layers import Affine, Recurrence, initialise
from flux_core.layers.cells import GatedRecurrent
from flux_core.layers.init import draws
from flux_core.model.unroll import unroll
from flux_core.passes import Type

GATED = """
    f = sigmoid(x @ Wf + h[-1] @ Uf + bf)
    c = tanh(x @ Wh + (f * h[-1]) @ Uh + bh)
    h = (1 - f) * h[-1] + f * c
    return h
"""
GATED_PARAMS = {
    "Wf": ["in", "out"],
    "Uf": ["out", "out"],
    "bf": {"shape": ["out"], "init": "ones"},
    "Wh": ["in", "out"],
    "Uh": ["out", "out"],
    "bh": ["out"],
}
STEPS, BATCH, FEATURES, UNITS = 5, 3, 4, 6


def gated(forward=GATED, **more):
    return declare(
        "Gated", arguments={"out": 64}, params=GATED_PARAMS, state={"h": {"shape": ["out"], **more}}, forward=forward
    )


def built(layer, *shape, kind="float"):
    """The layer, built for inputs of this shape, in float64."""
    layer.build(Type(shape, kind), draws(0))
    rng = np.random.default_rng(3)
    for p in parameters(layer).values():
        p.x = rng.standard_normal(p.shape)
        p.dx = np.zeros_like(p.x)
    return layer


def weights(layer):
    return {path.rpartition(".")[2]: p.x for path, p in parameters(layer).items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(w, xs, h):
    found = []
    for x in xs:
        f = sigmoid(x @ w["Wf"] + h @ w["Uf"] + w["bf"])
        c = np.tanh(x @ w["Wh"] + (f * h) @ w["Uh"] + w["bh"])
        h = (1 - f) * h + f * c
        found.append(h)
    return np.stack(found)


def sequences():
    return np.random.default_rng(0).standard_normal((STEPS, BATCH, FEATURES))


def agrees(cell, initial=None):
    """Unrolled, and as a scan, the cell is the written-out loop."""
    xs = sequences()
    h = np.zeros((BATCH, UNITS)) if initial is None else np.tile(initial, (BATCH, 1))
    wanted = by_hand(weights(cell), xs, h)
    unrolled = np.stack(runmodel(unroll(cell, STEPS), tuple(xs)))
    scanned = Recurrence(cell)(xs.swapaxes(0, 1)).swapaxes(0, 1)
    return max(np.abs(unrolled - wanted).max(), np.abs(scanned - wanted).max()) < 1e-9


def test_a_minimal_gated_unit_is_its_equations():
    assert agrees(built(gated()(UNITS), 1, FEATURES))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("h[-1] @ Uf", "h[-2] @ Uf"),
        ("(1 - f)", "f"),
        ("sigmoid", "tanh"),
        ("bf)", "bf) * 1.000001"),
        ("f * c", "c * c"),
    ],
)
def test_a_wrong_formula_is_seen(right, wrong):
    assert right in GATED
    assert not agrees(built(gated(GATED.replace(right, wrong))(UNITS), 1, FEATURES))


def test_initial_states():
    ones = built(gated(init="ones")(UNITS), 1, FEATURES)
    assert agrees(ones, np.ones(UNITS))
    trained = built(gated(init="normal", trainable=True)(UNITS), 1, FEATURES)
    assert set(weights(trained)) == {*GATED_PARAMS, "h"}
    assert agrees(trained, weights(trained)["h"])
    assert not agrees(trained)


def test_gradients_are_differences():
    layer = Recurrence(built(gated(init="normal", trainable=True)(UNITS), 1, FEATURES))
    x = sequences().swapaxes(0, 1)
    dy = np.random.default_rng(5).standard_normal((BATCH, STEPS, UNITS))
    dx = back(layer, dy, x)
    arrays = {name: (p.x, p.dx) for name, p in parameters(layer).items()} | {"x": (x, dx)}
    for name, (value, gradient) in arrays.items():
        index = tuple(n // 2 for n in value.shape)
        kept, found = value[index], []
        for step in (1e-6, -1e-6):
            value[index] = kept + step
            found.append(np.sum(layer(x) * dy))
        value[index] = kept
        assert gradient[index] == pytest.approx((found[0] - found[1]) / 2e-6, abs=1e-6), name


def test_weights_are_drawn_as_declared():
    cell = gated()(8)
    cell.build(Type((1, 3)), draws(0))
    found = {name: p.x for name, p in parameters(cell).items()}
    assert {name: x.shape for name, x in found.items()} == {
        "Wf": (3, 8), "Uf": (8, 8), "bf": (8,), "Wh": (3, 8), "Uh": (8, 8), "bh": (8,),
    }  # fmt: skip
    assert (found["bf"] == 1).all()
    assert (found["bh"] == 0).all()
    assert 0 < np.abs(found["Wf"]).max() <= np.sqrt(6 / 11)


def test_arguments():
    definition = declare(
        "Two", arguments={"out": 64, "rate": 0.5}, params={"W": ["in", "out"]}, forward="return rate * x @ W"
    )
    assert [repr(definition()), repr(definition(3, rate=1))] == ["Two(64, rate=0.5)", "Two(3, rate=1)"]
    for values, named, text in [
        ((1, 2, 3), {}, "takes 2 arguments, not 3"),
        ((1,), {"out": 1}, "'out' is given twice"),
        ((), {"rat": 1}, "'rat' is unknown: did you mean 'rate'"),
        ((1.5,), {}, "out is a whole number, not 1.5"),
        ((True,), {}, "out is a whole number, not True"),
        ((), {"rate": "1"}, "rate is a number, not '1'"),
    ]:
        with pytest.raises(TypeError, match=text):
            definition(*values, **named)
    with pytest.raises(TypeError, match="needs the argument 'out'"):
        declare("Must", arguments={"out": None}, params={"W": ["in", "out"]}, forward="return x @ W")()


def test_without_a_state_it_is_a_layer_of_the_last_axis():
    layer = built(declare("Mix", params={"W": ["in", 2], "b": [2]}, forward="return x @ W + b")(), 1, 5, 3)
    x, w = np.random.default_rng(0).standard_normal((4, 5, 3)), weights(layer)
    np.testing.assert_allclose(layer(x), x @ w["W"] + w["b"], rtol=0, atol=1e-12)
    assert infer(layer, (4, 5, 3)) == (4, 5, 2)


def test_sub_models_inputs_and_outputs():
    pair = declare(
        "Pair",
        inputs=["x", "context"],
        arguments={"out": 3},
        params={"W": ["in + in.context", "out"]},
        forward="y = concat(x, context) @ W\nreturn y, y > 0",
    )
    whole = declare(
        "Whole",
        arguments={"out": 3},
        models={"inner": lambda sizes: Affine(2 * sizes["out"]), "pair": lambda sizes: pair(sizes["in"])},
        forward="""
            a = inner(x)
            value, positive = pair(x, relu(a))
            again, _ = pair(a[:, 0:4], relu(a[:, 0:out + 3]))
            return where(positive, value, -value) + again * positive
        """,
    )
    layer = built(whole(3), 1, 4)
    x, w = np.random.default_rng(0).standard_normal((7, 4)), parameters(layer)
    assert list(w) == ["inner.W", "inner.b", "pair.W"]  # a sub-model that is called twice has its weights once
    a = x @ w["inner.W"].x + w["inner.b"].x
    value = np.concatenate([x, np.maximum(a, 0)], 1) @ w["pair.W"].x
    again = np.concatenate([a[:, :4], np.maximum(a[:, :6], 0)], 1) @ w["pair.W"].x
    np.testing.assert_allclose(layer(x), np.abs(value) + again * (value > 0), rtol=0, atol=1e-12)


def test_states_of_sub_models():
    """Inside a step a sub-model with states is part of the step, and its states are its own."""
    total = declare("Total", state={"s": ["in"]}, forward="s = s[-1] + x\nreturn s")
    outer = declare(
        "Outer",
        state={"s": ["in"]},
        models={"one": lambda sizes: total(), "other": lambda sizes: total()},
        forward="a = one(x)\nb = other(2 * x)\ns = a + b - s[-2]\nreturn s",
    )
    layer = Recurrence(built(outer(), 1, 2))
    x = np.random.default_rng(0).standard_normal((3, 6, 2))
    layer.build(Type((1, 6, 2)), draws(0))
    sums, wanted = np.cumsum(x, 1), []
    for t in range(6):
        wanted.append(3 * sums[:, t] - (wanted[t - 2] if t >= 2 else 0))
    np.testing.assert_allclose(layer(x), np.stack(wanted, 1), rtol=0, atol=1e-12)


def test_a_net_equals_the_cell_of_the_library():
    definition = declare(
        "GatedUnit",
        arguments={"out": UNITS},
        params={"W": ["in", "3 * out"], "U": ["out", "2 * out"], "V": ["out", "out"], "b": ["3 * out"]},
        state={"h": ["out"]},
        forward="""
            u = x @ W + b
            gates = sigmoid(u[..., :2 * out] + h[-1] @ U)
            c = tanh(u[..., 2 * out:] + (gates[..., :out] * h[-1]) @ V)
            h = (1 - gates[..., out:]) * c + gates[..., out:] * h[-1]
            return h
        """,
    )
    ours, theirs = built(definition(), 1, FEATURES), built(GatedRecurrent(FEATURES, UNITS), 1, FEATURES)
    for name, p in parameters(ours).items():
        p.x[...] = weights(theirs)[name]
    x = sequences().swapaxes(0, 1)
    np.testing.assert_allclose(Recurrence(ours)(x), Recurrence(theirs)(x), rtol=0, atol=1e-12)


def test_in_a_chain():
    model = initialise(Chain(Recurrence(gated()(8)), relu, Affine(2)), (1, STEPS, FEATURES))
    assert infer(model, (7, STEPS, FEATURES)) == (7, STEPS, 2)
    assert set(parameters(model)) == {*(f"0.{name}" for name in GATED_PARAMS), "2.W", "2.b"}


@pytest.mark.parametrize(
    ("keys", "shape", "text", "place"),
    [
        ({"params": {"W": ["in", 3], "b": [2]}, "forward": "y = x @ W\nreturn y + b"}, (1, 4),
         r"shapes \(batch, 3\) and \(2,\)", "Net.forward:2:8:13"),
        ({"params": {"W": ["in - 4", 3]}, "forward": "return x @ W"}, (1, 4),
         "from 1 to 1,000,000, and this comes to 0", "Net.params.W.shape.0"),
        ({"params": {"W": ["in", 3]}, "forward": "return x @ W"}, (1,),
         "in is not known", "Net.params.W.shape.0:1:1:3"),
        ({"params": {"W": ["in"]}, "forward": "return W * mean(x, axis=0)"}, (1, 4),
         r"\(batch, ...\), and this is \(4,\)", "Net.forward:1:1:27"),
        ({"forward": "return concat(x, x, axis=0)"}, (1, 4), r"this is \(2 \* batch, 4\)", "Net.forward:1:1:28"),
        ({"state": {"h": [3]}, "forward": "y = x + h[-1]\nh = y[:, 0:2]\nreturn y"}, (1, 3),
         r"the state 'h' begins as \(batch, 3\) and becomes \(batch, 2\)", "Net.forward:2:1:2"),
        ({"forward": "return reshape(x, shape=(2, 3 / 2))"}, (1, 4), "not 1.5", "Net.forward:1:25:35"),
        ({"forward": "return x[:, 0:2.5]"}, (1, 4), "whole number, not 2.5", "Net.forward:1:15:18"),
        ({"forward": "return x + 1 / 0"}, (1, 4), "comes to no number", "Net.forward:1:12:17"),
        ({"forward": "return x + 10 ** 400"}, (1, 4), "comes to no number", "Net.forward:1:12:21"),
        ({"forward": "return gather(x, x)"}, (1, 4), "takes ids", "Net.forward:1:8:20"),
        ({"forward": "return dropout(x, rate=1)"}, (1, 4), "from 0 to below 1, not 1", "Net.forward:1:24:25"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(keys, shape, text, place):
    layer = declare("Net", **keys)()
    with pytest.raises(GraphError, match=text) as error:
        layer.build(Type(shape), draws(0))
    assert error.value.place == place


def test_shapes_of_the_batch_are_not_taken_for_sizes():
    """A state that has no batch axis would fit a batch of one by broadcasting."""
    layer = declare("Net", state={"h": ["in"]}, params={"W": [1, "in"]}, forward="h = W\nreturn x + h[-1]")()
    with pytest.raises(ShapeError, match=r"becomes \(1, 4\)"):
        layer.build(Type((1, 4)), draws(0))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"arguments": {"x": 1}}, "x is the name of an argument too"),
        ({"params": {"tanh": [1]}}, "tanh is a function"),
        ({"params": {"a-b": [1]}}, "'a-b' is no name"),
        ({"params": {"lambda": [1]}}, "'lambda' is a word"),
        ({"params": {"W": ["in"]}}, "the param 'W' is never used"),
        ({"arguments": {"n": 1}}, "the argument 'n' is never used"),
        ({"models": {"m": Affine}}, "the sub-model 'm' is never used"),
        ({"state": {"h": ["in"]}}, "the state 'h' is never assigned"),
        ({"state": {"h": ["in"]}, "forward": "h = x\nreturn h"}, r"never read as h\[-1\]"),
        ({"state": {"h": {"shape": ["in"], "init": "normal"}}}, "begins with zeros or ones"),
        ({"inputs": ["x", "y"]}, "the input 'y' is never used"),
        ({"forward": "y = relu(x)\nreturn x"}, "y is never used"),
        ({"forward": "y = relu(x)\ny = tanh(x)\nreturn y"}, "y gets another value before it is used"),
        ({"forward": "y = sum(x, axis=0, axis=1)\nreturn y"}, "axis is given twice"),
        ({"words": {"vocab": None}, "params": {"vocab": [1]}}, "vocab is a word for what the data say"),
    ],
)
def test_definitions_that_cannot_be(keys, text):
    with pytest.raises(FormulaError, match=text):
        declare("Net", **{"forward": "return x", **keys})


def test_a_formula_as_large_as_a_spec_may_be():
    start = time.perf_counter()
    for text in ("y = x + x\n" * 100_000, "-" * 2**20, "(" * 2**20, "x + " * 2**18, "a" * 2**20, "\n" * 2**20):
        with pytest.raises(FormulaError, match="20,000 characters"):
            declare("Net", forward=text)
    for text in ("y = x + x\n" * 1_999 + "return y", "return " + "-" * 19_000 + "x", "return " + "x+" * 9_000 + "x"):
        with pytest.raises(FormulaError, match=r"larger than|deeper than|too deeply"):
            declare("Net", forward=text)
    assert time.perf_counter() - start < 5
