"""A graph goes to JSON and back without changing what it computes."""

import json

import numpy as np
import pytest

from flux_core import Affine, Chain, Dropout, LeakyRelu, Reshape, initialise, parameters, relu, tanh
from flux_core.errors import GraphError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, Param, constant, input_node, pack, scan, topological
from flux_core.ir.node import call
from flux_core.ops import TABLE, Run
from flux_core.passes import laid_out
from flux_core.passes.portable import from_plain, to_plain


def returned(graph, params=None):
    params = params or {}
    text = json.dumps(to_plain(graph, {id(p): name for name, p in params.items()}), allow_nan=False)
    copies = {name: Param(p.x.copy(), p.dx.copy()) for name, p in params.items()}
    return from_plain(json.loads(text), copies)


def same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def test_a_model():
    model = initialise(
        Chain(Affine(5), relu, Dropout(0.3), Reshape(5, 1), LeakyRelu(0.2), Reshape(-1), Affine(2)), (1, 3)
    )
    graph = laid_out(model)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    copy = returned(graph, parameters(model))
    assert same(interpret(copy, (x,)), interpret(graph, (x,)))
    training = Run(training=True, seed=3, step=5)
    assert same(interpret(copy, (x,), run=training), interpret(graph, (x,), run=training))
    assert len(topological(copy.output)) == len(topological(graph.output)), "shared nodes stay shared"


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_op_with_its_attributes(name):
    rng = np.random.default_rng(0)
    for case in TABLE[name].examples:
        values = [draw.array(rng, np.float32) for draw in case.operands]
        attrs = {key: value for key, value in case.attrs.items() if key != "run"}
        graph = Graph(TABLE[name](*(input_node(i) for i in range(len(values))), **attrs), len(values))
        with np.errstate(all="ignore"):
            expected, found = interpret(graph, tuple(values)), interpret(returned(graph), tuple(values))
        assert same(np.asarray(found), np.asarray(expected))


def test_constants_keep_their_type_and_every_bit():
    for value in (
        np.float32(0.1),
        np.array([np.inf, -np.inf, np.nan], np.float32),
        np.array([True]),
        np.arange(3),
        1e-300,
    ):
        node = constant(value)
        found = returned(Graph(node, 0)).output.attrs["value"]
        assert same(found, node.attrs["value"])


def test_slices():
    graph = Graph(pack(input_node(0)[1:, ..., ::2], input_node(0)[-1, ...]), 1)
    x = np.arange(12.0).reshape(3, 4)
    for found, expected in zip(interpret(returned(graph), (x,)), (x[1:, ..., ::2], x[-1]), strict=True):
        assert same(found, expected)


def test_a_scan_and_its_body():
    body = Graph(pack(tanh(input_node(0) + input_node(1) * input_node(2))), 3)
    graph = Graph(scan(body, [input_node(0)], [input_node(1)], [constant(0.5)]), 2)
    node = returned(graph).output
    assert {k: v for k, v in node.attrs.items() if k != "body"} == {
        k: v for k, v in graph.output.attrs.items() if k != "body"
    }
    h, x = np.ones((2, 3)), np.full((2, 3), 0.25)
    (found,), (expected,) = (interpret(b, (h, x, np.float64(0.5))) for b in (node.attrs["body"], body))
    assert same(found, expected)


def test_code_is_no_value():
    with pytest.raises(GraphError, match="runs code"):
        to_plain(Graph(call(len, input_node(0)), 1), {})
    with pytest.raises(GraphError, match="states"):
        to_plain(Graph(input_node(0), 1, {"h": input_node(0)}), {})


GOOD = {"nodes": [["input", [], {"index": 0}], ["negative", [0], {}]], "output": 1, "arity": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {**GOOD, "output": 2},
        {**GOOD, "output": -1},
        {**GOOD, "output": True},
        {**GOOD, "arity": "1"},
        {**GOOD, "nodes": [["input", [], {"index": 0}], ["negative", [1], {}]]},
        {**GOOD, "nodes": [["input", [], {"index": 0}], ["call", [0], {"model": "os.system"}]]},
        {**GOOD, "nodes": [["input", [], {"index": {"pickle": "x"}}], ["negative", [0], {}]]},
        {**GOOD, "nodes": [["param", [], {"param": {"param": "W"}}], ["negative", [0], {}]]},
        {**GOOD, "nodes": [["input", [], []], ["negative", [0], {}]]},
        {
            **GOOD,
            "nodes": [["constant", [], {"value": {"array": [[1], 2], "dtype": "float32"}}], ["negative", [0], {}]],
        },
        {**GOOD, "nodes": [["constant", [], {"value": {"array": ["a"], "dtype": "float32"}}], ["negative", [0], {}]]},
        {**GOOD, "nodes": [["input", [], {"index": {"slice": [1, "a", None]}}], ["negative", [0], {}]]},
    ],
)
def test_what_is_no_graph(wrong):
    with pytest.raises(ValueError, match="this is no graph"):
        from_plain(wrong, {})
    assert from_plain(GOOD, {}).arity == 1
