"""The learning rate over time.

    rate = base x warm-up x fraction        constant     ████████████
                                            step         ████▄▄▄▄▂▂▂▂   by the epoch
                                            exponential  █▇▆▅▄▄▃▃▂▂▂▂   by the epoch
                                            cosine       ██▇▇▆▅▄▃▂▂▁▁   by the step
                                            plateau      ███████▃▃▃▁▁   when a metric stalls

Steps and epochs are counted from 0: `rate(base, step, ...)` is for the update that `step` updates precede. A
warm-up of w steps multiplies the rate by (step + 1) / w until that reaches 1; the cosine starts when it ends.
Only `Plateau` has a state, a JSON value that `observe` replaces once per epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import cos, isfinite, pi
from typing import Any, ClassVar

ScheduleState = Mapping[str, Any]


@dataclass(frozen=True)
class Schedule(ABC):
    """The common part of all schedules: a name, a warm-up in steps, and a state that may be empty."""

    name: ClassVar[str]
    whole: ClassVar[bool] = False  # whether the length of the whole run decides the rate
    warmup: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        if self.warmup < 0:
            raise ValueError(f"{self.name}: warmup must be at least 0 steps, got {self.warmup}")

    @abstractmethod
    def fraction(self, step: int, epoch: int, total: int, state: ScheduleState) -> float:
        """The part of the base rate that is left, warm-up aside; `total` is the steps of the whole run."""

    def rate(
        self,
        base: float,
        step: int,
        epoch: int,
        steps_per_epoch: int,
        epochs: int,
        state: ScheduleState | None = None,
    ) -> float:
        """The learning rate of the update after `step` updates, in the epoch after `epoch` epochs.

        >>> [round(Cosine(warmup=2).rate(0.5, step, 0, 6, 1), 6) for step in range(4)]
        [0.25, 0.5, 0.5, 0.426777]
        """
        ramp = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return base * ramp * self.fraction(step, epoch, steps_per_epoch * epochs, state or self.start())

    def resolved(self, base: float, steps_per_epoch: int, epochs: int) -> dict[str, Any]:
        """All numbers that fix the learning rate, as JSON: a resumed run must have the same.

        >>> Exponential(0.9).resolved(0.5, 45, 20)
        {'name': 'exponential', 'warmup': 0, 'factor': 0.9, 'base': 0.5, 'steps_per_epoch': 45}
        """
        numbers = {"base": base, "steps_per_epoch": steps_per_epoch, **({"epochs": epochs} if self.whole else {})}
        return {"name": self.name, **asdict(self), **numbers}

    def start(self) -> dict[str, Any]:
        """The state before the first epoch."""
        return {}

    def observe(self, state: ScheduleState, value: float, *, higher_is_better: bool = False) -> dict[str, Any]:
        """The state after an epoch whose metric was `value`."""
        return dict(state)


@dataclass(frozen=True)
class Constant(Schedule):
    """The base rate throughout."""

    name: ClassVar[str] = "constant"

    def fraction(self, step: int, epoch: int, total: int, state: ScheduleState) -> float:
        """Always 1."""
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the rate by `factor` after every `every` epochs."""

    name: ClassVar[str] = "step"
    every: int = 10
    factor: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        super().__post_init__()
        if self.every < 1:
            raise ValueError(f"{self.name}: every must be at least 1 epoch, got {self.every}")
        _check_factor(self.name, self.factor)

    def fraction(self, step: int, epoch: int, total: int, state: ScheduleState) -> float:
        """factor^⌊epoch / every⌋."""
        return float(self.factor ** (epoch // self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the rate by `factor` after every epoch."""

    name: ClassVar[str] = "exponential"
    factor: float = 0.95

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        super().__post_init__()
        _check_factor(self.name, self.factor)

    def fraction(self, step: int, epoch: int, total: int, state: ScheduleState) -> float:
        """factor^epoch."""
        return float(self.factor**epoch)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Fall along half a cosine from the end of the warm-up to `final` (a fraction of the base) after the run.

    Loshchilov & Hutter, "SGDR", 2017, without restarts.
    """

    name: ClassVar[str] = "cosine"
    whole: ClassVar[bool] = True
    final: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        super().__post_init__()
        if not 0 <= self.final <= 1:
            raise ValueError(f"{self.name}: final must be between 0 and 1, got {self.final}")

    def fraction(self, step: int, epoch: int, total: int, state: ScheduleState) -> float:
        """final + (1 - final) (1 + cos πt) / 2, t from 0 to 1."""
        t = min(1.0, max(0.0, (step - self.warmup) / max(1, total - self.warmup)))
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + cos(pi * t))


@dataclass(frozen=True)
class Plateau(Schedule):
    """Multiply the rate by `factor` after more than `patience` epochs in which `metric` did not improve.

    To improve is to be better than the best by more than `min_delta`.

    >>> plateau = Plateau(factor=0.5, patience=0)
    >>> state = plateau.observe(plateau.start(), 1.0)
    >>> plateau.rate(0.2, 0, 1, 1, 9, plateau.observe(state, 1.5))
    0.1
    """

    name: ClassVar[str] = "plateau"
    metric: str = "valid.loss"
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        super().__post_init__()
        _check_factor(self.name, self.factor)
        if self.patience < 0:
            raise ValueError(f"{self.name}: patience must be at least 0 epochs, got {self.patience}")
        if not isfinite(self.min_delta) or self.min_delta < 0:
            raise ValueError(f"{self.name}: min_delta must be finite and at least 0, got {self.min_delta}")

    def fraction(self, step: int, epoch: int, total: int, state: ScheduleState) -> float:
        """What the reductions so far have left."""
        return float(state["fraction"])

    def start(self) -> dict[str, Any]:
        """Nothing seen, nothing reduced."""
        return {"best": None, "stalled": 0, "fraction": 1.0}

    def observe(self, state: ScheduleState, value: float, *, higher_is_better: bool = False) -> dict[str, Any]:
        """Remember an improvement, or count an epoch without; a value that is not finite is none."""
        best = state["best"]
        sign = 1.0 if higher_is_better else -1.0
        if isfinite(value) and (best is None or sign * (value - best) > self.min_delta):
            return {**state, "best": value, "stalled": 0}
        if state["stalled"] < self.patience:
            return {**state, "stalled": state["stalled"] + 1}
        return {**state, "stalled": 0, "fraction": state["fraction"] * self.factor}


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {
    schedule.name: schedule for schedule in (Constant, Step, Exponential, Cosine, Plateau)
}


def _check_factor(name: str, factor: float) -> None:
    if not 0 < factor <= 1:
        raise ValueError(f"{name}: factor must be above 0 and at most 1, got {factor}")
