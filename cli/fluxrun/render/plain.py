"""Lines for logs and pipes: one for an epoch, at most one in 30 seconds, but always the first and the last.

epoch 3/20  train.loss 0.1234  valid.loss 0.2345  valid.accuracy 0.9444  rate 0.0010  12,345 examples/s  best
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from flux_core.training.events import Compiling, EpochEnded, Started
from fluxrun.jobs.request import Listener, Outcome
from fluxrun.jobs.train import Prepared
from fluxrun.render.epochs import is_whole
from fluxrun.render.numbers import count, number
from fluxrun.render.stream import Quiet
from fluxrun.render.summary import closing, kernels, kernels_left, opening, started

EVERY_SECONDS = 30.0


class Plain(Listener):
    """Writes lines to a stream."""

    def __init__(self, stream: Quiet | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream or Quiet(sys.stderr)
        self.clock = clock
        self.at: float | None = None
        self.epochs = self.steps_per_epoch = 0
        self.held: EpochEnded | None = None
        self.told: str | None = None  # about kernels

    def write(self, *lines: str) -> None:
        for line in lines:
            self.stream.write(line + "\n")
        self.stream.flush()

    def claimed(self, folder: Path, prepared: Prepared) -> None:
        self.write(*opening(prepared, folder))

    def event(self, event: object) -> None:
        if isinstance(event, Started):
            self.epochs, self.steps_per_epoch = event.epochs, event.steps_per_epoch
            self.write(started(event))
        elif isinstance(event, Compiling):
            self.compiling(event)
        elif isinstance(event, EpochEnded):
            now = self.clock()
            if self.at is None or now - self.at >= EVERY_SECONDS:
                self.at, self.held = now, None
                self.write(self.line(event))
            else:
                self.held = event

    def compiling(self, event: Compiling) -> None:
        text = kernels(event.count) if event.number else kernels_left(0, event.count)
        if event.number <= 1 and text != self.told:
            self.told = text
            self.write(text)

    def line(self, event: EpochEnded) -> str:
        values = [f"{name} {number(value)}" for name, value in event.metrics.items()]
        rest = [f"rate {number(event.learning_rate)}", f"{count(event.examples_per_second)} examples/s"]
        whole = is_whole(event, self.steps_per_epoch)
        where = f"epoch {event.epoch}/{self.epochs}" if whole else f"step {count(event.step)}"
        return "  ".join([where, *values, *rest, *(["best"] if event.improved else [])])

    def flush(self) -> None:
        if self.held is not None:
            self.write(self.line(self.held))
            self.held = None

    def signalled(self, text: str) -> None:
        """Say in a handler of signals that one came."""
        self.stream.write_at_once(text + "\n")

    def close(self, outcome: Outcome | None) -> None:
        self.flush()
        if outcome is not None:
            self.write(*closing(outcome))
