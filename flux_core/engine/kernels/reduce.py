"""Reductions of the middle axis of (outer, n, inner) arrays: sums, means, maxima.

Where inner is 1 a row is summed in vector lanes, in chunks whose sums are added in float64 and in order; else
whole rows are added to each other, which is vectorised over inner. Either way the order is fixed by the sizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from flux_core.engine.kernels.pointers import at

CHUNK = 4096


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def chunk_sum(chunk: Any) -> Any:
    """The sum of one chunk, in float32 lanes."""
    total = np.float32(0)
    for j in range(chunk.size):
        total += chunk[j]
    return total


def reduce_sum(arena: Any, operands: Any) -> None:
    """operands: source (outer, n, inner), target (outer, inner), outer, n, inner, divisor."""
    n, inner, divisor = operands[3], operands[4], np.float32(operands[5])
    for o in range(operands[2]):
        begin = operands[0] + o * n * inner
        if inner == 1:
            x = carray(at(arena, begin), n)
            total = np.float64(0)
            for start in range(0, n, CHUNK):
                total += chunk_sum(x[start : min(start + CHUNK, n)])
            arena[operands[1] + o] = np.float32(total / divisor)
        else:
            y = carray(at(arena, operands[1] + o * inner), inner)
            for i in range(inner):
                y[i] = np.float32(0)
            for j in range(n):
                x = carray(at(arena, begin + j * inner), inner)
                for i in range(inner):
                    y[i] += x[i]
            if divisor != 1:
                for i in range(inner):
                    y[i] = y[i] / divisor


def reduce_max(arena: Any, operands: Any) -> None:
    """operands: source (outer, n, inner), target (outer, inner), outer, n, inner; a NaN is the maximum."""
    n, inner = operands[3], operands[4]
    for o in range(operands[2]):
        begin = operands[0] + o * n * inner
        y = carray(at(arena, operands[1] + o * inner), inner)
        for i in range(inner):
            y[i] = arena[begin + i]
        for j in range(1, n):
            x = carray(at(arena, begin + j * inner), inner)
            for i in range(inner):
                y[i] = max(y[i], x[i]) if x[i] == x[i] and y[i] == y[i] else x[i] + y[i]
