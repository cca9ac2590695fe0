"""Schedules against tables worked out by hand."""

import json
from math import nan, sqrt

import pytest

from flux_core.optim import SCHEDULES, Constant, Cosine, Exponential, Plateau, Step

HALF = sqrt(0.5)
TABLES = [  # schedule, steps per epoch, epochs, the rate of every step with base 0.8
    (Constant(), 2, 2, [0.8] * 4),
    (Constant(warmup=4), 3, 2, [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]),
    (Step(every=2, factor=0.5), 2, 5, [0.8] * 4 + [0.4] * 4 + [0.2] * 2),
    (Step(every=1, factor=0.5, warmup=2), 2, 2, [0.4, 0.8, 0.4, 0.4]),
    (Exponential(factor=0.5), 1, 4, [0.8, 0.4, 0.2, 0.1]),
    (Cosine(), 2, 2, [0.8, 0.4 + 0.4 * HALF, 0.4, 0.4 - 0.4 * HALF]),
    (Cosine(final=0.5), 4, 1, [0.8, 0.6 + 0.2 * HALF, 0.6, 0.6 - 0.2 * HALF]),
    (Cosine(warmup=2), 6, 1, [0.4, 0.8, 0.8, 0.4 + 0.4 * HALF, 0.4, 0.4 - 0.4 * HALF]),
]


@pytest.mark.parametrize(("schedule", "per_epoch", "epochs", "rates"), TABLES)
def test_table(schedule, per_epoch, epochs, rates):
    got = [schedule.rate(0.8, step, step // per_epoch, per_epoch, epochs) for step in range(per_epoch * epochs)]
    assert got == pytest.approx(rates, rel=1e-15, abs=1e-15)


def test_a_shifted_table_is_told_apart():
    """The planted fault: a cosine that starts one step late."""
    rates = [Cosine().rate(0.8, step, 0, 4, 1) for step in range(4)]
    assert rates[1:] != pytest.approx([0.8, *rates[1:3]], rel=1e-15)


def test_the_cosine_stays_at_its_final_rate_past_the_end():
    assert Cosine(final=0.25).rate(0.8, 99, 9, 4, 1) == pytest.approx(0.2)


def plateau_rates(plateau, values, **options):
    state, rates = plateau.start(), []
    for value in values:
        state = json.loads(json.dumps(plateau.observe(state, value, **options)))
        rates.append(plateau.rate(0.8, 0, 0, 1, 9, state))
    return rates


def test_plateau_waits_patience_epochs_then_reduces():
    values = [1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8]
    got = plateau_rates(Plateau(factor=0.5, patience=2), values)
    assert got == pytest.approx([0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2])


def test_plateau_can_look_upwards_and_ignores_small_gains_and_nan():
    up = Plateau(factor=0.5, patience=0, min_delta=0.1)
    got = plateau_rates(up, [0.5, 0.55, 0.7, nan, 0.9], higher_is_better=True)
    assert got == pytest.approx([0.8, 0.4, 0.4, 0.2, 0.2])


def test_plateau_equals_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is part of the `bench` extra: pip install '.[bench]'")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.8)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0.0)
    values, rates = [3.0, 2.0, 2.0, 2.5, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5], []
    for value in values:
        theirs.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert plateau_rates(Plateau(factor=0.5, patience=1), values) == pytest.approx(rates)


@pytest.mark.parametrize("name", SCHEDULES)
def test_resolved_numbers_are_json_and_hold_every_argument(name):
    resolved = SCHEDULES[name](warmup=7).resolved(0.5, 11, 3)
    assert json.loads(json.dumps(resolved)) == resolved
    assert {"name": name, "warmup": 7, "base": 0.5, "steps_per_epoch": 11}.items() <= resolved.items()


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_number_of_epochs_is_resolved_where_it_decides_the_rate(name):
    schedule = SCHEDULES[name]()
    decides = any(
        schedule.rate(1.0, step, step // 5, 5, 2) != schedule.rate(1.0, step, step // 5, 5, 9) for step in range(10)
    )
    assert decides == (schedule.resolved(1.0, 5, 2) != schedule.resolved(1.0, 5, 9)) == schedule.whole


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (Constant, {"warmup": -1}),
        (Step, {"every": 0}),
        (Exponential, {"factor": 0.0}),
        (Cosine, {"final": 1.5}),
        (Plateau, {"patience": -1}),
        (Plateau, {"min_delta": nan}),
    ],
)
def test_an_argument_out_of_range_is_named(make, argument):
    (key,) = argument
    with pytest.raises(ValueError, match=f"{make.name}: {key} must be"):
        make(**argument)
