"""Examples that go on from one minibatch to the next are taken in their order, in whole minibatches."""

import dataclasses
from math import exp, log

import numpy as np
import pytest

from flux_core.data import Dataset, Examples
from flux_core.data.preprocessing import Preprocessing
from flux_core.errors import DataError
from flux_core.layers import Affine, Chain, OneHot, initialise
from flux_core.optim import adam
from flux_core.passes import Type
from flux_core.training import Fit, Plan
from flux_core.training.metrics import METRICS, Meter, OfLoss

SYMBOLS, STEPS, BATCH = 5, 7, 4
PLAN = Plan(
    "cross_entropy",
    adam(0.05),
    epochs=3,
    batch_size=BATCH,
    metrics=("accuracy", "bits_per_symbol", "perplexity", ("top_k", {"k": 2})),
    monitor="valid.bits_per_symbol",
)


def part(count, seed):
    ids = np.random.default_rng(seed).integers(0, SYMBOLS, count * STEPS + 1) ** 2 % SYMBOLS
    return Examples(ids[:-1].reshape(count, STEPS), ids[1:].reshape(count, STEPS))


def streams(train=4 * BATCH + 3, valid=2 * BATCH + 1):
    parts = (part(train, 0), part(valid, 1), part(BATCH, 2))
    return Dataset(*parts, "classification", tuple("abcde"), (), Preprocessing(dtype="int64"), streams=True)


def by_hand(dataset):
    """The same as examples of no special kind: the whole minibatches, to be taken as they lie."""
    cut = {n: getattr(dataset, n).part(slice(len(getattr(dataset, n)) // BATCH * BATCH)) for n in ("train", "valid")}
    return dataclasses.replace(dataset, streams=False, **{n: Examples(x, y) for n, (x, y) in cut.items()})


def outcome(dataset, **changes):
    model = initialise(Chain(OneHot(SYMBOLS), Affine(SYMBOLS)), Type((1, STEPS), "int"), seed=0)
    fit = Fit(model, dataset, dataclasses.replace(PLAN, **changes))
    last = list(fit)[-1]
    return last.final, {name: tensor.tobytes() for name, tensor in fit.state().tensors.items()}, fit


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_streams_are_taken_in_order_and_in_whole_minibatches(engine):
    found, wanted = outcome(streams(), engine=engine), outcome(by_hand(streams()), engine=engine, shuffle=False)
    assert found[:2] == wanted[:2]
    assert found[2].steps_per_epoch == 4
    assert found[2].engine.name == engine


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize("fault", ["shuffled", "a partial minibatch"])
def test_a_planted_fault_is_caught(engine, fault):
    dataset = dataclasses.replace(streams(), streams=False)
    if fault == "shuffled":
        dataset = by_hand(dataset)
    found = outcome(dataset, engine=engine, shuffle=fault == "shuffled")
    wanted = outcome(streams(), engine=engine)
    assert found[0] != wanted[0]
    assert found[1] != wanted[1]


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_streams_that_are_rows_of_something_larger(engine):
    def interleaved(examples):
        order = np.random.default_rng(3).permutation(len(examples))
        return Examples(examples.x[np.argsort(order)], examples.y[np.argsort(order)], order)

    whole = streams()
    rows = dataclasses.replace(whole, train=interleaved(whole.train), valid=interleaved(whole.valid))
    assert outcome(rows, engine=engine)[:2] == outcome(whole, engine=engine)[:2]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_split_without_a_whole_minibatch(split):
    dataset = dataclasses.replace(streams(), **{split: part(BATCH - 1, 0)})
    with pytest.raises(DataError, match=f"the {split} split has 3 windows, too few for 4 streams"):
        outcome(dataset)


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_metrics_of_the_loss(engine):
    final, _, fit = outcome(streams(), engine=engine)
    for name in ("train", "valid", "test"):
        assert final[f"{name}.bits_per_symbol"] == final[f"{name}.loss"] / log(2)
        assert final[f"{name}.perplexity"] == pytest.approx(exp(final[f"{name}.loss"]), rel=1e-12)
    x, y = by_hand(streams()).valid.part(slice(None))
    logits = fit.model(x).astype(np.float64)
    chosen = np.take_along_axis(logits, y[..., None], axis=-1)[..., 0] - np.log(np.exp(logits).sum(axis=-1))
    best = fit.at.best
    assert best["valid.bits_per_symbol"] == pytest.approx(-np.log2(np.e) * chosen.mean(), rel=1e-6)
    assert fit.at.best_epoch == 3, "less is better"


def test_an_endless_perplexity_is_infinite():
    meter = Meter((METRICS["perplexity"](),))
    meter.add(1e4, np.zeros((2, 3)), np.zeros(2, np.int64))
    assert meter.values("train") == {"train.loss": 1e4, "train.perplexity": float("inf")}
    assert isinstance(meter.metrics[0], OfLoss)


def test_a_meter_that_measures_nothing_is_kept():
    metrics = (METRICS["bits_per_symbol"](), METRICS["accuracy"]())
    meter, again = Meter(metrics), Meter(metrics)
    meter.add(2.0, np.eye(3), np.array([0, 1, 1]))
    again.restore(meter.to_json())
    again.add(1.0, np.eye(3), np.array([0, 1, 2]))
    meter.add(1.0, np.eye(3), np.array([0, 1, 2]))
    assert again.values("v") == meter.values("v") == {
        "v.loss": 1.5, "v.bits_per_symbol": 1.5 / log(2), "v.accuracy": 5 / 6
    }  # fmt: skip
