"""What is written while a run is trained, and when."""

import json

import numpy as np
import pytest

from flux_core import fsio
from flux_core.training import checkpoint, events
from flux_core.training.events import Ended, EpochEnded, Snapshot, Started, TrainState
from fluxrun.store.record import Record, line
from fluxrun.store.states import numbered
from fluxrun.store.writer import RunWriter

NAN = float("nan")


def state(value):
    return TrainState({"w": np.full(2, value, np.float32)}, {"value": value})


def ended(epoch, **metrics):
    return EpochEnded(epoch, 10 * epoch, metrics, 0.1, 1.0, 100.0, True)


@pytest.fixture
def writer(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    clock = type("Clock", (), {"at": 0.0, "__call__": lambda self: self.at})()
    made = RunWriter(Record(tmp_path), last_seconds=60.0, clock=clock)
    made.start(b"seed: 0 # as given\r\n", "seed: 0\n", {"status": "running"})
    return made


def saved(writer, kind):
    path = writer.folder / "checkpoints" / f"{kind}.safetensors"
    return checkpoint.read(path)[1]["value"] if path.exists() else None


def test_the_config_is_kept_byte_for_byte(writer):
    assert (writer.folder / "config.yaml").read_bytes() == b"seed: 0 # as given\r\n"
    assert json.loads((writer.folder / "run.json").read_text()) == {"status": "running"}


def test_metrics_have_a_line_for_each_split_and_null_for_nan(writer):
    writer.event(Started(5, 10, 2, 0, 0, 100), lambda: state(0))
    writer.event(ended(1, **{"train.loss": 0.5, "valid.loss": NAN, "valid.r2": 1.0}), lambda: state(1))
    writer.event(events.Tested(1, 10, {"test.loss": 0.25}), lambda: state(1))
    assert (writer.folder / "metrics.jsonl").read_text() == (
        '{"step": 10, "epoch": 1, "split": "train", "loss": 0.5, "learning_rate": 0.1}\n'
        '{"step": 10, "epoch": 1, "split": "valid", "loss": null, "r2": 1.0}\n'
        '{"step": 10, "epoch": 1, "split": "test", "loss": 0.25}\n'
    )
    happened = [json.loads(text)["event"] for text in (writer.folder / "events.jsonl").read_text().splitlines()]
    assert happened == ["started", "epoch"]


def test_best_waits_ten_seconds_and_last_a_minute(writer):
    def epoch(at, value):
        writer.clock.at = at
        writer.event(ended(1, **{"train.loss": 1.0}), lambda: state(value))
        writer.event(Snapshot("best", state(value), {}), lambda: state(value))
        return saved(writer, "best"), saved(writer, "last")

    assert epoch(1, 1) == (None, None)
    assert epoch(9, 2) == (None, None)
    assert epoch(11, 3) == (2, None)  # the epoch's end is when the clock is looked at; state 3 comes after it
    assert epoch(20, 4) == (2, None)
    assert epoch(61, 5) == (4, 5)


def test_the_end_writes_everything(writer):
    writer.event(Snapshot("best", state(1), {}), lambda: state(1))
    writer.event(Ended("finished", None, 1, 10, 1.0, None, 1, {}), lambda: state(2))
    assert (saved(writer, "best"), saved(writer, "last")) == (1, 2)


def test_a_snapshot_that_was_asked_for_is_written_at_once(writer):
    writer.event(Snapshot("last", state(4), {}), lambda: state(9))
    assert saved(writer, "last") == 4


def position(step, step_in_epoch=0, best=None):
    """A state at a step, with the weights of the best one."""
    tensors = {"params/w": np.full(2, step, np.float32)}
    if best is not None:
        tensors["best/w"] = np.full(2, best, np.float32)
    at = {"epoch": step // 10, "step": step, "step_in_epoch": step_in_epoch, "best_epoch": best and best // 10}
    return TrainState(tensors, {"position": at})


def states(writer):
    return sorted(path.stem for path in (writer.folder / "checkpoints").iterdir())


def test_no_step_has_a_last_state_without_the_numbered_one_that_is_to_be_kept(writer, monkeypatch):
    """A process that is killed in between goes on from the last one, and never comes to that step again."""
    writer.keep, writer.by_epoch, saved = 2, False, []
    monkeypatch.setattr(writer, "save", lambda kind, state: saved.append(kind))
    writer.event(Snapshot("last", position(15, 5), {}), lambda: None)
    assert saved == ["step-00000015", "last"]


@pytest.mark.parametrize("by_epoch", [True, False])
def test_as_many_numbered_states_stay_as_are_to_be_kept(tmp_path, by_epoch):
    (tmp_path / "checkpoints").mkdir()
    writer = RunWriter(Record(tmp_path), keep=2, by_epoch=by_epoch)
    for epoch in range(1, 5):
        writer.event(ended(epoch, **{"train.loss": 1.0}), lambda epoch=epoch: position(10 * epoch))
        writer.event(Snapshot("last", position(10 * epoch + 5), {}), lambda: None)
    kept = ["step-00000030", "step-00000040"] if by_epoch else ["step-00000035", "step-00000045"]
    assert states(writer) == ["last", *kept]
    tensors, _ = checkpoint.read(tmp_path / "checkpoints" / f"{kept[0]}.safetensors")
    assert tensors["params/w"][0] == int(kept[0][-2:])


def test_the_last_state_is_refreshed_although_each_epoch_has_its_own(writer):
    writer.keep = 2
    for epoch in range(1, 9):
        writer.clock.at = 25.0 * epoch
        writer.event(ended(epoch, **{"train.loss": 1.0}), lambda epoch=epoch: position(10 * epoch))
    assert [step for step, _ in numbered(writer.folder)] == [70, 80]
    assert checkpoint.read(writer.path("last"))[1]["position"]["step"] == 60, "at 75 s and at 150 s"


def test_whatever_operation_fails_the_newest_states_that_were_written_stay_whole(tmp_path, monkeypatch):
    class Faulty(fsio.Disk):
        left = 0

        def __getattribute__(self, name):
            if name in ("open", "write", "sync", "replace", "unlink"):
                Faulty.left -= 1
                if Faulty.left == 0:
                    raise OSError(28, "No space left on device")
            return super().__getattribute__(name)

    monkeypatch.setattr(fsio, "disk", Faulty())
    failures = 0
    for fails_at in range(1, 60):
        folder = tmp_path / str(fails_at)
        (folder / "checkpoints").mkdir(parents=True)
        writer, written = RunWriter(Record(folder), keep=2), 0
        Faulty.left = fails_at
        try:
            for step in (10, 20, 30, 40):
                writer.save_numbered(step, position(step))
                written = step
        except OSError:
            failures += 1
        Faulty.left = 0
        found = [step for step, _ in numbered(folder)]
        assert found[-1:] >= [written] * bool(written)
        assert len(found) >= min(2, written // 10)
        for step, path in numbered(folder):
            assert checkpoint.read(path)[1]["position"]["step"] == step
    assert 20 < failures < 59, "every operation failed once, and the last rounds had none to fail"


def test_the_best_state_is_written_before_the_last_that_presumes_it(writer):
    writer.event(Snapshot("best", state(1), {}), lambda: state(1))
    assert saved(writer, "best") is None
    writer.event(Snapshot("last", state(2), {}), lambda: state(2))
    assert (saved(writer, "best"), saved(writer, "last")) == (1, 2)


def test_going_on_brings_the_folder_back_to_the_state(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    writer = RunWriter(Record(tmp_path), keep=9)
    for epoch in (1, 2, 3):
        writer.event(ended(epoch, **{"train.loss": 1.0, "valid.loss": 2.0}), lambda epoch=epoch: position(10 * epoch))
    writer.event(events.Tested(3, 30, {"test.loss": 0.25}), lambda: None)
    lines = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    checkpoint.write(tmp_path / "checkpoints/best.safetensors", *vars(position(30)).values())

    for path in (tmp_path / ".tmp-1-0", tmp_path / "checkpoints/.tmp-1-1"):
        path.write_bytes(b"half a st")
    writer.go_on(position(30), "a: 1\n", {"status": "running"})
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".tmp-")]
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(lines[:6]), "the test is done again"
    writer.go_on(position(25, 5, best=10), "a: 1\n", {"status": "running"})
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(lines[:4])
    assert states(writer) == ["best", "step-00000010", "step-00000020"]
    tensors, meta = checkpoint.read(tmp_path / "checkpoints/best.safetensors")
    assert (tensors["params/w"][0], meta["part"]) == (10, "best"), "the best one was of a future that may not come"
    checkpoint.write(tmp_path / "checkpoints/best.safetensors", *vars(position(30)).values())
    writer.go_on(position(20), "a: 1\n", {"status": "running"})
    assert states(writer) == ["step-00000010", "step-00000020"], "at step 20 none was the best"
    checkpoint.write(tmp_path / "checkpoints/best.safetensors", *vars(position(30)).values())
    writer.go_on(None, "a: 2\n", {"status": "running"})
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""
    assert states(writer) == []
    assert (tmp_path / "resolved.yaml").read_text() == "a: 2\n"
    happened = [json.loads(text) for text in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(e["epoch"], e["step"]) for e in happened if e["event"] == "resumed"] == [(3, 30), (2, 25), (2, 20), (0, 0)]


def test_going_on_leaves_no_more_numbered_states_than_are_to_be_kept(tmp_path):
    """As a process does that is killed between writing the newest and removing the oldest."""
    (tmp_path / "checkpoints").mkdir()
    for step in (10, 20, 30):
        RunWriter(Record(tmp_path), keep=3).save_numbered(step, position(step))
    for keep, left in ((0, 3), (2, 2)):
        RunWriter(Record(tmp_path), keep=keep).go_on(position(30), "a: 1\n", {"status": "running"})
        assert [step for step, _ in numbered(tmp_path)] == [10, 20, 30][-left:]


def test_a_line_is_one_line():
    assert line({"a": "x\ny", "b": float("inf")}) == b'{"a": "x\\ny", "b": null}\n'
