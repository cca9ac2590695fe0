"""Losses against other formulas, at extreme logits, and their slopes."""

import math

import numpy as np
import pytest
from scipy import special

from flux_core.layers import LOSSES, binary_cross_entropy, cross_entropy, huber, logloss, mae, mse
from flux_core.model import back, net

RNG = np.random.default_rng(2)
Z, T = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4))
IDS = RNG.integers(0, 4, 6)
P = special.softmax(Z, -1)
ONE_HOT = np.eye(4)[IDS]
BITS = (T > 0).astype(float)


def huber_by_hand(d, delta):
    return special.huber(delta, d).mean()


CASES = [
    ("mse", Z, T, np.square(Z - T).sum() / 24),
    ("mae", Z, T, np.abs(Z - T).sum() / 24),
    ("huber", Z, T, huber_by_hand(Z - T, 1.0)),
    ("cross_entropy", Z, IDS, -math.fsum(special.log_softmax(Z, -1)[range(6), IDS]) / 6),
    ("binary_cross_entropy", Z, BITS, -np.mean(special.log_expit(np.where(BITS == 1, Z, -Z)))),
    ("binary_cross_entropy", Z, P, -np.mean(P * special.log_expit(Z) + (1 - P) * special.log_expit(-Z))),
    ("logloss", P, ONE_HOT, -np.log(P[range(6), IDS]).mean()),
]


@pytest.mark.parametrize(("name", "prediction", "target", "want"), CASES)
def test_values_and_slopes(name, prediction, target, want):
    loss = LOSSES[name]
    np.testing.assert_allclose(loss(prediction, target), want, rtol=1e-12)
    model = net(lambda p, t: loss(p, t))
    np.testing.assert_allclose(model(prediction, target), want, rtol=1e-12)
    slope, h = back(model, np.array(1.0), prediction, target)[0], 1e-5
    for place in [(0, 0), (3, 2), (5, 3)]:
        up, down = prediction.copy(), prediction.copy()
        up[place] += h
        down[place] -= h
        numeric = (loss(up, target) - loss(down, target)) / (2 * h)
        np.testing.assert_allclose(slope[place], numeric, rtol=1e-5, atol=1e-9)
    narrow = target if name == "cross_entropy" else target.astype(np.float32)
    got = loss(prediction.astype(np.float32), narrow)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_every_loss_is_listed_and_tested():
    assert set(LOSSES) == {name for name, *_ in CASES}
    assert list(LOSSES) == sorted(LOSSES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_extreme_logits_give_finite_losses_and_slopes(size, dtype):
    z = np.array([[size, -size, 0.0], [-size, size, 0.0]], dtype)
    right, wrong = np.array([0, 1]), np.array([1, 0])
    assert float(cross_entropy(z, right)) == 0
    np.testing.assert_allclose(cross_entropy(z, wrong), 2 * z.max(), rtol=1e-6)
    bits = (z > 0).astype(dtype)
    np.testing.assert_allclose(binary_cross_entropy(z, 1 - bits), 2 / 3 * z.max() + math.log(2) / 3, rtol=1e-6)
    np.testing.assert_allclose(binary_cross_entropy(z, bits), math.log(2) / 3, rtol=1e-6)
    for loss, target in [(cross_entropy, wrong), (binary_cross_entropy, 1 - bits)]:
        model = net(lambda p, t, loss=loss: loss(p, t))
        assert np.isfinite(back(model, np.array(1, dtype), z, target)[0]).all()


def test_probabilities_of_zero_and_one_are_clipped():
    p = np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(logloss(p, np.array([[1.0, 0.0]], np.float32)), -math.log(1e-7), rtol=1e-6)
    assert float(logloss(p, np.array([[0.0, 1.0]], np.float32))) == 0
    model = net(lambda q: logloss(q, np.array([[1.0, 0.0]])))
    assert np.isfinite(back(model, np.array(1.0, np.float32), p)).all()


@pytest.mark.parametrize("delta", [0.1, 1.0, 3.0])
def test_huber_is_square_inside_and_straight_outside(delta):
    d = np.array([-10.0, -delta, -delta / 2, 0.0, delta / 3, delta, 5.0])
    np.testing.assert_allclose(huber(d, np.zeros(7), delta), huber_by_hand(d, delta), rtol=1e-12)
    slope = back(net(lambda p: huber(p, np.zeros(7), delta)), np.array(7.0), d)
    np.testing.assert_allclose(slope, np.clip(d, -delta, delta), rtol=1e-12)


def test_sequences_and_empty_batches():
    z, ids = RNG.standard_normal((3, 5, 4)), RNG.integers(0, 4, (3, 5))
    flat = cross_entropy(z.reshape(15, 4), ids.ravel())
    np.testing.assert_allclose(cross_entropy(z, ids), flat, rtol=1e-12)
    assert np.isnan(net(lambda p, t: mse(p, t))(np.zeros((0, 2)), np.zeros((0, 2))))
    np.testing.assert_allclose(mae(np.array([[1.0], [3.0]]), np.zeros((2, 1))), 2.0)


@pytest.mark.parametrize("ids", [[-1, 0], [4, 0]])
def test_a_class_outside_the_logits_is_an_error(ids):
    with pytest.raises(IndexError, match=r"lies outside \[0, 4\)"):
        cross_entropy(Z[:2], np.array(ids))
