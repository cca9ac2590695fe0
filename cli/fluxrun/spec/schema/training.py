"""Losses, optimizers, schedules, metrics, and the section `train` that holds them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fluxrun.spec.part import (
    Component,
    Count,
    Factor,
    Fraction,
    NotNegative,
    Part,
    Positive,
    Share,
    Slot,
    Text,
    Whole,
)


class Huber(Component):
    """Squares near zero, absolute values beyond delta."""

    main: ClassVar[str | None] = "delta"
    delta: Positive = 1.0


class Sgd(Component):
    """Stochastic gradient descent."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.001
    weight_decay: NotNegative = 0.0


class Momentum(Component):
    """Gradient descent with a velocity."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.001
    momentum: Fraction = 0.9
    weight_decay: NotNegative = 0.0


class RmsProp(Component):
    """Steps divided by a running root mean square of the gradient."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.01
    decay: Fraction = 0.99
    epsilon: NotNegative = 1e-8
    weight_decay: NotNegative = 0.0


class Adam(Component):
    """Adam; weight decay is added to the gradient."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: NotNegative = 1e-8
    weight_decay: NotNegative = 0.0


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    weight_decay: NotNegative = 0.01


class Constant(Component):
    """The same rate throughout, after a warm-up in steps."""

    warmup: Whole = 0


class Step(Constant):
    """Multiply the rate by a factor after every so many epochs."""

    main: ClassVar[str | None] = "every"
    every: Count = 10
    factor: Factor = 0.1


class Exponential(Constant):
    """Multiply the rate by a factor after every epoch."""

    main: ClassVar[str | None] = "factor"
    factor: Factor = 0.95


class Cosine(Constant):
    """Fall along half a cosine to a fraction of the rate."""

    main: ClassVar[str | None] = "final"
    final: Share = 0.0


class Plateau(Constant):
    """Multiply the rate by a factor when a metric stalls."""

    main: ClassVar[str | None] = "metric"
    metric: Text | None = None
    factor: Factor = 0.1
    patience: Whole = 10
    min_delta: NotNegative = 0.0


class TopK(Component):
    """How often the right class is among the k most likely."""

    main: ClassVar[str | None] = "k"
    k: Count = 5

    @property
    def label(self) -> str:
        """What the metric is called in results."""
        return f"top_{self.k}"


class EarlyStop(Component):
    """Stop after more than so many epochs without an improvement."""

    metric: Text | None = None
    patience: Whole = 10
    min_delta: NotNegative = 0.0


class Checkpoint(Component):
    """Which epoch counts as the best, and how often the state is saved."""

    metric: Text | None = None
    every_steps: Count | None = None
    every_minutes: Positive = 1.0


class Train(Component):
    """How the model is trained."""

    loss: Annotated[Part | None, Slot("loss")] = None
    optimizer: Annotated[Part, Slot("optimizer", default="adam")]
    schedule: Annotated[Part | None, Slot("schedule")] = None
    epochs: Annotated[int, Field(ge=1, le=10**9)] = 20
    metrics: Annotated[list[Part] | None, Slot("metric", many=True)] = None
    clip_norm: Positive | None = None
    clip_value: Positive | None = None
    early_stop: EarlyStop | None = None
    engine: Literal["tape", "reference"] = "tape"
    checkpoint: Checkpoint = Checkpoint.model_construct(metric=None, every_steps=None, every_minutes=1.0)
