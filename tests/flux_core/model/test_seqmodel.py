"""SeqModel: a sequence in, a sequence out, kind for kind; wrong lengths; gradients of the same kinds."""

import numpy as np
import pytest

from flux_core.dims import BatchSeq, Seq, rawbatch, rebatch, rebatchseq, stack, unstack
from flux_core.errors import ShapeError
from flux_core.ir import param
from flux_core.layers import Affine
from flux_core.model import SeqModel, Stateful, back, infer, net, parameters, runmodel, runseq, update
from flux_core.ops import tanh
from flux_core.passes import Type

X = np.random.default_rng(0).standard_normal((4, 3, 2))  # (batch, steps, features)
W = param(np.array([[1.0, 2.0], [3.0, -1.0]]))
RUNNING = SeqModel(net(lambda xs: (xs[0] @ W, xs[0] + xs[1] @ W, tanh(xs[2]) + xs[1])), 3)


def by_hand(x):
    return np.stack([x[:, 0] @ W.x, x[:, 0] + x[:, 1] @ W.x, np.tanh(x[:, 2]) + x[:, 1]], 1)


@pytest.mark.parametrize(
    ("wrap", "raw"),
    [(lambda x: x, lambda y: y), (unstack, stack), (rebatchseq, rawbatch), (lambda x: rebatch(x), rawbatch)],
    ids=["array", "tuple", "batchseq", "batch"],
)
def test_a_sequence_gives_one_of_its_kind_forwards_and_backwards(wrap, raw):
    x, dy = wrap(X), wrap(np.ones((4, 3, 2)))
    y = RUNNING(x)
    assert type(y) is type(x)
    np.testing.assert_allclose(raw(y), by_hand(X))
    W.dx[...] = 0
    if not isinstance(x, BatchSeq) and type(x).__name__ == "Batch":
        return  # `back` is on raw arrays; a BatchSeq is a sequence, a Batch is not
    dx = back(RUNNING, dy, x)
    assert type(dx) is type(x)
    one = np.ones((4, 2))
    want = np.stack([one @ W.x.T + one, one @ W.x.T + one, 1 - np.tanh(X[:, 2]) ** 2], 1)
    np.testing.assert_allclose(raw(dx), want)
    np.testing.assert_allclose(W.dx, X[:, 0].T @ one + X[:, 1].T @ one)


def test_one_example_as_a_seq():
    y = RUNNING(Seq(list(X[0])))
    assert type(y) is Seq
    np.testing.assert_allclose(rawbatch(y), by_hand(X)[0])


def test_several_inputs_and_outputs():
    model = SeqModel(net(lambda xs, ys: ((xs[0] + ys[1], xs[1]), (ys[0], xs[0] * ys[0]))), 2)
    a, b = X[:, :2], X[:, 1:]
    y, z = model(a, b)
    np.testing.assert_array_equal(y, np.stack([a[:, 0] + b[:, 1], a[:, 1]], 1))
    np.testing.assert_array_equal(z, np.stack([b[:, 0], a[:, 0] * b[:, 0]], 1))
    ones = np.ones((4, 2, 2))
    da, db = back(model, (tuple(np.ones((2, 4, 2))), tuple(np.ones((2, 4, 2)))), unstack(a), unstack(b))
    np.testing.assert_array_equal(stack(da), np.stack([1 + b[:, 0], ones[:, 0]], 1))
    np.testing.assert_array_equal(stack(db), np.stack([1 + a[:, 0], ones[:, 0]], 1))
    together = SeqModel(net(lambda xs, ys: (xs[0] * ys[0], xs[1] * ys[1])), 2)
    da, db = back(together, ones, a, b)
    np.testing.assert_array_equal(da, b)
    np.testing.assert_array_equal(db, a)
    assert [type(part) for part in back(together, rebatchseq(ones), rebatchseq(a), rebatchseq(b))] == [BatchSeq] * 2


@pytest.mark.parametrize("wrap", [np.asarray, unstack, rebatchseq])
def test_a_wrong_length_is_told_with_both_numbers(wrap):
    for run in (lambda: RUNNING(wrap(X[:, :2])), lambda: back(RUNNING, wrap(X[:, :2]), wrap(X[:, :2]))):
        with pytest.raises(ShapeError, match="expected a sequence of 3 steps, got 2"):
            run()
    with pytest.raises(ShapeError, match="expected a sequence of 3 steps, got 0"):
        RUNNING(X[:, :0])


def test_what_is_no_sequence_is_refused():
    with pytest.raises(ShapeError, match=r"an array of sequences is \(batch, steps, ...\), not \(3,\)"):
        RUNNING(X[0, :, 0])
    last = SeqModel(net(lambda xs: xs[-1]), 3)
    with pytest.raises(ShapeError, match=r"gives a tuple of steps, not one array \(4, 2\)"):
        last(X)
    with pytest.raises(ShapeError, match=r"gives a tuple of steps, not one array \(4, 2\)"):
        infer(last, (4, 3, 2))


def test_runseq_is_the_splitting_alone():
    sums = runseq(lambda xs: tuple(np.cumsum(xs, axis=0)), X)
    np.testing.assert_allclose(sums, np.cumsum(X, axis=1))
    assert runseq(lambda xs: xs[0], (1, 2)) == 1
    np.testing.assert_array_equal(runseq(lambda xs, ys: xs + ys, X, unstack(X)), np.concatenate([X, X], 1))


def test_a_recurrent_step_over_a_sequence_carries_its_state_between_sequences():
    step = net(lambda h, xs: ((h[0] + xs[0] + xs[1],), (h[0] + xs[0], h[0] + xs[0] + xs[1])))
    model = SeqModel(Stateful(step, [np.zeros((4, 2))]), 2)
    first, second = model(X[:, :2]), model(X[:, 1:])
    np.testing.assert_allclose(first, np.cumsum(X[:, :2], axis=1))
    np.testing.assert_allclose(second, np.cumsum(X[:, 1:], axis=1) + first[:, -1:])
    dx = back(model, np.ones((4, 2, 2)), X[:, 1:])
    np.testing.assert_array_equal(dx, np.broadcast_to([[2.0], [1.0]], (4, 2, 2)))  # within this sequence only


def test_params_update_shapes_and_text():
    inner = Affine.of(W)
    model = SeqModel(net(lambda xs: (inner(xs[0]),)), 1)
    assert list(parameters(model).values()) == [W]
    before = W.x.copy()
    W.dx[...] = 2.0
    assert update(model, 0.5) is model
    np.testing.assert_array_equal(W.x, before - 1)
    W.x[...] = before
    assert infer(RUNNING, (5, 3, 2)) == (5, 3, 2)
    assert infer(RUNNING, ((5, 2),) * 3) == ((5, 2),) * 3
    assert infer(SeqModel(lambda xs: xs, 2), Type((5, 2), "int")) == (5, 2)
    assert repr(model) == "SeqModel(Capacitor(Graph(1 inputs -> tuple)), 1)"
    assert runmodel(model, np.zeros((0, 1, 2))).shape == (0, 1, 2)
