"""Keeps a run while it is trained.

events of the trainer ──▶ metrics.jsonl      one line per evaluation: deterministic values only
                          events.jsonl       one line per happening, with times
                          checkpoints/       best at most every 10 s, last every minute, both at the end
                          run.json           status and results, at most every 10 s and at the end
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flux_core import fsio
from flux_core.training import checkpoint
from flux_core.training.events import Ended, EpochEnded, Snapshot, Started, Tested
from fluxrun.store.record import Record, line, now

BEST_SECONDS = 10.0
RECORD_SECONDS = 10.0


class RunWriter:
    """Writes what happens into a claimed folder; `state` gives the trainer's present state."""

    def __init__(
        self, record: Record, *, last_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.record, self.folder, self.clock = record, record.folder, clock
        self.last_seconds = last_seconds
        self.pending_best: Any = None
        self.best_at = self.last_at = self.record_at = clock()

    def start(self, config: bytes, resolved: str, values: Mapping[str, Any]) -> None:
        """Write what is known before the first step."""
        fsio.write_atomically(self.folder / "config.yaml", config)
        fsio.write_atomically(self.folder / "resolved.yaml", resolved.encode())
        self.record.update(**values)

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
            case Tested():
                self.metrics(event.epoch, event.step, event.metrics, {})
            case Snapshot(kind="best"):
                self.pending_best = event.state
            case Snapshot():
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
        """Write a checkpoint."""
        checkpoint.write(self.path(kind), state.tensors, state.meta)
        self.last_at = self.clock()
        self.note("checkpoint", kind=kind)

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
