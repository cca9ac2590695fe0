"""Sequence models. A model of a tuple of steps is fed whole sequences, which are split and stacked along axis 1.

(batch, steps, ...)  ── unstack ──▶ (x1, ..., xn) ── model ──▶ (y1, ..., yn) ── stack ──▶ (batch, steps, ...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flux_core.dims import BatchSeq, rawbatch, rebatchseq, stack, unstack
from flux_core.errors import ShapeError
from flux_core.model.model import Model, back, infer, runmodel, update


def runseq(f: Callable[..., Any], *xs: Any) -> Any:
    """runseq(f, x...) => f on tuples of steps: tuples go in as they are, an array (batch, steps, ...) is split and
    what comes out is stacked, a BatchSeq gives a BatchSeq.

    >>> runseq(lambda x: tuple(2 * step for step in x), np.ones((1, 3)))
    array([[2., 2., 2.]])
    """
    if any(isinstance(x, BatchSeq) for x in xs):
        raw = (rawbatch(x) if isinstance(x, BatchSeq) else x for x in xs)
        return _each(runseq(f, *raw), rebatchseq)
    if all(isinstance(x, tuple) for x in xs):
        return f(*xs)
    return _stacked(f(*(x if isinstance(x, tuple) else unstack(np.asarray(x)) for x in xs)))


def _each(value: Any, wrap: Callable[[Any], Any]) -> Any:
    return tuple(_each(part, wrap) for part in value) if isinstance(value, tuple) else wrap(value)


def _stacked(steps: Any) -> Any:
    """One sequence is a tuple of arrays; several are a tuple of such tuples."""
    if isinstance(steps[0], tuple):
        return tuple(_stacked(part) for part in steps)
    return stack(steps)


class SeqModel(Model):
    """A model of `steps` inputs as a model of sequences of that length: tuples, arrays or BatchSeqs, kind for kind.

    >>> cumulative = SeqModel(lambda x: (x[0], x[0] + x[1]), 2)
    >>> cumulative(np.array([[1.0, 2.0]]))
    array([[1., 3.]])
    """

    def __init__(self, model: Any, steps: int) -> None:
        self.model = model
        self.steps = steps

    def __call__(self, *xs: Any) -> Any:
        """The sequence of outputs, of the same kind as the inputs."""
        return self.run(*xs)

    def run(self, *xs: Any) -> Any:
        """The sequence of outputs, of the same kind as the inputs."""
        return runseq(lambda *sequences: runmodel(self.model, *map(self._checked, sequences)), *xs)

    def back(self, dy: Any, *xs: Any) -> Any:
        """The gradients of the input sequences, of the same kind as `dy` and the inputs."""
        return runseq(lambda d, *sequences: back(self.model, d, *map(self._checked, sequences)), dy, *xs)

    def update(self, eta: float) -> None:
        """Step the model inside."""
        update(self.model, eta)

    def infer(self, *shapes: Any) -> Any:
        """(batch, steps, ...) -> (batch, steps, ...)."""
        inside = infer(self.model, *(((shape[0], *shape[2:]),) * self.steps for shape in shapes))
        first = inside[0]
        return (first[0], self.steps, *first[1:])

    def _checked(self, sequence: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(sequence) != self.steps:
            raise ShapeError(f"expected a sequence of {self.steps} steps, got {len(sequence)}")
        return sequence

    def __repr__(self) -> str:
        return f"SeqModel({self.model!r}, {self.steps})"
