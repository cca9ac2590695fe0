"""One array (batch, steps, ...) and a tuple of steps (batch, ...), back and forth.

(x1, x2, x3)  ──stack──▶  x (batch, 3, ...)  ──unstack──▶  (x1, x2, x3)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stack(xs: Sequence[NDArray[Any]], axis: int = 1) -> NDArray[Any]:
    """Join equal-shaped arrays along a new axis.

    >>> stack((np.array([1, 2]), np.array([3, 4]))).tolist()
    [[1, 3], [2, 4]]
    """
    return np.stack(xs, axis=axis)


def unstack(x: NDArray[Any], axis: int = 1) -> tuple[NDArray[Any], ...]:
    """The slices of `x` along an axis, as views; the inverse of `stack`.

    >>> [step.tolist() for step in unstack(np.array([[1, 3], [2, 4]]))]
    [[1, 2], [3, 4]]
    """
    return tuple(np.moveaxis(x, axis, 0))
