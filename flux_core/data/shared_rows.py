"""Rows that stand in two splits: what a model has seen in training is no test.

row of x and y ──bits, times fixed odd numbers, summed──▶ 64 bits      equal rows have equal sums
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.chunks import pieces
from flux_core.data.dataset import Dataset, Examples
from flux_core.philox import Stream


def shared_rows(data: Dataset) -> Iterator[tuple[str, str, int, int]]:
    """(split, other split, rows of the split that are also in the other, rows of the split), where there are any.

    Of text every window is part of a longer one, so it is left out.
    """
    if data.preprocessing.vocabulary is not None:
        return
    parts = {name: part for name in ("train", "valid", "test") if (part := getattr(data, name)) is not None}
    sums = {name: checksums(part) for name, part in parts.items()}
    for part, other in (("valid", "train"), ("test", "train"), ("test", "valid")):
        if part in sums and other in sums:
            count = int(np.isin(sums[part], sums[other]).sum())
            if count:
                yield part, other, count, len(parts[part])


def checksums(examples: Examples) -> NDArray[np.uint64]:
    """64 bits for each example, uint64 (examples,); different examples have the same with chance 2^-63."""
    found = np.empty(len(examples), np.uint64)
    factors = [_factors(_words(array), name) for array, name in ((examples.x, "x"), (examples.y, "y"))]
    for piece in pieces((len(examples), *examples.x.shape[1:])):
        sums = [_sums(array, factor) for array, factor in zip(examples.part(piece), factors, strict=True)]
        found[piece] = sums[0] + sums[1]
    return found


def _words(array: NDArray[Any]) -> int:
    return prod(array.shape[1:]) * array.dtype.itemsize // 4


def _factors(count: int, name: str) -> NDArray[np.uint64]:
    """Fixed random numbers, odd, so that none of a word's bits is lost."""
    stream = Stream.of(0, "shared_rows", name)
    high, low = (stream.uniform(count, 2).astype(np.float64) * 2**24).astype(np.uint64).T
    spread = high << np.uint64(40) ^ low << np.uint64(17)
    return np.asarray(spread * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1))


def _sums(array: NDArray[Any], factors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    rows = array.reshape(len(array), -1)
    rows = rows + np.zeros((), rows.dtype) if rows.dtype.kind == "f" else rows  # -0.0 is 0.0
    words = np.ascontiguousarray(rows).view(np.uint32).astype(np.uint64)
    mixed = words ^ words << np.uint64(29)
    return np.asarray((mixed * factors).sum(axis=1, dtype=np.uint64))
