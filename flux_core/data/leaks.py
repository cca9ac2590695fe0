"""Columns that tell the target all by themselves: mostly they are written down after it is known.

column, target ──every second row──▶ what each value means ──▶ the other rows are told by the nearest value; and back

Classes count as told when one error in fifty is left of those that the most frequent class makes; numbers, when 99 % of
their variance is explained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.dataset import Dataset
from flux_core.data.views import Column, columns_of, sample

ROWS = 20_000
LEFT, EXPLAINED = 0.02, 0.99
FEWEST = 10  # errors of the baseline; with fewer nothing can be told from luck


def leaks(data: Dataset) -> Iterator[tuple[str, str]]:
    """(column, what it alone reaches); a table of a single column has nothing else to go by."""
    columns = columns_of(data)
    x, y = sample(data.train, ROWS)
    if len(columns) < 2 or x.ndim != 2 or y.ndim > 2 or len(x) < 2 * FEWEST:
        return
    for column in columns:
        values = _values(x[:, column.where], column)
        if data.task == "classification":
            errors, usual = _errors(values, y, len(data.classes))
            if usual >= FEWEST and errors <= LEFT * usual:
                yield column.name, f"it is right for {1 - errors / len(y):.2%} of the rows"
        else:
            share = max(_explained(values, target) for target in y.reshape(len(y), -1).T.astype(np.float64))
            if share >= EXPLAINED:
                yield column.name, f"it explains {share:.2%} of the variance"


def _values(x: NDArray[Any], column: Column) -> NDArray[Any]:
    """A column as one number a row: itself, or its category."""
    return x[:, 0] if not column.categories else np.where(x.any(axis=1), x.argmax(axis=1) + 1, 0)


def _halves(values: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.int64], slice, NDArray[np.int64]]]:
    """Both ways to cut in half: the rows that tell, the group of each, the rows to be told, the nearest group of each.

    A group are the rows of one value.
    """
    for first in (0, 1):
        known, asked = slice(first, None, 2), slice(1 - first, None, 2)
        distinct, group = np.unique(values[known], return_inverse=True)
        above = np.searchsorted(distinct, values[asked]).clip(1, max(1, len(distinct) - 1))
        above = np.minimum(above, len(distinct) - 1)
        below = np.maximum(above - 1, 0)
        is_below = values[asked] - distinct[below] <= distinct[above] - values[asked]
        yield known, group, asked, np.where(is_below, below, above)


def _errors(values: NDArray[Any], y: NDArray[Any], classes: int) -> tuple[int, int]:
    """How many classes are told wrong, and how many the most frequent class gets wrong."""
    wrong = 0
    for known, group, asked, nearest in _halves(values):
        pairs, counts = np.unique(group * classes + y[known], return_counts=True)
        ranked = np.lexsort((counts, pairs // classes))  # the last pair of each group is its most frequent class
        means = np.zeros(int(group.max()) + 1, np.int64)
        means[pairs[ranked] // classes] = pairs[ranked] % classes
        wrong += int((means[nearest] != y[asked]).sum())
    return wrong, len(y) - int(np.bincount(y).max())


def _explained(values: NDArray[Any], y: NDArray[np.float64]) -> float:
    """The share of the variance that is explained."""
    spread = float(((y - y.mean()) ** 2).sum())
    left = 0.0
    for known, group, asked, nearest in _halves(values):
        means = np.bincount(group, weights=y[known]) / np.bincount(group)
        left += float(((y[asked] - means[nearest]) ** 2).sum())
    return 1.0 - left / spread if spread else 0.0
