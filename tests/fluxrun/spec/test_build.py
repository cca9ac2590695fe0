"""From a spec to the model, the plan and the facts."""

import numpy as np
import pytest

from flux_core.model import parameters
from flux_core.optim import OPTIMIZERS, SCHEDULES
from fluxrun.spec.build import build, peek
from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.load import load
from fluxrun.spec.part import to_plain


def weights(*overrides):
    model = build(load("small.yaml", overrides)).model
    return {name: p.x.copy() for name, p in parameters(model).items()}


def test_weights_are_a_function_of_the_spec(folder):
    first, again = weights(), weights()
    assert {name: array.shape for name, array in first.items()} == {
        "0.W": (2, 6),
        "0.b": (6,),
        "2.W": (6, 2),
        "2.b": (2,),
    }
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["0.W"], weights("seed=4")["0.W"])


def test_a_given_input_size_is_only_a_check(folder):
    first, given = weights(), weights("model.0.affine.n_in=2", "model.2.affine.n_in=6")
    for name in first:
        np.testing.assert_array_equal(first[name], given[name])


def test_initialisers_reach_the_weights(folder):
    drawn = weights("model.0.affine.init={uniform: 0.25}", "model.0.affine.bias_init=ones", "model.2.affine.bias=false")
    assert 0.1 < np.abs(drawn["0.W"]).max() <= 0.25
    np.testing.assert_array_equal(drawn["0.b"], np.ones(6))
    assert "2.b" not in drawn


@pytest.mark.parametrize("name", CATALOG["layer"])
def test_every_layer_can_be_built_trained_and_shown(folder, name):
    sized = {"affine": "3", "reshape": "[2, 3]", "onehot": "5", "embedding": "{out: 3, n: 5}"}
    sized |= dict.fromkeys(("recurrent", "gru", "lstm"), "{out: 3, layers: 2, bidirectional: true}")
    arguments = sized.get(name, "{}")
    before = "affine: 6"
    if name in ("recurrent", "gru", "lstm", "last", "time_mean"):  # take sequences
        before = "reshape: [2, 1]"
    change = [f"model=[{{{before}}}, {{{name}: {arguments}}}, flatten, {{affine: classes}}]"]
    if name in ("onehot", "embedding"):  # take ids, which a table does not have
        np.savez("ids.npz", x=np.arange(40) % 5, y=np.arange(40) % 2)
        change = [
            "data={source: npz, path: ids.npz, ids: true}",
            f"model=[{{{name}: {arguments}}}, flatten, {{affine: classes}}]",
        ]
    built = build(load("small.yaml", change), max_steps=2)
    spec, _, seen, model = peek(load("small.yaml", change))
    assert to_plain(spec) == to_plain(built.spec)
    assert seen.input_shape == built.dataset.train.x.shape[1:]
    assert {n: p.shape for n, p in parameters(model).items()} == {
        n: p.shape for n, p in parameters(built.model).items()
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_arrives_with_its_numbers(folder, name):
    plan = build(load("small.yaml", [f"train.optimizer={{{name}: {{learning_rate: 0.3}}}}"])).plan
    assert plan.optimizer == OPTIMIZERS[name](learning_rate=0.3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_arrives(folder, name):
    plan = build(load("small.yaml", [f"train.schedule={{{name}: {{warmup: 7}}}}"])).plan
    assert plan.schedule == SCHEDULES[name](warmup=7)


def test_the_plan_says_what_the_spec_says(folder):
    change = [
        *("data.batch_size=5", "data.shuffle=false", "data.drop_last=true", "train.clip_norm=2", "train.clip_value=3"),
        *("train.early_stop={patience: 4, min_delta: 0.5}", "train.metrics=[accuracy, {top_k: 2}]"),
        *("train.checkpoint={metric: valid.top_2, every_steps: 9}", "seed=8"),
    ]
    plan = build(load("small.yaml", change), max_steps=11).plan
    assert (plan.batch_size, plan.shuffle, plan.drop_last, plan.seed) == (5, False, True, 8)
    assert (plan.clip_norm, plan.clip_value, plan.every_steps, plan.max_steps) == (2.0, 3.0, 9, 11)
    assert plan.metrics == ("accuracy", ("top_k", {"k": 2}))
    assert plan.monitor == "valid.top_2"
    assert plan.early_stop is not None
    assert (plan.early_stop.metric, plan.early_stop.patience, plan.early_stop.min_delta) == ("valid.loss", 4, 0.5)


def test_defaults_follow_the_data(folder):
    spec = build(load("small.yaml", ["data.target=x", "model.2.affine=1"])).spec
    assert spec.train.loss.name == "mse"
    assert [metric.name for metric in spec.train.metrics] == ["mae", "r2"]
    assert spec.train.checkpoint.metric == "valid.loss"
    spec = build(load("small.yaml", ["data.split={train: 1}", "train.early_stop={}", "train.schedule=plateau"])).spec
    assert spec.train.checkpoint.metric is None
    assert spec.train.early_stop.metric == "train.loss"
    assert spec.train.schedule.arguments.metric == "train.loss"


def test_splits_of_separate_files(folder):
    for name in ("valid", "test"):
        (folder / f"{name}.csv").write_text((folder / "table.csv").read_text())
    change = ["data={source: csv, target: kind, train_path: table.csv, valid_path: valid.csv, test_path: test.csv}"]
    loaded = load("small.yaml", change)
    assert build(loaded).facts == peek(loaded)[1]
    assert len(build(loaded).dataset.valid) == 60


@pytest.mark.parametrize("own", [(), ("valid",), ("test",), ("valid", "test")], ids=str)
def test_arrays_in_files_of_their_own(folder, own):
    for name in ("train", "valid", "test"):
        np.save(f"x_{name}.npy", np.arange(80, dtype=np.float32).reshape(40, 2))
        np.save(f"y_{name}.npy", np.arange(40) % 2)
    pairs = "".join(f", {name}_features: x_{name}.npy, {name}_labels: y_{name}.npy" for name in own)
    change = [f"data={{source: npy, features: x_train.npy, labels: y_train.npy{pairs}}}"]
    built, (spec, facts, _, _) = build(load("small.yaml", change)), peek(load("small.yaml", change))
    assert to_plain(spec) == to_plain(built.spec)
    assert facts == built.facts
    assert facts.splits == (("train", *own) if own else ("train", "valid", "test"))
    assert len(built.dataset.train) == (40 if own else 32)
    assert spec.data.arguments.split.train == (1.0 if own else 0.8)
