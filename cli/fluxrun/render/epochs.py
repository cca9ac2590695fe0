"""The table of epochs: fixed columns, as many as a line has room for.

 epoch  train.loss  valid.loss  valid.accuracy      rate    examples/s
    12      0.0312      0.0871          0.9778    0.0010        41,200  best

Where there is little room examples/s goes first, then a rate that never changes, then what was measured in training.
"""

from __future__ import annotations

from collections.abc import Sequence

from flux_core.training.events import EpochEnded
from fluxrun.render.numbers import count, number

RATE, SPEED, MARK = "rate", "examples/s", "best"
SIZES = {RATE: 8, SPEED: 12}
NUMBER = 9  # no other number is longer


class Epochs:
    """A table for epochs with these metrics, in lines of `columns` characters.

    With `scheduled` the rate changes; `longest` is the longest name of a row.
    """

    def __init__(self, metrics: Sequence[str], columns: int, *, scheduled: bool, longest: int = 0) -> None:
        self.first = max(len(" epoch"), longest)
        trained = [name for name in metrics if name.startswith("train.")]
        others = [name for name in metrics if name not in trained]
        early, late = ([], [RATE]) if scheduled else ([RATE], [])
        spare = [SPEED, *early, *reversed(trained), *late, *reversed(others)]
        self.names = [*metrics, RATE, SPEED]
        for name in spare:
            if self._width() > columns and name not in (others or trained)[:1]:
                self.names.remove(name)

    def head(self) -> str:
        """The names of the columns."""
        return "  ".join([f"{'epoch':>{self.first}}", *(f"{name:>{_size(name)}}" for name in self.names)])

    def row(self, name: str, event: EpochEnded) -> str:
        """An epoch."""
        values = {name: number(value) for name, value in event.metrics.items()}
        values |= {RATE: number(event.learning_rate), SPEED: count(event.examples_per_second)}
        cells = [f"{values.get(name, '-'):>{_size(name)}}" for name in self.names]
        return "  ".join([f"{name:>{self.first}}", *cells, *([MARK] if event.improved else [])])

    def _width(self) -> int:
        return self.first + sum(2 + _size(name) for name in self.names) + 2 + len(MARK)


def _size(name: str) -> int:
    return SIZES.get(name) or max(len(name), NUMBER)


def is_whole(event: EpochEnded, steps_per_epoch: int) -> bool:
    """Whether an epoch was measured at its end; else --max-steps cut it short."""
    return event.step == event.epoch * steps_per_epoch
