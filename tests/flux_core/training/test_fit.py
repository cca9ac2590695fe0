"""The training loop: the same bytes twice, on any number of threads and after a stop; the right weights at the end."""

import dataclasses
import json

import numpy as np
import pytest

from flux_core.data import Dataset, Examples
from flux_core.data.preprocessing import Preprocessing
from flux_core.engine.store import Store
from flux_core.errors import CheckpointError, DataError, Diverged, SettingError
from flux_core.layers import Affine, Chain, Dropout, Input, initialise
from flux_core.model import net as net_of
from flux_core.model import parameters
from flux_core.ops import relu, tanh
from flux_core.optim import Cosine, Plateau, adam, adamw, momentum, sgd
from flux_core.training import EarlyStop, Ended, EpochEnded, Fit, Plan, Progress, Snapshot, Started, TrainState, events
from flux_core.training.state import best_of


def data(rows=100, features=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, features)).astype(np.float32)
    y = (x[:, :classes] + 0.3 * rng.standard_normal((rows, classes))).argmax(axis=1)
    cut, end = rows * 7 // 10, rows * 85 // 100
    parts = (Examples(x[:cut], y[:cut]), Examples(x[cut:end], y[cut:end]), Examples(x[end:], y[end:]))
    names = tuple(f"k{i}" for i in range(classes))
    return Dataset(*parts, "classification", names, (), Preprocessing())


def net(dataset, *, width=16, dropout=0.2, seed=0):
    model = Chain(Affine(width), relu, Dropout(dropout), Affine(width), tanh, Affine(len(dataset.classes)))
    return initialise(model, (1, dataset.train.x.shape[1]), seed=seed)


PLAN = Plan(
    "cross_entropy",
    adam(0.01),
    epochs=4,
    batch_size=16,
    metrics=("accuracy", ("top_k", {"k": 2})),
    monitor="valid.loss",
    schedule=Cosine(warmup=3),
    clip_norm=1.0,
)


def plan(**changes):
    return dataclasses.replace(PLAN, **changes)


def run(dataset, plan, *, model=None, state=None):
    fit = Fit(net(dataset) if model is None else model, dataset, plan, state)
    return fit, list(fit)


def ended(events):
    return events[-1]


def same(a: TrainState, b: TrainState):
    assert a.tensors.keys() == b.tensors.keys()
    for name, tensor in a.tensors.items():
        np.testing.assert_array_equal(tensor, b.tensors[name], err_msg=name, strict=True)
    assert json.dumps(a.meta, sort_keys=True) == json.dumps(b.meta, sort_keys=True)


def through_json(state: TrainState) -> TrainState:
    return TrainState(dict(state.tensors), json.loads(json.dumps(state.meta, allow_nan=False)))


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_two_trainings_are_the_same(engine):
    dataset = data()
    (a, seen), (b, _) = (run(dataset, plan(engine=engine)) for _ in range(2))
    assert a.engine.name == engine
    same(a.state(), b.state())
    kinds = [type(event) for event in seen if not isinstance(event, events.Compiling | Progress | Snapshot)]
    assert kinds == [Started, *[EpochEnded] * 4, events.Tested, Ended]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip_norm": None, "clip_value": 0.02, "optimizer": adamw(0.01, weight_decay=0.1)},
        {"optimizer": sgd(0.1), "schedule": None, "shuffle": False},
        {"optimizer": momentum(0.05, weight_decay=0.01), "drop_last": True, "batch_size": 32},
    ],
)
def test_tape_and_interpreter_agree(changes):
    dataset = data()
    (tape, ours), (reference, theirs) = (run(dataset, plan(engine=e, **changes)) for e in ("tape", "reference"))
    assert (tape.engine.name, reference.engine.name) == ("tape", "reference")
    for name, tensor in reference.state().tensors.items():
        difference = np.abs(tape.state().tensors[name] - tensor).max()
        assert difference <= 1e-4 * np.abs(tensor).max() + 1e-7, name  # 20 updates apart
    for name, value in ended(theirs).final.items():
        assert ended(ours).final[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("width", [100, 600])  # products cut by rows, and by columns
def test_threads_change_no_bit(threads, width):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 300)).astype(np.float32)
    y = rng.integers(0, 10, 300)
    dataset = Dataset(
        Examples(x, y), Examples(x[:99], y[:99]), None, "classification", tuple("0123456789"), (), Preprocessing()
    )
    fits = []
    for count in (1, threads):
        fit, _ = run(dataset, plan(batch_size=128, threads=count), model=net(dataset, width=width, dropout=0.5))
        fits.append(fit)
    program = fits[1].engine._programs[128, True]
    assert program.crew.most == min(threads, 2)
    assert set(program.crew.seconds) == {1, 2}, "both were tried"
    assert fits[0].engine._programs[128, True].crew.most == 1
    same(fits[0].state(), fits[1].state())


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize("stop_at", [1, 5, 7, 10, 13])
def test_a_stopped_training_goes_on_to_the_bit(engine, stop_at):
    dataset = data()
    whole, events = run(dataset, plan(engine=engine))
    first = Fit(net(dataset), dataset, plan(engine=engine, every_steps=1))
    for event in first:
        if isinstance(event, Snapshot) and event.kind == "last" and first.at.step == stop_at:
            kept = through_json(event.state)
            first.stop("interrupted")
    assert first.at.step == stop_at
    rest, more = run(dataset, plan(engine=engine), model=net(dataset, seed=99), state=kept)
    same(whole.state(), rest.state())
    assert ended(more).final == ended(events).final
    assert list(ended(more).best.items()) == list(ended(events).best.items())
    for a, b in zip(parameters(whole.model).values(), parameters(rest.model).values(), strict=True):
        np.testing.assert_array_equal(a.x, b.x)


def test_a_training_that_is_stopped_while_kernels_compile_compiles_no_more(tmp_path, monkeypatch):
    dataset = data()
    whole, _ = run(dataset, PLAN)
    with monkeypatch.context() as patched:
        store = Store(tmp_path)
        patched.setattr("flux_core.training.on_tape.default_store", lambda: store)
        first = Fit(net(dataset), dataset, PLAN)
        seen = []
        for event in first:
            seen.append(type(event))
            if isinstance(event, events.Compiling):
                assert (event.number, event.count > 10) == (1, True)
                first.stop("interrupted")
    assert (seen, event.status) == ([Started, events.Compiling, Ended], "interrupted")
    assert (store.compiled, first.at.step) == (0, 0)
    rest, _ = run(dataset, PLAN, model=net(dataset, seed=99), state=through_json(first.state()))
    same(whole.state(), rest.state())


def test_a_planted_forgetting_is_caught():
    dataset = data()
    whole, _ = run(dataset, PLAN)
    first = Fit(net(dataset), dataset, plan(every_steps=5))
    kept = next(event.state for event in first if isinstance(event, Snapshot) and event.kind == "last")
    for name in [name for name in kept.tensors if name.startswith("slots/square")]:
        kept.tensors[name][...] *= 1.001
    rest, _ = run(dataset, PLAN, state=kept)
    with pytest.raises(AssertionError):
        same(whole.state(), rest.state())


def test_the_model_ends_with_its_best_weights_and_the_state_with_the_last():
    dataset = data()
    fit, events = run(dataset, plan(optimizer=adam(0.3), schedule=None, epochs=8))
    epochs = [event for event in events if isinstance(event, EpochEnded)]
    best = min(epochs, key=lambda event: event.metrics["valid.loss"])
    assert best.epoch != 8, "the last epoch should not be the best, or this shows nothing"
    assert ended(events).best_epoch == best.epoch
    snapshot = [event for event in events if isinstance(event, Snapshot) and event.kind == "best"][-1]
    state = fit.state()
    differs = False
    for name, p in parameters(fit.model).items():
        np.testing.assert_array_equal(p.x, snapshot.state.tensors[f"params/{name}"])
        np.testing.assert_array_equal(p.x, state.tensors[f"best/{name}"])
        differs |= not np.array_equal(p.x, state.tensors[f"params/{name}"])
    assert differs


def test_test_metrics_are_those_of_the_model():
    dataset = data()
    fit, seen = run(dataset, PLAN)
    tested = next(event for event in seen if isinstance(event, events.Tested))
    right = fit.model(dataset.test.x).argmax(axis=1) == dataset.test.y
    assert tested.metrics["test.accuracy"] == pytest.approx(right.mean())
    assert ended(seen).final["test.loss"] == tested.metrics["test.loss"]


def test_max_steps_stops_evaluated():
    fit, events = run(data(), plan(max_steps=7))
    assert (ended(events).status, ended(events).steps, ended(events).epochs) == ("stopped", 7, 1)
    assert {"train.loss", "valid.accuracy", "test.top_2"} <= ended(events).final.keys()
    assert fit.state().meta["position"]["step_in_epoch"] == 2


@pytest.mark.parametrize("changes", [{}, {"monitor": None}, {"schedule": Plateau(patience=0)}])
def test_a_training_that_was_stopped_and_evaluated_within_an_epoch_goes_on_to_the_bit(changes):
    dataset = data()
    whole, events = run(dataset, plan(**changes))
    stopped, _ = run(dataset, plan(max_steps=7, **changes))
    rest, more = run(dataset, plan(**changes), model=net(dataset, seed=99), state=through_json(stopped.state()))
    same(whole.state(), rest.state())
    assert list(ended(more).best.items()) == list(ended(events).best.items())
    assert ended(more).best_epoch == ended(events).best_epoch


@pytest.mark.parametrize(("made", "asked"), [(10, 10), (10, 3), (7, 7), (7, 6)])
def test_a_training_that_is_asked_for_no_more_steps_is_measured_as_it_stands(made, asked):
    dataset = data()  # five steps an epoch
    stopped, before = run(dataset, plan(max_steps=made))
    again, events = run(dataset, plan(max_steps=asked), model=net(dataset, seed=99), state=stopped.state())
    same(stopped.state(), again.state())
    end = ended(events)
    assert (end.status, end.steps) == ("stopped", made)
    assert (end.final, end.best) == (ended(before).final, ended(before).best)
    measured = [(e.epoch, e.step, e.metrics) for e in events if isinstance(e, EpochEnded)]
    known = [(e.epoch, e.step, e.metrics) for e in before if isinstance(e, EpochEnded)]
    assert measured == (known[-1:] if made % 5 else []), "an epoch that is over was measured already"


def test_more_epochs_go_on_to_the_bit_where_the_rate_does_not_know_of_the_end():
    dataset = data()
    changes = {"schedule": Plateau(patience=1), "early_stop": EarlyStop(patience=1), "optimizer": adam(0.3)}
    whole, _ = run(dataset, plan(epochs=9, **{**changes, "early_stop": EarlyStop(patience=9)}))
    short, seen = run(dataset, plan(epochs=9, **changes))
    assert ended(seen).reason == "early_stop"
    patient = plan(epochs=9, **{**changes, "early_stop": EarlyStop(patience=9)})
    rest, _ = run(dataset, patient, state=through_json(short.state()))
    same(whole.state(), rest.state())


def test_the_best_weights_of_a_state():
    dataset = data()
    fit, seen = run(dataset, plan(optimizer=adam(0.3), schedule=None, epochs=8))
    snapshot = [event.state for event in seen if isinstance(event, Snapshot)][-1]
    assert best_of(snapshot) is snapshot
    kept = best_of(fit.state())
    assert set(kept.tensors) == {n for n in snapshot.tensors if n.startswith(("params/", "best/"))}
    for name, tensor in kept.tensors.items():
        np.testing.assert_array_equal(tensor, snapshot.tensors[name])
    assert best_of(Fit(net(dataset), dataset, PLAN).state()) is None
    assert best_of(run(dataset, plan(monitor=None, epochs=1))[0].state()) is None
    with pytest.raises(CheckpointError, match="best weights only"):
        Fit(net(dataset), dataset, plan(optimizer=adam(0.3), schedule=None), kept)


def test_early_stop_and_plateau():
    dataset = data()
    changes = {"optimizer": adam(0.5), "epochs": 60, "early_stop": EarlyStop("valid.loss", patience=3)}
    _, events = run(dataset, plan(schedule=Plateau(factor=0.5, patience=0), **changes))
    end = ended(events)
    assert (end.status, end.reason) == ("finished", "early_stop")
    losses = [event.metrics["valid.loss"] for event in events if isinstance(event, EpochEnded)]
    assert len(losses) == 1 + int(np.argmin(losses)) + 4
    rates = [event.learning_rate for event in events if isinstance(event, EpochEnded)]
    expected, best = [0.5], losses[0]
    for loss in losses[1:-1]:
        expected.append(expected[-1] * (1.0 if loss < best else 0.5))
        best = min(best, loss)
    assert rates == pytest.approx([0.5, *expected])


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_divergence_is_told_before_the_update(engine):
    dataset = data()
    dataset.train.x[40] = np.nan
    fit = Fit(net(dataset), dataset, plan(engine=engine, shuffle=False))
    with pytest.raises(Diverged, match="step 3") as caught:
        list(fit)
    assert caught.value.step == 3
    assert all(np.isfinite(p.x).all() for p in fit.engine.params.values())


def test_a_shared_layer_is_one_parameter():
    dataset = data(features=4, classes=4)
    shared = Affine(4, 4)
    model = Chain(Input(4), shared, tanh, shared)
    before = shared.W.x.copy()
    fit, _ = run(
        dataset,
        plan(epochs=1, max_steps=1, optimizer=sgd(0.1), schedule=None, clip_norm=None, monitor=None),
        model=model,
    )
    assert [name for name in fit.state().tensors if name.startswith("params")] == ["params/1.W", "params/1.b"]
    twice = [Affine.of(before.copy(), np.zeros(4, np.float32)) for _ in range(2)]
    other = Chain(Input(4), twice[0], tanh, twice[1])
    list(
        Fit(
            other, dataset, plan(epochs=1, max_steps=1, optimizer=sgd(0.1), schedule=None, clip_norm=None, monitor=None)
        )
    )
    moved = sum(layer.W.x - before for layer in twice)
    np.testing.assert_allclose(shared.W.x - before, moved, rtol=1e-4, atol=1e-7)


def test_an_opaque_layer_is_interpreted():
    dataset = data()
    model = initialise(Chain(Affine(8), lambda x: x, Affine(3)), (1, 5))
    with pytest.raises(Exception, match="Backprop not implemented"):
        run(dataset, PLAN, model=model)

    class Double:
        def __call__(self, x):
            return 2 * x

        def back(self, dy, x):
            return 2 * dy

        def infer(self, shape):
            return shape

    doubles = [Double(), net_of(lambda x: 2.0 * x)]
    models = [initialise(Chain(Affine(8), double, Affine(3)), (1, 5), seed=4) for double in doubles]
    opaque, graph = (
        run(dataset, plan(engine=e), model=m)[0] for m, e in zip(models, ("tape", "reference"), strict=True)
    )
    assert opaque.engine.name == "reference"
    for name, tensor in graph.state().tensors.items():
        np.testing.assert_allclose(opaque.state().tensors[name], tensor, rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_refused():
    dataset = data()
    kept = Fit(net(dataset), dataset, PLAN).state()
    with pytest.raises(CheckpointError, match="the model's"):
        Fit(net(dataset, width=8), dataset, PLAN, kept)
    with pytest.raises(CheckpointError, match="made with adam"):
        Fit(net(dataset), dataset, plan(optimizer=sgd(0.1)), kept)
    with pytest.raises(CheckpointError, match="schedule"):
        Fit(net(dataset), dataset, plan(epochs=9), kept)  # a cosine over more epochs is another one from the start
    assert Fit(net(dataset), dataset, plan(epochs=9), kept, exact=False).at.epoch == 0
    with pytest.raises(DataError, match="no batch of 500"):
        Fit(net(dataset), dataset, plan(batch_size=500, drop_last=True))


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("monitor", {"monitor": "valid.loss"}),
        ("early_stop", {"early_stop": EarlyStop()}),
        ("schedule", {"schedule": Plateau()}),
        ("early_stop", {"early_stop": EarlyStop("train.r2")}),
    ],
)
def test_a_watched_metric_that_is_not_measured_is_refused(key, changes):
    dataset = dataclasses.replace(data(), valid=None)
    with pytest.raises(SettingError, match=rf"^{key} watches '\w+\.\w+', which no epoch measures$") as caught:
        Fit(net(dataset), dataset, plan(**{"monitor": None, **changes}))
    assert (caught.value.key, caught.value.hint) == (key, "known: train.loss, train.accuracy, train.top_2")


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 31, 1000])
def test_both_engines_shuffle_alike(rows):
    dataset = data()
    tape, reference = (Fit(net(dataset), dataset, plan(engine=engine)).engine for engine in ("tape", "reference"))
    for epoch in (0, 1, 2**33):
        np.testing.assert_array_equal(tape.order(rows, epoch), reference.order(rows, epoch))
