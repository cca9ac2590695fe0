"""Running sums of the loss and of metrics, in float64, one minibatch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.engine.kernels.pointers import as_float64, as_int64, at


def loss_sum(arena: Any, operands: Any) -> None:
    """operands: loss (a mean), sums, rows: [Σ loss, rows]."""
    sums = as_float64(at(arena, operands[1]))
    sums[0] += np.float64(arena[operands[0]]) * operands[2]
    sums[1] += operands[2]


def accuracy(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, n), ids, sums, rows, n, ids in an example: [rows whose largest is at their id]."""
    ids, n, right = as_int64(at(arena, operands[1])), operands[4], 0
    for i in range(operands[3]):
        x = at(arena, operands[0] + i * n)
        best = 0
        for j in range(1, n):
            best = j if x[j] > x[best] else best
        right += best == ids[i]
    as_float64(at(arena, operands[2]))[0] += right / operands[5]


def binary_accuracy(arena: Any, operands: Any) -> None:
    """operands: logits, targets of 0 and 1, sums, size, values in a row: [right answers / values in a row]."""
    x, y, right = at(arena, operands[0]), at(arena, operands[1]), 0
    for i in range(operands[3]):
        right += (x[i] > 0) == (y[i] > np.float32(0.5))
    as_float64(at(arena, operands[2]))[0] += right / operands[4]


def top_k(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, n), ids, sums, rows, n, k, ids in an example: [rows whose id is in the k largest]."""
    ids, n, right = as_int64(at(arena, operands[1])), operands[4], 0
    for i in range(operands[3]):
        x = at(arena, operands[0] + i * n)
        before = 0
        for j in range(n):
            before += x[j] > x[ids[i]] or (x[j] == x[ids[i]] and j < ids[i])
        right += before < operands[5]
    as_float64(at(arena, operands[2]))[0] += right / operands[6]


def absolute_error(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, n), targets, sums, rows, n, place of n float64 scales: [Σ mean |error| scale]."""
    n, total = operands[4], np.float64(0)
    x, y, scale = at(arena, operands[0]), at(arena, operands[1]), as_float64(at(arena, operands[5]))
    for i in range(operands[3]):
        row = np.float64(0)
        for j in range(n):
            row += abs(np.float64(x[i * n + j]) - np.float64(y[i * n + j])) * scale[j]
        total += row / n
    as_float64(at(arena, operands[2]))[0] += total


def squared_error(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, n), targets, sums, rows, n: [Σ error²] [Σ y] [Σ y²], n of each."""
    n = operands[4]
    x, y, sums = at(arena, operands[0]), at(arena, operands[1]), as_float64(at(arena, operands[2]))
    for i in range(operands[3]):
        for j in range(n):
            target = np.float64(y[i * n + j])
            error = target - np.float64(x[i * n + j])
            sums[j] += error * error
            sums[n + j] += target
            sums[2 * n + j] += target * target
