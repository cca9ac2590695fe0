"""Losses: functions of a prediction and a target, on arrays or on nodes; each is a mean over the examples.

mse, mae, huber            prediction and target of one shape
cross_entropy              logits (..., classes) and ids (...)
binary_cross_entropy       logits and targets in [0, 1], of one shape
logloss                    probabilities and one-hot targets, of one shape
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flux_core.ops import (
    absolute,
    expect_like,
    less_equal,
    log,
    maximum,
    mean,
    minimum,
    softmax_cross_entropy,
    softplus,
    sum_,
    where,
)


def mse(prediction: Any, target: Any) -> Any:
    """mse(p, y) => the mean of (p - y)².

    >>> import numpy as np
    >>> float(mse(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    difference = expect_like(prediction, target) - target
    return mean(difference * difference)


def mae(prediction: Any, target: Any) -> Any:
    """mae(p, y) => the mean of |p - y|."""
    return mean(absolute(expect_like(prediction, target) - target))


def huber(prediction: Any, target: Any, delta: float = 1.0) -> Any:
    """huber(p, y) => the mean of d²/2 where |d| <= delta, else delta·(|d| - delta/2) (Huber 1964).

    >>> import numpy as np
    >>> float(huber(np.array([0.5, 3.0]), np.zeros(2)))
    1.3125
    """
    size = absolute(expect_like(prediction, target) - target)
    return mean(where(less_equal(size, delta), 0.5 * size * size, delta * (size - 0.5 * delta)))


def cross_entropy(logits: Any, target: Any) -> Any:
    """cross_entropy(z, y) => the mean of -log softmax(z)[y], with y the ids of the classes.

    >>> import numpy as np
    >>> round(float(cross_entropy(np.zeros((1, 4)), np.array([2]))), 4)  # log 4
    1.3863
    """
    return mean(softmax_cross_entropy(logits, target))


def binary_cross_entropy(logits: Any, target: Any) -> Any:
    """binary_cross_entropy(z, y) => the mean of -y log σ(z) - (1 - y) log(1 - σ(z)), without overflow."""
    return mean(softplus(logits) - expect_like(logits, target) * target)


def logloss(probabilities: Any, target: Any) -> Any:
    """logloss(p, y) => the mean over rows of -Σ y log p, with p clipped to [1e-7, 1]."""
    clipped = minimum(maximum(probabilities, 1e-7), 1.0)
    return -mean(sum_(target * log(clipped), axis=-1))


LOSSES: dict[str, Callable[..., Any]] = {
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "huber": huber,
    "logloss": logloss,
    "mae": mae,
    "mse": mse,
}
