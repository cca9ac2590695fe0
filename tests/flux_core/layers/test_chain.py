"""Chain: a list of layers, whose input sizes are found from what reaches them."""

import operator

import numpy as np
import pytest

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import param
from flux_core.layers import (
    Affine,
    Chain,
    Dropout,
    Elu,
    Input,
    LeakyRelu,
    OneHot,
    Reshape,
    initialise,
    layer_table,
    seed,
)
from flux_core.model import back, infer, net, parameters, runmodel
from flux_core.ops import flatten, relu, softmax, tanh
from flux_core.passes import Type

X = np.array([[1.0, -2.0, 0.5], [0.5, 3.0, -1.0]], np.float32)


def test_a_chain_is_each_layer_after_the_other():
    a, b = Affine(3, 4), Affine(4, 2)
    model = Chain(a, np.tanh, b, softmax)
    np.testing.assert_allclose(model(X), softmax(b(np.tanh(a(X)))), rtol=1e-6)
    np.testing.assert_array_equal(Chain()(X), X)
    np.testing.assert_array_equal(back(Chain(), X, X), X)


def test_a_chain_is_a_list_of_layers():
    layers = [Affine(3, 4), relu, Affine(4, 2), softmax]
    model = Chain(*layers, places=["model.0", None, "model.2", "model.3"])
    assert list(model) == layers
    assert len(model) == 4
    assert (model[0], model[-1]) == (layers[0], softmax)
    for part in (slice(None, -1), slice(1, None), slice(None, None, 2), slice(0, 0)):
        assert list(model[part]) == layers[part]
        assert model[part].places == model.places[part]
    np.testing.assert_array_equal(softmax(model[:-1](X)), model(X))
    both = model[:2] + model[2:]
    assert list(both) == layers
    assert both.places == model.places
    np.testing.assert_array_equal(both(X), model(X))
    assert set(map(id, parameters(both).values())) == set(map(id, parameters(model).values()))
    assert repr(model) == "Chain(Affine(3, 4), relu, Affine(4, 2), softmax)"
    with pytest.raises(IndexError):
        model[4]
    with pytest.raises(TypeError):
        operator.add(model, [relu])
    with pytest.raises(ValueError, match="2 layers, but 1 places"):
        Chain(relu, relu, places=["model.0"])


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (lambda: Chain(Input(784), Affine(128), relu, Affine(10), softmax), (5, 784)),
        (lambda: Chain(Affine(6, 4), relu, Affine(3)), (5, 6)),
        (lambda: Chain(Input(2, 3), flatten, Affine(4), Reshape(2, 2), Affine(5)), (5, 2, 3)),
        (lambda: Chain(Chain(Input(4), Affine(3)), tanh, Chain(Affine(2))), (5, 4)),
        (lambda: Chain(relu, Input(4), Affine(3)), (5, 4)),
        (lambda: Chain(Input(3), lambda x: x[:, :2], Affine(3)), (5, 3)),
        (lambda: Chain(Input(3), Dropout(0.5), LeakyRelu(0.1), Elu(0.5), Affine(3)), (5, 3)),
    ],
)
def test_input_sizes_are_found(model, shape):
    model = model()
    assert model.built
    y = model(np.zeros(shape))
    assert infer(model, shape) == y.shape


def test_sizes_that_wait_are_given_by_initialise():
    model = Chain(Affine(4), relu, Affine(2))
    assert not model.built
    with pytest.raises(GraphError, match=r"does not know its input size yet: put Input\(size\) in front"):
        model(X)
    assert initialise(model, (1, 3), seed=1) is model
    assert model(X).shape == (2, 2)
    assert list(parameters(model)) == ["0.W", "0.b", "2.W", "2.b"]
    again = initialise(Chain(Affine(4), relu, Affine(2)), (7, 3), seed=1)
    other = initialise(Chain(Affine(4), relu, Affine(2)), (1, 3), seed=2)
    longer = initialise(Chain(Affine(4), relu, relu, Affine(2)), (1, 3), seed=1)
    np.testing.assert_array_equal(again[0].W.x, model[0].W.x)  # by seed and path, not by the batch
    assert (other[0].W.x != model[0].W.x).any()
    np.testing.assert_array_equal(longer[0].W.x, model[0].W.x)
    assert (longer[3].W.x != model[2].W.x).any()
    ids = initialise(Chain(OneHot(5), Affine(2)), (1,), kind="int")
    assert ids(np.array([4, 0])).shape == (2, 2)
    assert initialise(np.tanh, (1, 3)) is np.tanh


def test_layers_made_by_hand_draw_in_their_turn():
    seed(3)
    first = [Chain(Input(3), Affine(4), relu, Affine(2)), Affine(2, 2)]
    seed(3)
    second = [Chain(Input(3), Affine(4), relu, Affine(2))]
    assert second[0][:2](X).shape == (2, 4)  # what draws nothing takes no turn
    second.append(Affine(2, 2))
    for a, b in zip(first, second, strict=True):
        for p, q in zip(parameters(a).values(), parameters(b).values(), strict=True):
            np.testing.assert_array_equal(p.x, q.x)
    assert (Affine(2, 2).W.x != Affine(2, 2).W.x).any()


@pytest.mark.parametrize(
    ("model", "size", "path", "text"),
    [
        (lambda: Chain(Input(4), Affine(5, 3), Affine(2)), 4, "1: Affine", "4 values, W takes 5"),
        (lambda: Chain(Affine(3, 4), relu, Affine(5, 2)), 3, "Chain -> 2: Affine", "4 values, W takes 5"),
        (lambda: Chain(Input(4), Reshape(7), Affine(2)), 4, "1: Reshape", "4 values cannot be reshaped to 7"),
        (
            lambda: Chain(Input(4), Chain(Affine(n_in=4, out=3), Affine(5, 2))),
            4,
            "Chain -> 1: Chain -> 1: Affine",
            "W takes 5",
        ),
        (
            lambda: Chain(Input(4), Chain(Reshape(5), Affine(2))),
            4,
            "1: Chain -> 0: Reshape",
            "4 values cannot be reshaped",
        ),
    ],
)
def test_misfits_are_left_for_infer_and_the_call(model, size, path, text):
    model = model()  # no error yet
    for run in (lambda: infer(model, (2, size)), lambda: model(np.zeros((2, size)))):
        with pytest.raises(ShapeError, match=text) as found:
            run()
        assert found.value.path == path


def test_misfits_while_building_name_place_and_sizes():
    model = Chain(Affine(4), Reshape(2, 3), places=["model.0", "model.1"])
    with pytest.raises(ShapeError) as found:
        initialise(model, (1, 3))
    assert (found.value.path, found.value.place) == ("1: Reshape", "model.1")
    assert str(found.value) == "in 1: Reshape: 4 values cannot be reshaped to 2 x 3"
    inner = Chain(Chain(Affine(4), Affine(2)), places=["model.0"])
    with pytest.raises(ShapeError, match=r"^in 0: Chain -> 0: Affine: an affine layer takes arrays") as found:
        initialise(inner, ())
    assert found.value.place == "model.0"


def test_the_table_of_layers():
    shared = Affine(3, 3)
    model = Chain(shared, relu, Chain(shared, Affine(3, 2)), net(lambda x: (x, x)), places=["a", "b", "c", "d"])
    rows = layer_table(model, (1, 3))
    assert [tuple(row) for row in rows] == [
        ("0", "Affine(3, 3)", "a", (1, 3), 12),
        ("1", "relu", "b", (1, 3), 0),
        ("2.0", "Affine(3, 3)", "c", (1, 3), 0),  # counted in the first
        ("2.1", "Affine(3, 2)", "c", (1, 2), 8),
        ("3", "Capacitor", "d", ((1, 2), (1, 2)), 0),
    ]
    assert [row.output for row in layer_table(Chain(OneHot(4)), (1, 2), kind="int")] == [(1, 2, 4)]
    assert layer_table(shared, (5, 3))[0].path == ""


def test_affine():
    W, b = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0])
    layer = Affine.of(W, b)
    np.testing.assert_allclose(layer(X), X @ W + b)
    np.testing.assert_allclose(layer(X[:, None]), (X @ W + b)[:, None])  # any leading axes
    np.testing.assert_allclose(runmodel(layer, X[0]), X[0] @ W + b)
    shared = param(W)
    assert Affine.of(shared).W is shared
    assert list(parameters(Affine(3, 2, bias=False))) == ["W"]
    assert list(parameters(Affine(3, 2))) == ["W", "b"]
    for same in (Affine(3, 2), Affine(n_in=3, out=2), Affine(3, out=2), Affine(2, n_in=3)):
        assert (same.W.shape, same.b.shape, repr(same)) == ((3, 2), (2,), "Affine(3, 2)")
    assert repr(Affine(2)) == "Affine(2)"
    for wrong in (lambda: Affine(), lambda: Affine(1, 2, 3), lambda: Affine(1, 2, n_in=1)):
        with pytest.raises(TypeError, match="Affine takes"):
            wrong()
    for wrong in (lambda: Affine(0), lambda: Affine(-1, 2), lambda: Affine(2, n_in=0)):
        with pytest.raises(ValueError, match="sizes are 1 or more"):
            wrong()
    layer.W = param(np.zeros((3, 2)))
    np.testing.assert_array_equal(layer(X), np.broadcast_to(b, (2, 2)))


def test_layers_without_params():
    assert Reshape(3, -1)(np.zeros((2, 6))).shape == (2, 3, 2)
    np.testing.assert_array_equal(OneHot(3)(np.array([[0, 2]])), [[[1, 0, 0], [0, 0, 1]]])
    np.testing.assert_allclose(LeakyRelu(0.5)(X), np.where(X > 0, X, X / 2))
    np.testing.assert_allclose(Elu(2.0)(X), np.where(X > 0, X, 2 * np.expm1(X)), rtol=1e-6)
    with pytest.raises(ShapeError, match=r"an example has the shape \(3,\), where \(2, 2\) was declared"):
        Input(2, 2)(X)
    with pytest.raises(ShapeError, match="the id 3 lies outside"):
        OneHot(3)(np.array([3]))
    assert infer(Chain(Input(), OneHot(3)), Type((4,), "int")) == (4, 3)
    layers = [Input(3), Reshape(3, -1), Dropout(0.1), OneHot(3), LeakyRelu(0.5), Elu(2.0)]
    assert list(map(repr, layers)) == [
        "Input(3)",
        "Reshape(3, -1)",
        "Dropout(0.1)",
        "OneHot(3)",
        "LeakyRelu(0.5)",
        "Elu(2.0)",
    ]
