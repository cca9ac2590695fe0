"""Dropout. The mask is a function of (seed, layer path, step, row, element), so that forward and backward,
a resumed run and any number of threads see the same one."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from flux_core.ops.op import NO_GRADIENT, WHOLE, Array, Op, case, normal, same_as
from flux_core.philox import Stream


@dataclass(frozen=True)
class Run:
    """What a run knows beside its inputs: whether it trains, the seed and the global step; a run that `repeats` the
    last call, to run backwards through it, leaves the states of models where they are."""

    training: bool = False
    seed: int = 0
    step: int = 0
    repeats: bool = False


EVALUATION = Run()


def _dropout_mask(x: Array, *, rate: float, path: str = "", run: Run = EVALUATION) -> Any:
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float32)
    if not run.training or rate == 0:
        return np.ones(x.shape, dtype)
    rows = x.shape[0] if x.ndim else 1
    uniform = Stream.of(run.seed, "dropout", path).uniform(rows, prod(x.shape[1:]), step=run.step)
    return ((uniform >= np.float32(rate)) / dtype.type(1 - rate)).astype(dtype).reshape(x.shape)


# 0 with probability `rate`, else 1 / (1 - rate), in training; 1 in evaluation (Srivastava et al. 2014,
# inverted). `path` is filled in with the layer path when a model is laid out as one graph.
dropout_mask: Op = Op(
    name="dropout_mask",
    forward=_dropout_mask,
    shape=same_as(0),
    back=lambda d, y, x, **attrs: (NO_GRADIENT,),
    kernel=WHOLE,
    examples=[
        case(normal(3, 4), rate=0.5, path="1", run=Run(training=True, seed=3, step=7)),
        case(normal(3), rate=0.1),
    ],
)


def dropout(x: Any, rate: float) -> Any:
    """dropout(x, rate) => x times a mask that keeps its mean: identity outside training.

    >>> dropout(np.ones(3, np.float32), 0.5)
    array([1., 1., 1.], dtype=float32)
    """
    return x * dropout_mask(x, rate=rate)
