"""States that go on from minibatch to minibatch: windows in a row are one long window."""

import numpy as np
import pytest

from flux_core import ops
from flux_core.interpreter import interpret
from flux_core.ir import Graph, Param, after_steps, as_node, input_node, pack, param, scan, topological
from flux_core.ops import per_row
from flux_core.passes import carry as carry_module
from flux_core.passes.carry import carried
from flux_core.passes.grad import grad

B, T, F = 2, 4, 3


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def model(initial, reverse=False):
    """(x) -> h over time-major x, from an initial state (F,)."""
    h, x, U = (input_node(i) for i in range(3))
    body = Graph(pack(ops.tanh(x + h @ U)), 3)
    start = per_row(as_node(initial), input_node(0), axis=1)
    run = scan(body, [start], [input_node(0)], [as_node(param(numbers(F, F)))], reverse=reverse)
    return Graph(after_steps(run, 0), 1)


def in_windows(graph, x):
    found, states = [], None
    whole = carried(graph)
    for window in np.split(x, 3):
        first = np.ones(()) if states is None else np.zeros(())
        states = [np.zeros((B, F)) for _ in whole.initial] if states is None else states
        ys, states = interpret(whole.graph, [window, first, *states])
        found.append(ys)
    return np.concatenate(found)


@pytest.mark.parametrize("initial", [np.zeros(F), numbers(F, seed=1), param(numbers(F, seed=1))])
def test_windows_are_one_window(initial):
    graph, x = model(initial), numbers(3 * T, B, F, seed=2)
    np.testing.assert_allclose(in_windows(graph, x), interpret(graph, [x]), atol=1e-12)


def test_windows_that_begin_anew_are_caught(monkeypatch):
    monkeypatch.setattr(carry_module, "final_state", lambda node, i: node.inputs[i] * 0.0)
    graph, x = model(np.zeros(F)), numbers(3 * T, B, F, seed=2)
    assert np.abs(in_windows(graph, x) - interpret(graph, [x])).max() > 0.01


def test_a_reverse_scan_is_not_carried():
    found = carried(model(np.zeros(F), reverse=True))
    assert (found.initial, found.graph.arity) == ((), 1)


def test_a_trainable_initial_state_learns_from_first_windows_only():
    initial: Param = param(numbers(F, seed=1))
    whole = carried(model(initial))
    values = Graph(whole.graph.output.inputs[0], whole.graph.arity)
    found = grad(values)
    where = [p is initial for p in found.params].index(True)
    for first, some in ((1.0, True), (0.0, False)):
        inputs = [numbers(T, B, F, seed=2), np.array(first), numbers(B, F, seed=3), numbers(T, B, F, seed=4)]
        assert interpret(found.graph, inputs)[1][where].any() == some


def test_zeros_cost_nothing():
    ops_of = [node.op for node in topological(carried(model(np.zeros(F))).graph.output)]
    assert "add" not in ops_of
