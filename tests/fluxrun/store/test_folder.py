"""Run folders are claimed by one process each, and are found again."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from flux_core.training.metrics import METRICS
from fluxrun.store.folder import NoSuchRun, RunFolderError, claim, next_folder
from fluxrun.store.listing import HIGHER_IS_BETTER, find, runs


def put(folder, name, **values):
    (folder / name).mkdir(parents=True)
    record = {"status": "finished", "pid": 1, "host": "elsewhere", "created": "2026-01-01T00:00:00.000Z", **values}
    (folder / name / "run.json").write_text(json.dumps(record))


def test_every_claim_gets_a_folder_of_its_own(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(lambda _: claim(tmp_path / "runs", "a", "0123456789abcdef"), range(50)))
    names = {folder.name for folder in folders}
    assert names == {"a-0123456789", *(f"a-0123456789-{n}" for n in range(2, 51))}
    assert all((folder / "checkpoints").is_dir() for folder in folders)


def test_claims_of_processes(tmp_path):
    code = "import sys; from pathlib import Path; from fluxrun.store.folder import claim; "
    code += "print(*[claim(Path(sys.argv[1]), 'a', '0' * 64).name for _ in range(20)], sep='\\n')"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "runs")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    names = [name for process in started for name in process.communicate(timeout=60)[0].split()]
    assert len(names) == 80
    assert len(set(names)) == 80


def test_a_name_that_anything_has_is_taken(tmp_path):
    (tmp_path / "a-0000000000").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a-0000000000-2").write_text("")
    assert next_folder(tmp_path, "a", "0" * 64).name == "a-0000000000-3"
    assert claim(tmp_path, "a", "0" * 64).name == "a-0000000000-3"


@pytest.mark.parametrize("where", ["file", "file/runs", "/proc/runs"])
def test_places_where_no_folder_can_be(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot create a run folder here"):
        claim(tmp_path / where, "a", "0" * 64)


def test_runs_are_listed_by_their_start_and_rubbish_is_not(tmp_path):
    put(tmp_path, "late", created="2026-02-01T00:00:00.000Z")
    put(tmp_path, "early", created="2026-01-01T00:00:00.000Z")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, text in [("torn", '{"status": "fin'), ("list", "[]"), ("text", '{"pid": "x"}'), ("deep", "[" * 100_000)]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    assert [run.name for run in runs(tmp_path)] == ["early", "late"]
    assert runs(tmp_path / "none") == []


def test_a_run_by_path_name_last_and_best(tmp_path):
    put(tmp_path, "a", best={"valid.loss": 0.2, "valid.accuracy": 0.8, "valid.top_5": 0.9})
    put(tmp_path, "b", created="2026-02-01T00:00:00.000Z", best={"valid.loss": 0.5, "valid.accuracy": 0.9})
    put(tmp_path, "c", created="2026-01-02T00:00:00.000Z", final={"valid.loss": None})
    assert find(tmp_path, str(tmp_path / "a")).name == "a"
    assert find(tmp_path, "b").name == "b"
    assert find(tmp_path, "last").name == "b"
    assert find(tmp_path, "best:valid.loss").name == "a"
    assert find(tmp_path, "best:valid.accuracy").name == "b"
    with pytest.raises(NoSuchRun, match=r"no run has a metric 'valid\.r2'"):
        find(tmp_path, "best:valid.r2")
    put(tmp_path, "digits-0123456789")
    with pytest.raises(NoSuchRun, match="did you mean 'digits-0123456789'"):
        find(tmp_path, "digits-012345678")


def test_a_run_by_what_it_was_trained_from_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, created in (("digits-2", "2"), ("digits-1", "1"), ("iris-3", "3")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        record = {"created": created, "name": name[:-2], "config": f"{name[:-2]}.yaml"}
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps(record))
    (tmp_path / "iris.yaml").touch()
    (tmp_path / "iris").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "other.yaml").touch()
    said = {
        "digits": "called 'digits'; did you mean 'digits-2'?",
        "digits-": "called 'digits-'; did you mean 'digits-2'?",
        "iris.yaml": "iris.yaml: this is a file, and a run is wanted; did you mean 'iris-3'?",
        "other.yaml": "other.yaml: this is a file, and a run is wanted",
        "other": "called 'other'; in other.yaml",
        "iris": "iris: this is a folder, and no run; did you mean 'iris-3'?",
        "elsewhere": "elsewhere: this is a folder, and no run",
        "": "called ''; in ",
    }
    for which, words in said.items():
        with pytest.raises(NoSuchRun) as caught:
            find(tmp_path / "runs", which, other=lambda path: f"in {path.name}.yaml" if path.name else "in ")
        assert str(caught.value).endswith(words)


def test_the_direction_of_every_metric_is_known():
    for name, metric in METRICS.items():
        label = metric().label
        assert bool(HIGHER_IS_BETTER.fullmatch(label)) == metric.higher_is_better, name
    assert not HIGHER_IS_BETTER.fullmatch("loss")
