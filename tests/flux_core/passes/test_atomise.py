"""Sub-models are entered, with the layer path of each node; what has a `back` of its own stays a call."""

import numpy as np
import pytest

from flux_core.errors import GraphError
from flux_core.interpreter import interpret
from flux_core.ir import (
    Graph,
    Step,
    call,
    constant,
    input_node,
    offset,
    pack,
    param,
    parts_of,
    scan,
    topological,
    values_of,
)
from flux_core.ir.walk import nodes_of
from flux_core.layers import Affine, Chain, Dropout, Recurrence
from flux_core.model import Capacitor, Model, SeqModel, State, Stateful, net, parameters, runmodel
from flux_core.ops import per_row, relu, softmax, tanh
from flux_core.passes import atomise, laid_out


@net
class TLP(Model):
    first: Model
    second: Model

    def forward(self, x):
        return softmax(self.second(tanh(self.first(x))))


class Own:
    """A graph and a `back`: the `back` is what counts."""

    def graph(self):
        return Graph(input_node(0) * 2.0, 1)

    def back(self, dy, x):
        return 2 * dy


def ops_of(model):
    whole = model if isinstance(model, Graph) else laid_out(model)
    return [node.op for node in topological(whole.output)]


def origins(model):
    return {node.op: str(node.origin) for node in topological(laid_out(model).output)}


def test_origins_tell_the_layers_that_lead_to_a_node():
    model = Chain(relu, TLP(Affine(4, 3), Chain(Affine(3, 2), np.tanh)), places=["model.0", "model.1"])
    nodes = topological(laid_out(model).output)
    found = [(node.op, str(node.origin), node.origin.path, node.origin.place) for node in nodes if len(node.inputs)]
    assert found == [
        ("relu", "Chain -> 0: relu", "0", "model.0"),
        ("matmul", "Chain -> 1: TLP -> first: Affine", "1.first", "model.1"),
        ("add", "Chain -> 1: TLP -> first: Affine", "1.first", "model.1"),
        ("tanh", "Chain -> 1: TLP", "1", "model.1"),
        ("matmul", "Chain -> 1: TLP -> second: Chain -> 0: Affine", "1.second.0", "model.1"),
        ("add", "Chain -> 1: TLP -> second: Chain -> 0: Affine", "1.second.0", "model.1"),
        ("tanh", "Chain -> 1: TLP -> second: Chain -> 1: tanh", "1.second.1", "model.1"),
        ("softmax", "Chain -> 1: TLP", "1", "model.1"),
    ]


@pytest.mark.parametrize(
    "opaque",
    [lambda x: x, np.sin, Own(), Stateful(lambda h, x: (h, x), []), SeqModel(lambda xs: xs, 1)],
)
def test_what_is_opaque_stays_a_call(opaque):
    assert ops_of(Chain(relu, opaque, relu)) == ["input", "relu", "call", "relu"]
    assert "1: " in origins(Chain(relu, opaque, relu))["call"]


def test_a_ufunc_with_a_row_and_an_op_become_that_op():
    assert ops_of(Chain(np.tanh, np.exp, relu)) == ["input", "tanh", "exp", "relu"]
    assert ops_of(np.add) == ["input", "input", "add"]
    assert laid_out(np.sin) is None
    assert laid_out(lambda x: x) is None


def test_inputs_and_params_are_one_node_each():
    shared = Affine(3, 3)
    whole = laid_out(Chain(shared, shared, net(lambda x: x + x)))
    nodes = topological(whole.output)
    assert sum(node.op == "param" for node in nodes) == 2
    assert sum(node.op == "input" for node in nodes) == 1
    x, y = input_node(0), input_node(0)
    assert ops_of(laid_out(Graph(x + y, 1))) == ["input", "add"]


def test_tuples_are_undone_across_the_border_of_a_model():
    swap = net(lambda pair: (pair[1], pair[0]))
    whole = laid_out(Chain(swap, swap, net(lambda pair: pair[0] - pair[1])))
    assert [node.op for node in topological(whole.output)] == ["input", "get", "get", "subtract"]
    a, b = np.ones(2), np.full(2, 3.0)
    np.testing.assert_array_equal(interpret(whole, [(a, b)]), a - b)
    model = Chain(net(lambda x: (x, 2 * x)), net(lambda pair: pack(pair, pair[1])), net(lambda deep: deep[0][1]))
    np.testing.assert_array_equal(model(a), 2 * a)


def test_a_wrong_number_of_inputs_names_the_layer():
    two = net(lambda x, y: x + y)
    with pytest.raises(GraphError, match=r"^in Chain -> 1: Capacitor: Capacitor takes 2 inputs, not 1$|in 1: Capac"):
        Chain(relu, two)(np.ones(2))
    with pytest.raises(GraphError, match="the model takes 2 inputs, not 1"):
        runmodel(two, np.ones(2))


def test_depth_costs_no_recursion():
    model = Chain(Affine.of(np.eye(2, dtype=np.float32)))
    for _ in range(250):
        model = Capacitor(Graph(call(model, input_node(0)), 1))
    np.testing.assert_array_equal(model(np.ones((1, 2))), np.ones((1, 2)))
    assert ops_of(model) == ["input", "param", "matmul"]


def test_a_layout_is_kept_until_a_part_changes():
    inner = TLP(Affine.of(np.eye(2)), np.negative)
    model = Chain(Chain(inner))
    first = laid_out(model)
    assert laid_out(model) is first
    x = np.array([[1.0, 2.0]])
    before = model(x)
    inner.first = Affine.of(np.zeros((2, 2)))
    assert laid_out(model) is not first
    np.testing.assert_array_equal(model(x), [[0.5, 0.5]])
    inner.first.W = param(np.eye(2))  # a Param of a layer, replaced
    np.testing.assert_array_equal(model(x), before)


def test_atomising_leaves_the_given_graph_alone():
    whole = Chain(Affine(2, 2), Dropout(0.5)).graph()
    before = [node.op for node in topological(whole.output)]
    entered = atomise(whole)
    assert [node.op for node in topological(whole.output)] == before == ["input", "call", "call"]
    assert "call" not in [node.op for node in topological(entered.output)]


@net
class Summing(Model):
    inner: Model
    h: State

    def forward(self, x):
        self.h = self.inner(x) + self.h[-1]
        return self.h


def test_states_are_named_by_their_paths():
    step = Summing(Affine(2, 2), 2)
    twice = Summing(net(lambda x: step(step(x))), 2)
    model = Chain(step, Chain(step, relu), twice)
    states = laid_out(model).states
    assert sorted(states) == ["0.h", "1.0.h", "2.h", "2.inner.h", "2.inner.h#1"]
    reads = {node.attrs["name"] for node in nodes_of(laid_out(model)) if node.op == "offset"}
    assert reads == set(states)
    assert str(states["1.0.h"].origin) == "Chain -> 1: Chain -> 0: Summing"
    assert len([node for node in nodes_of(laid_out(model)) if node.op == "param"]) == 2
    assert list(laid_out(step).states) == ["h"]


def test_a_state_that_the_output_does_not_read_is_kept():
    inner = Capacitor(Graph(input_node(0), 1, {"h": offset("h", -1, constant(0.0)) + input_node(0)}))
    assert list(laid_out(Chain(inner, relu)).states) == ["0.h"]
    assert [node.op for node in topological(laid_out(Chain(inner, relu)).output)] == ["input", "relu"]


def scanning(model):
    """A scan whose body calls a model with Params: y = model(x + h), h = y."""
    h, x = input_node(0), input_node(1)
    y = call(model, x + h, step=Step("inside", "Model"))
    zeros = per_row(constant(np.zeros(2)), input_node(0), axis=1)
    return Graph(values_of(scan(Graph(pack(y, y), 2), [zeros], [input_node(0)])), 1)


def test_params_in_the_body_of_a_scan_become_operands():
    layer = Affine.of(np.array([[0.5, 1.0], [-1.0, 0.25]]), np.array([1.0, -1.0]))
    whole = atomise(scanning(Chain(layer, layer)))
    (node,) = [node for node in topological(whole.output) if node.op == "scan"]
    body = node.attrs["body"]
    assert [inner.op for inner in topological(body.output) if inner.op in ("call", "param")] == []
    assert (body.arity, len(parts_of(node).consts)) == (4, 2)
    assert {p.attrs["param"] for p in parts_of(node).consts} == {layer.W, layer.b}
    model = Chain(Capacitor(scanning(Chain(layer, layer))))
    assert list(parameters(model)) == ["0.inside.0.W", "0.inside.0.b"]
    x, h, want = np.arange(12.0).reshape(3, 2, 2) / 9, 0, []
    for step in x:
        h = ((step + h) @ layer.W.x + layer.b.x) @ layer.W.x + layer.b.x
        want.append(h)
    np.testing.assert_allclose(model(x), np.stack(want), rtol=1e-12)
    nodes = [inner for node in topological(laid_out(model).output) for inner in inside(node)]
    assert {str(inner.origin) for inner in nodes if inner.op == "matmul"} == {
        "Chain -> 0: Capacitor -> inside: Model -> 0: Affine",
        "Chain -> 0: Capacitor -> inside: Model -> 1: Affine",
    }


def inside(node):
    return topological(node.attrs["body"].output) if node.op == "scan" else [node]


def test_a_body_with_states_of_its_own_is_a_cycle():
    with pytest.raises(GraphError, match=r"this model has a cycle: it reads inside.h\[-1\]"):
        laid_out(Capacitor(scanning(Summing(Affine(2, 2), 2))))


def test_random_ops_in_a_body_have_streams_of_their_own():
    drop = Dropout(0.5)
    x = input_node(1)
    y = input_node(0) + call(drop, call(drop, x))
    zeros = per_row(constant(np.zeros(2)), input_node(0), axis=1)
    run = values_of(scan(Graph(pack(y, y), 2), [zeros], [input_node(0)]))
    model = Chain(Capacitor(Graph(call(drop, run), 1)), drop)
    found = [
        inner.attrs["path"]
        for node in topological(laid_out(model).output)
        for inner in inside(node)
        if inner.op == "dropout_mask"
    ]
    assert sorted(found) == ["0", "0#1", "0#2", "1"]


def test_a_replaced_part_of_a_step_is_seen():
    step = Summing(Affine.of(np.eye(2)), 2)
    model = Chain(Recurrence(Chain(step)))
    x = np.ones((1, 3, 2))
    np.testing.assert_allclose(model(x)[0, :, 0], [1, 2, 3])
    assert laid_out(model) is laid_out(model)
    step.inner = Affine.of(2 * np.eye(2))
    np.testing.assert_allclose(model(x)[0, :, 0], [2, 4, 6])
    step.inner.W = param(3 * np.eye(2))
    np.testing.assert_allclose(model(x)[0, :, 0], [3, 6, 9])
