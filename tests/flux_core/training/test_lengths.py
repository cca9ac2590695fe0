"""Training on padded sequences: the tape is the interpreter, padding is nothing, real steps are what is counted."""

import dataclasses

import numpy as np
import pytest

from flux_core.data import Dataset, Examples, Preprocessing, Scale
from flux_core.engine.lower import CannotLowerError
from flux_core.errors import CheckpointError, DataError, Diverged, GraphError
from flux_core.interpreter import interpret
from flux_core.layers import LOSSES, Affine, Chain, Last, TimeMean, gru, initialise, lstm
from flux_core.ops import flatten
from flux_core.optim import adam
from flux_core.passes import laid_out
from flux_core.training import Fit, Plan, checkpoint, load, loop
from flux_core.training import metrics as metrics_module
from flux_core.training import on_tape as on_tape_module

N, STEPS, F, CLASSES = 22, 6, 3, 3
METRICS = {
    "cross_entropy": ("accuracy", "perplexity", ("top_k", {"k": 2})),
    "binary_cross_entropy": ("accuracy",),
    "mse": ("mae", "r2"),
}
WIDTH = {"cross_entropy": CLASSES, "binary_cross_entropy": 1, "mse": 2}


def part(count, seed, loss, stepwise, padding=0.0):
    """Sequences whose answers can be learnt; `padding` is what stands behind them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, STEPS + 1, count)
    real = np.arange(STEPS) < lengths[:, None]
    x = rng.standard_normal((count, STEPS, F)).astype(np.float32)
    total = np.cumsum(x, axis=1) if stepwise else np.where(real[..., None], x, 0).sum(axis=1)
    if loss == "mse":
        y = total[..., :2].astype(np.float32)
    else:
        y = (total.argmax(axis=-1) if loss == "cross_entropy" else total[..., 0] > 0).astype(np.int64)
    x[~real] = padding
    if stepwise:
        y[~real] = 1  # what is there counts nowhere
    return Examples(x, y, lengths=lengths)


def sequences(loss="cross_entropy", stepwise=False, padding=0.0):
    parts = (part(n, i, loss, stepwise, padding) for i, n in enumerate((N, 9, 5)))
    regression = loss == "mse"
    preprocessing = Preprocessing(targets=Scale.of([0.0, 0.0], [2.0, 3.0]) if regression else None)
    task, classes = ("regression", ()) if regression else ("classification", tuple("abc"))
    return Dataset(*parts, task, classes, (), preprocessing)


def model(loss="cross_entropy", stepwise=False, end=TimeMean):
    layers = [gru(4, bidirectional=True), *([] if stepwise else [end()]), Affine(WIDTH[loss])]
    return initialise(Chain(*layers), (1, STEPS, F), seed=3)


def fitted(dataset, loss="cross_entropy", stepwise=False, end=TimeMean, **changes):
    plan = Plan(loss, adam(0.05), epochs=2, batch_size=5, metrics=METRICS[loss], seed=1)
    return Fit(model(loss, stepwise, end), dataset, dataclasses.replace(plan, **changes))


def outcome(dataset, *arguments, **changes):
    fit = fitted(dataset, *arguments, **changes)
    last = list(fit)[-1]
    return last.final, {name: tensor.copy() for name, tensor in fit.state().tensors.items()}, fit


@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("loss", METRICS)
def test_the_tape_is_the_interpreter(loss, stepwise):
    dataset = sequences(loss, stepwise)
    found, wanted = (outcome(dataset, loss, stepwise, engine=engine) for engine in ("tape", "reference"))
    assert (found[2].engine.name, wanted[2].engine.name) == ("tape", "reference")
    assert found[0].keys() == wanted[0].keys()
    for name in wanted[0]:
        assert found[0][name] == pytest.approx(wanted[0][name], rel=1e-4, abs=1e-5), name
    for name, tensor in wanted[1].items():
        np.testing.assert_allclose(found[1][name], tensor, atol=1e-4, err_msg=name)


def by_hand(fit, examples, stepwise, loss):
    """The loss and the metrics of sequences that are each run alone, without their padding."""
    graph = laid_out(fit.model)
    predictions, targets = [], []
    for i, n in enumerate(examples.lengths):
        found = interpret(graph, (examples.x[i : i + 1, :n],))
        predictions += list(found[0]) if stepwise else [found[0]]
        targets += list(examples.y[i, :n]) if stepwise else [examples.y[i]]
    p, y = np.array(predictions), np.array(targets)
    values = {"loss": float(LOSSES[loss](p, y[:, None] if loss == "binary_cross_entropy" else y))}
    if loss == "mse":
        values["mae"] = float((np.abs(p - y) * [2.0, 3.0]).mean())
        values["r2"] = float((1 - ((p - y) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)).mean())
        return values
    right = p.argmax(axis=-1) == y if loss == "cross_entropy" else (p[:, 0] > 0) == y
    values["accuracy"] = float(right.mean())
    if loss == "cross_entropy":
        values["perplexity"] = float(np.exp(values["loss"]))
        values["top_2"] = float((p > np.take_along_axis(p, y[:, None], 1)).sum(axis=1).__lt__(2).mean())
    return values


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("loss", METRICS)
def test_losses_and_metrics_are_those_of_sequences_alone(loss, stepwise, engine):
    dataset = sequences(loss, stepwise)
    found, _, fit = outcome(dataset, loss, stepwise, engine=engine)
    wanted = by_hand(fit, dataset.test, stepwise, loss)
    assert {name.removeprefix("test.") for name in found if name.startswith("test.")} == wanted.keys()
    for name, value in wanted.items():
        assert found[f"test.{name}"] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def one_less(lengths, steps):
    return np.arange(steps) < lengths[:, None] - 1


def test_a_metric_that_counts_a_step_less_is_caught(monkeypatch):
    monkeypatch.setattr(metrics_module, "real_steps", one_less)
    with pytest.raises(AssertionError):
        test_losses_and_metrics_are_those_of_sequences_alone("mse", True, "reference")


def test_a_tape_that_counts_padding_is_caught(monkeypatch):
    class All(on_tape_module.Measurements):
        def __init__(self, metrics, target, *, stepwise):
            super().__init__(metrics, target)

    monkeypatch.setattr(on_tape_module, "Measurements", All)
    with pytest.raises(AssertionError):
        test_losses_and_metrics_are_those_of_sequences_alone("cross_entropy", True, "tape")


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("padding", [np.nan, np.inf, -7e9])
def test_what_stands_in_the_padding_changes_no_bit(padding, stepwise, engine):
    found = outcome(sequences(stepwise=stepwise, padding=padding), "cross_entropy", stepwise, engine=engine)
    wanted = outcome(sequences(stepwise=stepwise), "cross_entropy", stepwise, engine=engine)
    assert found[0] == wanted[0]
    assert {name: t.tobytes() for name, t in found[1].items()} == {n: t.tobytes() for n, t in wanted[1].items()}


def test_padding_that_is_looked_at_is_caught(monkeypatch):
    monkeypatch.setattr(loop, "cleared", lambda x, lengths: x)
    with pytest.raises(Diverged):
        test_what_stands_in_the_padding_changes_no_bit(np.nan, False, "reference")


def test_whole_sequences_are_sequences_without_lengths():
    dataset = sequences()
    whole = dataclasses.replace(dataset, valid=None, test=None)
    full = dataclasses.replace(whole.train, lengths=np.full(N, STEPS))
    plain = dataclasses.replace(whole.train, lengths=None)
    found, wanted = (outcome(dataclasses.replace(whole, train=train), end=Last) for train in (full, plain))
    for name, tensor in wanted[1].items():
        np.testing.assert_allclose(found[1][name], tensor, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize("stepwise", [False, True])
def test_what_was_stopped_goes_on_as_if_it_was_not(stepwise, engine):
    dataset = sequences(stepwise=stepwise)
    wanted = outcome(dataset, "cross_entropy", stepwise, engine=engine)
    half = fitted(dataset, "cross_entropy", stepwise, engine=engine, max_steps=7)
    list(half)
    plan = half.plan
    rest = Fit(model("cross_entropy", stepwise), dataset, dataclasses.replace(plan, max_steps=None), half.state())
    assert list(rest)[-1].final == wanted[0]
    state = rest.state().tensors
    assert {name: t.tobytes() for name, t in state.items()} == {n: t.tobytes() for n, t in wanted[1].items()}


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_rows_of_a_larger_array_are_the_examples(engine):
    dataset = sequences(stepwise=True)
    order = np.random.default_rng(5).permutation(N)
    back = np.argsort(order)
    train = dataset.train
    shared = Examples(train.x[order], train.y[order], back, train.lengths[order])
    found = outcome(dataclasses.replace(dataset, train=shared), "cross_entropy", True, engine=engine)
    wanted = outcome(dataset, "cross_entropy", True, engine=engine)
    assert found[0] == wanted[0]


def test_one_thread_and_two_give_the_same_bits():
    dataset = sequences(stepwise=True)
    found, wanted = (outcome(dataset, "cross_entropy", True, threads=threads)[1] for threads in (1, 2))
    assert {name: t.tobytes() for name, t in found.items()} == {name: t.tobytes() for name, t in wanted.items()}


def test_a_model_that_mixes_steps_is_refused():
    mixing = initialise(Chain(lstm(4), flatten, Affine(CLASSES)), (1, STEPS, F))
    with pytest.raises(GraphError, match="mixes the steps"):
        Fit(mixing, sequences(), Plan("cross_entropy", adam(0.05)))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (np.full(N, 0), "a length of 0, where a sequence has 1 to 6 steps"),
        (np.full(N, 7), "a length of 7"),
        (np.full(N - 1, 3), "22 sequences have as many lengths"),
        (np.full(N, 3.0), "whole numbers"),
    ],
)
def test_lengths_that_cannot_be(lengths, message):
    train = sequences().train
    with pytest.raises(DataError, match=message):
        Examples(train.x, train.y, lengths=lengths)


def kept(tmp_path, dataset, stepwise):
    path = tmp_path / "last.safetensors"
    fit = outcome(dataset, "cross_entropy", stepwise)[2]
    checkpoint.write(path, fit.state().tensors, fit.state().meta)
    return fit, path


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("stepwise", [False, True])
def test_a_loaded_model_reads_sequences_as_if_alone(tmp_path, monkeypatch, stepwise, compiled):
    if not compiled:
        monkeypatch.setattr("flux_core.engine.compiled.Compiled", refuse)
    dataset = sequences(stepwise=stepwise)
    fit, path = kept(tmp_path, dataset, stepwise)
    trained, part = load(path), dataset.valid
    assert (trained.model.lengths, trained.model.stepwise) == (True, stepwise)
    found = trained.outputs(np.where(np.isin(part.x, 0), np.nan, part.x), part.lengths)
    for i, n in enumerate(part.lengths):
        alone = interpret(laid_out(fit.model), (part.x[i : i + 1, :n],))[0]
        np.testing.assert_allclose(found[i, :n] if stepwise else found[i], alone, atol=1e-5)
    whole = trained.outputs(part.x)
    np.testing.assert_allclose(whole, interpret(laid_out(fit.model), (part.x,)), atol=1e-5)


def refuse(*arguments):
    raise CannotLowerError("not now")


def test_a_model_without_lengths_takes_none(tmp_path):
    dataset = sequences()
    plain = {n: dataclasses.replace(getattr(dataset, n), lengths=None) for n in ("train", "valid", "test")}
    _, path = kept(tmp_path, dataclasses.replace(dataset, **plain), False)
    trained = load(path)
    assert not trained.model.lengths
    with pytest.raises(DataError, match="trained without lengths"):
        trained(dataset.valid.x, dataset.valid.lengths)


def test_a_checkpoint_whose_lengths_are_damaged(tmp_path):
    fit, path = kept(tmp_path, sequences(), False)
    state = fit.state()
    state.meta["model"]["inputs"]["lengths"] = "some"
    checkpoint.write(path, state.tensors, state.meta)
    with pytest.raises(CheckpointError, match="lengths or not"):
        load(path)
