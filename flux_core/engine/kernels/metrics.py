"""Running sums of the loss and of metrics, in float64, one minibatch at a time.

Rows come in groups, `most` apart, of which the first lengths[group] count: the real steps of padded sequences; else one
group of all rows. A row has `each` targets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.engine.kernels.pointers import as_float64, as_int64, at


def loss_sum(arena: Any, operands: Any) -> None:
    """operands: loss (a mean), sums, groups, lengths: [Σ loss, rows]."""
    sums, lengths, rows = as_float64(at(arena, operands[1])), as_int64(at(arena, operands[3])), 0
    for g in range(operands[2]):
        rows += lengths[g]
    sums[0] += np.float64(arena[operands[0]]) * rows
    sums[1] += rows


def accuracy(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, each, n), ids, sums, groups, most, lengths, each, n: [the largest at their id]."""
    ids, most, each, n, right = as_int64(at(arena, operands[1])), operands[4], operands[6], operands[7], 0
    lengths = as_int64(at(arena, operands[5]))
    for g in range(operands[3]):
        for i in range(g * most * each, (g * most + lengths[g]) * each):
            x = at(arena, operands[0] + i * n)
            best = 0
            for j in range(1, n):
                best = j if x[j] > x[best] else best
            right += best == ids[i]
    as_float64(at(arena, operands[2]))[0] += right / each


def binary_accuracy(arena: Any, operands: Any) -> None:
    """operands: logits (rows, each), targets of 0 and 1, sums, groups, most, lengths, each: [right answers / each]."""
    x, y, most, each, right = at(arena, operands[0]), at(arena, operands[1]), operands[4], operands[6], 0
    lengths = as_int64(at(arena, operands[5]))
    for g in range(operands[3]):
        for i in range(g * most * each, (g * most + lengths[g]) * each):
            right += (x[i] > 0) == (y[i] > np.float32(0.5))
    as_float64(at(arena, operands[2]))[0] += right / each


def top_k(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, each, n), ids, sums, groups, most, lengths, each, n, k: [ids in the k largest]."""
    ids, most, each, n, right = as_int64(at(arena, operands[1])), operands[4], operands[6], operands[7], 0
    lengths = as_int64(at(arena, operands[5]))
    for g in range(operands[3]):
        for i in range(g * most * each, (g * most + lengths[g]) * each):
            x = at(arena, operands[0] + i * n)
            before = 0
            for j in range(n):
                before += x[j] > x[ids[i]] or (x[j] == x[ids[i]] and j < ids[i])
            right += before < operands[8]
    as_float64(at(arena, operands[2]))[0] += right / each


def absolute_error(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, each), targets, sums, groups, most, lengths, each, place of float64 scales:
    [Σ mean |error| scale]."""
    most, n, total = operands[4], operands[6], np.float64(0)
    x, y, scale = at(arena, operands[0]), at(arena, operands[1]), as_float64(at(arena, operands[7]))
    lengths = as_int64(at(arena, operands[5]))
    for g in range(operands[3]):
        for i in range(g * most, g * most + lengths[g]):
            row = np.float64(0)
            for j in range(n):
                row += abs(np.float64(x[i * n + j]) - np.float64(y[i * n + j])) * scale[j]
            total += row / n
    as_float64(at(arena, operands[2]))[0] += total


def squared_error(arena: Any, operands: Any) -> None:
    """operands: prediction (rows, each), targets, sums, groups, most, lengths, each: [Σ error²] [Σ y] [Σ y²]."""
    most, n = operands[4], operands[6]
    x, y, sums = at(arena, operands[0]), at(arena, operands[1]), as_float64(at(arena, operands[2]))
    lengths = as_int64(at(arena, operands[5]))
    for g in range(operands[3]):
        for i in range(g * most, g * most + lengths[g]):
            for j in range(n):
                target = np.float64(y[i * n + j])
                error = target - np.float64(x[i * n + j])
                sums[j] += error * error
                sums[n + j] += target
                sums[2 * n + j] += target * target
