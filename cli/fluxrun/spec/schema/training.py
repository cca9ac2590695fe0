"""Losses, optimizers, schedules, metrics, and the section `train` that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

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
    """Where the one becomes the other."""


class Sgd(Component):
    """Stochastic gradient descent."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.001
    """The length of a step."""
    weight_decay: NotNegative = 0.0
    """How much weights shrink, added to the gradient."""


class Momentum(Component):
    """Gradient descent with a velocity."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.001
    """The length of a step."""
    momentum: Fraction = 0.9
    """How much of the velocity is left after a step."""
    weight_decay: NotNegative = 0.0
    """How much weights shrink, added to the gradient."""


class RmsProp(Component):
    """Steps divided by a running root mean square of the gradient."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.01
    """The length of a step."""
    decay: Fraction = 0.99
    """How much of the running mean is left after a step."""
    epsilon: NotNegative = 1e-8
    """What keeps the divisor from zero."""
    weight_decay: NotNegative = 0.0
    """How much weights shrink, added to the gradient."""


class Adam(Component):
    """Adam; weight decay is added to the gradient."""

    main: ClassVar[str | None] = "learning_rate"
    learning_rate: NotNegative = 0.001
    """The length of a step."""
    beta1: Fraction = 0.9
    """How much of the running mean of the gradient is left after a step."""
    beta2: Fraction = 0.999
    """How much of the running mean of its square is left after a step."""
    epsilon: NotNegative = 1e-8
    """What keeps the divisor from zero."""
    weight_decay: NotNegative = 0.0
    """How much weights shrink."""


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    weight_decay: NotNegative = 0.01
    """How much weights shrink in a step, times the learning rate."""


class Constant(Component):
    """The same rate throughout, after a warm-up in steps."""

    warmup: Whole = 0
    """Steps in which the rate rises from zero."""


class Step(Constant):
    """Multiply the rate by a factor after every so many epochs."""

    main: ClassVar[str | None] = "every"
    every: Count = 10
    """How many epochs."""
    factor: Factor = 0.1
    """What the rate is multiplied by."""


class Exponential(Constant):
    """Multiply the rate by a factor after every epoch."""

    main: ClassVar[str | None] = "factor"
    factor: Factor = 0.95
    """What the rate is multiplied by."""


class Cosine(Constant):
    """Fall along half a cosine to a fraction of the rate."""

    main: ClassVar[str | None] = "final"
    final: Share = 0.0
    """The fraction of the rate at the end."""


class Plateau(Constant):
    """Multiply the rate by a factor when a metric stalls."""

    main: ClassVar[str | None] = "metric"
    metric: Text | None = None
    """The metric; by default valid.loss, without a valid split train.loss."""
    factor: Factor = 0.1
    """What the rate is multiplied by."""
    patience: Whole = 10
    """How many epochs may pass without an improvement."""
    min_delta: NotNegative = 0.0
    """What is too little for an improvement."""


class TopK(Component):
    """How often the right class is among the k most likely."""

    main: ClassVar[str | None] = "k"
    k: Count = 5
    """How many classes."""

    @property
    def label(self) -> str:
        """What the metric is called in results."""
        return f"top_{self.k}"


class EarlyStop(Component):
    """Stop after more than so many epochs without an improvement."""

    metric: Text | None = None
    """The metric; by default valid.loss, without a valid split train.loss."""
    patience: Whole = 10
    """How many epochs may pass without an improvement."""
    min_delta: NotNegative = 0.0
    """What is too little for an improvement."""


class Checkpoint(Component):
    """Which epoch counts as the best, and how often the state is saved."""

    aside: ClassVar[tuple[str, ...]] = ("every_steps", "every_minutes", "keep")
    metric: Text | None = None
    """What the best epoch is best in; by default valid.loss, without a valid split the last epoch is the best."""
    every_steps: Count | None = None
    """Save after so many steps, besides by the clock."""
    every_minutes: Positive = 1.0
    """Save after so many minutes."""
    keep: Whole = 0
    """Besides the last and the best state, so many older ones stay: of every `every_steps`, else of every epoch."""


class Train(Component):
    """How the model is trained."""

    loss: Annotated[Part | None, Slot("loss")] = None
    """What is made small; by default cross_entropy for classes, mse for numbers."""
    optimizer: Annotated[Part, Slot("optimizer", default="adam")]
    """How the weights follow the gradient."""
    schedule: Annotated[Part | None, Slot("schedule")] = None
    """How the learning rate changes."""
    epochs: Annotated[int, Field(ge=1, le=10**9)] = 20
    """How often every training example is seen."""
    metrics: Annotated[list[Part] | None, Slot("metric", many=True)] = None
    """What is measured besides the loss; by default accuracy for classes, mae and r2 for numbers."""
    clip_norm: Positive | None = None
    """The largest length of the gradient; a longer one is scaled down."""
    clip_value: Positive | None = None
    """The largest magnitude of each number of the gradient."""
    early_stop: EarlyStop | None = None
    """When to stop before the last epoch."""
    engine: Literal["tape", "reference"] = "tape"
    """Machine code, or the interpreter, which is the slow reference."""
    checkpoint: Checkpoint = Checkpoint.model_construct(metric=None, every_steps=None, every_minutes=1.0, keep=0)
    """What is kept, and when."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        parts = [part for part in values.get("metrics") or () if isinstance(part, Part)]
        labels = [getattr(part.arguments, "label", part.name) for part in parts]
        if doubled := next((label for i, label in enumerate(labels) if label in labels[:i]), None):
            yield "metrics", f"the metric {doubled!r} is here twice"
