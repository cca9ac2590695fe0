"""Kernels that move values: strided copies, fills, and everything that is addressed by ids.

copy    any slice, transpose, broadcast or concatenation is one: sizes, strides of the source, of the target
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from flux_core.engine.kernels.pointers import as_int64, at


def copy(arena: Any, operands: Any) -> None:
    """operands: source, target, six sizes, six source strides, six target strides, in elements; the last axis is
    the innermost."""
    size, source, target = at(operands, 2), at(operands, 8), at(operands, 14)
    n, from_step, to_step = size[5], source[5], target[5]
    for i in range(size[0]):
        for j in range(size[1]):
            for k in range(size[2]):
                for m in range(size[3]):
                    for p in range(size[4]):
                        begin = i * source[0] + j * source[1] + k * source[2] + m * source[3] + p * source[4]
                        end = i * target[0] + j * target[1] + k * target[2] + m * target[3] + p * target[4]
                        x, y = at(arena, operands[0] + begin), at(arena, operands[1] + end)
                        if to_step == 1 and from_step == 1:
                            for q in range(n):
                                y[q] = x[q]
                        elif to_step == 1 and from_step == 0:
                            value = x[0]
                            for q in range(n):
                                y[q] = value
                        else:
                            for q in range(n):
                                y[q * to_step] = x[q * from_step]


def fill(arena: Any, operands: Any) -> None:
    """operands: target, size, place of the number."""
    value = arena[operands[2]]
    y = carray(at(arena, operands[0]), operands[1])
    for j in range(operands[1]):
        y[j] = value


def floats_of_ids(arena: Any, operands: Any) -> None:
    """operands: int64 source, target, size."""
    x, y = as_int64(at(arena, operands[0])), at(arena, operands[1])
    for j in range(operands[2]):
        y[j] = np.float32(x[j])


def gather(arena: Any, operands: Any) -> None:
    """operands: table (rows, n), ids, target, count, n, rows; an id outside the table gives NaN."""
    ids, n = as_int64(at(arena, operands[1])), operands[4]
    for i in range(operands[3]):
        row, y = ids[i], at(arena, operands[2] + i * n)
        if 0 <= row < operands[5]:
            x = at(arena, operands[0] + row * n)
            for j in range(n):
                y[j] = x[j]
        else:
            for j in range(n):
                y[j] = np.float32(np.nan)


def scatter(arena: Any, operands: Any) -> None:
    """operands: rows (count, n), ids, target (rows, n), count, n, rows: zeros, plus each row at its id, if there is
    such a row."""
    ids, n = as_int64(at(arena, operands[1])), operands[4]
    whole = at(arena, operands[2])
    for j in range(operands[5] * n):
        whole[j] = np.float32(0)
    for i in range(operands[3]):
        row = ids[i]
        if 0 <= row < operands[5]:
            x, y = at(arena, operands[0] + i * n), at(arena, operands[2] + row * n)
            for j in range(n):
                y[j] += x[j]


def pick(arena: Any, operands: Any) -> None:
    """operands: x (rows, n), ids, target (rows,), rows, n; an id outside the row gives NaN."""
    ids, n = as_int64(at(arena, operands[1])), operands[4]
    y = at(arena, operands[2])
    for i in range(operands[3]):
        column = ids[i]
        y[i] = arena[operands[0] + i * n + column] if 0 <= column < n else np.float32(np.nan)


def unpick(arena: Any, operands: Any) -> None:
    """operands: d (rows,), ids, target (rows, n), rows, n: zeros, but d at the ids."""
    ids, n = as_int64(at(arena, operands[1])), operands[4]
    whole = at(arena, operands[2])
    for j in range(operands[3] * n):
        whole[j] = np.float32(0)
    for i in range(operands[3]):
        column = ids[i]
        if 0 <= column < n:
            whole[i * n + column] = arena[operands[0] + i]


def one_hot(arena: Any, operands: Any) -> None:
    """operands: ids, target (rows, n), rows, n; an id outside [0, n) gives a row of NaN."""
    ids, n = as_int64(at(arena, operands[0])), operands[3]
    for i in range(operands[2]):
        y = at(arena, operands[1] + i * n)
        bad = not (0 <= ids[i] < n)
        for j in range(n):
            y[j] = np.float32(np.nan) if bad else np.float32(0)
        if not bad:
            y[ids[i]] = np.float32(1)
