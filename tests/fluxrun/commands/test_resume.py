"""fluxrun resume: what was broken off ends as if it had not been, or it is said why it cannot."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flux_core.training import checkpoint
from fluxrun import exits
from fluxrun.store import writer

LONG = {"tape": ("train.epochs=4000", 500), "reference": ("train.epochs=150", 50)}  # epochs, steps between two states


def record(run):
    return json.loads((run / "run.json").read_text())


def change_record(run, **values):
    (run / "run.json").write_text(json.dumps(record(run) | values))


def only(folder):
    (run,) = (path for path in folder.iterdir() if not path.name.startswith("."))
    return run


def dead_pid():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def same(run, whole):
    """Whether a run that was broken ended as an unbroken one did, to the byte."""
    for name in ("metrics.jsonl", "resolved.yaml", "checkpoints/last.safetensors", "checkpoints/best.safetensors"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    a, b = record(run), record(whole)
    for name in ("status", "hash", "epochs", "steps", "best_epoch", "spec"):
        assert a[name] == b[name], name
    assert json.dumps([a["best"], a["final"]]) == json.dumps([b["best"], b["final"]])


def broken(folder, number, *arguments):
    """The run of a process that was killed once it had saved a state."""
    command = [sys.executable, "-m", "fluxrun", "train", "small.yaml", "-q", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob("runs/*/checkpoints/last.safetensors")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    return only(folder / "runs")


@pytest.mark.parametrize("engine", LONG)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_training_ends_as_an_unbroken_one(cli, folder, process, engine, number):
    epochs, steps = LONG[engine]
    settings = ["--set", epochs, "--set", f"train.engine={engine}", "--set", f"train.checkpoint.every_steps={steps}"]
    run = broken(folder, number, *settings)
    before = checkpoint.read(run / "checkpoints/last.safetensors")[1]["position"]
    done = process("resume", run.name, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["run"]) == ("finished", f"runs/{run.name}")
    whole = folder / cli("train", "small.yaml", *settings, "--runs", "whole", "-q").stdout.strip()
    assert 0 < before["step"] < record(whole)["steps"]
    same(run, whole)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    (resumed,) = (event for event in events if event["event"] == "resumed")
    assert resumed["step"] == record(run)["resumed"][0]["step"] == before["step"]


@pytest.mark.parametrize("steps", [1, 6, 8, 17])
def test_a_training_that_was_stopped_goes_on_to_its_end(cli, folder, steps):
    run = folder / cli("train", "small.yaml", "--max-steps", steps, "-q").stdout.strip()
    again = cli("resume", "last", "--max-steps", steps)
    assert (again.exit_code, again.stderr.splitlines()[0]) == (0, "there is nothing left to do:")
    assert cli("resume", run, "-q").stdout.strip() == str(run)
    whole = folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip()
    same(run, whole)


@pytest.mark.parametrize(("made", "asked"), [(12, 8), (8, 7)])
def test_fewer_steps_than_were_made_are_no_loss(cli, folder, made, asked):
    run = folder / cli("train", "small.yaml", "--max-steps", made, "-q").stdout.strip()
    before = (run / "metrics.jsonl").read_bytes()
    results = [record(run)[name] for name in ("status", "reason", "epochs", "steps", "best", "final")]
    done = cli("resume", "last", "--max-steps", asked, "--set", "train.checkpoint.every_minutes=2")
    assert done.exit_code == 0, done.stderr
    assert (run / "metrics.jsonl").read_bytes() == before
    assert [record(run)[name] for name in ("status", "reason", "epochs", "steps", "best", "final")] == results
    cli("resume", "last")
    minutes = ["--set", "train.checkpoint.every_minutes=2"]
    same(run, folder / cli("train", "small.yaml", *minutes, "--runs", "whole", "-q").stdout.strip())


TEXT = """\
data: {source: text, path: text.txt, steps: 5, batch_size: 4}
model: [{embedding: 6}, {lstm: 7}, {affine: vocab}]
train: {epochs: 3, optimizer: {adam: 0.02}}
"""


@pytest.mark.parametrize("engine", LONG)
@pytest.mark.parametrize("steps", [9, 20])
def test_what_a_network_remembers_goes_on_too(cli, folder, engine, steps):
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 12)
    (folder / "text.yaml").write_text(TEXT)
    command = ["train", "text.yaml", "-q", "--set", f"train.engine={engine}"]
    run = folder / cli(*command, "--max-steps", steps).stdout.strip()
    tensors, meta = checkpoint.read(run / "checkpoints/last.safetensors")
    assert any(name.startswith("carried/") for name in tensors) == (meta["position"]["step_in_epoch"] > 0)
    assert cli("resume", "last", "-q").exit_code == 0
    same(run, folder / cli(*command, "--runs", "whole").stdout.strip())


def test_a_run_may_be_broken_many_times(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 2, "-q").stdout.strip()
    for steps in range(4, 18, 2):
        assert cli("resume", "last", "--max-steps", steps, "-q").exit_code == 0
    cli("resume", "last")
    same(run, folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip())
    assert [past["step"] for past in record(run)["resumed"]] == [*range(2, 18, 2)]


def test_a_planted_line_too_many_is_caught(cli, folder, monkeypatch):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    monkeypatch.setattr(writer, "_keep_lines", lambda path, step: None)
    cli("resume", "last")
    with pytest.raises(AssertionError, match="metrics"):
        same(run, folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip())


def test_a_planted_change_of_the_state_is_caught(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    tensors, meta = checkpoint.read(run / "checkpoints/last.safetensors")
    name = next(name for name in tensors if name.startswith("slots/"))
    checkpoint.write(run / "checkpoints/last.safetensors", tensors | {name: tensors[name] * np.float32(1.01)}, meta)
    cli("resume", "last")
    with pytest.raises(AssertionError):
        same(run, folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip())


@pytest.mark.parametrize("with_folder", [True, False])
def test_a_run_that_was_killed_before_anything_was_saved_begins_anew(cli, folder, with_folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    if not with_folder:
        (run / "checkpoints").rmdir()
    change_record(run, status="running", pid=dead_pid())
    done = cli("resume", "last", "--set", "train.optimizer.adam.learning_rate=0.02")  # nothing is behind: all is exact
    assert "no state was saved yet: the run begins anew" in done.stderr
    other = ["--set", "train.optimizer.adam.learning_rate=0.02", "--runs", "whole", "-q"]
    same(run, folder / cli("train", "small.yaml", *other).stdout.strip())
    assert record(run)["exact"] is True


def test_a_torn_line_and_one_too_many_are_cut_off(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    for name in ("metrics.jsonl", "events.jsonl"):
        with (run / name).open("ab") as file:
            file.write(b'{"step": 6, "epo')
    assert cli("resume", "last", "-q").exit_code == 0
    same(run, folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip())
    for line in (run / "events.jsonl").read_text().splitlines():
        json.loads(line)


def test_more_epochs_are_those_of_a_longer_training(cli, folder):
    run = folder / cli("train", "small.yaml", "-q").stdout.strip()
    done = cli("resume", "last", "--set", "train.epochs=7", "--expect", "train.loss<99")
    assert done.exit_code == 0, done.stderr
    whole = folder / cli("train", "small.yaml", "--set", "train.epochs=7", "--runs", "whole", "-q").stdout.strip()
    same(run, whole)
    assert record(run)["exact"] is True
    assert record(run)["resumed"][0]["overrides"] == ["train.epochs=7"]
    again = cli("train", "small.yaml", "--set", "train.epochs=7", "--if-missing", "-q")
    assert again.stdout.strip() == f"runs/{run.name}"


def test_what_happened_to_a_changed_run_is_told(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    rate = ["--set", "train.optimizer.adam.learning_rate=0.02"]
    refused = cli("resume", "last", *rate)
    assert refused.exit_code == exits.USAGE
    assert "train.optimizer.adam.learning_rate was 0.05, now 0.02; --allow-inexact" in refused.stderr
    assert record(run)["status"] == "stopped"
    done = cli("resume", "last", *rate, "--allow-inexact")
    assert "note: not exact: train.optimizer.adam.learning_rate was 0.05, now 0.02" in done.stderr
    kept = record(run)
    assert kept["exact"] is False
    assert kept["resumed"][0]["inexact"] == ["train.optimizer.adam.learning_rate was 0.05, now 0.02"]
    assert kept["spec"]["train.optimizer.adam.learning_rate"] == 0.02
    assert "learning_rate: 0.02" in (run / "resolved.yaml").read_text()
    anew = cli("train", "small.yaml", *rate, "--if-missing", "-q").stdout.strip()
    assert anew != f"runs/{run.name}", "a run that went on with other numbers is no run of its spec"


CHANGES = [
    ("train.checkpoint.every_minutes=2", 0, None),
    ("train.checkpoint.keep=3", 0, None),
    ("data.path=moved.csv", 0, None),
    ("train.engine=reference", 2, "train.engine was tape, now reference"),
    ("train.clip_norm=1.0", 2, "train.clip_norm was not there, now 1.0"),
    ("train.schedule=exponential", 2, "train.schedule was not there, now exponential"),
    ("train.schedule.cosine.final=0.5", 2, "train.schedule was not there, now cosine"),
    ("seed=4", 2, "seed cannot change within a run"),
    ("name=other", 2, "name cannot change within a run"),
    ("data.batch_size=4", 2, "data.batch_size cannot change"),
    ("data.split.train=0.5", 2, "data.split.train cannot change"),
    ("train.metrics=[]", 2, "train.metrics"),
    ("train.epochs=1", 2, "the run is in its epoch 2 already"),
    ("train.epoch=9", 2, "did you mean 'epochs'?"),
]


@pytest.mark.parametrize(("change", "code", "words"), CHANGES)
def test_which_settings_may_change(cli, folder, change, code, words):
    (folder / "moved.csv").write_bytes((folder / "table.csv").read_bytes())
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = cli("resume", "last", "--set", change)
    assert done.exit_code == code, done.stderr
    assert "Traceback" not in done.stderr
    if words:
        assert words in done.stderr
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    elif "path" not in change and "keep" not in change:
        whole = folder / cli("train", "small.yaml", "--set", change, "--runs", "whole", "-q").stdout.strip()
        same(run, whole)


@pytest.mark.parametrize(
    "change", ["train.engine=reference", "train.clip_norm=1.0", "train.schedule=exponential", "train.loss=mse"]
)
def test_what_is_inexact_goes_on_when_asked_to(cli, folder, change):
    cli("train", "small.yaml", "--max-steps", 8, "-q")
    done = cli("resume", "last", "--set", change, "--allow-inexact", "--json")
    if change == "train.loss=mse":
        assert done.exit_code == exits.USAGE  # does not fit the data, as in any training
    else:
        assert (done.exit_code, json.loads(done.stdout)["epochs"]) == (0, 3), done.stderr


def test_a_changed_run_that_was_killed_before_it_saved_a_state_goes_on(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    last = (run / "checkpoints/last.safetensors").read_bytes()
    cli("resume", "last", "--set", "train.schedule=exponential", "--allow-inexact")
    (run / "checkpoints/last.safetensors").write_bytes(last)
    change_record(run, status="running", pid=dead_pid())
    done = cli("resume", "last")
    assert (done.exit_code, record(run)["exact"], record(run)["status"]) == (0, False, "finished"), done.stderr


def test_a_cosine_knows_the_end(cli, folder):
    cosine = ["--set", "train.schedule=cosine"]
    cli("train", "small.yaml", *cosine, "--max-steps", 8, "-q")
    done = cli("resume", "last", "--set", "train.epochs=5")
    assert done.exit_code == exits.USAGE
    assert "train.epochs was 3, now 5" in done.stderr
    assert cli("resume", "last", "--set", "train.epochs=5", "--allow-inexact").exit_code == 0


def test_another_optimiser_has_other_state(cli, folder):
    cli("train", "small.yaml", "--max-steps", 8, "-q")
    done = cli("resume", "last", "--set", "train.optimizer=sgd", "--allow-inexact")
    assert done.exit_code == exits.BAD_DATA
    assert "made with adam, the training uses sgd" in done.stderr


def test_data_that_changed(cli, folder):
    cli("train", "small.yaml", "--max-steps", 8, "-q")
    text = (folder / "table.csv").read_text()
    os.utime(folder / "table.csv", (1, 1))  # a touch is no change
    (folder / "table.csv").write_text(text.replace("1,5,a", "1,6,a", 1))
    done = cli("resume", "last")
    assert done.exit_code == exits.BAD_DATA
    assert "table.csv: the file is not the one that the run began with" in done.stderr
    (folder / "table.csv").unlink()
    gone = cli("resume", "last")
    assert gone.exit_code == exits.NO_INPUT
    assert "--set data.path=" in gone.stderr
    (folder / "moved.csv").write_text(text)
    assert cli("resume", "last", "--set", "data.path=moved.csv").exit_code == 0


def test_a_record_that_does_not_fit(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    good = (run / "run.json").read_bytes()
    change_record(run, format=0)
    done = cli("resume", "last")
    assert (done.exit_code, "format 0, this program has 2; train it anew" in done.stderr) == (exits.BAD_DATA, True)
    done = cli("evaluate", "last")
    assert (done.exit_code, "program has 2; `fluxrun evaluate" in done.stderr) == (exits.BAD_DATA, True)
    assert cli("evaluate", "last", "table.csv").exit_code == 0, "new files are read as the run learnt it"
    (run / "run.json").write_bytes(good)
    change_record(run, data=[{}])
    assert cli("resume", "last").exit_code == exits.USAGE
    (run / "run.json").write_bytes(good)
    resolved = (run / "resolved.yaml").read_text()
    (run / "resolved.yaml").write_text(resolved.replace("epochs: 3", "epochs: 4"))
    done = cli("resume", "last")
    assert (done.exit_code, "resolved.yaml was changed since the run began" in done.stderr) == (exits.USAGE, True)
    (run / "resolved.yaml").unlink()
    assert cli("resume", "last").exit_code == exits.NO_INPUT
    (run / "resolved.yaml").write_text(resolved)
    change_record(run, versions=record(run)["versions"] | {"numpy": "1.0"})
    done = cli("resume", "last")
    assert (done.exit_code, "numpy was 1.0, now" in done.stderr) == (exits.USAGE, True)
    assert cli("resume", "last", "--allow-inexact").exit_code == 0


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_damaged_state_gives_way_to_an_older_one(cli, folder, damage):
    keep = ["--set", "train.checkpoint.keep=2", "--set", "train.checkpoint.every_steps=4"]
    run = folder / cli("train", "small.yaml", *keep, "--max-steps", 11, "-q").stdout.strip()
    states = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert states == ["best.safetensors", "last.safetensors", "step-00000004.safetensors", "step-00000008.safetensors"]
    last = run / "checkpoints/last.safetensors"
    content = last.read_bytes()
    last.write_bytes(damage if damage is not None else content[:-1] + bytes([content[-1] ^ 1]))
    for path in (run / "checkpoints/best.safetensors", run / "checkpoints/step-00000008.safetensors"):
        path.write_bytes(b"damaged")
    done = cli("resume", "last")
    assert done.exit_code == 0, done.stderr
    assert "going on from step-00000004.safetensors, at step 4" in done.stderr
    whole = folder / cli("train", "small.yaml", *keep, "--runs", "whole", "-q").stdout.strip()
    same(run, whole)
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    change_record(run, status="interrupted")
    done = cli("resume", "last")
    assert done.exit_code == exits.BAD_DATA
    assert "no checkpoint is left to go on from" in done.stderr


def test_the_record_goes_back_to_the_state_as_well(cli, folder, monkeypatch):
    keep = ["--set", "train.checkpoint.keep=9", "--set", "train.checkpoint.every_steps=4"]
    run = folder / cli("train", "small.yaml", *keep, "--max-steps", 13, "-q").stdout.strip()
    assert (record(run)["epochs"], record(run)["best_epoch"]) == (2, 2)
    for name in ("last", "best", "step-00000012"):
        (run / f"checkpoints/{name}.safetensors").unlink()
    go_on, seen = writer.RunWriter.go_on, []

    def watched(self, state, resolved, values):
        go_on(self, state, resolved, values)
        seen.append((record(run), (run / "checkpoints/best.safetensors").exists()))

    monkeypatch.setattr(writer.RunWriter, "go_on", watched)
    names = ("status", "epochs", "steps", "best_epoch")
    cli("resume", "last")
    (now, has_best), _ = seen.pop(), seen.clear()
    assert ([now[name] for name in names], has_best) == (["running", 1, 8, 1], True)
    assert now["best"] == now["final"] != record(run)["best"]
    for path in (run / "checkpoints").glob("*.safetensors"):
        if path.stem not in ("best", "step-00000004"):
            path.unlink()
    tensors, meta = checkpoint.read(run / "checkpoints/best.safetensors")
    checkpoint.write(run / "checkpoints/best.safetensors", tensors, meta | {"part": "best"})  # nothing to go on from
    cli("resume", "last", "--set", "train.checkpoint.keep=8")
    now, has_best = seen.pop()
    assert ([now[name] for name in (*names, "best", "final")], has_best) == (["running", 0, 4, None, None, {}], False)
    same(
        run,
        folder
        / cli(
            "train", "small.yaml", *keep[2:], "--set", "train.checkpoint.keep=8", "--runs", "whole", "-q"
        ).stdout.strip(),
    )


def test_a_run_that_is_going_on_is_left_alone(cli, folder):
    command = [sys.executable, "-m", "fluxrun", "train", "small.yaml", "-q", "--set", "train.epochs=1000000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not list(folder.glob("runs/*/metrics.jsonl")):
            time.sleep(0.01)
        for arguments in (["resume", "last"], ["rm", "last", "--yes"]):
            done = cli(*arguments)
            assert done.exit_code == exits.CANNOT_CREATE
            assert re.search(rf"is going on elsewhere: process {process.pid} on \S+", done.stderr)
        settings = ["--set", "train.epochs=1000000"]
        done = cli("train", "small.yaml", *settings, "--if-missing")
        assert done.exit_code == exits.CANNOT_CREATE
        assert f"process {process.pid}" in done.stderr
    finally:
        process.kill()
        process.wait()
    assert "interrupted" in cli("ls").stdout


def test_a_diverged_run_stays_what_it_is(cli, folder):
    bad = ["--set", "train.optimizer.sgd.learning_rate=1e30", "--set", "train.loss=mse", "--set", "data.target=x"]
    bad += ["--set", "model.2.affine=1"]
    assert cli("train", "small.yaml", *bad).exit_code == exits.DIVERGED
    assert cli("resume", "last").exit_code == exits.DIVERGED
    assert cli("train", "small.yaml", *bad, "--if-missing").exit_code == exits.DIVERGED
    assert len(list((folder / "runs").glob("small-*"))) == 1


def test_a_failed_run_goes_on(cli, folder, monkeypatch):
    from fluxrun.store.writer import RunWriter

    metrics, count = RunWriter.metrics, []

    def full(self, *values):
        count.append(1)
        if len(count) == 2:
            raise OSError(28, "No space left on device", "metrics.jsonl")
        metrics(self, *values)

    monkeypatch.setattr(RunWriter, "metrics", full)
    assert cli("train", "small.yaml").exit_code == exits.IO_ERROR
    run = only(folder / "runs")
    assert record(run)["status"] == "failed"
    assert cli("resume", "last").exit_code == 0
    same(run, folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip())


def test_the_surroundings_are_those_of_the_beginning(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    assert cli("resume", "last", env={"FLUXRUN_SET": "seed=9"}).exit_code == 0
    same(run, folder / cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip())


def test_time_adds_up(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    change_record(run, seconds=100.0)
    assert json.loads(cli("resume", "last", "--json").stdout)["seconds"] > 100


def test_references_that_name_nothing(cli, folder):
    for which, words in [
        ("last", "there are no runs"),
        ("best:valid.loss", "there are no runs"),
        ("x", "is called 'x'"),
    ]:
        done = cli("resume", which)
        assert (done.exit_code, words in done.stderr) == (exits.NO_INPUT, True), done.stderr
    run = cli("train", "small.yaml", "-q").stdout.strip().removeprefix("runs/")
    assert f"did you mean '{run}'?" in cli("resume", run[:-1]).stderr
    done = cli("resume", "best:valid.los")
    assert (done.exit_code, "did you mean 'valid.loss'?" in done.stderr) == (exits.NO_INPUT, True)
    assert cli("resume", "n" * 300).exit_code == exits.NO_INPUT


def test_a_run_whose_splits_have_own_files(cli, folder):
    (folder / "other.csv").write_text((folder / "table.csv").read_text())
    own = [
        "--set",
        "data={source: csv, train_path: table.csv, valid_path: other.csv, test_path: other.csv, target: kind}",
    ]
    run = folder / cli("train", "small.yaml", *own, "--max-steps", 3, "-q").stdout.strip()
    assert cli("resume", "last", "-q").exit_code == 0
    same(run, folder / cli("train", "small.yaml", *own, "--runs", "whole", "-q").stdout.strip())
    assert json.loads(cli("evaluate", "last", "--json").stdout)["metrics"] == {
        name: value for name, value in record(run)["best"].items() if name.startswith("test.")
    }
