"""Splits that share one array: the same training, to the bit, as on splits that were copied out of it."""

import dataclasses

import numpy as np
import pytest

from flux_core.data import Dataset, Examples
from flux_core.data.preprocessing import Preprocessing
from flux_core.layers import Affine, Chain, initialise
from flux_core.ops import relu
from flux_core.optim import adam
from flux_core.training import Fit, Plan

ROWS, FEATURES = 103, 5
PLAN = Plan("cross_entropy", adam(0.01), epochs=3, batch_size=16, metrics=("accuracy",), monitor="valid.loss")


def shared(task="classification", shift=0):
    """Interleaved splits by their rows; `shift` plants a fault."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    y = x[:, :3].argmax(axis=1) if task == "classification" else x[:, :2] * np.float32(3)
    order = rng.permutation(ROWS)
    rows = [np.sort(part).astype(np.int64) for part in (order[:70], order[70:85], order[85:])]
    parts = [Examples(x, y, (part + shift) % ROWS) for part in rows]
    names = ("a", "b", "c") if task == "classification" else ()
    return Dataset(*parts, task, names, (), Preprocessing())


def copied(dataset):
    """The same splits, each with arrays of its own."""
    parts = {name: getattr(dataset, name) for name in ("train", "valid", "test")}
    return dataclasses.replace(
        dataset, **{n: Examples(part.x[part.rows], part.y[part.rows]) for n, part in parts.items()}
    )


def outcome(dataset, **changes):
    """The final metrics of all splits, and the weights to the bit."""
    plan = dataclasses.replace(PLAN, **changes)
    outputs = 2 if dataset.task == "regression" else 3
    model = initialise(Chain(Affine(8), relu, Affine(outputs)), (1, FEATURES), seed=0)
    fit = Fit(model, dataset, plan)
    last = list(fit)[-1]
    return {**last.final, **last.best}, {name: t.tobytes() for name, t in fit.state().tensors.items()}


CASES = [
    {},
    {"shuffle": False},
    {"drop_last": True},
    {"batch_size": 200},
    {"loss": "mse", "metrics": ("mae", "r2")},
    {"loss": "binary_cross_entropy", "metrics": ()},
]


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize("changes", CASES, ids=str)
def test_rows_are_as_good_as_copies(engine, changes):
    dataset = shared("regression" if changes.get("loss") == "mse" else "classification")
    if changes.get("loss") == "binary_cross_entropy":
        parts = {n: getattr(dataset, n) for n in ("train", "valid", "test")}
        y = (parts["train"].y[:, None] == np.arange(3)).astype(np.int64)
        dataset = dataclasses.replace(dataset, **{n: Examples(p.x, y, p.rows) for n, p in parts.items()})
    assert outcome(dataset, engine=engine, **changes) == outcome(copied(dataset), engine=engine, **changes)


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_rows_that_are_off_by_one_are_caught(engine):
    right, wrong = outcome(shared(), engine=engine), outcome(shared(shift=1), engine=engine)
    assert right[0].keys() == wrong[0].keys()
    assert all(right[0][name] != wrong[0][name] for name in ("train.loss", "valid.loss", "test.loss"))
    assert right[1] != wrong[1]


def test_targets_are_prepared_once_and_x_not_at_all():
    dataset = shared()
    y = (dataset.train.y == 1).astype(np.int64)
    parts = {n: Examples(dataset.train.x, y, getattr(dataset, n).rows) for n in ("train", "valid", "test")}
    dataset = dataclasses.replace(dataset, **parts, classes=("a", "b"))
    model = initialise(Chain(Affine(1)), (1, FEATURES), seed=0)
    ready = Fit(model, dataset, dataclasses.replace(PLAN, loss="binary_cross_entropy")).dataset
    assert ready.train.x is ready.valid.x is ready.test.x is dataset.train.x
    assert ready.train.y is ready.valid.y is ready.test.y
    assert ready.train.y.dtype == np.float32
    assert ready.train.rows is dataset.train.rows


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_an_engine_without_an_order_takes_the_rows(engine):
    dataset, meters = shared(), []
    from flux_core.training.metrics import Meter

    for data in (dataset, copied(dataset)):
        model = initialise(Chain(Affine(3)), (1, FEATURES), seed=0)
        fit = Fit(model, data, dataclasses.replace(PLAN, engine=engine))
        meters.append(Meter(fit.metrics))
        fit.engine.train(data.train, None, 1, [0.01, 0.01, 0.01, 0.01], 0, meters[-1])
    assert meters[0].to_json() == meters[1].to_json()
    assert meters[0].rows == 70 - 16
