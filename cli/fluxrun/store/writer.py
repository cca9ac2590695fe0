"""Keeps a run while it is trained.

events of the trainer ──▶ metrics.jsonl      one line per evaluation: deterministic values only
                          events.jsonl       one line per happening, with times
                          checkpoints/       best at most every 10 s, last every minute, both at the end;
                                             step-00000120 and its like, as many as are to be kept, besides
                          run.json           status and results, at most every 10 s and at the end
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flux_core import fsio
from flux_core.errors import CheckpointError
from flux_core.training import checkpoint
from flux_core.training.events import Ended, EpochEnded, Snapshot, Started, Tested, TrainState
from flux_core.training.state import best_of
from fluxrun.store.record import Record, line, now
from fluxrun.store.states import numbered

BEST_SECONDS = 10.0
RECORD_SECONDS = 10.0


class RunWriter:
    """Writes what happens into a claimed folder; `state` gives the trainer's present state.

    `keep` numbered states stay: one of every snapshot that is asked for, or with `by_epoch` one of every epoch.
    """

    def __init__(
        self,
        record: Record,
        *,
        last_seconds: float = 60.0,
        keep: int = 0,
        by_epoch: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.record, self.folder, self.clock = record, record.folder, clock
        self.last_seconds, self.keep, self.by_epoch = last_seconds, keep, by_epoch
        self.pending_best: Any = None
        self.best_at = self.last_at = self.record_at = clock()

    def start(self, config: bytes, resolved: str, values: Mapping[str, Any]) -> None:
        """Write what is known before the first step."""
        fsio.write_atomically(self.folder / "config.yaml", config)
        fsio.write_atomically(self.folder / "resolved.yaml", resolved.encode())
        self.record.update(**values)

    def go_on(self, state: TrainState | None, resolved: str, values: Mapping[str, Any]) -> None:
        """Bring the folder back to where `state` was taken (None: to the beginning), to go on from there.

        The record comes first: whatever is interrupted after it can be done again.
        """
        position = {"epoch": 0, "step": 0, "step_in_epoch": 0} if state is None else state.meta["position"]
        self.record.update(**values)
        for left_over in (*self.folder.glob(".tmp-*"), *self.folder.glob("checkpoints/.tmp-*")):
            fsio.disk.unlink(left_over)  # by a process that was killed while it wrote: this one alone may write here
        fsio.ensure_directory(self.folder / "checkpoints")
        fsio.write_atomically(self.folder / "resolved.yaml", resolved.encode())
        _keep_lines(self.folder / "metrics.jsonl", position["step"] - position["step_in_epoch"])
        _keep_lines(self.folder / "events.jsonl", None)
        for step, path in numbered(self.folder):
            if step > position["step"]:
                fsio.disk.unlink(path)
        self.remove_oldest()  # a process may have been killed before it came to that
        best = None if state is None else best_of(state)
        if best is None:  # one that is there is of a future that may not come
            with suppress(FileNotFoundError):
                fsio.disk.unlink(self.path("best"))
        elif not _holds(self.path("best"), best):
            checkpoint.write(self.path("best"), best.tensors, best.meta)
        self.note("resumed", epoch=position["epoch"], step=position["step"])

    def event(self, event: object, state: Callable[[], Any]) -> None:
        """Keep one event."""
        match event:
            case Started():
                self.note("started", epoch=event.epoch, step=event.step, parameters=event.parameters)
            case EpochEnded():
                self.metrics(event.epoch, event.step, event.metrics, {"learning_rate": event.learning_rate})
                self.note(
                    "epoch",
                    epoch=event.epoch,
                    step=event.step,
                    seconds=event.seconds,
                    examples_per_second=event.examples_per_second,
                )
                if self.keep and self.by_epoch:
                    self.save_numbered(event.step, state())
            case Tested():
                self.metrics(event.epoch, event.step, event.metrics, {})
            case Snapshot(kind="best"):
                self.pending_best = event.state
            case Snapshot():
                if self.keep and not self.by_epoch:  # first: from the last one it would not be made again
                    self.save_numbered(event.state.meta["position"]["step"], event.state)
                self.save("last", event.state)
            case Ended():
                self.end(event, state())
                return
        self.keep_up(event, state)

    def keep_up(self, event: object, state: Callable[[], Any]) -> None:
        """Write what is due by the clock."""
        at = self.clock()
        if self.pending_best is not None and at - self.best_at >= BEST_SECONDS:
            self.save_best()
        if at - self.last_at >= self.last_seconds:
            self.save("last", state())
        if isinstance(event, EpochEnded) and at - self.record_at >= RECORD_SECONDS:
            self.record_at = at
            self.record.update(epochs=event.epoch, steps=event.step, final=event.metrics)

    def metrics(self, epoch: int, step: int, values: Mapping[str, float], more: dict[str, float]) -> None:
        """One line for each split that has values."""
        lines = b""
        for split in ("train", "valid", "test"):
            mine = {name.removeprefix(f"{split}."): v for name, v in values.items() if name.startswith(f"{split}.")}
            if mine:
                rest = more if split == "train" else {}
                lines += line({"step": step, "epoch": epoch, "split": split, **mine, **rest})
        fsio.append(self.folder / "metrics.jsonl", lines)

    def note(self, event: str, **values: Any) -> None:
        """One line in events.jsonl."""
        fsio.append(self.folder / "events.jsonl", line({"time": now(), "event": event, **values}))

    def save(self, kind: str, state: Any) -> None:
        """Write a checkpoint, never before what it presumes: the best one and the metrics up to it."""
        self.flush()
        fsio.append(self.folder / "metrics.jsonl", b"", sync=True)
        checkpoint.write(self.path(kind), state.tensors, state.meta)
        if kind == "last":
            self.last_at = self.clock()
        self.note("checkpoint", kind=kind)

    def save_numbered(self, step: int, state: TrainState) -> None:
        """Write a checkpoint that later ones do not replace."""
        self.save(f"step-{step:08}", state)
        self.remove_oldest()

    def remove_oldest(self) -> None:
        """Remove the oldest numbered checkpoints beyond `keep`; with 0, those that are there stay."""
        for _, path in numbered(self.folder)[: -self.keep]:
            fsio.disk.unlink(path)

    def save_best(self) -> None:
        """Write the best state that is held in memory."""
        state, self.pending_best = self.pending_best, None
        self.best_at = self.clock()
        checkpoint.write(self.path("best"), state.tensors, state.meta)
        self.note("checkpoint", kind="best")

    def flush(self) -> None:
        """Write what is only in memory."""
        if self.pending_best is not None:
            self.save_best()

    def path(self, kind: str) -> Path:
        return self.folder / "checkpoints" / f"{kind}.safetensors"

    def end(self, event: Any, state: Any) -> None:
        """Write the final state."""
        self.flush()
        self.save("last", state)
        self.note("ended", status=event.status, epoch=event.epochs, step=event.steps, seconds=event.seconds)


def _keep_lines(path: Path, step: int | None) -> None:
    """Cut a .jsonl file before its first line that is torn or, with `step`, was measured after it or is a test's."""
    try:
        with open(path, "rb") as file:
            size = 0
            for text in file:
                if not text.endswith(b"\n") or (step is not None and not _measured(text, step)):
                    break
                size += len(text)
            whole = file.seek(0, 2) == size
    except FileNotFoundError:
        return
    if not whole:
        fsio.cut(path, size)


def _measured(text: bytes, step: int) -> bool:
    try:
        values = json.loads(text)
        return bool(values["step"] <= step and values["split"] != "test")
    except (ValueError, TypeError, KeyError):
        return False


def _holds(path: Path, best: TrainState) -> bool:
    """Whether a checkpoint has these weights."""
    try:
        tensors, _ = checkpoint.read(path)
    except CheckpointError:
        return False
    params = {name: array for name, array in best.tensors.items() if name.startswith("params/")}
    return all(name in tensors and tensors[name].tobytes() == array.tobytes() for name, array in params.items())
