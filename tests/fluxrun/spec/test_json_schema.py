"""The JSON Schema says what `check` says, as far as a schema can."""

import json
from functools import cache

import pytest

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.describe import default_of, is_required
from fluxrun.spec.json_schema import json_schema
from fluxrun.spec.load import load, to_data
from fluxrun.spec.part import fields
from fluxrun.spec.problems import SpecError
from fluxrun.spec.read import read_text
from fluxrun.spec.tree import plain

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is part of the `test` extra")

# what is wrong with these specs is no matter of keys, types and ranges: data, shapes, overrides, keys that go together
BEYOND = {
    "binary_output",
    "classes_of_regression",
    "last_layer",
    "misfit",
    "misfit_onehot",
    "misfit_reshape",
    "nets_calls",
    "nets_circle",
    "nets_deep",
    "nets_divided",
    "nets_few",
    "nets_forbidden",
    "nets_many",
    "nets_no_batch",
    "nets_numbers",
    "nets_quoted",
    "nets_shapes",
    "nets_shapes_inside",
    "nets_sizes",
    "nets_slices",
    "nets_state_shape",
    "nets_states",
    "nets_tuple",
    "nets_tuple_on",
    "nets_two_inputs",
    "nets_unknown_words",
    "nets_unpack",
    "nets_unused",
    "nets_uses",
    "nets_wrong_sizes",
    "no_column",
    "no_columns",
    "no_feature",
    "no_path",
    "no_such_metric",
    "no_vocabulary",
    "override_shapes",
    "overrides",
    "paths",
    "quantity",
    "quantity_binary",
    "recurrent_ids",
    "recurrent_last",
    "recurrent_rows",
    "recurrent_vocab",
    "regression_output",
    "softmax_before_loss",
    "text_binary",
    "text_binary_loss",
    "text_flat",
    "text_loss",
    "text_output",
    "text_too_short",
    "windows_columns",
    "windows_output",
    "windows_too_long",
    "wrong_loss",
    "wrong_metric",
}


@cache
def validator():
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def accepts(text):
    return validator().is_valid(plain(read_text(text)))


BASE = "data: {source: synthetic, name: xor}\nmodel: [affine: 1]\n"


@pytest.mark.parametrize(
    "name", ["diabetes", "digits", "forecast", "iris", "minimal_gated_unit", "own_cells", "spirals", "xor"]
)
def test_the_examples_are_valid_as_they_are_and_resolved(configs, name):
    path = configs / f"{name}.yaml"
    assert accepts(path.read_text())
    resolved = to_data(load(str(path)).spec)
    assert validator().is_valid(resolved), [e.message for e in validator().iter_errors(resolved)]


def broken(folder):
    for path in sorted(folder.glob("*.yaml")):
        try:
            yield path.stem, plain(read_text(path.read_text()))
        except (SpecError, UnicodeDecodeError):
            continue  # no tree, so nothing for a schema


def test_broken_specs_are_refused(configs):
    specs = dict(broken(configs.parent / "tests" / "fluxrun" / "specs"))
    accepted = {name for name, spec in specs.items() if validator().is_valid(spec)}
    assert accepted <= BEYOND, "these are broken by keys, types or ranges, and the schema takes them"
    assert len(specs) - len(accepted) >= 15


@pytest.mark.parametrize(
    "line",
    [
        "train: {optimizer: adam}",
        "train: {optimizer: {adam: 0.1}}",
        "train: {optimizer: {adam: {beta1: 0.8}}}",
        "train: {optimizer: {adam: ~}}",
        "train: {optimizer: '${env:OPTIMIZER:adam}'}",
        "train: {epochs: '${env:EPOCHS:5}'}",
        "train: {schedule: ~}",
        "train: {early_stop: {patience: 3}}",
        "name: a.b-c",
        "model: [relu, affine: {out: classes, init: {normal: 0.1}}, affine: {out: 3, init: he}]",
        "data: {source: csv, path: a.csv, target: -1, columns: {b: categorical}}",
        "data: {source: text, path: '${python:stdlib}/*.py', limit: 1000, unit: byte, carry_state: false}",
        "data: {source: text, train_path: [a.txt, 'b/*.txt'], valid_path: c.txt}",
        "model: [onehot: vocab, affine: {out: vocab}]",
        "data: {source: windows, path: a.csv, steps: 3, target: [a, -1], columns: [0, b]}",
    ],
)
def test_every_form(line):
    key = line.partition(":")[0]
    rest = "".join(f"{own}\n" for own in BASE.splitlines() if not own.startswith(f"{key}:"))
    assert accepts(f"{rest}{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "sed: 1",
        "seed: -1",
        "seed: 1.5",
        "name: ../x",
        "train: {optimizer: addam}",
        "train: {optimizer: {adam: {beta1: 1}}}",
        "train: {optimizer: {adam: 0.1, sgd: 0.1}}",
        "train: {optimizer: {}}",
        "train: {epochs: many}",
        "train: {epochs: ~}",
        "train: ~",
        "model: [affine]",
        "model: [affine: {bias: true}]",
        "model: []",
        "data: {source: csv, path: a.csv, examples: 3}",
        "data: {source: cvs, path: a.csv}",
        "data: {path: a.csv}",
        "data: {source: synthetic, name: moons}",
    ],
)
def test_what_is_refused(line):
    key = line.partition(":")[0]
    rest = "".join(f"{own}\n" for own in BASE.splitlines() if not own.startswith(f"{key}:"))
    assert not accepts(f"{rest}{line}\n")


def test_a_spec_that_extends_another_may_leave_out_and_take_away():
    assert accepts("extends: base.yaml\ntrain: {epochs: 3, schedule: ~, clip_norm: ~}\ndata: {batch_size: 8}")
    assert not accepts("extends: base.yaml\ntrain: {epoch: 3}")
    assert not accepts("extends: base.yaml\ntrain: {optimizer: addam}")
    assert not accepts("seed: 1"), "a spec by itself has data and a model"


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, rows in CATALOG.items() for n in rows])
def test_the_defaults_of_every_component_are_valid(kind, name):
    schema = CATALOG[kind][name].schema
    whole = json_schema()
    target = {"$ref": f"#/$defs/{kind}.{name}", "$defs": whole["$defs"]}
    values = {key: value for key in fields(schema) if (value := default_of(schema, key)) is not None}
    required = {key for key in fields(schema) if is_required(schema, key)}
    found = [e for e in jsonschema.Draft202012Validator(target).iter_errors(values) if e.validator != "required"]
    assert not found
    assert {key for key in required if key in values} == set()


def test_a_schema_that_is_too_loose_is_caught(monkeypatch):
    whole = json_schema()
    whole["$defs"]["optimizer.adam"]["additionalProperties"] = True
    monkeypatch.setattr("fluxrun.spec.json_schema.json_schema", lambda: whole)
    loose = jsonschema.Draft202012Validator(whole)
    assert loose.is_valid(plain(read_text(BASE + "train: {optimizer: {adam: {learning_rat: 1}}}")))
    assert not accepts(BASE + "train: {optimizer: {adam: {learning_rat: 1}}}")


def test_an_editor_shows_the_documentation():
    definitions = json_schema()["$defs"]
    assert definitions["optimizer.adam"]["properties"]["beta1"]["default"] == 0.9
    assert "step" in definitions["optimizer.adam"]["properties"]["learning_rate"]["description"]
    assert {"const": "relu", "description": "x where it is positive, 0 elsewhere."} in definitions["layer"]["anyOf"]
