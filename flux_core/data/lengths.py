"""Sequences of different lengths in one array: padded behind, and how long each is beside it.

    x  a b c · ·      lengths 3      real  1 1 1 0 0
       d · · · ·              1            1 0 0 0 0

What stands in the padding means nothing and is taken out before anything looks at it: it may be a class of its own,
an id that there is not, or NaN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Place
from flux_core.errors import DataError


def real_steps(lengths: NDArray[np.int64], steps: int) -> NDArray[np.bool_]:
    """Which steps are no padding, (rows, steps).

    >>> real_steps(np.array([2, 1]), 3).astype(int).tolist()
    [[1, 1, 0], [1, 0, 0]]
    """
    return np.asarray(np.arange(steps) < lengths[:, None])


def cleared(x: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """A copy of x (rows, steps, ...) with zeros in the padding.

    >>> cleared(np.array([[5.0, np.nan], [1.0, 2.0]]), np.array([1, 2])).tolist()
    [[5.0, 0.0], [1.0, 2.0]]
    """
    x = x.copy()
    x[~real_steps(lengths, x.shape[1])] = 0
    return x


def checked_lengths(values: NDArray[Any], shape: tuple[int, ...], ids: bool, place: Place) -> NDArray[np.int64]:
    """`values` as the lengths of an array of this shape, int64 (rows,). Raises DataError for what cannot be such."""
    file, column = place.file, place.column
    if values.dtype.kind not in "iu":
        raise DataError(f"lengths are whole numbers, not values of type {values.dtype}", file=file, column=column)
    wanted = 2 if ids else 3
    if len(shape) < wanted:
        what = "(rows, steps)" if ids else "(rows, steps, numbers)"
        hint = None if ids else "a single number at each step is an axis of its own, x[..., None]; ids are 'ids: true'"
        raise DataError(f"sequences that have lengths are {what}, not {shape}", file=file, column=column, hint=hint)
    if values.shape != shape[:1]:
        raise DataError(f"{shape[0]} sequences have as many lengths, not {values.shape}", file=file, column=column)
    good = (values >= 1) & (values <= shape[1])
    if not good.all():
        index = int(np.argmin(good))
        raise place.error(f"a length of {values[index]}, where a sequence has 1 to {shape[1]} steps", index)
    return values.astype(np.int64)


def is_stepwise(y: NDArray[Any], steps: int) -> bool:
    """Whether there is a target for each step, (rows, steps) or (rows, steps, targets), and not one for each row.

    >>> is_stepwise(np.zeros((8, 5)), 5), is_stepwise(np.zeros((8, 2)), 5), is_stepwise(np.zeros(8), 5)
    (True, False, False)
    """
    return y.ndim > 1 and y.shape[1] == steps


def at_real_steps(y: NDArray[Any], real: NDArray[np.bool_], file: str | Path | None, name: str) -> NDArray[Any]:
    """The targets of all real steps, one behind the other, (real steps, ...). Raises DataError for another shape."""
    if y.shape[: real.ndim] != real.shape:
        raise DataError(f"targets of {y.shape} are not those of {real.shape} steps", file=file, column=name)
    return y[real]


def in_their_steps(values: NDArray[Any], real: NDArray[np.bool_]) -> NDArray[Any]:
    """What `at_real_steps` took out, back in its place, with zeros in the padding: (rows, steps, ...)."""
    whole = np.zeros((*real.shape, *values.shape[1:]), values.dtype)
    whole[real] = values
    return whole
