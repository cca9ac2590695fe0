"""Which engine trains, on how many threads, and that neither shows in the results."""

import json

import pytest

from flux_core.engine import lower
from fluxrun import exits

# products and elementwise work large enough to be cut into tiles: 2 * 64 * 256 * 256 operations
WIDE = """\
name: wide
data: {source: synthetic, name: spirals, examples: 320, batch_size: 64}
model: [{affine: 256}, relu, {dropout: 0.1}, {affine: 256}, gelu, {affine: classes}]
train: {epochs: 2, clip_norm: 1.0}
"""


def record(folder, run):
    return json.loads((folder / run / "run.json").read_text())


def results(folder, run):
    names = ("metrics.jsonl", "checkpoints/best.safetensors", "checkpoints/last.safetensors")
    return [(folder / run / name).read_bytes() for name in names]


def test_threads_change_no_byte(cli, folder):
    (folder / "wide.yaml").write_text(WIDE)
    runs = [cli("train", "wide.yaml", "--threads", n).stdout.strip() for n in (1, 2, 4)]
    assert [record(folder, run)["threads"] for run in runs] == [1, 2, 4]
    assert runs[1] == f"{runs[0]}-2", "threads are no part of what is trained"
    one, *others = (results(folder, run) for run in runs)
    for other in others:
        assert other == one
    assert results(folder, cli("train", "wide.yaml", "--set", "seed=1").stdout.strip()) != one


def test_threads_from_the_environment(cli, folder):
    run = cli("train", "small.yaml", env={"FLUXRUN_THREADS": "3"}).stdout.strip()
    assert record(folder, run)["threads"] == 3
    assert record(folder, run)["options"]["threads"] == 3


def test_all_usable_cores_by_default(cli, folder, monkeypatch):
    monkeypatch.setattr("flux_core.training.on_tape.usable_cores", lambda: 7)
    assert record(folder, cli("train", "small.yaml").stdout.strip())["threads"] == 7


@pytest.mark.parametrize("wrong", ["0", "-1", "two"])
def test_threads_that_are_no_number_of_threads(cli, folder, wrong):
    done = cli("train", "small.yaml", "--threads", wrong)
    assert done.exit_code == exits.USAGE
    assert "--threads" in done.stderr


def test_the_engine_of_the_spec_is_the_one_that_runs(cli, folder):
    tape = cli("train", "small.yaml").stdout.strip()
    reference = cli("train", "small.yaml", "--set", "train.engine=reference").stdout.strip()
    assert [record(folder, run)["engine"] for run in (tape, reference)] == ["tape", "reference"]
    assert "engine: reference" in (folder / reference / "resolved.yaml").read_text()
    assert tape.rpartition("-")[2] != reference.rpartition("-")[2], "another engine is another training"
    first, second = (
        [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
        for run in (tape, reference)
    )
    assert [line["loss"] for line in first] == pytest.approx([line["loss"] for line in second], rel=1e-5)
    wrong = cli("train", "small.yaml", "--set", "train.engine=tap")
    assert wrong.exit_code == exits.USAGE
    assert "did you mean 'tape'?" in wrong.stderr


def test_a_model_without_a_tape_is_interpreted_and_told_of(cli, folder, monkeypatch):
    monkeypatch.delitem(lower.RULES, "matmul_w")
    done = cli("train", "small.yaml")
    (line,) = [line for line in done.stderr.splitlines() if "interpreted" in line]
    assert line.startswith("note: interpreted, which takes longer: no kernel runs matmul_w")
    assert record(folder, done.stdout.strip())["engine"] == "reference"
    assert "interpreted" not in cli("train", "small.yaml", "--set", "train.engine=reference").stderr
