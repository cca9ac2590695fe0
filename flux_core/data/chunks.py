"""Arrays that are too large to be looked at in one go: pieces of rows, and moments from them.

    x ──pieces──▶ (n, mean, Σ(x - mean)²) of each ──joined in order──▶ Scale          float64, two passes

The pieces depend on the shape alone, so that the same array always gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.scale import Scale

LARGE = 64 * 2**20  # bytes
PIECE = 2**20  # values


def is_large(size: int) -> bool:
    """Whether arrays of `size` bytes are kept in files and not copied."""
    return size >= LARGE


def pieces(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of rows of about a million values, one after the other.

    >>> [(piece.start, piece.stop) for piece in pieces((5, 400_000))]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, PIECE // max(1, prod(shape[1:])))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def fit_scale(x: NDArray[Any], rows: NDArray[np.int64], *, whole: bool) -> Scale:
    """The moments of each column of some rows, or with `whole` of all their elements, as `Scale.fit` has them.

    The sums are joined as by Chan, Golub and LeVeque (1979).
    """

    def parts() -> Iterator[NDArray[np.float64]]:
        for piece in pieces((len(rows), *x.shape[1:])):
            part = np.asarray(x[rows[piece]], np.float64)
            yield part.reshape(-1) if whole else part

    shape = () if whole else x.shape[1:]
    largest = np.zeros(shape)
    for part in parts():
        largest = np.maximum(largest, np.abs(part).max(axis=0))
    # a power of two near the largest magnitude: dividing by it is exact, and 1e300 ** 2 would overflow
    exponent = np.frexp(largest)[1]
    count, mean, squares = 0, np.zeros(shape), np.zeros(shape)
    for part in parts():
        scaled = np.ldexp(part, -exponent)
        own = scaled.mean(axis=0)
        scaled -= own
        scaled *= scaled
        step, total = own - mean, count + len(part)
        mean = mean + step * (len(part) / total)
        squares = squares + scaled.sum(axis=0) + step * step * (count * (len(part) / total))
        count = total
    return Scale.from_moments(mean, np.sqrt(squares / count), exponent)
