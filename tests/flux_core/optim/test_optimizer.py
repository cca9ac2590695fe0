"""Optimisers in numbers: against recurrences written out by hand in float64, and against PyTorch."""

from math import sqrt

import numpy as np
import pytest

from flux_core.optim import OPTIMIZERS, adam, adamw, momentum, nesterov, rmsprop, sgd
from flux_core.optim.rules import RULES

GRADIENTS = [0.4, -1.3, 0.05, 2.0]


def by_hand_sgd(x, rate=0.1, wd=0.02):
    for g in GRADIENTS:
        x -= rate * (g + wd * x)
    return x


def by_hand_momentum(x, rate=0.1, wd=0.02):
    v = 0.0
    for g in GRADIENTS:
        v = 0.9 * v + g + wd * x
        x -= rate * v
    return x


def by_hand_nesterov(x, rate=0.1, wd=0.02):
    v = 0.0
    for g in GRADIENTS:
        g = g + wd * x
        v = 0.9 * v + g
        x -= rate * (g + 0.9 * v)
    return x


def by_hand_rmsprop(x, rate=0.1, wd=0.02):
    s = 0.0
    for g in GRADIENTS:
        g = g + wd * x
        s = 0.99 * s + 0.01 * g**2
        x -= rate * g / (sqrt(s) + 1e-8)
    return x


def by_hand_adam(x, rate=0.1, wd=0.02):
    m = s = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        g = g + wd * x
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * g**2
        x -= rate * (m / (1 - 0.9**t)) / (sqrt(s / (1 - 0.999**t)) + 1e-8)
    return x


def by_hand_adamw(x, rate=0.1, wd=0.02):
    m = s = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        x -= rate * wd * x
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * g**2
        x -= rate * (m / (1 - 0.9**t)) / (sqrt(s / (1 - 0.999**t)) + 1e-8)
    return x


BY_HAND = {
    "sgd": by_hand_sgd,
    "momentum": by_hand_momentum,
    "nesterov": by_hand_nesterov,
    "rmsprop": by_hand_rmsprop,
    "adam": by_hand_adam,
    "adamw": by_hand_adamw,
}


def run(optimizer, x, dtype=np.float64, decayed=None, **options):
    x = np.array(x, dtype)
    state = optimizer.init(x.size, dtype)
    for value in GRADIENTS:
        g = np.full(x.size, value, dtype)
        options = {"learning_rate": optimizer.hyper["learning_rate"], **options}
        state = optimizer.update(state, x, g, decayed=x.size if decayed is None else decayed, **options)
    return x, state, g


def test_every_optimiser_has_a_hand_written_recurrence():
    assert set(BY_HAND) == set(OPTIMIZERS) == set(RULES)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_four_steps_equal_the_recurrence(name):
    x, state, g = run(OPTIMIZERS[name](learning_rate=0.1, weight_decay=0.02), [1.5, -0.7])
    np.testing.assert_allclose(x, [BY_HAND[name](1.5), BY_HAND[name](-0.7)], rtol=1e-13)
    np.testing.assert_array_equal(g, 0)
    assert state.step == 4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_wrong_recurrence_is_told_apart(name):
    """The planted fault: a decay that is off by a tenth moves the fourth step beyond the tolerance."""
    x, _, _ = run(OPTIMIZERS[name](learning_rate=0.1, weight_decay=0.022), [1.5])
    assert abs(x[0] - BY_HAND[name](1.5)) > 1e-6


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_spares_what_lies_behind_the_decayed_elements(name):
    make = OPTIMIZERS[name]
    x, _, _ = run(make(learning_rate=0.1, weight_decay=0.5), [1.5, 1.5, 1.5], decayed=1)
    with_decay, _, _ = run(make(learning_rate=0.1, weight_decay=0.5), [1.5])
    without, _, _ = run(make(learning_rate=0.1, weight_decay=0.0), [1.5, 1.5])
    np.testing.assert_array_equal(x, [*with_decay, *without])
    assert x[0] != x[1]


def test_scale_comes_before_the_clip_and_both_before_decay():
    x, g = np.array([1.0, 1.0, 1.0]), np.array([3.0, -8.0, 0.5])
    optimizer = sgd(learning_rate=1.0, weight_decay=0.25)
    optimizer.update(optimizer.init(3), x, g, learning_rate=1.0, scale=0.5, clip_value=2.0, decayed=3)
    np.testing.assert_array_equal(x, 1 - (np.array([1.5, -2.0, 0.25]) + 0.25))


def test_a_nan_in_the_gradient_survives_clipping():
    x, g = np.ones(2), np.array([np.nan, np.inf])
    optimizer = sgd()
    optimizer.update(optimizer.init(2), x, g, learning_rate=1.0, clip_value=0.5, decayed=0)
    np.testing.assert_array_equal(x, [np.nan, 0.5])


def test_update_takes_the_learning_rate_of_the_schedule_not_its_own():
    x, _, _ = run(sgd(learning_rate=0.1), [0.0], learning_rate=0.0)
    assert x[0] == 0.0


def test_update_leaves_the_old_state_count_alone_and_works_in_place():
    optimizer, x, g = momentum(), np.ones(3, np.float32), np.ones(3, np.float32)
    before = optimizer.init(3)
    after = optimizer.update(before, x, g, learning_rate=0.1, decayed=3)
    assert (before.step, after.step) == (0, 1)
    assert after.slots["velocity"] is before.slots["velocity"]
    assert x.dtype == after.slots["velocity"].dtype == np.float32


@pytest.mark.parametrize(
    ("make", "hyper"),
    [
        (sgd, {"learning_rate": -1.0}),
        (sgd, {"learning_rate": float("nan")}),
        (momentum, {"momentum": 1.0}),
        (adam, {"beta2": 1.0}),
        (rmsprop, {"decay": -0.1}),
        (adamw, {"weight_decay": float("inf")}),
    ],
)
def test_a_number_out_of_range_is_named(make, hyper):
    (key,) = hyper
    with pytest.raises(ValueError, match=f"{make.__name__}: {key} must be"):
        make(**hyper)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_equals_pytorch(name, weight_decay):
    torch = pytest.importorskip("torch", reason="PyTorch is part of the `bench` extra: pip install '.[bench]'")
    make = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=weight_decay),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=weight_decay),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=weight_decay),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.02, weight_decay=weight_decay),
        "adam": lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=weight_decay),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=weight_decay),
    }[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(50)
    theirs = torch.tensor(x, requires_grad=True)
    their_optimizer = make([theirs])
    ours = OPTIMIZERS[name](learning_rate=0.02, weight_decay=weight_decay)
    state = ours.init(50, np.float64)
    for _ in range(20):
        g = rng.standard_normal(50)
        theirs.grad = torch.tensor(g)
        their_optimizer.step()
        state = ours.update(state, x, g, learning_rate=0.02, decayed=50)
    np.testing.assert_allclose(x, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_defaults_are_those_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is part of the `bench` extra: pip install '.[bench]'")
    p = [torch.zeros(1, requires_grad=True)]
    theirs = torch.optim.AdamW(p).defaults
    ours = adamw().hyper
    assert (ours["learning_rate"], ours["epsilon"], ours["weight_decay"]) == (
        theirs["lr"],
        theirs["eps"],
        theirs["weight_decay"],
    )
    assert (ours["beta1"], ours["beta2"]) == theirs["betas"]
    rms = torch.optim.RMSprop(p).defaults
    assert (rmsprop().hyper["learning_rate"], rmsprop().hyper["decay"]) == (rms["lr"], rms["alpha"])
    assert sgd().hyper["learning_rate"] == nesterov().hyper["learning_rate"] == torch.optim.SGD(p).defaults["lr"]
