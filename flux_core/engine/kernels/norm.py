"""The sum of squares of a gradient, for clipping by the global norm.

    g  ├──chunk──┼──chunk──┼──chunk──┤
          p0        p1        p2          total = ((p0 + p1) + p2)

Chunks have a fixed size and their sums, in float64, are added in order: the bits of the result depend on
nothing but the gradient, whoever sums which chunk. Inside a chunk the order is the compiler's, which may use
vectors; reordering a sum of squares cannot lose a NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from flux_core.engine.kernels.pointers import as_float64, at


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def chunk_sum(chunk: Any) -> Any:
    """The sum of squares of one chunk, float64."""
    total = np.float64(0)
    for j in range(chunk.size):
        value = np.float64(chunk[j])
        total += value * value
    return total


def squares_of_chunks(arena: Any, operands: Any) -> None:
    """operands: gradient, size, size of a chunk, place of a float64 result for each chunk."""
    size, chunk = operands[1], operands[2]
    sums = as_float64(at(arena, operands[3]))
    for i in range((size + chunk - 1) // chunk):
        sums[i] = chunk_sum(carray(at(arena, operands[0] + i * chunk), min(chunk, size - i * chunk)))


def sum_of_squares(arena: Any, operands: Any) -> None:
    """operands: float64 sums of the chunks, how many, place of the float64 result."""
    sums = as_float64(at(arena, operands[0]))
    total = np.float64(0)
    for i in range(operands[1]):
        total += sums[i]
    as_float64(at(arena, operands[2]))[0] = total


def clip_scale(arena: Any, operands: Any) -> None:
    """operands: place of the float64 sum of squares, of the largest norm that is let through, of the scale."""
    norm = np.sqrt(as_float64(at(arena, operands[0]))[0])
    limit = np.float64(arena[operands[1]])
    arena[operands[2]] = np.float32(limit / norm) if norm > limit else np.float32(1)
