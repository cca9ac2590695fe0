"""Shapes and kinds without a run, and misfits with the layer path, the place in the spec and both shapes."""

import numpy as np
import pytest

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import Graph, input_node, pack
from flux_core.layers import Affine, Chain, Input, OneHot, Reshape
from flux_core.model import Model, SeqModel, Stateful, infer, net, runmodel
from flux_core.ops import concat, flatten, gather, mean, relu, softmax
from flux_core.passes import Type, grad, infer_types, laid_out, shape_tree, type_tree


@net
class TLP(Model):
    first: Model
    second: Model

    def forward(self, x):
        return softmax(self.second(relu(self.first(x))))


MODELS = [
    (TLP(Affine(4, 3), Affine(3, 2)), [(5, 4)]),
    (Chain(Reshape(2, 2), flatten, Affine(4, 3), np.tanh), [(5, 4)]),
    (Chain(Affine(4, 3), lambda x: x[:, :2], relu), [(5, 4)]),
    (net(lambda x, y: (x @ y, (y, mean(x)))), [(2, 3), (3, 4)]),
    (net(lambda pair: concat(pair[0], pair[1][0])), [((2, 3), ((2, 4), (1,)))]),
    (Stateful(net(lambda h, x: ((h[0] + x,), 2 * h[0][:, :1])), [np.zeros((2, 3))]), [(2, 3)]),
    (SeqModel(net(lambda xs: (xs[0] @ np.ones((3, 2)), xs[1][:, :2])), 2), [(4, 2, 3)]),
    (Chain(SeqModel(lambda xs: xs, 3), flatten), [(4, 3, 2)]),
    (np.add, [(2, 1, 3), (4, 1)]),
    (relu, [()]),
    (net(lambda x: x), [(0, 3)]),
]


def filled(shape):
    return tuple(map(filled, shape)) if any(isinstance(part, tuple) for part in shape) else np.ones(shape)


def shapes_of(value):
    return tuple(map(shapes_of, value)) if isinstance(value, tuple) else np.shape(value)


@pytest.mark.parametrize(("model", "shapes"), MODELS)
def test_the_inferred_shape_is_that_of_a_run(model, shapes):
    assert infer(model, *shapes) == shapes_of(runmodel(model, *map(filled, shapes)))


def test_every_error_names_the_layers_the_place_and_both_shapes():
    deep = Chain(relu, TLP(Affine(4, 3), Affine(5, 2)), places=["model.0", "model.1"])
    text = (
        "in Chain -> 1: TLP -> second: Affine: x (7, 3) does not fit W (5, 2): "
        "the last axis of x has 3 values, W takes 5"
    )
    for run in (lambda: infer(deep, (7, 4)), lambda: deep(np.ones((7, 4)))):
        with pytest.raises(ShapeError) as found:
            run()
        assert str(found.value) == text
        assert found.value.path == "Chain -> 1: TLP -> second: Affine"
        assert found.value.place == "model.1"
        assert found.value.shapes == ((7, 3), (5, 2))


def fails(x):
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("model", "shape", "text"),
    [
        (Chain(relu, fails), (2, 3), r"in Chain -> 1: fails: fails fails on \(2, 3\): no"),
        (Chain(relu, Stateful(Affine(3, 2), [np.zeros(2)])), (1, 2), "in Chain -> 1: Stateful"),
        (Chain(SeqModel(Chain(Affine(3, 2)), 4)), (1, 5, 3), "0: SeqModel: expected a sequence of 4 steps, got 5"),
        (Chain(relu, net(lambda x: x[0])), (2, 3), r"element 0 of an array of shape \(2, 3\)"),
        (net(lambda x: x[2]), ((2,), (3,)), "element 2 of a tuple of 2"),
        (Chain(relu), ((2,), (3,)), "in Chain -> 0: relu: relu takes arrays, not a tuple"),
        (Chain(OneHot(3)), (2,), "one_hot takes ids, integers, as operand 1, not floats"),
        (Chain(Input(4), relu), (2, 3), r"0: Input: an example has the shape \(3,\), where \(4,\) was declared"),
        (Chain(SeqModel(lambda xs: xs[0], 2)), (1, 2, 3), r"gives a tuple of steps, not one array \(1, 3\)"),
        (fails, (2, 3), r"in fails: fails fails on \(2, 3\): no"),
    ],
)
def test_misfits(model, shape, text):
    with pytest.raises(GraphError, match=text):
        infer(model, shape)


def test_a_model_of_ids():
    table = np.ones((5, 3))
    embed = net(lambda rows: gather(table, rows))
    ids = Type((2, 4), "int")
    assert infer(Chain(embed), ids) == (2, 4, 3)
    assert infer(
        Chain(SeqModel(net(lambda xs: (gather(table, xs[0]), gather(table, xs[1]))), 2)), Type((3, 2), "int")
    ) == (
        3,
        2,
        3,
    )
    whole = laid_out(net(lambda rows: (rows[..., None] if False else flatten(rows), rows * 2)))
    types = infer_types(whole, [ids])[whole.output]
    assert types == (Type((2, 4), "int"), Type((2, 4), "float"))  # moved ids stay ids, arithmetic makes floats


def test_gradients_of_ids_are_floats():
    whole = grad(laid_out(net(lambda x, rows: gather(x, rows)))).graph
    types = infer_types(whole, [Type((5, 3)), Type((2,), "int"), Type((2, 3))])
    assert types[whole.output][0] == (Type((5, 3)), Type((2,)))


def test_a_model_with_a_back_must_tell_its_shape():
    class Silent:
        def __call__(self, x):
            return x

        def back(self, dy, x):
            return dy

    class Telling(Silent):
        def infer(self, x):
            return (*x, 7)

    with pytest.raises(GraphError, match=r"in Chain -> 0: Silent: .* give it a method infer"):
        infer(Chain(Silent()), (2, 3))
    assert infer(Chain(Telling(), relu), (2, 3)) == (2, 3, 7)
    assert infer(Telling(), (2, 3)) == (2, 3, 7)


def test_trees_of_types():
    assert type_tree(((2, 3), ((4,), ()))) == (Type((2, 3)), (Type((4,)), Type(())))
    assert type_tree([np.int64(2), 3], "int") == Type((2, 3), "int")
    assert type_tree(5) == Type((5,))
    assert shape_tree(type_tree(((2,), ((3,),)))) == ((2,), ((3,),))
    with pytest.raises(GraphError, match="takes 1 inputs, not 2"):
        infer_types(Graph(pack(input_node(0)), 1), [Type(()), Type(())])
