"""extends, variables of the environment, and the order in which all of them win."""

import pytest

from fluxrun.spec.load import load
from fluxrun.spec.problems import SpecError
from fluxrun.spec.read import read_text
from fluxrun.spec.tree import plain

TOP = "extends: small.yaml\n"


def loaded(folder, text, *overrides, file="top.yaml"):
    (folder / file).write_text(text)
    return load(file, overrides).spec


def test_maps_merge_and_lists_replace(folder):
    spec = loaded(folder, TOP + "train: {epochs: 9}\nmodel: [{affine: classes}]\n")
    assert (spec.name, spec.seed, spec.train.epochs, len(spec.model)) == ("small", 3, 9, 1)
    assert spec.train.optimizer.arguments.learning_rate == 0.05


@pytest.mark.parametrize(
    ("optimizer", "name", "rate", "beta1"),
    [
        ("{adam: {beta1: 0.5}}", "adam", 0.05, 0.5),
        ("{adam: 0.1}", "adam", 0.1, 0.9),
        ("adam", "adam", 0.05, 0.9),
        ("sgd", "sgd", 0.001, None),
        ("{adamw: {beta1: 0.5}}", "adamw", 0.001, 0.5),
        ("~", "adam", 0.001, 0.9),
    ],
)
def test_a_component_merges_under_its_own_name_only(folder, optimizer, name, rate, beta1):
    found = loaded(folder, TOP + f"train: {{optimizer: {optimizer}}}\n").train.optimizer
    assert (found.name, found.arguments.learning_rate, getattr(found.arguments, "beta1", None)) == (name, rate, beta1)


def test_another_source_takes_no_keys_along(folder):
    data = loaded(folder, TOP + "data: {source: synthetic, name: xor}\n").data
    assert (data.name, data.arguments.batch_size) == ("synthetic", 32)
    data = loaded(folder, TOP + "data: {batch_size: 9}\n").data
    assert (data.name, data.arguments.batch_size) == ("csv", 9)


def test_paths_are_relative_to_the_file_that_they_stand_in(folder):
    (folder / "sub").mkdir()
    spec = loaded(folder, "extends: ../small.yaml\n", file="sub/top.yaml")
    assert spec.data.arguments.path == "sub/../table.csv"


def test_problems_name_the_file_that_they_are_in(folder):
    (folder / "base.yaml").write_text("seed: -1\ntrain: {epoch: 3}\n")
    with pytest.raises(SpecError) as caught:
        loaded(folder, "extends: base.yaml\nmodle: []\n")
    places = [str(problem.place) for problem in caught.value.problems]
    assert places[:2] == ["base.yaml:1:7", "base.yaml:2:9"]
    assert "top.yaml:2:1" in places


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: none.yaml", "top.yaml:1:10: error: 'none.yaml' cannot be read: No such file"),
        ("extends: top.yaml", "top.yaml:1:10: error: 'top.yaml' extends itself"),
        ("extends: circle.yaml", "circle.yaml:1:10: error: 'top.yaml' extends itself by a circle"),
        ("extends: [a, b]", "top.yaml:1:10: error: expected the path of a spec for extends, not a list"),
        ("extends: ~", "top.yaml:1:10: error: expected the path"),
        ("extends: broken.yaml", "broken.yaml:1:5: error: this is no valid YAML"),
        ("extends: bytes.yaml", "bytes.yaml:1:4: error: byte 0xff"),
        ("extends: .", "top.yaml:1:10: error: '.' cannot be read: Is a directory"),
    ],
)
def test_files_that_cannot_be_extended(folder, text, message):
    (folder / "circle.yaml").write_text("extends: top.yaml")
    (folder / "broken.yaml").write_text("a: b: c")
    (folder / "bytes.yaml").write_bytes(b"a: \xff")
    with pytest.raises(SpecError) as caught:
        loaded(folder, text + "\ntrain: {epoch: 1}")
    assert message in str(caught.value)
    assert "missing" not in str(caught.value), "it may stand in what could not be read"
    assert "unknown key 'epoch'" in str(caught.value)


def test_a_tower_has_ten_storeys_at_most(folder):
    for i in range(12):
        (folder / f"s{i}.yaml").write_text(f"extends: s{i + 1}.yaml\n")
    with pytest.raises(SpecError, match="at most 10 specs"):
        load("s0.yaml")


def test_base_file_environment_and_command_in_their_order(folder, monkeypatch):
    (folder / "top.yaml").write_text(TOP + "train: {epochs: 11}\nseed: 11\n")
    assert load("top.yaml").spec.train.epochs == 11
    monkeypatch.setenv("FLUXRUN_SET", "train.epochs=12\n\nseed=12\n")
    found = load("top.yaml", ["seed=13"])
    assert (found.spec.data.arguments.batch_size, found.spec.train.epochs, found.spec.seed) == (8, 12, 13)
    assert found.overrides == ("train.epochs=12", "seed=12", "seed=13")
    monkeypatch.setenv("FLUXRUN_SET", "train.epochs=12\ntrain.epoch=12")
    with pytest.raises(SpecError, match="FLUXRUN_SET #2, column 7: error: unknown key 'epoch'"):
        load("top.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:FIVE}", 5),
        ('"${env:FIVE}"', 5),
        ("${env:NONE:1e-3}", 0.001),
        ("${env:NONE:}", None),
        ("${env:NONE:a b}", "a b"),
        ("x-${env:FIVE}-${env:NONE:y}", "x-5-y"),
        ("${env:LIST}", "[1, 2]"),
        ("$FIVE", "$FIVE"),
        ("${FIVE}", "${FIVE}"),
    ],
)
def test_variables_of_the_environment(monkeypatch, text, value):
    monkeypatch.setenv("FIVE", "5")
    monkeypatch.setenv("LIST", "[1, 2]")
    monkeypatch.delenv("NONE", raising=False)
    got = plain(read_text(f"a: {text}"))["a"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${env:NONE}", "<text>:1:4: error: the environment has no variable 'NONE'"),
        ("${env:A-B}", r"<text>:1:4: error: expected \$\{env:NAME\}"),
        ("${env:BYTES}", "no UTF-8"),
        ("${env:DIGITS}", "too many digits"),
    ],
)
def test_variables_that_are_not_there(monkeypatch, text, message):
    monkeypatch.setenv("BYTES", "\udcff")
    monkeypatch.setenv("DIGITS", "9" * 5000)
    monkeypatch.delenv("NONE", raising=False)
    with pytest.raises(SpecError, match=message):
        read_text(f"a: {text}")


def test_keys_take_no_variables(monkeypatch):
    monkeypatch.setenv("FIVE", "5")
    assert plain(read_text('"${env:FIVE}": 1')) == {"${env:FIVE}": 1}
