"""Measuring on the tape: memory for running sums, and the instructions that add to them.

sums   | Σ loss | rows | metric 0 | metric 1 ... |     float64; a Meter's sums go in before a stretch of steps
                                                       and come out behind it, so that stretches join seamlessly
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.engine.arena import aligned
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import CannotLowerError, Instruction
from flux_core.passes import Type
from flux_core.training.metrics import Accuracy, MeanAbsoluteError, Meter, Metric, OfLoss, RSquared, TopK

HEAD = 2  # Σ loss and rows stand in front of the sums of the metrics
DOUBLE = 2  # a float64 takes the room of two float32


class Measurements:
    """The sums of the loss and of `metrics` over targets of the shape `target` (without the batch axis)."""

    def __init__(self, metrics: tuple[Metric, ...], target: tuple[int, ...]) -> None:
        self.metrics, self.each = metrics, prod(target)
        self.shapes = [self._shape(metric) for metric in metrics]
        self.sums = aligned(HEAD + sum(map(prod, self.shapes)), np.float64)
        scales = [np.float64(1.0) if metric.scale is None else metric.scale for metric in metrics]
        self.scales = [np.array(np.broadcast_to(scale, (self.each,)), np.float64) for scale in scales]

    def load(self, meter: Meter) -> None:
        """Put a meter's sums where the kernels add to them."""
        self.sums[:] = 0
        self.sums[:HEAD] = meter.loss, meter.rows
        for part, sums in zip(self._parts(), meter.sums, strict=True):
            if sums is not None:
                part[...] = sums

    def store(self, meter: Meter) -> None:
        """Bring the sums back."""
        meter.loss, meter.rows = float(self.sums[0]), int(self.sums[1])
        meter.sums = [part.copy() for part in self._parts()]

    def instructions(
        self,
        place: Callable[[NDArray[Any]], int],
        loss: int,
        prediction: tuple[int, tuple[int, ...]],
        target: tuple[int, Type],
    ) -> list[Instruction]:
        """What adds one minibatch to the sums; predictions and targets are given as places and shapes.

        Raises CannotLowerError for a metric without a kernel.
        """
        (predicted, shape), (wanted, y) = prediction, target
        rows = y.shape[0]
        found = [_instruction("loss_sum", loss, place(self.sums), rows)]
        for metric, part, scale in zip(self.metrics, self._parts(), self.scales, strict=True):
            pair, at = (predicted, wanted), place(part)
            match metric:
                case Accuracy() if shape == y.shape:
                    found.append(_instruction("binary_accuracy", *pair, at, prod(shape), max(1, self.each)))
                case Accuracy():
                    found.append(_instruction("accuracy", *pair, at, prod(y.shape), shape[-1], max(1, self.each)))
                case TopK():
                    by_rank = (*pair, at, prod(y.shape), shape[-1], metric.k, max(1, self.each))
                    found.append(_instruction("top_k", *by_rank))
                case MeanAbsoluteError():
                    found.append(_instruction("absolute_error", *pair, at, rows, self.each, place(scale)))
                case RSquared():
                    found.append(_instruction("squared_error", *pair, at, rows, self.each))
                case OfLoss():
                    pass
                case _:
                    raise CannotLowerError(f"no kernel measures {metric.label}")
        return found

    def _shape(self, metric: Metric) -> tuple[int, ...]:
        match metric:
            case RSquared():
                return (3, self.each)
            case OfLoss():
                return (0,)
        return (1,)

    def _parts(self) -> list[NDArray[np.float64]]:
        """The sums of each metric, in their shape."""
        ends = np.cumsum([HEAD, *map(prod, self.shapes)])
        return [
            self.sums[begin:end].reshape(shape)
            for begin, end, shape in zip(ends[:-1], ends[1:], self.shapes, strict=True)
        ]


def _instruction(name: str, *operands: int) -> Instruction:
    return Instruction(Kernel.written(name, "metrics"), operands, name)
