"""Every example in configs/: the tape computes what the interpreter does, in training and outside of it."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from flux_core.engine.compiled import Compiled
from flux_core.interpreter import interpret
from flux_core.ops import Run
from flux_core.passes import Type
from flux_core.training import Fit
from flux_core.training.graph import training_graph
from fluxrun.spec.build import build
from fluxrun.spec.load import load

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def flat(value):
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, tuple) else [value]


@pytest.fixture(autouse=True)
def mnist(tmp_path, monkeypatch):
    """Small files in the places of those that configs/mnist.yaml is given."""
    rng = np.random.default_rng(0)
    for name, rows in (("train", 200), ("t10k", 100)):
        pixels, labels = rng.integers(0, 256, (rows, 28, 28)), np.arange(rows) % 10
        for array, what in ((pixels, "images-idx3"), (labels, "labels-idx1")):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            packed = gzip.compress(head + array.astype(np.uint8).tobytes())
            (tmp_path / f"{name}-{what}-ubyte.gz").write_bytes(packed)
    monkeypatch.setenv("MNIST", str(tmp_path))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_tape_and_interpreter_agree(config, training):
    built = build(load(str(config), ()))
    fit = Fit(built.model, built.dataset, built.plan)
    assert fit.engine.name == "tape"
    part = slice(0, built.plan.batch_size)
    examples = fit.dataset.train
    rows = examples.rows[part] if examples.rows is not None else part
    xs = (examples.x[rows], examples.y[rows])
    kept = [x.copy() for x in xs]
    graph = training_graph(built.model, built.plan.loss_function())
    run = Run(training=training, seed=3, step=5)
    types = [Type(x.shape, "int" if x.dtype.kind == "i" else "float") for x in xs]
    ours = flat(Compiled(graph.step, types, run=run)(*xs))
    theirs = flat(interpret(graph.step, xs, run=run))
    assert len(ours) == len(theirs) == 2 + len(graph.params)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()
    for x, before in zip(xs, kept, strict=True):
        np.testing.assert_array_equal(x, before)
