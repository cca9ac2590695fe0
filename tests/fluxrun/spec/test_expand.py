"""Short forms, and overrides on top of them."""

import pytest

from fluxrun.spec.expand import expand, override
from fluxrun.spec.problems import Problems, SpecError
from fluxrun.spec.read import read_text
from fluxrun.spec.tree import plain

SPEC = """
data: {source: npz, path: a.npz}
model:
  - affine: 128
  - relu
  - affine: {out: 10, init: he, bias_init: {normal: 0.1}}
train: {optimizer: sgd, loss: {huber: 2}, metrics: [accuracy, top_k: 3]}
"""


def overridden(*texts: str, spec: str = SPEC):
    problems = Problems()
    tree = expand(read_text(spec))
    for number, text in enumerate(texts, 1):
        tree = override(tree, text, f"--set #{number}", number, problems)
    problems.raise_if_any()
    return plain(tree)


def test_every_short_form_becomes_the_long_one():
    assert overridden() == {
        "data": {"source": "npz", "path": "a.npz"},
        "model": [
            {"affine": {"out": 128}},
            {"relu": {}},
            {"affine": {"out": 10, "init": {"he": {}}, "bias_init": {"normal": {"std": 0.1}}}},
        ],
        "train": {
            "optimizer": {"sgd": {}},
            "loss": {"huber": {"delta": 2}},
            "metrics": [{"accuracy": {}}, {"top_k": {"k": 3}}],
        },
    }


def test_expanding_twice_changes_nothing():
    once = expand(read_text(SPEC))
    assert plain(expand(once)) == plain(once)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("model.0.affine.bias=false", ("model", 0), {"affine": {"out": 128, "bias": False}}),
        ("model.1=tanh", ("model", 1), {"tanh": {}}),
        ("model.1.leaky_relu=0.2", ("model", 1), {"leaky_relu": {"slope": 0.2}}),
        ("model.1.elu.alpha=2", ("model", 1), {"elu": {"alpha": 2}}),
        ("train.optimizer=adam", ("train", "optimizer"), {"adam": {}}),
        ("train.optimizer.sgd.learning_rate=1e-2", ("train", "optimizer"), {"sgd": {"learning_rate": 0.01}}),
        ("train.optimizer.adam.beta1=0.8", ("train", "optimizer"), {"adam": {"beta1": 0.8}}),
        ("train.schedule.step.every=3", ("train", "schedule"), {"step": {"every": 3}}),
        ("train.metrics=[accuracy]", ("train", "metrics"), [{"accuracy": {}}]),
        ("data.path=b=c.npz", ("data", "path"), "b=c.npz"),
        ("data.batch_size=", ("data", "batch_size"), None),
        ("seed=0x10", ("seed",), 16),
        ("name='3'", ("name",), "3"),
        ('data.columns."gr.ade"=numeric', ("data", "columns"), {"gr.ade": "numeric"}),
        ('data.columns. "a=b.c" = numeric', ("data", "columns"), {"a=b.c": "numeric"}),
        ('data.columns.5"=numeric', ("data", "columns"), {'5"': "numeric"}),
        ('data.columns."5"" a.b"=numeric', ("data", "columns"), {'5" a.b': "numeric"}),
        ('data.columns." a"=numeric', ("data", "columns"), {" a": "numeric"}),
        ('data.columns."x=numeric', ("data", "columns"), {'"x': "numeric"}),
        ('data.path="a.b=c"', ("data", "path"), "a.b=c"),
    ],
)
def test_overrides(text, path, value):
    got = overridden(text)
    for step in path:
        got = got[step]
    assert got == value


def test_later_overrides_win():
    assert overridden("seed=1", "seed=2")["seed"] == 2


def test_another_source_keeps_what_it_knows_too():
    got = overridden("data.source=synthetic", "data.name=xor")["data"]
    assert got == {"source": "synthetic", "name": "xor"}
    assert overridden("data.batch_size=7", "data.source=synthetic")["data"]["batch_size"] == 7
    assert overridden("data.x=7", "data.source=idx")["data"]["x"] == 7, "what an override says is not lost in silence"


def test_names_with_dots_that_are_there_need_no_quotes():
    before = ("data.columns={a.b: numeric, a.b.c: numeric}", "nets={n: {params: {w.x: {shape: [2]}}}}")
    assert overridden(*before, "data.columns.a.b=categorical")["data"]["columns"]["a.b"] == "categorical"
    assert overridden(*before, "data.columns.a.b.c=categorical")["data"]["columns"]["a.b.c"] == "categorical"
    weights = overridden(*before, "nets.n.params.w.x.shape=[3]")["nets"]["n"]["params"]
    assert weights == {"w.x": {"shape": [3]}}
    assert overridden(*before, 'data.columns."a"=numeric')["data"]["columns"]["a"] == "numeric"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "--set #1, column 1: error: expected KEY=VALUE"),
        ("=3", "--set #1, column 1: error: expected KEY=VALUE"),
        ('data.columns."a.b"', "--set #1, column 1: error: expected KEY=VALUE"),
        ('data.columns.""=3', "--set #1, column 14: error: a part of the key is empty"),
        ("train..epochs=3", "--set #1, column 7: error: a part of the key is empty"),
        ("model.3=relu", "--set #1, column 7: error: expected an index from 0 to 2"),
        ("model.x=relu", "--set #1, column 7: error: expected an index"),
        ("data.path.x=1", "--set #1, column 11: error: no key 'x' can be set inside the text 'a.npz'"),
        ("seed=[1", "--set #1, column 8: error: this is no valid YAML"),
        ("seed=&a 1", "--set #1, column 6: error: anchors"),
        ("seed\n.x=3", "--set #1, column 1: error: a key stands on one line"),
        ("seed=3\nname: x", "--set #1, line 2, column 5: error: this is no valid YAML"),
    ],
)
def test_overrides_without_a_meaning_have_a_place(text, message):
    with pytest.raises(SpecError) as caught:
        overridden(text)
    assert str(caught.value).startswith(message)
