"""Metrics as running sums, so that a split is measured in one pass and a half-measured epoch can be kept.

    sums = metric.zero
    sums = sums + metric.measure(prediction, y)     for every minibatch
    metric.value(sums, rows, loss)

`OfLoss` are functions of the mean loss: they measure nothing and cost nothing.

Predictions are what the model gives: logits of classes, one logit, or numbers; targets are those of the data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.lengths import real_steps

Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Metric(ABC):
    """A number over examples; `scale` holds the standard deviations that targets were divided by, or 1."""

    scale: NDArray[np.float64] | None = None
    higher_is_better = True

    @property
    @abstractmethod
    def label(self) -> str:
        """What the metric is called in results."""

    @abstractmethod
    def measure(self, prediction: NDArray[Any], y: NDArray[Any]) -> Sums:
        """The sums over the rows of one minibatch."""

    def value(self, sums: Sums, rows: int, loss: float) -> float:
        """The metric from the sums over all rows, and their mean loss."""
        return float(sums.sum() / rows)


@dataclass(frozen=True)
class Accuracy(Metric):
    """The fraction of examples whose class is right: the largest logit, or the sign of a single one."""

    label = "accuracy"

    def measure(self, prediction: NDArray[Any], y: NDArray[Any]) -> Sums:
        """[right answers]."""
        if prediction.shape == y.shape:  # one logit for each target: at zero the two classes are even
            return np.array([np.count_nonzero((prediction > 0) == (y > 0.5)) / max(1, prediction[0].size)])
        right = np.count_nonzero(prediction.argmax(axis=-1) == y)
        return np.array([right / max(1, y[0].size)])


@dataclass(frozen=True)
class TopK(Metric):
    """The fraction of examples whose class is among the `k` largest logits."""

    k: int = 5

    @property
    def label(self) -> str:
        """top_5 for k=5."""
        return f"top_{self.k}"

    def measure(self, prediction: NDArray[Any], y: NDArray[Any]) -> Sums:
        """[examples whose class is among them]; of equal logits those of lower classes come first."""
        own = np.take_along_axis(prediction, y[..., None], axis=-1)
        before = np.arange(prediction.shape[-1]) < y[..., None]
        rank = np.count_nonzero((prediction > own) | ((prediction == own) & before), axis=-1)
        return np.array([np.count_nonzero(rank < self.k) / max(1, y[0].size)])


@dataclass(frozen=True)
class MeanAbsoluteError(Metric):
    """The mean of |prediction - target|, in the units of the data."""

    label = "mae"
    higher_is_better = False

    def measure(self, prediction: NDArray[Any], y: NDArray[Any]) -> Sums:
        """[Σ mean over targets]."""
        error = np.abs(prediction.astype(np.float64) - y) * (1.0 if self.scale is None else self.scale)
        return np.array([error.mean(axis=tuple(range(1, error.ndim))).sum()])


@dataclass(frozen=True)
class RSquared(Metric):
    """1 - Σ(y - prediction)² / Σ(y - mean)², the mean over targets; it does not depend on units.

    NaN for targets that do not vary.
    """

    label = "r2"

    def measure(self, prediction: NDArray[Any], y: NDArray[Any]) -> Sums:
        """Rows Σ(y - prediction)², Σy, Σy² for each target."""
        y64 = y.astype(np.float64).reshape(len(y), -1)
        error = y64 - prediction.reshape(len(y), -1)
        return np.stack([(error * error).sum(axis=0), y64.sum(axis=0), (y64 * y64).sum(axis=0)])

    def value(self, sums: Sums, rows: int, loss: float) -> float:
        """The coefficient of determination."""
        residual, total, squares = sums
        spread = squares - total * total / rows
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.mean(np.where(spread > 0, 1.0 - residual / spread, np.nan)))


@dataclass(frozen=True)
class OfLoss(Metric):
    """A function of the mean loss, a `cross_entropy` in nats: exact for the whole pass, whatever its minibatches."""

    higher_is_better = False

    def measure(self, prediction: NDArray[Any], y: NDArray[Any]) -> Sums:
        """[]."""
        return np.zeros(0)


@dataclass(frozen=True)
class BitsPerSymbol(OfLoss):
    """loss / ln 2: how many bits a symbol takes in a code made from the predictions.

    >>> BitsPerSymbol().value(np.zeros(0), 1, float(np.log(8)))
    3.0
    """

    label = "bits_per_symbol"

    def value(self, sums: Sums, rows: int, loss: float) -> float:
        """Bits."""
        return loss / log(2)


@dataclass(frozen=True)
class Perplexity(OfLoss):
    """exp(loss): among how many equally likely symbols the model is left to choose; infinite where that overflows.

    >>> round(Perplexity().value(np.zeros(0), 1, float(np.log(8))), 9)
    8.0
    """

    label = "perplexity"

    def value(self, sums: Sums, rows: int, loss: float) -> float:
        """A number of symbols, at least 1."""
        with np.errstate(over="ignore"):
            return float(np.exp(loss))


METRICS: dict[str, Callable[..., Metric]] = {
    "accuracy": Accuracy,
    "bits_per_symbol": BitsPerSymbol,
    "mae": MeanAbsoluteError,
    "perplexity": Perplexity,
    "r2": RSquared,
    "top_k": TopK,
}


def higher_is_better(name: str, metrics: tuple[Metric, ...]) -> bool:
    """Whether more is better of a metric such as `valid.accuracy`; of a loss less is."""
    label = name.rpartition(".")[2]
    return any(metric.label == label and metric.higher_is_better for metric in metrics)


class Meter:
    """The sums of one pass over a split: its loss and its metrics."""

    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        self.metrics = metrics
        self.rows = 0
        self.loss = 0.0
        self.sums: list[Sums | None] = [None] * len(metrics)

    def add(
        self, loss: float, prediction: NDArray[Any], y: NDArray[Any], lengths: NDArray[np.int64] | None = None
    ) -> None:
        """One minibatch, `loss` its mean; with `lengths`, each of the real steps of its sequences counts as a row."""
        if lengths is not None:
            real = real_steps(lengths, y.shape[1])
            prediction, y = prediction[real], y[real]
        self.rows += len(y)
        self.loss += loss * len(y)
        for i, metric in enumerate(self.metrics):
            found = metric.measure(prediction, y)
            before = self.sums[i]
            self.sums[i] = found if before is None else before + found

    @property
    def names(self) -> list[str]:
        """What it measures, in the order of `values`."""
        return ["loss", *(metric.label for metric in self.metrics)]

    @property
    def mean_loss(self) -> float:
        """The loss over the rows so far."""
        return self.loss / self.rows if self.rows else float("nan")

    def values(self, split: str) -> dict[str, float]:
        """The loss and the metrics under the names of the split."""
        found = {f"{split}.loss": self.mean_loss}
        for metric, sums in zip(self.metrics, self.sums, strict=True):
            found[f"{split}.{metric.label}"] = (
                float("nan") if sums is None else metric.value(sums, self.rows, self.mean_loss)
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The sums as JSON, which keeps float64 exactly."""
        return {
            "rows": self.rows,
            "loss": self.loss,
            "sums": [None if sums is None else sums.tolist() for sums in self.sums],
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Take up what `to_json` kept."""
        self.rows, self.loss = kept["rows"], kept["loss"]
        self.sums = [None if sums is None else np.array(sums, np.float64) for sums in kept["sums"]]
