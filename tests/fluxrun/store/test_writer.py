"""What is written while a run is trained, and when."""

import json

import numpy as np
import pytest

from flux_core.training import checkpoint, events
from flux_core.training.events import Ended, EpochEnded, Snapshot, Started, TrainState
from fluxrun.store.record import Record, line
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


def test_a_line_is_one_line():
    assert line({"a": "x\ny", "b": float("inf")}) == b'{"a": "x\\ny", "b": null}\n'
