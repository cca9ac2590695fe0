"""Sequence models. A model of a tuple of steps is fed whole sequences, which are split and stacked along axis 1.

(batch, steps, ...)  ── unstack ──▶ (x1, ..., xn) ── model ──▶ (y1, ..., yn) ── stack ──▶ (batch, steps, ...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flux_core.dims import BatchSeq, rawbatch, rebatchseq, stack, unstack
from flux_core.errors import ShapeError
from flux_core.model.model import Model, back, output_type, runmodel, update
from flux_core.passes import Type, TypeTree


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
    return _stacked(f(*map(_split, xs)))


def _each(value: Any, wrap: Callable[[Any], Any]) -> Any:
    return tuple(_each(part, wrap) for part in value) if isinstance(value, tuple) else wrap(value)


def _split(x: Any) -> tuple[Any, ...]:
    if isinstance(x, tuple):
        return x
    if np.ndim(x) < 2:
        raise ShapeError(f"an array of sequences is (batch, steps, ...), not {np.shape(x)}", shapes=(np.shape(x),))
    return unstack(np.asarray(x))


def _stacked(steps: Any) -> Any:
    """One sequence is a tuple of arrays; several are a tuple of such tuples."""
    if not isinstance(steps, tuple):
        raise ShapeError(f"a model of sequences gives a tuple of steps, not one array {np.shape(steps)}")
    if isinstance(steps[0], tuple):
        return tuple(_stacked(part) for part in steps)
    return stack(steps)


def _stacked_type(steps: TypeTree) -> TypeTree:
    if isinstance(steps, Type):
        raise ShapeError(f"a model of sequences gives a tuple of steps, not one array {steps.shape}")
    first = steps[0]
    if isinstance(first, Type):
        return Type((first.shape[0], len(steps), *first.shape[1:]), first.kind)
    return tuple(map(_stacked_type, steps))


class SeqModel(Model):
    """A model of `steps` inputs as a model of sequences of that length: tuples, arrays or BatchSeqs, kind for kind.

    >>> cumulative = SeqModel(lambda x: (x[0], x[0] + x[1]), 2)
    >>> cumulative(np.array([[1.0, 2.0]]))
    array([[1., 3.]])
    """

    def __init__(self, model: Any, steps: int) -> None:
        self.model = model
        self.steps = steps

    def run(self, *xs: Any) -> Any:
        """The sequence of outputs, of the same kind as the inputs."""
        return runseq(lambda *sequences: runmodel(self.model, *map(self._checked, sequences)), *xs)

    def back(self, dy: Any, *xs: Any) -> Any:
        """The gradients of the input sequences, of the same kind as `dy` and the inputs."""
        return runseq(lambda d, *sequences: back(self.model, d, *map(self._checked, sequences)), dy, *xs)

    def update(self, eta: float) -> None:
        """Step the model inside."""
        update(self.model, eta)

    def infer_types(self, *inputs: TypeTree) -> TypeTree:
        """(batch, steps, ...) -> (batch, steps, ...); a tuple of steps gives a tuple of steps."""
        steps = [[Type((x.shape[0], *x.shape[2:]), x.kind)] * x.shape[1] if isinstance(x, Type) else x for x in inputs]
        inside = output_type(self.model, *(self._checked(tuple(sequence)) for sequence in steps))
        return _stacked_type(inside) if any(isinstance(x, Type) for x in inputs) else inside

    def _checked(self, sequence: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(sequence) != self.steps:
            raise ShapeError(f"expected a sequence of {self.steps} steps, got {len(sequence)}")
        return sequence

    def __repr__(self) -> str:
        return f"SeqModel({self.model!r}, {self.steps})"
