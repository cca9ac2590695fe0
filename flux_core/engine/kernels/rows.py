"""Kernels over the rows of a matrix: softmax, its logarithm, and the cross entropy with its gradient.

The largest value of a row is taken out first: exp overflows float32 above 88.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from flux_core.engine.kernels.pointers import as_int64, at
from flux_core.engine.kernels.scalar import exp, log


@njit(error_model="numpy", fastmath={"reassoc", "contract"}, forceinline=True)
def row_sum(row: Any) -> Any:
    """The sum of a row, in lanes."""
    total = np.float32(0)
    for j in range(row.size):
        total += row[j]
    return total


@njit(error_model="numpy", forceinline=True)
def row_max(row: Any) -> Any:
    """The largest value of a row; a NaN among them need not be found, it comes back in the sum."""
    top = row[0]
    for j in range(1, row.size):
        top = row[j] if row[j] > top else top
    return top


@njit(error_model="numpy", fastmath={"reassoc", "contract"}, forceinline=True)
def exp_sum(row: Any, top: Any) -> Any:
    """The sum of exp(x - top) over a row, in lanes."""
    total = np.float32(0)
    for j in range(row.size):
        total += exp(row[j] - top)
    return total


def softmax(arena: Any, operands: Any) -> None:
    """operands: source (rows, n), target, rows, n."""
    n = operands[3]
    for i in range(operands[2]):
        x, y = carray(at(arena, operands[0] + i * n), n), carray(at(arena, operands[1] + i * n), n)
        top = row_max(x)
        for j in range(n):
            y[j] = exp(x[j] - top)
        total = row_sum(y)
        for j in range(n):
            y[j] = y[j] / total


def log_softmax(arena: Any, operands: Any) -> None:
    """operands: source (rows, n), target, rows, n."""
    n = operands[3]
    for i in range(operands[2]):
        x, y = carray(at(arena, operands[0] + i * n), n), carray(at(arena, operands[1] + i * n), n)
        top = row_max(x)
        for j in range(n):
            y[j] = exp(x[j] - top)
        less = top + log(row_sum(y))
        for j in range(n):
            y[j] = x[j] - less


def cross_entropy(arena: Any, operands: Any) -> None:
    """operands: logits (rows, n), ids, target (rows,), rows, n; an id outside the row gives NaN."""
    ids, n = as_int64(at(arena, operands[1])), operands[4]
    for i in range(operands[3]):
        x = carray(at(arena, operands[0] + i * n), n)
        top, column = row_max(x), ids[i]
        own = x[column] if 0 <= column < n else np.float32(np.nan)
        arena[operands[2] + i] = log(exp_sum(x, top)) - (own - top)


def cross_entropy_back(arena: Any, operands: Any) -> None:
    """operands: d (rows,), logits (rows, n), ids, target (rows, n), rows, n: d (softmax - one-hot)."""
    ids, n = as_int64(at(arena, operands[2])), operands[5]
    for i in range(operands[4]):
        x, y = carray(at(arena, operands[1] + i * n), n), carray(at(arena, operands[3] + i * n), n)
        d = arena[operands[0] + i]
        top = row_max(x)
        for j in range(n):
            y[j] = exp(x[j] - top)
        scale = d / row_sum(y)
        for j in range(n):
            y[j] = y[j] * scale
        if 0 <= ids[i] < n:
            y[ids[i]] -= d
