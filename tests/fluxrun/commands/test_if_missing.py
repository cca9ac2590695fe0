"""train --if-missing: a bash loop that can be started again, also while it is running."""

import json
import subprocess
import sys

import pytest

from fluxrun import exits

COMMAND = [sys.executable, "-m", "fluxrun"]


def records(runs):
    return [json.loads((path / "run.json").read_text()) for path in runs.iterdir() if not path.name.startswith(".")]


def spy(monkeypatch):
    """Counts how often a spec is loaded."""
    import fluxrun.jobs.train

    load, seen = fluxrun.jobs.train.load, []
    monkeypatch.setattr("fluxrun.jobs.train.load", lambda *a, **k: seen.append(a) or load(*a, **k))
    return seen


def test_a_finished_run_is_skipped(cli, folder, monkeypatch):
    first = cli("train", "small.yaml", "--if-missing", "--json")
    loaded = spy(monkeypatch)
    again = cli("train", "small.yaml", "--if-missing", "--json")
    assert again.exit_code == 0
    assert loaded == []
    assert json.loads(first.stdout)["trained"] is True
    assert json.loads(again.stdout) == json.loads(first.stdout) | {"trained": False}
    assert "there is nothing left to do" in again.stderr
    assert cli("train", "small.yaml", "--if-missing", "-q").stdout == json.loads(first.stdout)["run"] + "\n"
    assert len(records(folder / "runs")) == 1


def test_expectations_are_checked_all_the_same(cli, folder):
    cli("train", "small.yaml", "-q")
    assert cli("train", "small.yaml", "--if-missing", "--expect", "valid.accuracy>=0").exit_code == 0
    missed = cli("train", "small.yaml", "--if-missing", "--expect", "test.accuracy>1")
    assert (missed.exit_code, "test.accuracy>1: not met" in missed.stderr) == (exits.EXPECTATION, True)
    unknown = cli("train", "small.yaml", "--if-missing", "--expect", "valid.acuracy>1")
    assert (unknown.exit_code, "did you mean 'valid.accuracy'?" in unknown.stderr) == (exits.USAGE, True)


FOUND = {  # ways to ask for the training that is there, and whether the spec has to be read
    "as before": (["small.yaml"], False),
    "from a resolved spec": (["resolved.yaml"], True),
    "a default written out": (["small.yaml", "--set", "data.shuffle=true"], True),
    "another name": (["small.yaml", "--name", "other"], True),
    "saved more often": (["small.yaml", "--set", "train.checkpoint.every_minutes=2"], True),
    "fewer steps": (["small.yaml", "--max-steps", "4"], False),
}


@pytest.mark.parametrize("how", FOUND)
def test_the_same_training_is_found_however_it_is_asked_for(cli, folder, monkeypatch, how):
    arguments, read = FOUND[how]
    run = cli("train", "small.yaml", "-q").stdout
    (folder / "resolved.yaml").write_bytes((folder / run.strip() / "resolved.yaml").read_bytes())
    loaded = spy(monkeypatch)
    again = cli("train", *arguments, "--if-missing", "-q")
    assert (again.exit_code, again.stdout) == (0, run), again.stderr
    assert bool(loaded) is read


OTHER = {  # what makes it another training: a file, a text in it and what is there instead; or a setting
    "data": ("table.csv", "1,5,a", "1,6,a"),
    "spec": ("small.yaml", "0.05", "0.04"),
    "setting": "--set seed=4",
    "surroundings": "FLUXRUN_SET",
}


@pytest.mark.parametrize("what", OTHER)
def test_another_training_is_trained(cli, folder, monkeypatch, what):
    run = cli("train", "small.yaml", "-q").stdout
    more = []
    match OTHER[what]:
        case (name, old, new):
            (folder / name).write_text((folder / name).read_text().replace(old, new, 1))
        case "FLUXRUN_SET":
            monkeypatch.setenv("FLUXRUN_SET", "seed=5")
        case setting:
            more = setting.split()
    again = cli("train", "small.yaml", *more, "--if-missing", "-q")
    assert again.exit_code == 0
    assert again.stdout != run
    assert len(records(folder / "runs")) == 2


def test_files_below_extends_and_variables_count(cli, folder, monkeypatch):
    (folder / "child.yaml").write_text("extends: small.yaml\ntrain: {epochs: '${env:EPOCHS:2}'}\n")
    run = cli("train", "child.yaml", "-q").stdout
    loaded = spy(monkeypatch)
    assert cli("train", "child.yaml", "--if-missing", "-q").stdout == run
    assert loaded == []
    monkeypatch.setenv("EPOCHS", "1")
    other = cli("train", "child.yaml", "--if-missing", "-q").stdout
    assert other != run
    monkeypatch.delenv("EPOCHS")
    (folder / "small.yaml").write_text((folder / "small.yaml").read_text().replace("0.05", "0.04"))
    assert cli("train", "child.yaml", "--if-missing", "-q").stdout not in (run, other)


def test_a_spec_from_stdin(cli, folder):
    text = (folder / "small.yaml").read_text()
    run = cli("train", "-", "-q", input=text).stdout
    assert cli("train", "-", "--if-missing", "-q", input=text).stdout == run


def test_what_was_interrupted_goes_on(cli, folder):
    run = cli("train", "small.yaml", "--max-steps", 8, "-q").stdout
    enough = cli("train", "small.yaml", "--max-steps", 7, "--if-missing", "--json")
    assert json.loads(enough.stdout)["steps"] == 8
    done = cli("train", "small.yaml", "--if-missing", "--json")
    result = json.loads(done.stdout)
    assert (result["run"], result["status"], result["trained"]) == (run.strip(), "finished", True)
    whole = cli("train", "small.yaml", "--runs", "whole", "-q").stdout.strip()
    metrics = (folder / run.strip() / "metrics.jsonl").read_bytes()
    assert metrics == (folder / whole / "metrics.jsonl").read_bytes()


def test_what_stopped_under_other_versions_is_trained_anew(cli, folder):
    run = folder / cli("train", "small.yaml", "--max-steps", 8, "-q").stdout.strip()
    kept = json.loads((run / "run.json").read_text())
    kept["versions"]["numpy"] = "1.0"
    (run / "run.json").write_text(json.dumps(kept))
    done = cli("train", "small.yaml", "--if-missing")
    assert done.exit_code == 0
    assert done.stdout.strip() == f"runs/{run.name}-2"
    assert "stopped under another environment (numpy was 1.0" in done.stderr


def test_a_dry_run_says_which_run_it_would_be(cli, folder):
    run = cli("train", "small.yaml", "--max-steps", 8, "-q").stdout
    before = {path: path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()}
    assert cli("train", "small.yaml", "--if-missing", "--dry-run", "-q").stdout == run
    assert {path: path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()} == before


def test_a_skipped_training_imports_nothing_heavy(cli, folder):
    cli("train", "small.yaml", "-q")
    code = (
        "import sys, json\nfrom fluxrun.main import run\nsys.argv = ['fluxrun', *sys.argv[1:]]\n"
        "try:\n    run()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    )
    arguments = ["train", "small.yaml", "--if-missing", "--expect", "valid.loss<9"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stderr.splitlines()[-1])
    heavy = ("numpy", "yaml", "rich", "numba", "scipy", "flux_core.engine", "flux_core.training", "fluxrun.spec.load")
    assert not set(heavy).intersection(modules)


def all_at_once(folder, count, settings):
    """Many trainings from a bash loop; their exit codes."""
    train = " ".join([*COMMAND, "train", "small.yaml", "-q", settings])
    loop = f"for i in $(seq {count}); do ({train}; echo code $?) & done; wait"
    done = subprocess.run(["bash", "-c", loop], capture_output=True, text=True, timeout=600, cwd=folder)
    assert "Traceback" not in done.stderr
    return sorted(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("code "))


COUNTS = [6, pytest.param(100, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
def test_many_trainings_at_once_get_a_folder_each(folder, count):
    assert all_at_once(folder, count, "--set seed=$i") == [0] * count
    kept = records(folder / "runs")
    assert [one["status"] for one in kept] == ["finished"] * count
    assert sorted(one["seed"] for one in kept) == list(range(1, count + 1))
    assert len({one["hash"] for one in kept}) == count
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")}
    assert all_at_once(folder, count, "--set seed=$i --if-missing") == [0] * count
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")} == before


@pytest.mark.parametrize("count", COUNTS)
def test_the_same_training_many_times_at_once_gets_a_folder_each(folder, count):
    assert all_at_once(folder, count, "") == [0] * count
    (name,) = {one["hash"][:10] for one in records(folder / "runs")}
    assert {path.name for path in (folder / "runs").iterdir()} == {
        f"small-{name}" + (f"-{n}" if n > 1 else "") for n in range(1, count + 1)
    }


def test_the_same_training_if_missing_is_trained_once(folder):
    codes = all_at_once(folder, 6, "--set train.epochs=3000 --if-missing")
    assert codes.count(exits.OK) >= 1
    assert set(codes) <= {exits.OK, exits.CANNOT_CREATE}
    (kept,) = records(folder / "runs")
    assert (kept["status"], kept["resumed"]) == ("finished", [])
