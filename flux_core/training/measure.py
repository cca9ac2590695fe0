"""Measuring on the tape: memory for running sums, and the instructions that add to them.

sums   | Σ loss | rows | metric 0 | metric 1 ... |     float64; a Meter's sums go in before a stretch of steps
                                                       and come out behind it, so that stretches join seamlessly

Of padded sequences with a target for each step, the rows are real steps.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.engine.arena import LINE, aligned
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import CannotLowerError, Instruction
from flux_core.passes import Type
from flux_core.training.metrics import Accuracy, MeanAbsoluteError, Meter, Metric, OfLoss, RSquared, TopK

HEAD = 2  # Σ loss and rows stand in front of the sums of the metrics


class Measurements:
    """The sums of the loss and of `metrics` over targets of the shape `target` (without the batch axis).

    With `stepwise` a target's first axis is that of the steps of a padded sequence.
    """

    def __init__(self, metrics: tuple[Metric, ...], target: tuple[int, ...], *, stepwise: bool = False) -> None:
        self.metrics, self.stepwise, self.each = metrics, stepwise, prod(target[1:] if stepwise else target)
        self.counts: dict[int, NDArray[np.int64]] = {}  # the rows of a minibatch, by their number
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
        lengths: int | None = None,
    ) -> list[Instruction]:
        """What adds one minibatch to the sums; predictions and targets are given as places and shapes, the lengths of
        sequences, which only targets for each step need, as a place.

        Raises CannotLowerError for a metric without a kernel.
        """
        (predicted, shape), (wanted, y) = prediction, target
        if self.stepwise:
            assert lengths is not None  # only sequences that have lengths are measured step by step
            groups, most = y.shape[:2]
        else:
            groups, most = 1, y.shape[0]
            if most not in self.counts:
                self.counts[most] = aligned(LINE, np.int64)
                self.counts[most][0] = most
            lengths = place(self.counts[most])
        rows, each = (groups, most, lengths), max(1, self.each)
        found = [_instruction("loss_sum", loss, place(self.sums), groups, lengths)]
        for metric, part, scale in zip(self.metrics, self._parts(), self.scales, strict=True):
            pair, at = (predicted, wanted), place(part)
            match metric:
                case Accuracy() if shape == y.shape:
                    found.append(_instruction("binary_accuracy", *pair, at, *rows, each))
                case Accuracy():
                    found.append(_instruction("accuracy", *pair, at, *rows, each, shape[-1]))
                case TopK():
                    found.append(_instruction("top_k", *pair, at, *rows, each, shape[-1], metric.k))
                case MeanAbsoluteError():
                    found.append(_instruction("absolute_error", *pair, at, *rows, each, place(scale)))
                case RSquared():
                    found.append(_instruction("squared_error", *pair, at, *rows, each))
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
