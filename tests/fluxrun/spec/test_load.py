"""From a config to a Spec, and back to a resolved one that means the same."""

import io
import sys
from types import SimpleNamespace

import pytest

from flux_core.errors import MissingFile
from fluxrun.spec.load import load, to_data, to_yaml
from fluxrun.spec.problems import SpecError, as_github, as_json

WHOLE = """
name: whole
seed: 7
data: {source: csv, path: table.csv, target: 0, features: [x, 1], delimiter: ";", missing: ["", "no", "1e3"],
  columns: {"1": categorical}, on_missing: mean, split: {train: 0.7, test: 0.3}, drop_last: true}
model:
  - affine: {out: 4, bias: false, init: {normal: 1e-8}, bias_init: {uniform: {limit: 0.5}}}
  - reshape: [2, -1]
  - flatten
  - leaky_relu: 0.3
  - dropout: 0.1
  - affine: classes
train:
  loss: {huber: 0.5}
  optimizer: {nesterov: {momentum: 0.5}}
  schedule: {cosine: {final: 0.1, warmup: 5}}
  epochs: 4
  metrics: [r2, mae]
  clip_norm: 1
  clip_value: 1e-10
  early_stop: {patience: 3}
  checkpoint: {every_steps: 7}
"""


@pytest.mark.parametrize("name", ["whole.yaml", "small.yaml"])
def test_the_resolved_spec_reads_back_as_itself(folder, name):
    (folder / "whole.yaml").write_text(WHOLE)
    first = load(name).spec
    (folder / "elsewhere").mkdir()
    resolved = folder / "elsewhere" / "resolved.yaml"
    resolved.write_text(to_yaml(first))
    again = load(str(resolved)).spec
    assert to_data(again) == to_data(first)
    assert to_yaml(again) == to_yaml(first)
    assert to_data(again)["data"]["path"] == str(folder / "table.csv")


def test_the_resolved_spec_means_the_same_to_readers_of_yaml_1_1(folder):
    import yaml

    (folder / "whole.yaml").write_text(WHOLE)
    spec = load("whole.yaml").spec
    assert yaml.safe_load(to_yaml(spec)) == to_data(spec)


def test_the_name_is_the_files_unless_it_is_given(folder):
    text = (folder / "small.yaml").read_text().replace("name: small\n", "")
    for file, name in [
        ("mine.yaml", "mine"),
        ("my spec (2).yaml", "my-spec-2-"),
        ("..x.yaml", "x"),
        ("数.yaml", "run"),
    ]:
        (folder / file).write_text(text)
        assert load(file).spec.name == name
    assert load("mine.yaml", ["name=other"]).spec.name == "other"
    assert load("mine.yaml", ["name=other"], name="third").spec.name == "third"


def test_a_spec_that_is_not_there_may_be_in_a_folder_beside(folder):
    for place in ("configs", ".hidden"):
        (folder / place).mkdir()
        (folder / place / "digits.yaml").touch()
    (folder / "digit.yaml").touch()
    said = {
        "digits.yaml": "did you mean 'configs/digits.yaml'?",
        "digits": "did you mean 'configs/digits.yaml'?",
        "smal.yaml": "did you mean 'small.yaml'?",
        "configs/digit.yaml": "did you mean 'digits.yaml'?",
        "none/digits.yaml": "the directory 'none' is not there either",
        "x" * 300: None,
    }
    for config, hint in said.items():
        with pytest.raises(MissingFile) as caught:
            load(config)
        assert caught.value.hint == hint, config


@pytest.mark.parametrize("data", [b"PK\x03\x04\0\xad", b"\x93NUMPY\1\0"])
def test_a_file_of_data_is_none_of_a_spec(folder, data):
    (folder / "digits.npz").write_bytes(data)
    with pytest.raises(SpecError, match="this is a file of data, not a spec") as caught:
        load("digits.npz")
    assert data[:2].decode("latin-1") not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("größe", "not of 'ö'"),
        ("a b", "not of ' '"),
        ("nul", "no folder can be called 'nul' on Windows"),
        (".x", "starts with none of"),
        ("x" * 101, "1 to 100 characters"),
    ],
)
def test_what_is_wrong_with_a_name(folder, name, words):
    with pytest.raises(SpecError, match=words):
        load("small.yaml", name=name)


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/x", "a/b", "CON", "com1.txt", "x" * 101, "-x", ".x", "a\nb", "", "a b", "é", "\x1b[0m", "nul"],
)
def test_names_that_no_folder_should_have(folder, name):
    with pytest.raises(SpecError, match=r"--name, column 1: error: (a name|no folder|expected)"):
        load("small.yaml", name=name)


@pytest.mark.parametrize("name", ["x", "X_1", "a.b-c", "0", "x" * 100, "console"])
def test_names_that_a_folder_may_have(folder, name):
    assert load("small.yaml", name=name).spec.name == name


def test_stdin(folder, monkeypatch):
    data = (folder / "small.yaml").read_bytes().replace(b"epochs", b"epoch")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(SpecError, match=r"<stdin>:5:9: error: unknown key 'epoch' in train"):
        load("-")


def test_a_path_is_relative_to_the_text_that_it_stands_in(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "small.yaml").write_text((folder / "small.yaml").read_text())
    assert load("sub/small.yaml").spec.data.arguments.path == "sub/table.csv"
    assert load("sub/small.yaml", ["data.path=b.csv"]).spec.data.arguments.path == "b.csv"
    assert load("sub/small.yaml", ["data.path=/x/b.csv"]).spec.data.arguments.path == "/x/b.csv"


@pytest.mark.parametrize("config", ["smal.yaml", ".", "none/small.yaml", "a\0b"])
def test_a_config_that_cannot_be_read(folder, config):
    with pytest.raises(MissingFile) as caught:
        load(config)
    if config == "smal.yaml":
        assert caught.value.hint == "did you mean 'small.yaml'?"


def test_strings_of_every_field_name_nothing_that_could_run(folder):
    for hostile in ("os.system", "builtins.eval", "flux_core.layers:Affine", "__import__('os')"):
        for key in ("data.source", "train.loss", "train.optimizer", "model.1", "train.schedule"):
            with pytest.raises(SpecError, match="unknown"):
                load("small.yaml", [f"{key}='{hostile}'" if "'" not in hostile else f'{key}="{hostile}"'])


def test_problems_for_programs(folder):
    with pytest.raises(SpecError) as caught:
        load("small.yaml", ["train.epoch=3", "seed=-1"])
    first, second = as_json(caught.value.problems)
    assert first == {
        "file": "--set #1",
        "line": 1,
        "column": 7,
        "end_column": 12,
        "severity": "error",
        "message": "unknown key 'epoch' in train",
        "hint": "did you mean 'epochs'?",
        "related": [],
    }
    assert second["column"] == 6
    assert as_github(caught.value.problems).splitlines()[0] == (
        "::error::--set #1, column 7: unknown key 'epoch' in train: did you mean 'epochs'?"
    )


def test_annotations_cannot_be_broken_out_of(folder):
    with pytest.raises(SpecError) as caught:
        load("small.yaml", ['"a%0A::b,c:d"=1', '{"x\\ny": 1}=2'])
    assert all(line.startswith("::error::--set #") for line in as_github(caught.value.problems).splitlines())
    (folder / "a,b:c.yaml").write_text('"x%0A\\n::error::": 1\n')
    with pytest.raises(SpecError) as caught:
        load("a,b:c.yaml")
    written = as_github(caught.value.problems).splitlines()
    assert all(line.startswith("::error file=a%2Cb%3Ac.yaml,") for line in written)


OWN_FILES = [  # data whose splits have files of their own, in the place of `path`
    "{source: csv, train_path: a.csv, test_path: b.csv}",
    "{source: npz, train_path: a.npz, valid_path: b.npz}",
    "{source: text, train_path: [a.txt, b.txt], valid_path: c.txt}",
    "{source: windows, train_path: a.csv, test_path: b.csv, steps: 3}",
    "{source: npy, features: a.npy, labels: b.npy, test_features: c.npy, test_labels: d.npy}",
    "{source: idx, images: a, labels: b, test_images: c, test_labels: d}",
]


@pytest.mark.parametrize("data", OWN_FILES)
def test_splits_with_own_files_are_read_back(folder, data):
    first = load("small.yaml", [f"data={data}"]).spec
    (folder / "resolved.yaml").write_text(to_yaml(first))
    assert to_data(load("resolved.yaml").spec) == to_data(first)


def test_planted_demand_for_the_path_is_caught(folder, monkeypatch):
    def together(values):
        yield from [("path", "missing")] if "path" in values else []

    monkeypatch.setattr("fluxrun.spec.schema.sources.Csv.together", together)
    with pytest.raises(SpecError):
        test_splits_with_own_files_are_read_back(folder, OWN_FILES[0])
