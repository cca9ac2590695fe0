"""One process at a time writes into a run's folder."""

import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from flux_core import fsio
from fluxrun.store.folder import RunFolderError
from fluxrun.store.hold import RunBusy, arranged, held
from fluxrun.store.listing import read_run

HOLD = "import sys, time; from pathlib import Path; from fluxrun.store.hold import held\n"
HOLD += "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"status": "running", "pid": 4321, "host": "there"}))
    return tmp_path / "run"


def test_the_second_is_told_who_is_first(run):
    with held(run), pytest.raises(RunBusy, match="going on elsewhere: process 4321 on there"), held(run):
        pass
    with held(run):
        pass


def test_it_goes_with_its_process(run):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunBusy), held(run):
            pass
        holder.kill()
        holder.wait()
    with held(run):
        pass


def status(run):
    return read_run(run).status


def test_who_holds_it_runs_whatever_number_the_record_names(run):
    """Numbers of processes are used again: those of a living one say nothing."""
    mine = {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    (run / "run.json").write_text(json.dumps(mine))
    assert status(run) == "interrupted"
    with held(run):
        assert status(run) == "running"
        (run / "run.json").write_text(json.dumps(mine | {"pid": 2**22 + 1}))
        assert status(run) == "running"
        (run / "run.json").write_text(json.dumps(mine | {"host": "elsewhere", "status": "failed"}))
        assert status(run) == "failed"
    (run / "run.json").write_text(json.dumps(mine | {"host": "elsewhere"}))
    assert status(run) == "running", "its host may not see our locks"


def test_an_error_inside_goes_on_its_way(run):
    with pytest.raises(BlockingIOError), held(run):
        raise BlockingIOError


def test_without_locks_the_record_decides(run, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fsio.fcntl, "flock", no_locks)
    with pytest.raises(RunBusy), held(run):  # nothing can be said about another host
        pass
    mine = {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    (run / "run.json").write_text(json.dumps(mine))
    assert status(run) == "running"
    with pytest.raises(RunBusy), held(run):
        pass
    for ended in ({"pid": 2**22 + 1}, {"status": "interrupted"}):
        (run / "run.json").write_text(json.dumps(mine | ended))
        assert status(run) == "interrupted"
        with held(run):
            pass
    with arranged(run.parent):
        pass


def test_a_place_that_cannot_be_locked_is_an_error(run):
    (run / "events.jsonl").mkdir()
    with pytest.raises(RunFolderError, match="run: cannot be locked: Is a directory"), held(run):
        pass
