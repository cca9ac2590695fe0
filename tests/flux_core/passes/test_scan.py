"""Scans: their values and gradients against loops written by hand and central differences; what is lifted out."""

import numpy as np
import pytest

from flux_core import ops
from flux_core.errors import BackpropError, GraphError, ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import (
    Graph,
    after_steps,
    as_node,
    before_steps,
    call,
    final_state,
    get,
    input_node,
    offset,
    pack,
    param,
    scan,
    topological,
    values_of,
)
from flux_core.ops import Run
from flux_core.passes import Type, infer_types, laid_out, lift, merged
from flux_core.passes import scan_grad as scan_grad_module
from flux_core.passes.grad import grad

B, T, F, H = 3, 5, 4, 6


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def lstm(reverse=False):
    """An LSTM with a projection of its output at every step: (x, h0, c0) -> (y, h, c), and its Params."""
    weights = [numbers(F, 4 * H), numbers(H, 4 * H), numbers(4 * H), numbers(H, 2)]
    ps = [param(w) for w in weights]
    h, c, x, W, U, b, V = (input_node(i) for i in range(7))
    z = x @ W + h @ U + b
    i, f, o = (ops.sigmoid(z[..., k * H : (k + 1) * H]) for k in range(3))
    after = f * c + i * ops.tanh(z[..., 3 * H :])
    out = o * ops.tanh(after)
    body = Graph(pack(out, after, out @ V), 7)
    xs, h0, c0 = (input_node(i) for i in range(3))
    run = scan(body, [h0, c0], [xs], [as_node(p) for p in ps], reverse=reverse)
    return Graph(pack(values_of(run), get(run, 0), get(run, 1)), 3), ps


def lstm_by_hand(x, h, c, W, U, b, V, reverse=False):
    hs, cs, ys = [h], [c], []
    for t in range(T)[::-1] if reverse else range(T):
        z = x[t] @ W + h @ U + b
        i, f, o = (1 / (1 + np.exp(-z[:, k * H : (k + 1) * H])) for k in range(3))
        c = f * c + i * np.tanh(z[:, 3 * H :])
        h = o * np.tanh(c)
        hs.append(h)
        cs.append(c)
        ys.append(h @ V)
    way = -1 if reverse else 1
    return np.stack(ys[::way]), np.stack(hs[::way]), np.stack(cs[::way])


INPUTS = (numbers(T, B, F), numbers(B, H, seed=1), numbers(B, H, seed=2))


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_is_a_loop(reverse, lifted):
    graph, ps = lstm(reverse)
    graph = lift(graph) if lifted else graph
    ours, theirs = interpret(graph, INPUTS), lstm_by_hand(*INPUTS, *(p.x for p in ps), reverse=reverse)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def check_gradients(graph, ps):
    """The gradients of everything against 4-point central differences in float64, 1e-6."""
    inputs = [x.copy() for x in INPUTS]
    found = grad(graph)
    dy = tuple(numbers(*y.shape, seed=3) for y in interpret(graph, inputs))
    dxs, dps, _ = interpret(found.graph, [*inputs, dy])
    by_param = {id(p): d for p, d in zip(found.params, dps, strict=True)}

    def total():
        return sum((y * d).sum() for y, d in zip(interpret(graph, inputs), dy, strict=True))

    rng, step = np.random.default_rng(0), 1e-4
    for array, slope in [*zip(inputs, dxs, strict=True), *((p.x, by_param[id(p)]) for p in ps)]:
        for _ in range(3):
            at = tuple(rng.integers(0, n) for n in array.shape)
            kept, values = array[at], []
            for k in (-2, -1, 1, 2):
                array[at] = kept + k * step
                values.append(total())
            array[at] = kept
            wanted = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
            assert slope[at] == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients(reverse, lifted):
    graph, ps = lstm(reverse)
    check_gradients(lift(graph) if lifted else graph, ps)


def test_gradients_with_a_step_too_late_are_caught(monkeypatch):
    right = scan_grad_module.before_steps
    graph, ps = lstm()
    monkeypatch.setattr(scan_grad_module, "before_steps", lambda node, i: right(node, i)[::-1])
    with pytest.raises(AssertionError):
        check_gradients(graph, ps)


def test_second_order_gradients():
    graph, _ = lstm()
    graph = Graph(graph.output.inputs[0], 3)
    first = grad(lift(graph)).graph
    inside = Graph(first.output.inputs[0].inputs[0], 4)  # dx as a function of (x, h0, c0, dy)
    dy, v = numbers(T, B, 2, seed=4), numbers(T, B, F, seed=5)
    second = interpret(grad(inside).graph, [*INPUTS, dy, v])[0][0]
    step = 1e-4
    at = (1, 2, 3)
    values = []
    for k in (-2, -1, 1, 2):
        x = INPUTS[0].copy()
        x[at] += k * step
        values.append((interpret(inside, [x, *INPUTS[1:], dy]) * v).sum())
    wanted = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    assert second[at] == pytest.approx(wanted, rel=1e-6)


def bodies(graph):
    return [
        [n.op for n in topological(node.attrs["body"].output)]
        for node in topological(graph.output)
        if node.op == "scan"
    ]


def test_products_with_inputs_and_outputs_leave_the_loop():
    graph, _ = lstm()
    (before,), (after,) = bodies(graph), bodies(lift(graph))
    assert before.count("matmul") == 3
    assert after.count("matmul") == 1  # that with the state
    assert [n.op for n in topological(lift(graph).output)].count("matmul") == 2


def test_products_of_weight_gradients_leave_the_loop():
    graph, _ = lstm()
    found = merged([grad(lift(graph)).graph.output])[0]
    whole = [n.op for n in topological(found)]
    assert whole.count("matmul_w") == 3
    assert all("matmul_w" not in body for body in bodies(Graph(found, 4)))


def test_forward_and_backward_share_one_forward_loop():
    graph, _ = lstm()
    found = grad(lift(graph)).graph
    assert len(bodies(found)) == 2


def test_what_depends_on_a_state_stays():
    h, x, W = (input_node(i) for i in range(3))
    body = Graph(pack(ops.tanh((x + h) @ W)), 3)
    run = scan(body, [input_node(0)], [input_node(1)], [as_node(param(numbers(F, F)))])
    graph = Graph(final_state(run, 0), 2)
    assert bodies(lift(graph)) == bodies(graph)


def test_constant_work_is_done_once():
    h, x, a, b = (input_node(i) for i in range(4))
    body = Graph(pack(h @ ops.concat(a, b, axis=1) + x), 4)
    parts = [as_node(param(numbers(F, 1))), as_node(param(numbers(F, F - 1)))]
    run = scan(body, [input_node(0)], [input_node(1)], parts)
    graph = Graph(final_state(run, 0), 2)
    (inside,) = bodies(lift(graph))
    assert "concat" not in inside
    inputs = [numbers(B, F), numbers(T, B, F)]
    np.testing.assert_allclose(interpret(lift(graph), inputs), interpret(graph, inputs), atol=1e-12)


def test_values_of_several_kinds():
    """A value that is the state itself, an input, something fixed, and one read before the step."""
    h, x, w = (input_node(i) for i in range(3))
    after = ops.tanh(h + x * w)
    body = Graph(pack(after, after, x, w, h, x * 2.0), 3)
    w0 = as_node(param(numbers(F)))
    run = scan(body, [input_node(0)], [input_node(1)], [w0])
    graph = Graph(pack(*(values_of(run, i) for i in range(5)), after_steps(run, 0), before_steps(run, 0)), 2)
    inputs = [numbers(B, F), numbers(T, B, F)]
    for a, b in zip(interpret(lift(graph), inputs), interpret(graph, inputs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_dropout_of_inputs_is_drawn_for_all_steps_and_of_states_refused():
    h, x = (input_node(i) for i in range(2))
    good = scan(Graph(pack(h + ops.dropout(x, 0.5)), 2), [input_node(0)], [input_node(1)])
    laid = laid_out(Graph(final_state(good, 0), 2))
    assert all("dropout_mask" not in body for body in bodies(lift(laid)))
    bad = scan(Graph(pack(x + ops.dropout(h, 0.5)), 2), [input_node(0)], [input_node(1)])
    with pytest.raises(GraphError, match="dropout inside a recurrent model"):
        lift(Graph(final_state(bad, 0), 2))


def test_dropout_of_weights_drops_the_same_at_every_step():
    h, x, U = (input_node(i) for i in range(3))
    weights = numbers(H, H)
    loop = scan(Graph(pack(ops.tanh(x + h @ ops.dropout(U, 0.5))), 3), [input_node(0)], [input_node(1)], [weights])
    whole, inputs = laid_out(Graph(get(loop, 0), 2)), [numbers(B, H, seed=1), numbers(T, B, H, seed=2)]
    run = Run(training=True, seed=3, step=7)
    mask = interpret(laid_out(Graph(ops.dropout(input_node(0), 0.5), 1)), [np.ones((H, H))], run=run)
    assert 0 < (mask == 0).sum() < mask.size
    for factor, found in ((1.0, interpret(whole, inputs)), (mask, interpret(whole, inputs, run=run))):
        state = inputs[0]
        for t in range(T):
            state = np.tanh(inputs[1][t] + state @ (weights * factor))
            np.testing.assert_allclose(found[t + 1], state, rtol=1e-10)


def test_a_constant_that_a_step_gives_is_still_one_to_what_leaves_the_loop():
    h, x, W, b = (input_node(i) for i in range(4))
    after = ops.tanh(h + x)
    body = Graph(pack(after, x, after @ W + b, b), 4)
    loop = scan(body, [input_node(0)], [input_node(1)], [numbers(H, H), numbers(H)])
    whole = Graph(pack(*(get(loop, i) for i in range(4))), 2)
    inputs = [numbers(B, H, seed=1), numbers(T, B, H, seed=2)]
    for ours, theirs in zip(interpret(lift(whole), inputs), interpret(whole, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_misfits_are_told():
    h, x = (input_node(i) for i in range(2))
    run = scan(Graph(pack(ops.concat(h, x)), 2), [input_node(0)], [input_node(1)])
    with pytest.raises(ShapeError, match=r"a state of shape \(3, 4\) becomes \(3, 8\) in one step"):
        infer_types(Graph(run, 2), [Type((B, F)), Type((T, B, F))])
    two = scan(Graph(pack(h + x + input_node(2)), 3), [input_node(0)], [input_node(1), input_node(2)])
    with pytest.raises(ShapeError, match="sequences of 4 and 5 steps"):
        infer_types(Graph(two, 3), [Type((B, F)), Type((T, B, F)), Type((T - 1, B, F))])
    with pytest.raises(ShapeError, match="sequences of 5 and 4 steps"):
        interpret(Graph(two, 3), [numbers(B, F), numbers(T, B, F), numbers(T - 1, B, F)])
    with pytest.raises(GraphError, match="a sequence to run along"):
        scan(Graph(pack(h), 1), [input_node(0)], [])
    with pytest.raises(GraphError, match="does not fit its body"):
        scan(Graph(pack(h), 3), [input_node(0)], [input_node(1)])
    with pytest.raises(GraphError, match="the value that is being computed"):
        offset("h", 0, np.zeros(3))
    with pytest.raises(GraphError, match="this model has a cycle"):
        interpret(Graph(offset("h", -1, np.zeros(3)), 0), [])


def test_a_plain_function_inside_has_no_gradient():
    h, x = (input_node(i) for i in range(2))
    run = scan(Graph(pack(call(lambda v: v * 2, h) + x), 2), [input_node(0)], [input_node(1)])
    graph = Graph(final_state(run, 0), 2)
    inputs = [numbers(B, F), numbers(T, B, F)]
    assert interpret(graph, inputs).shape == (B, F)
    with pytest.raises(BackpropError, match="plain function inside of a scan"):
        grad(graph)


def test_a_constant_that_no_product_sums_is_added_up_in_the_loop():
    """The gradient of a scale that is read by an elementwise op of its own shape."""
    h, x, s = (input_node(i) for i in range(3))
    body = Graph(pack(ops.tanh(h * ops.exp(s)) + x), 3)
    p = param(numbers(B, F, seed=7))  # as many axes as the state: nothing says where to sum
    run = scan(body, [input_node(0)], [input_node(1)], [as_node(p)])
    graph = Graph(final_state(run, 0), 2)
    inputs = [numbers(B, F), numbers(T, B, F)]
    found = grad(graph)
    d = interpret(found.graph, [*inputs, np.ones((B, F))])[1][0]
    step, at, values = 1e-4, (1, 2), []
    for k in (-2, -1, 1, 2):
        kept = p.x[at]
        p.x[at] = kept + k * step
        values.append(interpret(graph, inputs).sum())
        p.x[at] = kept
    assert d[at] == pytest.approx((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step), rel=1e-6)
