"""Recurrent models of other sizes: nothing is compiled for them, and a step takes as much memory in any window."""

import numpy as np
import pytest

from flux_core.data import Dataset, Examples
from flux_core.data.preprocessing import Preprocessing
from flux_core.engine.store import Store
from flux_core.layers import Affine, Chain, OneHot, gru, initialise, lstm, recurrent
from flux_core.optim import adam
from flux_core.passes import Type
from flux_core.training import Fit, Plan

SYMBOLS = 6
LAYERS = {
    "lstm": lambda: lstm(8),
    "stacked": lambda: lstm(8, layers=2, dropout=0.3),
    "both ways": lambda: lstm(8, bidirectional=True),
    "gru": lambda: gru(8),
    "gru before": lambda: gru(8, reset="before"),
    "recurrent": lambda: recurrent(8),
}


def trained(name, batch, steps, carry=False, **plan):
    """A training of one epoch of two minibatches, and a smaller third one where states are not carried."""
    rows = 2 * batch + (batch // 2) * (not carry)
    ids = np.random.default_rng(0).integers(0, SYMBOLS, rows * steps + 1)
    examples = Examples(ids[:-1].reshape(rows, steps), ids[1:].reshape(rows, steps))
    model = initialise(Chain(OneHot(SYMBOLS), LAYERS[name](), Affine(SYMBOLS)), Type((batch, steps), "int"), seed=0)
    data = Dataset(
        examples, examples, None, "classification", tuple("abcdef"), (), Preprocessing(dtype="int64"), streams=carry
    )
    fit = Fit(model, data, Plan("cross_entropy", adam(0.01), epochs=1, batch_size=batch, **plan))
    list(fit)
    assert fit.engine.name == "tape"
    return fit, examples


@pytest.fixture
def asked(monkeypatch):
    """The kernels that anything asks the store for, be they on the disk or not."""
    load, found = Store.load, set()

    def listening(self, kernels):
        kernels = list(kernels)
        found.update(kernels)
        return load(self, kernels)

    monkeypatch.setattr(Store, "load", listening)
    return found


@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_new_batch_size_or_number_of_steps_compiles_nothing(name, carry, asked):
    trained(name, 8, 12, carry, clip_norm=1.0)
    first = set(asked)
    for batch, steps in ((8, 31), (5, 12), (13, 64), (2, 2)):
        trained(name, batch, steps, carry, clip_norm=1.0)
    assert asked == first


def test_what_is_new_is_seen(asked):
    trained("gru", 8, 12)
    first = set(asked)
    trained("gru before", 8, 12)
    assert asked > first


def workspace(name, steps):
    fit, examples = trained(name, 4, steps)
    return fit.engine.assembly(examples, 4, True).tape.workspace.nbytes / steps


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_step_takes_as_much_memory_in_any_window(name):
    sizes = [workspace(name, steps) for steps in (32, 128, 512)]
    assert max(sizes) < 1.1 * min(sizes)
