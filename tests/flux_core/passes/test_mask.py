"""Padded sequences of different lengths: each row is as if its sequence were alone."""

import numpy as np
import pytest

from flux_core import ops
from flux_core.engine.compiled import Compiled
from flux_core.errors import GraphError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, as_node, call, constant, final_state, input_node, pack, scan, topological
from flux_core.layers import LOSSES, Affine, Chain, Last, TimeMean, gru, initialise, lstm, recurrent
from flux_core.model import parameters
from flux_core.ops import per_row
from flux_core.passes import Type, gradients, laid_out, merged
from flux_core.passes import mask as mask_module
from flux_core.passes.mask import masked

B, T, F, H = 4, 5, 3, 2
LENGTHS = np.array([3, 5, 1, 4])
LAYERS = {
    "lstm": lambda: lstm(H, trainable_state=True),
    "gru": lambda: gru(H),
    "before": lambda: gru(H, reset="before", layers=2),
    "recurrent": lambda: recurrent(H, trainable_state=True, layers=2),
    "both ways": lambda: lstm(H, bidirectional=True, layers=2, trainable_state=True),
    "gru both ways": lambda: gru(H, bidirectional=True),
    "steps": lambda: Affine(H),
}
REAL = np.arange(T) < LENGTHS[:, None]


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def built(*layers):
    """A model whose Params are random float64 numbers."""
    model = initialise(Chain(*layers), (1, T, F))
    for i, p in enumerate(parameters(model).values()):
        p.x, p.dx = numbers(*p.shape, seed=i), np.zeros(p.shape)
    return model


def with_loss(model, loss):
    """(x, y) -> loss, prediction."""
    prediction = call(model, input_node(0))
    return laid_out(Graph(pack(as_node(LOSSES[loss](prediction, input_node(1))), prediction), 2))


def step_of(graph):
    """The loss, the prediction, and the gradients of all Params and of x."""
    value, prediction = graph.output.inputs
    leaves = [n for n in topological(graph.output) if n.op == "param" or (n.op == "input" and n.attrs["index"] == 0)]
    found = gradients(value, constant(1.0), leaves)
    (output,) = merged([pack(value, prediction, *found)])
    where = [i for i, leaf in enumerate(leaves) if leaf.op == "input"]
    return Graph(output, graph.arity), where[0]


def alone(graph, x, y, per_step):
    """Each sequence by itself at its own length; losses and gradients are means over rows, or over their steps."""
    step, at_x = step_of(graph)
    total, outputs = None, []
    for i, n in enumerate(LENGTHS):
        target = y[i : i + 1, :n] if per_step else y[i : i + 1]
        loss, prediction, *found = interpret(step, (x[i : i + 1, :n], target))
        share = n / LENGTHS.sum() if per_step else 1 / B
        whole = np.zeros_like(x)
        whole[i, :n] = found[at_x]
        found[at_x] = whole
        values = [share * part for part in (loss, *found)]
        total = values if total is None else [a + b for a, b in zip(total, values, strict=True)]
        outputs.append(prediction[0])
    return total, outputs


def together(graph, x, y, per_step, lengths=LENGTHS):
    types = [Type(x.shape), Type(y.shape, "int" if y.dtype.kind == "i" else "float")]
    step, _ = step_of(masked(graph, types, (0, 1) if per_step else (0,)))
    loss, prediction, *found = interpret(step, (x, y, lengths))
    return [loss, *found], prediction


def require_alone(graph, x, y, per_step):
    wanted, outputs = alone(graph, x, y, per_step)
    garbage = np.where(REAL[..., None], x, 1e3 * numbers(*x.shape, seed=9))
    if per_step:
        y = np.where(REAL.reshape(B, T, *[1] * (y.ndim - 2)), y, 0 * y)
    found, prediction = together(graph, garbage, y, per_step)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9, rtol=0)
    for i, n in enumerate(LENGTHS):
        np.testing.assert_allclose(prediction[i, :n] if per_step else prediction[i], outputs[i], atol=1e-9, rtol=0)


def target(loss, per_step, width):
    lead = (B, T) if per_step else (B,)
    if loss == "cross_entropy":
        return np.random.default_rng(3).integers(0, width, lead)
    y = numbers(*lead, width, seed=7)
    return np.abs(y) / np.abs(y).sum(axis=-1, keepdims=True) if loss == "logloss" else y


@pytest.mark.parametrize("end", [Last, TimeMean])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_vector_of_a_sequence_is_that_of_the_sequence_alone(layer, end):
    graph = with_loss(built(LAYERS[layer](), end(), Affine(3)), "cross_entropy")
    require_alone(graph, numbers(B, T, F), target("cross_entropy", False, 3), per_step=False)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layer", ["lstm", "both ways", "steps"])
def test_a_loss_of_every_step_is_the_mean_over_real_steps(layer, loss):
    last = [ops.softmax] if loss == "logloss" else []
    graph = with_loss(built(LAYERS[layer](), Affine(3), *last), loss)
    require_alone(graph, numbers(B, T, F), target(loss, True, 3), per_step=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_of_every_sequence_is_the_mean_over_rows(loss):
    last = [ops.softmax] if loss == "logloss" else []
    graph = with_loss(built(gru(H), TimeMean(), Affine(3), *last), loss)
    require_alone(graph, numbers(B, T, F), target(loss, False, 3), per_step=False)


FAULTS = {
    "a step too many": lambda x, y: ops.less_equal(x, y),
    "a step too few": lambda x, y: ops.less(x, y - 1.0),
    "none": lambda x, y: ops.less(x, y + 1e6),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("per_step", [False, True])
def test_a_mask_off_by_one_is_caught(monkeypatch, fault, per_step):
    monkeypatch.setattr(mask_module, "less", FAULTS[fault])
    end = [] if per_step else [Last()]
    graph = with_loss(built(lstm(H, bidirectional=True), *end, Affine(3)), "cross_entropy")
    with pytest.raises(AssertionError):
        require_alone(graph, numbers(B, T, F), target("cross_entropy", per_step, 3), per_step)


def test_the_last_step_off_by_one_is_caught(monkeypatch):
    monkeypatch.setattr(mask_module, "equal", lambda x, y: ops.equal(x, y - 1.0))
    graph = with_loss(built(lstm(H), Last(), Affine(3)), "cross_entropy")
    with pytest.raises(AssertionError):
        require_alone(graph, numbers(B, T, F), target("cross_entropy", False, 3), per_step=False)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("per_step", [False, True])
def test_the_tape_is_the_interpreter(layer, per_step):
    end = [] if per_step else [TimeMean()]
    model = built(LAYERS[layer](), *end, Affine(3))
    for p in parameters(model).values():
        p.x = p.x.astype(np.float32)
    x, y = numbers(B, T, F).astype(np.float32), target("cross_entropy", per_step, 3)
    graph = masked(with_loss(model, "cross_entropy"), [Type(x.shape), Type(y.shape, "int")], (0, 1)[: 1 + per_step])
    step, _ = step_of(graph)
    wanted = interpret(step, (x, y, LENGTHS))
    found = Compiled(step, [Type(x.shape), Type(y.shape, "int"), Type((B,), "int")])(x, y, LENGTHS)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(np.abs(b).max(), 1e-30))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("op", ["sum", "mean", "max"])
@pytest.mark.parametrize("axis", [1, (1, 2), None, -2, (0, 1)])
def test_reductions_over_steps(op, axis, keepdims):
    x = numbers(B, T, F)
    graph = masked(Graph(ops.TABLE[op](input_node(0), axis=axis, keepdims=keepdims), 1), [Type(x.shape)])
    found = interpret(graph, (x, LENGTHS))
    holes = np.where(REAL[..., None], x, np.nan)
    wanted = {"sum": np.nansum, "mean": np.nanmean, "max": np.nanmax}[op](holes, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def running(reverse):
    """Running totals of the steps, and the last of them."""
    h, x = input_node(0), input_node(1)
    body = Graph(pack(h + x), 2)
    xs = ops.transpose(input_node(0), axes=(1, 0))
    run = scan(body, [per_row(as_node(np.ones(F)), xs, axis=1)], [xs], reverse=reverse)
    return Graph(final_state(run, 0), 1)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_final_state_is_that_behind_the_last_real_step(reverse):
    x = numbers(B, T, F)
    found = interpret(masked(running(reverse), [Type(x.shape)]), (x, LENGTHS))
    np.testing.assert_allclose(found, 1 + np.where(REAL[..., None], x, 0).sum(axis=1), atol=1e-12)


def test_the_first_step_and_columns_are_slices_as_before():
    x = numbers(B, T, F)
    graph = Graph(pack(input_node(0)[:, 0], ops.sum_(input_node(0)[..., 1:], 1), input_node(0)[:, -1, 1:]), 1)
    first, columns, last = interpret(masked(graph, [Type(x.shape)]), (x, LENGTHS))
    np.testing.assert_allclose(first, x[:, 0])
    np.testing.assert_allclose(columns, np.where(REAL[..., None], x, 0).sum(axis=1)[:, 1:])
    np.testing.assert_allclose(last, x[np.arange(B), LENGTHS - 1, 1:])


MIXED = {
    "flatten": lambda x: ops.flatten(x),
    "reshape": lambda x: ops.reshape(x, (F, T), 1),
    "a product along steps": lambda x: ops.transpose(x, axes=(0, 2, 1)) @ np.ones((T, 2)),
    "softmax along steps": lambda x: ops.softmax(x, axis=1),
    "some of the steps": lambda x: x[:, 1:],
    "the second step": lambda x: x[:, 1],
    "the last but one": lambda x: x[:, -2],
    "steps turned round": lambda x: x[:, ::-1],
    "rows at each step": lambda x: ops.mean(x, axis=0),
    "some rows": lambda x: x[1:],
    "sequences end to end": lambda x: ops.concat(x, x, axis=1),
    "a plain function": lambda x: call(lambda a: a[:, ::-1], x),
    "a product of sequences": lambda x: x @ ops.transpose(x, axes=(0, 2, 1)),
}


@pytest.mark.parametrize("what", MIXED)
def test_what_mixes_steps_is_refused(what):
    with pytest.raises(GraphError, match="mixes the steps"):
        masked(Graph(as_node(MIXED[what](input_node(0))), 1), [Type((B, T, F))])


def test_a_scan_that_reads_whole_sequences_is_refused():
    xs = ops.transpose(input_node(0), axes=(1, 0))
    body = Graph(pack(input_node(0) + ops.sum_(input_node(2), 0)), 3)
    run = scan(body, [per_row(as_node(np.zeros(F)), xs, axis=1)], [xs], [xs])
    with pytest.raises(GraphError, match="scan mixes the steps"):
        masked(Graph(final_state(run, 0), 1), [Type((B, T, F))])


def test_what_is_no_sequence_has_no_lengths():
    with pytest.raises(GraphError, match="is a sequence"):
        masked(Graph(input_node(0) * 2.0, 1), [Type((B,))])
