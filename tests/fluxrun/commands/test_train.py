"""fluxrun train: results, exit codes, and what is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from flux_core.engine.store import Store
from flux_core.training import checkpoint
from fluxrun import exits
from fluxrun.jobs.signals import Signals


def record(folder, run):
    return json.loads((folder / run / "run.json").read_text())


def left(folder):
    return sorted(path.name for path in (folder / "runs").iterdir()) if (folder / "runs").exists() else []


def test_a_run_and_its_folder(cli, folder):
    done = cli("train", "small.yaml")
    assert done.exit_code == 0, done.stderr
    run = done.stdout.strip()
    assert re.fullmatch(r"runs/small-[0-9a-f]{10}", run)
    names = {str(path.relative_to(folder / run)) for path in (folder / run).rglob("*") if path.is_file()}
    checkpoints = {"checkpoints/best.safetensors", "checkpoints/last.safetensors"}
    assert names == {"config.yaml", "resolved.yaml", "run.json", "metrics.jsonl", "events.jsonl", *checkpoints}
    assert (folder / run / "config.yaml").read_bytes() == (folder / "small.yaml").read_bytes()
    kept = record(folder, run)
    assert (kept["status"], kept["epochs"], kept["steps"], kept["seed"]) == ("finished", 3, 18, 3)
    assert kept["hash"].startswith(run.rpartition("-")[2])
    assert kept["data"][0]["path"] == str(folder / "table.csv")
    assert set(kept["best"]) == {f"{s}.{m}" for s in ("train", "valid", "test") for m in ("loss", "accuracy")}
    tensors, _ = checkpoint.read(folder / run / "checkpoints/last.safetensors")
    assert tensors


def test_the_resolved_spec_and_a_second_run_give_the_same_bytes(cli, folder):
    first = cli("train", "small.yaml").stdout.strip()
    again = cli("train", f"{first}/resolved.yaml").stdout.strip()
    third = cli("train", "small.yaml").stdout.strip()
    assert (again, third) == (f"{first}-2", f"{first}-3")
    metrics = (folder / first / "metrics.jsonl").read_bytes()
    assert metrics
    assert (folder / again / "metrics.jsonl").read_bytes() == metrics
    assert (folder / third / "metrics.jsonl").read_bytes() == metrics
    assert (folder / again / "resolved.yaml").read_text() == (folder / first / "resolved.yaml").read_text()
    other = cli("train", "small.yaml", "--set", "seed=4").stdout.strip()
    assert (folder / other / "metrics.jsonl").read_bytes() != metrics


def test_json_is_one_object(cli, folder):
    done = cli("train", "small.yaml", "--json", "--quiet")
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert {"run", "status", "epochs", "steps", "seconds", "best", "final"} <= set(result)
    assert (result["status"], result["epochs"], result["steps"]) == ("finished", 3, 18)
    assert 0 <= result["final"]["test.accuracy"] <= 1


def test_people_read_stderr_and_programs_stdout(cli, folder):
    done = cli("train", "small.yaml", "--runs", "here", "--name", "other")
    assert re.fullmatch(r"here/other-[0-9a-f]{10}\n", done.stdout)
    assert "epoch 1/3" in done.stderr
    assert "\r" not in done.stderr
    assert done.stderr.replace("\n", "").isprintable()


def test_the_folder_of_runs_from_the_environment(cli, folder):
    assert cli("train", "small.yaml", env={"FLUXRUN_RUNS": "there"}).stdout.startswith("there/small-")


def test_a_dry_run_leaves_nothing(cli, folder):
    done = cli("train", "small.yaml", "--dry-run")
    assert done.exit_code == 0
    assert left(folder) == []
    assert done.stderr.splitlines()[-1] == "dry run: nothing was trained"
    assert cli("train", "small.yaml", "-q").stdout == done.stdout


def test_the_same_training_again_is_told(cli, folder):
    first = cli("train", "small.yaml")
    again = cli("train", "small.yaml", "--set", "train.epochs=3")
    run = first.stdout.strip()
    assert again.stdout == f"{run}-2\n"
    note = f"note: {run} is of the same spec and data; --if-missing trains nothing twice"
    assert [line for line in again.stderr.splitlines() if line.startswith("note")] == [note]
    assert "note" not in first.stderr + cli("resume", "last", "--set", "train.epochs=4").stderr


def test_max_steps_is_evaluated_and_counts_as_success(cli, folder):
    done = cli("train", "small.yaml", "--max-steps", 8, "--json")
    result = json.loads(done.stdout)
    assert (done.exit_code, result["status"], result["reason"], result["steps"]) == (0, "stopped", "max_steps", 8)
    assert "valid.accuracy" in result["final"]


def test_max_time(cli, folder):
    done = cli("train", "small.yaml", "--set", "train.epochs=1000000", "--max-time", "0.3s")
    assert done.exit_code == exits.OUT_OF_TIME
    kept = record(folder, done.stdout.strip())
    assert (kept["status"], kept["reason"]) == ("interrupted", "max_time")
    assert (folder / done.stdout.strip() / "checkpoints/last.safetensors").exists()
    way = f"go on with: fluxrun resume {done.stdout.strip()}"
    assert done.stderr.splitlines()[-2:] == [f"run: {done.stdout.strip()}", way]
    again = cli("resume", "last", "--max-time", "0.1s", "-q")
    assert (again.exit_code, again.stderr) == (exits.OUT_OF_TIME, f"error: --max-time is over\n  {way}\n")


def test_time_that_is_over_while_kernels_compile(cli, folder, monkeypatch):
    store = Store(folder / "kernels")
    monkeypatch.setattr("flux_core.training.on_tape.default_store", lambda: store)
    done = cli("train", "small.yaml", "--max-time", "0.001s")
    assert (done.exit_code, store.compiled) == (exits.OUT_OF_TIME, 0), done.stderr
    assert re.search(r"^compiling [0-9]+ kernels, once on this machine\ninterrupted ", done.stderr, re.MULTILINE)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert "finished: 3 epochs, 18 steps" in cli("resume", "last").stderr


def test_a_signal_is_told_in_its_handler():
    heard = []
    with Signals(heard.append) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == ["SIGTERM: saving; a second one ends at once"]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert (signals.name, signal.getsignal(signal.SIGINT)) == ("SIGTERM", signal.default_int_handler)


def test_expectations_decide_the_exit_code(cli, folder):
    assert cli("train", "small.yaml", "--expect", "valid.accuracy>=0").exit_code == 0
    missed = cli("train", "small.yaml", "--expect", "test.accuracy>1", "--expect", "train.loss<99")
    assert missed.exit_code == exits.EXPECTATION
    assert "expected test.accuracy>1: not met" in missed.stderr
    assert "train.loss<99" not in missed.stderr
    assert missed.stdout.startswith("runs/small-")


def test_divergence(cli, folder):
    done = cli("train", "small.yaml", "--set", "train.optimizer.sgd.learning_rate=1e30", "--set", "train.loss=mse",
               "--set", "data.target=x", "--set", "model.2.affine=1")  # fmt: skip
    assert done.exit_code == exits.DIVERGED, done.stderr
    kept = record(folder, done.stdout.strip())
    assert kept["status"] == "diverged"
    assert kept["reason"] == "diverged at step 2: the loss is not finite"
    assert "\ndiverged (at step 2: the loss is not finite): 0 epochs, 2 steps, " in done.stderr
    assert "a lower learning rate, or train.clip_norm, may" in done.stderr
    quiet = cli("resume", "last", "-q")
    assert (quiet.exit_code, quiet.stderr.splitlines()[0]) == (exits.DIVERGED, f"error: {kept['reason']}")
    assert "a lower learning rate" in quiet.stderr


OOPS = "x,y,kind\n1,2,a\n2,oops,b\n3,4,a\n4,5,b\n"
LOCALES = [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "C.UTF-8"}]

WRONG = [
    (["none.yaml"], {}, exits.NO_INPUT, "none.yaml: there is no such file"),
    (["."], {}, exits.NO_INPUT, "error: .: this is a folder, not a spec\n  name a file in it"),
    ([""], {}, exits.USAGE, "Invalid value for 'CONFIG': a name is expected, and this is an empty one"),
    (["/dev/zero"], {}, exits.USAGE, "a spec may have 1 MiB at most, this has more"),
    (["small.yaml", "--set", "data.path=none.csv"], {}, exits.NO_INPUT, "none.csv: no such file"),
    (["small.yaml", "--set", "data.path=tabel.csv"], {}, exits.NO_INPUT, "did you mean 'table.csv'?"),
    (["small.yaml", "--set", "train.epoch=3"], {}, exits.USAGE, "did you mean 'epochs'?"),
    (["small.yaml", "--set", "train.epochs=x"], {}, exits.USAGE, "expected a whole number for train.epochs"),
    (["small.yaml", "--set", "data.target=knd"], {}, exits.USAGE, "did you mean 'kind'?"),
    (["small.yaml", "--set", "model.2.affine=5"], {}, exits.USAGE, "one value for each of the 2 classes"),
    (["small.yaml", "--set", "model.1.reshape=[7]"], {}, exits.USAGE, "layer 1 (reshape) does not fit"),
    (["small.yaml"], {"table.csv": ""}, exits.BAD_DATA, "table.csv"),
    (["small.yaml"], {"table.csv": OOPS}, exits.BAD_DATA, "table.csv:3: column 'y'"),
    (["small.yaml"], {"table.csv": OOPS.replace("oops", "inf")}, exits.BAD_DATA, "table.csv:3: column 'y'"),
    (["small.yaml"], {"small.yaml": ""}, exits.USAGE, "small.yaml:1:1: error: the spec is empty"),
    (["small.yaml", "--expect", "x"], {}, exits.USAGE, "--expect 'x'"),
    (["small.yaml", "--expect", "valid.acc>1"], {}, exits.USAGE, "no metric 'valid.acc'"),
    (["small.yaml", "--max-time", "soon"], {}, exits.USAGE, "--max-time 'soon'"),
    (["small.yaml", "--max-steps", "0"], {}, exits.USAGE, "--max-steps"),
    (["small.yaml", "--name", "../x"], {}, exits.USAGE, "--name, column 1"),
    (["small.yaml", "--runs", "table.csv"], {}, exits.CANNOT_CREATE, "cannot create a run folder"),
    (["small.yaml", "--nonsense"], {}, exits.USAGE, "--nonsense"),
    (["small.yaml", "--set", "data.batch_size=99", "--set", "data.drop_last=true"], {}, exits.USAGE, "no batch of 99"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "files", "code", "words"), WRONG)
def test_what_goes_wrong_has_a_code_a_message_and_leaves_nothing(cli, folder, arguments, files, code, words):
    for name, text in files.items():
        (folder / name).write_text(text)
    done = cli("train", *arguments)
    assert words in done.stderr
    assert done.exit_code == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert left(folder) == []


def test_a_bug_is_one_line_and_a_file_with_the_traceback(cli, folder, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("no \x1b way")

    monkeypatch.setattr("fluxrun.jobs.resume.prepare", fail)
    done = cli("train", "small.yaml")
    assert done.exit_code == exits.BUG
    (line,) = done.stderr.splitlines()
    assert "this is a bug in fluxrun: ZeroDivisionError" in line
    assert "\x1b" not in line
    path = line.rpartition(" ")[2]
    with open(path) as file:
        assert "Traceback" in file.read()
    os.unlink(path)
    assert "Traceback" in cli("train", "small.yaml", "--debug").stderr


def test_a_disk_that_fails_while_training(cli, folder, monkeypatch):
    from fluxrun.store.writer import RunWriter

    def full(*_):
        raise OSError(28, "No space left on device", "runs/x/metrics.jsonl")

    monkeypatch.setattr(RunWriter, "metrics", full)
    done = cli("train", "small.yaml")
    assert done.exit_code == exits.IO_ERROR
    assert "No space left on device" in done.stderr
    (name,) = left(folder)
    assert record(folder / "runs", name)["status"] == "failed"


@pytest.mark.parametrize("command", ["train", "resume"])
def test_a_folder_that_goes_while_it_is_trained(cli, folder, monkeypatch, command):
    from fluxrun.store.writer import RunWriter

    if command == "resume":
        assert cli("train", "small.yaml", "--max-steps", "1", "-q").exit_code == 0
    real = RunWriter.metrics

    def gone(*arguments):
        shutil.rmtree("runs", ignore_errors=True)
        return real(*arguments)

    monkeypatch.setattr(RunWriter, "metrics", gone)
    done = cli(*(["train", "small.yaml"] if command == "train" else ["resume", "last"]), "-q")
    assert done.exit_code == exits.IO_ERROR
    assert re.fullmatch(r"error: runs/small-\w+: the run's folder has gone, it was removed or .*\n", done.stderr)
    assert not (folder / "runs").exists()


def start(folder, *arguments, **options):
    command = [sys.executable, "-m", "fluxrun", "train", "small.yaml", "--set", "train.epochs=1000000", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    deadline = time.monotonic() + 60
    while not list(folder.glob("runs/*/metrics.jsonl")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_then_kills(folder, number):
    process = start(folder)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == -number, stderr
    kept = record(folder, stdout.strip())
    assert (kept["status"], kept["reason"]) == ("interrupted", number.name)
    _, meta = checkpoint.read(folder / stdout.strip() / "checkpoints/last.safetensors")
    assert meta
    assert "Traceback" not in stderr


def test_nohup_is_respected(folder):
    ignore = "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", ignore, sys.executable, "-m", "fluxrun", "train", "small.yaml"]
    command += ["--set", "train.epochs=1000000", "--max-time", "2s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(folder.glob("runs/*/metrics.jsonl")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == exits.OUT_OF_TIME


def test_a_bash_loop_stops_with_the_training(folder):
    train = f"{sys.executable} -m fluxrun train small.yaml -q --set train.epochs=1000000"
    loop = f"for i in 1 2 3; do {train}; echo after $i; done"
    process = subprocess.Popen(["bash", "-c", loop], stdout=subprocess.PIPE, text=True, start_new_session=True)
    while not list(folder.glob("runs/*/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert "after 2" not in stdout
    assert len(left(folder)) == 1


def test_nobody_reads_stdout(folder):
    command = f"{sys.executable} -m fluxrun train small.yaml | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("0", "141")  # 0 if the pipe was read before it was closed
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_nobody_reads_stderr(folder):
    command = f"{sys.executable} -m fluxrun train small.yaml 2>&1 >/dev/null | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0"
    (name,) = left(folder)
    assert record(folder / "runs", name)["status"] == "finished"


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "C.UTF-8"}]
)
def test_names_that_are_not_ascii_in_any_locale(folder, process, locale):
    where = folder / "dätä"
    where.mkdir()
    (where / "specification-ü.yaml").write_text((folder / "small.yaml").read_text())
    (where / "table.csv").write_text("x,größe,kind\n" + "".join(f"{i},{i},{'äb'[i % 2]}\n" for i in range(40)))
    options = {"env": {**os.environ, **locale}, "text": False}
    done = process("train", "dätä/specification-ü.yaml", **options)
    assert done.returncode == 0, done.stderr
    assert b"runs/small-" in done.stdout
    done = process(
        "train", "dätä/specification-ü.yaml", "--json", "--runs", "läufe", env={**os.environ, **locale}, text=False
    )
    assert json.loads(done.stdout)["status"] == "finished"
