"""Text and series in specs: sizes, defaults, what reaches the plan, and how what does not fit ends."""

import json
import sysconfig
from math import log2
from pathlib import Path

import numpy as np
import pytest

from fluxrun import exits
from fluxrun.jobs.show import show
from fluxrun.spec.build import build, peek
from fluxrun.spec.load import load, to_yaml
from fluxrun.spec.part import to_plain
from fluxrun.store.fingerprint import fingerprint

TEXT = """\
data: {source: text, path: text.txt, steps: 10, batch_size: 4}
model: [{onehot: vocab}, {affine: vocab}]
train: {epochs: 40, optimizer: {adam: 0.1}}
"""
SERIES = """\
data: {source: windows, path: series.csv, steps: 12, horizon: 2, target: [y], split: {train: 0.7, valid: 0.3}}
model: [flatten, {affine: 2}]
train: {epochs: 60, optimizer: {adam: 0.05}}
"""


@pytest.fixture
def bigrams(folder):
    """A text in which the next symbol is one of two, and a spec for it; the conditional entropy is one bit."""
    rng = np.random.default_rng(0)
    at, text = 0, []
    for turn in rng.integers(1, 3, 4000):
        at = (at + int(turn)) % 6
        text.append("abcdef"[at])
    (folder / "text.txt").write_text("".join(text))
    (folder / "text.yaml").write_text(TEXT)
    return folder


@pytest.fixture
def series(folder):
    """A sum of two waves, which a linear model of twelve values continues exactly."""
    t = np.arange(400)
    y = 3 + np.sin(t / 3) + 0.5 * np.cos(t / 7)
    (folder / "series.csv").write_text("\n".join(["day,y", *(f"d{i},{v}" for i, v in enumerate(y))]) + "\n")
    (folder / "series.yaml").write_text(SERIES)
    return folder


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_a_bigram_model_learns_the_entropy_of_the_text(bigrams, cli, engine):
    done = cli("train", "text.yaml", "--json", "--set", f"train.engine={engine}", "--expect", "valid.perplexity<=2.1",
               "--set", "train.metrics=[bits_per_symbol, perplexity, accuracy]")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    text = (bigrams / "text.txt").read_text()[:3200]
    pairs = np.zeros((6, 6))
    np.add.at(pairs, tuple(np.array([[ord(c) - 97 for c in text[:-1]], [ord(c) - 97 for c in text[1:]]])), 1)
    entropy = -sum(n * log2(n / row.sum()) for row in pairs for n in row if n) / pairs.sum()
    assert result["final"]["train.bits_per_symbol"] == pytest.approx(entropy, abs=0.02)
    assert result["best"]["valid.perplexity"] == pytest.approx(2 ** result["best"]["valid.bits_per_symbol"])
    assert {"test.accuracy", "test.bits_per_symbol"} <= result["final"].keys()


def test_text_decides_sizes_and_defaults(bigrams):
    built, (spec, facts, seen, _) = build(load("text.yaml")), peek(load("text.yaml"))
    assert to_plain(spec) == to_plain(built.spec)
    assert facts == built.facts
    assert facts.vocabulary == facts.classes == seen.vocabulary == 6
    assert [metric.name for metric in spec.train.metrics] == ["bits_per_symbol"]
    assert spec.train.loss.name == "cross_entropy"
    assert spec.train.checkpoint.metric == "valid.loss"
    plan = built.plan
    assert (plan.shuffle, plan.drop_last, plan.batch_size) == (False, True, 4)
    assert len(built.dataset.train.x) % 4 == 0
    assert built.dataset.streams


def test_windows_without_state_are_examples_like_others(bigrams):
    change = ["data.carry_state=false", "data.shuffle=true", "data.drop_last=false"]
    built = build(load("text.yaml", change))
    assert (built.plan.shuffle, built.plan.drop_last) == (True, False)
    assert not built.dataset.streams
    assert len(built.dataset.train) == 3199 // 10


def test_the_best_epoch_may_be_best_in_bits(bigrams):
    plan = build(load("text.yaml", ["train.checkpoint.metric=valid.bits_per_symbol"])).plan
    assert plan.monitor == "valid.bits_per_symbol"


@pytest.mark.parametrize("name", ["text", "windows"])
def test_a_resolved_spec_is_the_same_training(name, bigrams, series, tmp_path):
    config = {"text": "text.yaml", "windows": "series.yaml"}[name]
    change = ["data.path=[text.txt, t*.txt]"] if name == "text" else []
    first = build(load(config, change))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "again.yaml").write_text(to_yaml(first.spec))
    again = build(load("elsewhere/again.yaml"))
    assert to_plain(again.spec) == to_plain(first.spec)
    assert fingerprint(again.spec, []) == fingerprint(first.spec, [])
    np.testing.assert_array_equal(again.dataset.train.x, first.dataset.train.x)
    if name == "text":
        assert first.spec.data.arguments.path == ["text.txt", "t*.txt"]
        assert to_plain(first.spec)["data"]["text"]["path"] == [str(tmp_path / "text.txt"), str(tmp_path / "t*.txt")]


def test_the_sources_of_pythons_own_library_are_a_text(folder, monkeypatch):
    (folder / "text.yaml").write_text(TEXT.replace("text.txt", '"${python:stdlib}/a*.py", limit: 20000'))
    built = build(load("text.yaml"))
    files = built.source.files()
    assert files[0] == min(Path(sysconfig.get_path("stdlib")).glob("a*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)[:20_000]
    vocabulary = built.dataset.preprocessing.vocabulary
    assert vocabulary.characters == "".join(sorted(set(text)))
    x, _ = built.dataset.train.part(slice(0, 1))
    assert vocabulary.decode(x[0]) == text[:10]


def test_a_linear_model_forecasts_waves(series, cli):
    done = cli("train", "series.yaml", "--json", "--expect", "valid.r2>=0.999")
    assert done.exit_code == 0, done.stderr
    built, (spec, facts, seen, _) = build(load("series.yaml")), peek(load("series.yaml"))
    assert to_plain(spec) == to_plain(built.spec)
    assert facts == built.facts
    assert (seen.input_shape, seen.target_shape, facts.task) == ((12, 1), (2,), "regression")
    assert [metric.name for metric in spec.train.metrics] == ["mae", "r2"]
    assert not built.dataset.streams


def test_the_example_forecasts_better_than_the_mean_of_each_month(cli, configs):
    done = cli("train", configs / "forecast.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    built = build(load(str(configs / "forecast.yaml")))
    values = np.loadtxt(configs / "data" / "nino.csv", delimiter=",", skiprows=1, usecols=1)
    assert (len(values), values[0], values[-1]) == (732, 23.11, 22.07)
    months = np.arange(732) % 12
    rows = {name: slice(int(start), int(stop)) for name, start, stop in (("train", 0, 512), ("test", 622, 732))}
    means = np.array([values[rows["train"]][months[rows["train"]] == month].mean() for month in range(12)])
    after = np.lib.stride_tricks.sliding_window_view(np.arange(622 + 24, 732), 3)
    np.testing.assert_allclose(built.dataset.preprocessing.targets.restore(built.dataset.test.y), values[after], 1e-6)
    of_means = np.abs(values[after] - means[months[after]]).mean()
    assert json.loads(done.stdout)["final"]["test.mae"] < 0.9 * of_means


def test_the_layers_of_a_text_model_are_shown(bigrams):
    rows = show("text.yaml", (), bigrams / "runs").layers
    assert [(row.output, row.parameters) for row in rows] == [((10, 6), 0), ((10, 6), 42)]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", exits.BAD_DATA, "error: text.txt: there is no text in it"),
        (b"abc\ndef\xe9g", exits.BAD_DATA, "error: text.txt:2: column 4: byte 0xe9 is not UTF-8 text"),
        (
            b"too short",
            exits.USAGE,
            "text.yaml:1:45: error: the train split has 7 symbols, too few for 4 streams of 10",
        ),
        (None, exits.NO_INPUT, "error: text.txt: no such file"),
    ],
)
def test_a_text_that_cannot_be_used(bigrams, cli, content, code, said):
    if content is None:
        (bigrams / "text.txt").unlink()
    else:
        (bigrams / "text.txt").write_bytes(content)
    done = cli("train", "text.yaml")
    assert done.exit_code == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (bigrams / "runs").exists()
