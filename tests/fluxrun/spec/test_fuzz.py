"""Whatever a spec or an override holds: a Spec, or problems with places; never a traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxrun.spec.load import load, to_yaml
from fluxrun.spec.problems import SpecError, as_github, as_json, as_text

PIECES = [
    "name: x\n", "seed: 0\n", "data: {source: csv, path: table.csv, target: kind}\n", "data:\n  source: npz\n",
    "model:\n", "  - affine: 4\n", "  - relu\n", "- ", "  ", "\t", ": ", "{", "}", "[", "]", ", ", "'", "\"",
    "&a ", "*a", "!!int ", "<<: ", "? ", "| \n", "> \n", "---\n", "...\n", "%YAML 1.2\n", "# x\n", "\n", "\r",
    "\x85", "\u2028", "\ufeff", "\x00", "\x1b", "train: {epochs: 2}\n",
    "  optimizer: {adam: {learning_rate: 1e-3}}\n", "  loss: cross_entropy\n", "extends: small.yaml\n",
    "extends: fuzz.yaml\n", "${env:HOME}", "${env:NONE}", "${env:", "数", "é", "😀", "1e999", "-.inf", ".nan",
    "~", "null", "true", "999999999999999999999999999999", "0x", "0b1", "-1", "1.5", "classes",
    "split: {train: 2}", "metrics: [accuracy, top_k: 3]", "early_stop: {patience: 1}", "schedule: {cosine: {}}",
    "'\\ud800'", "\"\\ud800\"", "\"\\0\"", "affine: {out: {}}", "init: {normal: [1]}",
]  # fmt: skip
KEYS = [
    "name", "seed", "data", "model", "train", "path", "source", "target", "split", "0", "1", "-1", "affine",
    "out", "init", "optimizer", "adam", "sgd", "beta1", "loss", "metrics", "schedule", "", "x", "a b",
    "early_stop", "é", "extends",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=14).map("".join)
OVERRIDES = st.tuples(
    st.lists(st.sampled_from(KEYS), max_size=5).map(".".join), st.sampled_from(["=", "", "=="]), TEXTS
)


def no_traceback(config, overrides=()):
    try:
        to_yaml(load(config, overrides).spec)
    except SpecError as error:
        text = as_text(error.problems) + as_github(error.problems)
        assert not set(text) & set("\x1b\x00\x07\r\x85")
        for problem in error.problems:
            length = len(problem.place.source.line(problem.place.row))
            assert 0 <= problem.place.column <= length
            assert problem.place.column <= problem.place.end
        text.encode()
        json.dumps(as_json(error.problems))


@pytest.fixture
def small(folder):
    return folder


FUZZ = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


FOUND = [  # overrides that once gave something else than an error with a place
    "data.split.valid=1" + "0" * 400,
    "extends: [a, b]\n.train.epochs=={+1: {last: 1}}",
    "nets.Residual.arguments.\0=where(x, x) takes",
    "nets.R\x1b.state.\x1b=4",
    "model.0.affine.init.glorot.gain=1e308",
]


def test_a_default_is_what_its_argument_may_be(small):
    net = "nets={Cell: {arguments: {out: 1%s}, params: {W: [in, out]}, forward: return x @ W}}"
    change = ["model=[Cell, {affine: classes}]"]
    (small / "back.yaml").write_text(to_yaml(load("small.yaml", [net % "000", *change]).spec))
    assert load("back.yaml").spec.model[0].arguments.model_dump() == {"out": 1000}
    for wrong in ("0" * 400, ".0e999"):
        with pytest.raises(SpecError, match=r"nets\.Cell\.arguments\.out, not the number"):
            load("small.yaml", [net % wrong, *change])


@pytest.mark.parametrize("text", FOUND)
def test_what_was_found(small, text):
    no_traceback("small.yaml", [text])


def test_a_control_character_that_is_printed_is_caught(small, monkeypatch):
    monkeypatch.setattr("fluxrun.spec.problems.visible", str)
    with pytest.raises(AssertionError):
        no_traceback("small.yaml", [FOUND[3]])


@FUZZ
@given(text=TEXTS)
def test_texts(small, text):
    (small / "fuzz.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    no_traceback("fuzz.yaml")


@FUZZ
@given(data=st.binary(max_size=60))
def test_bytes(small, data):
    (small / "fuzz.yaml").write_bytes(data)
    no_traceback("fuzz.yaml")


@FUZZ
@given(at=st.integers(0, 200), cut=st.integers(0, 20), piece=st.one_of(st.sampled_from(PIECES), st.text(max_size=3)))
def test_a_sound_spec_with_a_change(small, at, cut, piece):
    text = (small / "small.yaml").read_text()
    (small / "fuzz.yaml").write_bytes((text[:at] + piece + text[at + cut :]).encode("utf-8", "surrogatepass"))
    no_traceback("fuzz.yaml")


@FUZZ
@given(overrides=st.lists(OVERRIDES.map("".join), max_size=3))
def test_overrides(small, overrides):
    no_traceback("small.yaml", overrides)
