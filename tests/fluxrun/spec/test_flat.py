"""A spec as one map: every path is one that --set takes."""

import json

import pytest

from fluxrun.spec.flat import aside, flat
from fluxrun.spec.key import join, split
from fluxrun.spec.load import load
from fluxrun.spec.problems import SpecError


def test_every_value_has_its_path(folder):
    found = flat(load("small.yaml").spec)
    assert found["train.optimizer"] == "adam"
    assert found["train.optimizer.adam.learning_rate"] == 0.05
    assert (found["model.0"], found["model.0.affine.out"], found["model.1"]) == ("affine", 6, "tanh")
    assert (found["data.source"], found["data.path"]) == ("csv", str(folder / "table.csv"))
    assert found["data.missing"] == ["", "NA", "NaN", "?"]
    assert found["train.schedule"] is None
    assert json.loads(json.dumps(found)) == found


def test_what_changes_nothing(folder):
    found = aside(load("small.yaml").spec)
    saving = {f"train.checkpoint.{key}" for key in ("every_steps", "every_minutes", "keep")}
    assert found == saving | {f"data.{key}" for key in ("path", "train_path", "valid_path", "test_path")}


def test_a_key_with_dots_stands_in_quotes(folder):
    found = flat(load("small.yaml", ['data.columns."gr.ade"=numeric']).spec)
    assert {path: found[path] for path in found if path.startswith("data.columns")} == {
        'data.columns."gr.ade"': "numeric"
    }


@pytest.mark.parametrize("key", ["a.b", 'q"t.v', '"x', '"a"b"', "a=b", "wide ", "a-b", '""', "x²", "größe", "7"])
def test_a_key_of_any_letters(folder, key):
    path = join(["data", "columns", key])
    assert split(path) == ["data", "columns", key]
    assert flat(load("small.yaml", [f"{path}=numeric"]).spec)[path] == "numeric"


def test_a_key_with_dots_that_does_not(folder):
    with pytest.raises(SpecError, match=r"not a map\n(.*\n)*.*a name with dots stands in quotes"):
        load("small.yaml", ["data.columns.gr.ade=numeric"])


def test_every_path_can_be_set_to_its_value(configs):
    for config in sorted(configs.glob("*.yaml")):
        spec = load(str(config)).spec
        found = flat(spec)
        leaves = [
            (path, value)
            for path, value in found.items()
            if not isinstance(value, list | dict) and not any(other.startswith(f"{path}.") for other in found)
        ]
        again = load(str(config), [f"{path}={json.dumps(value)}" for path, value in leaves]).spec
        assert flat(again) == found, config


@pytest.mark.parametrize("setting", ["train.checkpoint.keep=5", "train.checkpoint.every_steps=7"])
def test_how_often_a_state_is_saved_is_no_other_training(folder, setting):
    from fluxrun.store.fingerprint import fingerprint

    assert fingerprint(load("small.yaml", [setting]).spec, []) == fingerprint(load("small.yaml").spec, [])
    assert fingerprint(load("small.yaml", ["seed=9"]).spec, []) != fingerprint(load("small.yaml").spec, [])
