"""A terminal: one bar that moves, and above it one row for each epoch.

 epoch  train.loss  valid.loss  valid.accuracy      rate    examples/s
    12      0.0312      0.0871          0.9778    0.0010        41,200  best
epoch 13/20 ━━━━━━━━━━━━━━━━━━━━━────────────  loss 0.0298  0:00:02 left  41,200 examples/s

Where epochs are quicker than eyes, only some have a row: the first ones, some in each second, and the last one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from flux_core.training.events import Compiling, EpochEnded, Progress, Started
from fluxrun.jobs.request import Listener, Outcome
from fluxrun.jobs.train import Prepared
from fluxrun.render.bar import Bar
from fluxrun.render.epochs import Epochs, is_whole
from fluxrun.render.numbers import clock as on_clock
from fluxrun.render.numbers import count, counted, number
from fluxrun.render.sparkline import sparklines
from fluxrun.render.stream import Quiet, width
from fluxrun.render.summary import closing, kernels_left, opening, started

FIRST_ROWS, ROWS_A_SECOND = 40, 5


class Live(Listener):
    """Draws on a terminal."""

    def __init__(self, stream: Quiet | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream or Quiet(sys.stderr), clock
        self.bar = Bar(self.stream, clock)
        self.task = Started(0, 1, 1, 0, 0, 0)
        self.total, self.limit, self.scheduled = 1, 0, False
        self.began, self.done = 0.0, 0  # where the time that is left is reckoned from
        self.table: Epochs | None = None
        self.first_row, self.rows, self.without = 0.0, 0, 0
        self.held: EpochEnded | None = None
        self.losses: dict[str, list[float]] = {}

    def claimed(self, folder: Path, prepared: Prepared) -> None:
        self.limit, self.scheduled = prepared.request.max_steps or 0, prepared.built.plan.schedule is not None
        self.bar.print(*opening(prepared, folder))

    def event(self, event: object) -> None:
        match event:
            case Started():
                self.task = event
                total = event.epochs * event.steps_per_epoch
                self.total, self.done = min(total, self.limit or total), event.step
                self.began = self.clock()
                self.bar.print(started(event))
            case Compiling():
                self.bar.show(kernels_left(event.number, event.count), event.number / event.count)
                self.began = self.clock()
            case Progress():
                speed = f"{count(event.examples_per_second)} examples/s"
                self.show(event.epoch, event.step, f"loss {number(event.loss)}", self.left(event.step), speed)
            case EpochEnded():
                self.show(event.epoch, event.step)
                self.epoch(event)

    def show(self, epoch: int, step: int, *more: str) -> None:
        """Bring the bar to a step, in the epoch behind so many."""
        self.bar.show(f"epoch {min(epoch + 1, self.task.epochs)}/{self.task.epochs}", step / self.total, more)

    def left(self, step: int) -> str:
        """How long it will take if it goes on as it went."""
        each = (self.clock() - self.began) / max(1, step - self.done)
        return f"{on_clock(each * max(0, self.total - step))} left"

    def epoch(self, event: EpochEnded) -> None:
        """Draw the row of an epoch, or hold it back."""
        for name in ("train.loss", "valid.loss"):
            if name in event.metrics:
                self.losses.setdefault(name, []).append(event.metrics[name])
        now = self.clock()
        self.first_row = self.first_row or now
        if self.rows < FIRST_ROWS + ROWS_A_SECOND * (now - self.first_row):
            self.held = None
            self.row(event)
        else:
            self.held, self.without = event, self.without + 1

    def row(self, event: EpochEnded) -> None:
        """Draw the row of an epoch."""
        cut = f"step {count(self.limit)}" if self.limit % self.task.steps_per_epoch else ""
        if self.table is None:
            columns = width(self.stream) or 80
            self.table = Epochs(list(event.metrics), columns, scheduled=self.scheduled, longest=len(cut))
            self.bar.print(self.table.head(), bold=True)
        name = str(event.epoch) if is_whole(event, self.task.steps_per_epoch) else f"step {count(event.step)}"
        self.bar.print(self.table.row(name, event))
        self.rows += 1

    def close(self, outcome: Outcome | None) -> None:
        """Take the bar away, and tell how it ended."""
        self.bar.close()
        if self.held is not None:
            self.row(self.held)
            self.without -= 1
        if self.without > 0:
            self.bar.print(f"without a row: {counted(self.without, 'epoch')}; metrics.jsonl has all")
        if outcome is not None:
            first, *rest = closing(outcome, width(self.stream))
            self.bar.print(first, bold=True)
            self.bar.print(*sparklines(self.losses), *rest)

    def signalled(self, text: str) -> None:
        """Say in a handler of signals that one came."""
        self.bar.print_at_once(text)
