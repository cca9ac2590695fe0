"""What happens in a training, as values.

    Started  Compiling*  (Progress* EpochEnded Snapshot?)*  Tested?  Ended

Epochs and steps are counts of what is behind: `epoch=1` in EpochEnded is the end of the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Metrics = Mapping[str, float]
Status = Literal["finished", "stopped", "interrupted", "timeout"]


@dataclass(frozen=True)
class TrainState:
    """Everything that a checkpoint holds: arrays by name, and the rest as JSON."""

    tensors: dict[str, NDArray[Any]]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Started:
    """The first event; `epoch` and `step` are those behind a resumed training."""

    parameters: int
    steps_per_epoch: int
    epochs: int
    epoch: int
    step: int
    examples: int


@dataclass(frozen=True)
class Compiling:
    """A kernel is going to be compiled, the `number`-th of `count`; number 0: another process compiles them."""

    number: int
    count: int


@dataclass(frozen=True)
class Progress:
    """Some steps were made; `loss` is the mean over the epoch so far."""

    epoch: int
    step: int
    step_in_epoch: int
    loss: float
    examples_per_second: float


@dataclass(frozen=True)
class EpochEnded:
    """An epoch is over and evaluated; `improved` says whether it is the best so far."""

    epoch: int
    step: int
    metrics: Metrics
    learning_rate: float
    seconds: float
    examples_per_second: float
    improved: bool


@dataclass(frozen=True)
class Snapshot:
    """A state that is worth keeping: the best so far, or the last because so many steps were asked for."""

    kind: Literal["best", "last"]
    state: TrainState
    metrics: Metrics


@dataclass(frozen=True)
class Tested:
    """The test split was evaluated, once, on the best weights."""

    epoch: int
    step: int
    metrics: Metrics


@dataclass(frozen=True)
class Ended:
    """The last event. `best` and `final` are the metrics of the best and the last epoch, the test's among them."""

    status: Status
    reason: str | None
    epochs: int
    steps: int
    seconds: float
    best: Metrics | None
    best_epoch: int | None
    final: Metrics


Event = Started | Compiling | Progress | EpochEnded | Snapshot | Tested | Ended
