"""A terminal: one bar that moves, and above it one row for each epoch.

epoch   train.loss  valid.loss  valid.accuracy      rate   examples/s
   12       0.0312      0.0871          0.9778    0.0010       41,200  best
epoch 13/20 ━━━━━━━━━━━━━━━╸━━━━━━━━━  loss 0.0298  41,200 examples/s  0:00:02
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flux_core.training.events import EpochEnded, Progress, Started
from fluxrun.jobs.request import Listener, Outcome
from fluxrun.jobs.train import Prepared
from fluxrun.render.numbers import count, number
from fluxrun.render.sparkline import sparklines
from fluxrun.render.stream import Quiet
from fluxrun.render.summary import closing, opening, started

WIDTH = 10


class Live(Listener):
    """Draws on a terminal through rich."""

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.console = console or Console(file=Quiet(sys.stderr), highlight=False)  # type: ignore[arg-type]  # writes like a file
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[loss]}  {task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            expand=True,
        )
        self.task = self.bar.add_task("", total=None, loss="", speed="")
        self.epochs = self.steps_per_epoch = 0
        self.columns: list[tuple[str, int]] = []
        self.limit: int | None = None
        self.losses: dict[str, list[float]] = {}

    def print(self, text: str, style: str | None = None) -> None:
        from rich.text import Text

        self.console.print(Text(text, style=style or ""), soft_wrap=True)

    def claimed(self, folder: Path, prepared: Prepared) -> None:
        self.limit = prepared.request.max_steps
        for line in opening(prepared, folder.name):
            self.print(line)

    def event(self, event: object) -> None:
        match event:
            case Started():
                self.epochs, self.steps_per_epoch = event.epochs, event.steps_per_epoch
                self.print(started(event))
                total = event.epochs * event.steps_per_epoch
                self.bar.update(
                    self.task,
                    total=min(total, self.limit or total),
                    completed=event.step,
                    description=f"epoch {event.epoch + 1}/{self.epochs}",
                )
                self.bar.start()
            case Progress():
                self.bar.update(
                    self.task,
                    completed=event.step,
                    description=f"epoch {event.epoch + 1}/{self.epochs}",
                    loss=f"loss {number(event.loss)}",
                    speed=f"{count(event.examples_per_second)} examples/s",
                )
            case EpochEnded():
                self.row(event)

    def row(self, event: EpochEnded) -> None:
        if not self.columns:
            self.columns = [(name, max(len(name), WIDTH)) for name in event.metrics]
            names = [f"{name:>{size}}" for name, size in self.columns]
            self.print("  ".join([f"{'epoch':>6}", *names, f"{'rate':>8}", f"{'examples/s':>12}"]), "bold")
        for name in ("train.loss", "valid.loss"):
            if name in event.metrics:
                self.losses.setdefault(name, []).append(event.metrics[name])
        values = [f"{number(event.metrics.get(name)):>{size}}" for name, size in self.columns]
        rest = [f"{number(event.learning_rate):>8}", f"{count(event.examples_per_second):>12}"]
        mark = ["best"] if event.improved else []
        self.bar.update(self.task, completed=event.step)
        self.print("  ".join([f"{event.epoch:>6}", *values, *rest, *mark]))

    def interrupted(self, name: str) -> None:
        self.print(f"{name}: saving; a second one ends at once")

    def close(self, outcome: Outcome | None) -> None:
        self.bar.stop()
        if outcome is not None:
            first, *rest = closing(outcome)
            self.print(first, "bold")
            for line in [*sparklines(self.losses), *rest]:
                self.print(line)
