"""The plan of a training: everything but the model and the data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flux_core.layers import LOSSES
from flux_core.optim import Optimizer, Schedule

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class EarlyStop:
    """Stop after more than `patience` epochs in which `metric` got no better by more than `min_delta`."""

    metric: str = "valid.loss"
    patience: int = 10
    min_delta: float = 0.0


@dataclass(frozen=True)
class Plan:
    """How to train. `loss` is a name of `LOSSES`; `monitor` names the metric that the best weights are best in
    (None: the last weights are), `max_steps` ends the training early, evaluated. `threads` (None: all usable cores)
    change the time and never the result."""

    loss: str
    optimizer: Optimizer
    loss_arguments: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule | None = None
    epochs: int = 10
    batch_size: int = 32
    shuffle: bool = True
    drop_last: bool = False
    seed: int = 0
    metrics: tuple[str | tuple[str, Mapping[str, Any]], ...] = ()
    clip_norm: float | None = None
    clip_value: float | None = None
    early_stop: EarlyStop | None = None
    monitor: str | None = None
    every_steps: int | None = None
    engine: Literal["tape", "reference"] = "tape"
    threads: int | None = None
    max_steps: int | None = None

    def loss_function(self) -> Loss:
        """The loss with its arguments; raises KeyError for a name that there is not."""
        return partial(LOSSES[self.loss], **self.loss_arguments)

    @property
    def labels(self) -> bool:
        """Whether the loss takes ids, one for each example, instead of values."""
        return self.loss == "cross_entropy"


def usable_cores() -> int:
    """How many cores this process may use: its affinity, and the quota of its control group (rounded up)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError):
        pass
    return cores
