"""Calls: dtypes, containers, batches of no row; models in formulas; the names of Params; copies."""

import copy
import pickle

import numpy as np
import pytest

from flux_core.dims import Batch, Seq, rawbatch, rebatch, rebatchseq
from flux_core.ir import Graph, accumulate, graph, input_node, param
from flux_core.layers import Affine, Chain
from flux_core.model import (
    Capacitor,
    SeqModel,
    Stateful,
    back,
    interpmodel,
    net,
    parameters,
    runmodel,
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("given", [X, X.astype(np.float32), X.tolist(), X.astype(np.int64), X > 0])
def test_inputs_are_cast_to_the_dtype_of_the_params(dtype, given):
    model = Affine.of(W.astype(dtype))
    y = model(given)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, np.asarray(given).astype(dtype) @ W, rtol=1e-6)
    assert back(model, np.ones((3, 2)), given).dtype == dtype


def test_numbers_are_as_precise_as_the_arrays_beside_them():
    f = net(lambda x, y: x * y)
    assert float(f(np.array(1.0), 0.1)) == 0.1
    assert float(back(f, np.float64(0.1), np.array(1.0), 2)[0]) == 0.2
    assert f(1.5, 2).dtype == np.float32
    assert f(np.float64(1.5), 2).dtype == np.float64


@pytest.mark.parametrize("rows", [0, 1])
def test_batches_of_no_row_and_of_one(rows):
    model = Chain(Affine.of(W, np.ones(2)), tanh, Affine.of(W))
    x = np.ones((rows, 2))
    assert model(x).shape == (rows, 2)
    assert back(model, np.ones((rows, 2)), x).shape == (rows, 2)
    assert model.layers[0].W.dx.shape == (2, 2)
    assert (model.layers[0].W.dx == 0).all() == (rows == 0)


def test_calls_go_through_containers_and_runmodel_does_not():
    model = Chain(Affine.of(W), tanh)
    want = runmodel(model, X)
    got = model(Batch(list(X)))
    assert type(got) is Batch
    np.testing.assert_array_equal(rawbatch(got), want)
    sequences = np.stack([X, 2 * X])
    assert type(model(rebatchseq(sequences))) is type(rebatchseq(sequences))
    one = model(Seq(list(X)))  # one example of three steps
    assert type(one) is Seq
    np.testing.assert_array_equal(rawbatch(one), want)
    two = net(lambda x, y: (x + y, y))(rebatch(X), X)
    assert [type(part) for part in two] == [Batch, Batch]
    assert isinstance(runmodel(model, rebatch(X)), np.ndarray)


def test_any_model_can_stand_in_a_formula():
    layer = Affine.of(W)
    f = net(lambda x: layer(x) + Chain(layer, tanh)(x) + SeqModel(lambda xs: xs, 1)((x,))[0])
    np.testing.assert_allclose(f(X), X @ W + np.tanh(X @ W) + X)
    assert len(parameters(f)) == 1


def test_parameters_are_named_by_their_paths():
    class Holder:
        def __init__(self):
            self.scale, self.layers = param([1.0]), [Linear(W), Affine.of(W, np.ones(2))]

        def __call__(self, x):
            return x

        def back(self, dy, x):
            return dy

    model = Chain(Holder(), Chain(Affine.of(W), relu), Stateful(Linear(W), [param(np.ones(2))]))
    names = ["0.scale", "0.layers.0.W", "0.layers.1.W", "0.layers.1.b", "1.0.W", "2.model.W", "2.initial.0"]
    assert list(parameters(model)) == names
    assert {id(p) for p in parameters(model).values()} == {id(p) for p in parameters(Chain(model)).values()}
    clash = net(lambda x: x * param([1.0]) + param([2.0]))
    assert len(parameters(clash)) == 2
    update(model, 0.1)  # a holder without `update`: its fields are stepped


def test_a_field_that_only_looks_like_a_model_is_none():
    class Odd:
        def __init__(self):
            self.options, self.W = {"a": 1}, param(W)

        def back(self, dy, x):
            return dy

    odd = Odd()
    accumulate(odd.W, np.ones((2, 2)))
    update(odd, 1.0)
    np.testing.assert_array_equal(odd.W.x, W - 1)
    assert odd.options == {"a": 1}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_model_can_be_copied_and_pickled_after_it_ran(copied):
    shared = Affine.of(W)
    model = Chain(shared, Chain(tanh, shared, relu), Stateful(Affine.of(W), [np.zeros(2)]))[:2]
    before = model(X)
    other = copied(model)
    np.testing.assert_array_equal(other(X), before)
    assert len(parameters(other)) == 1  # what was shared still is
    assert other[0].W is not shared.W
    assert other[1][0] is tanh
    other[0].W.x[...] = 0
    np.testing.assert_array_equal(other(X), 0)
    np.testing.assert_array_equal(model(X), before)


def test_interpmodel_is_the_graph_node_by_node():
    model = Chain(Linear(W), np.tanh, Affine.of(W), relu, Linear(-W))
    np.testing.assert_array_equal(interpmodel(model, X), runmodel(model, X))
    assert isinstance(graph(Capacitor(Graph(input_node(0), 1))), Graph)
