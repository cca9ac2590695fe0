"""Splits: which rows are for training, which for validation, which for the test.

    fractions {train: .8, valid: .1, test: .1}, labels, seed ──▶ {train: rows, valid: rows, test: rows}

Rows are disjoint and, when the fractions sum to 1, cover everything. Classes keep their proportions: every
class gives each split its share rounded down, and the rows left over go to the largest remainders, so that
the sizes of the splits are those of the fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flux_core.philox import Stream

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")
DEFAULT: dict[Part, float] = {"train": 0.8, "valid": 0.1, "test": 0.1}


def check_fractions(split: Mapping[str, float]) -> dict[Part, float]:
    """The fractions in the order of PARTS, zeros left out; raises ValueError where they make no sense.

    >>> check_fractions({"valid": 0.2, "train": 0.8, "test": 0})
    {'train': 0.8, 'valid': 0.2}
    """
    unknown = [name for name in split if name not in PARTS]
    if unknown:
        raise ValueError(f"split has no part {unknown[0]!r}: its parts are train, valid and test")
    for name, fraction in split.items():
        if not 0 <= fraction <= 1:
            raise ValueError(f"split.{name} is {fraction}, a fraction is between 0 and 1")
    if not split.get("train"):
        raise ValueError("split needs a train fraction above 0")
    total = sum(split.values())
    if total > 1 + 1e-9:
        raise ValueError(f"the fractions of split sum to {total:g}, more than 1")
    return {name: float(split[name]) for name in PARTS if split.get(name)}


def split_rows(
    rows: int, fractions: Mapping[Part, float], *, seed: int, labels: NDArray[np.int64] | None = None
) -> dict[Part, NDArray[np.int64]]:
    """Ascending row numbers for each part, int64; stratified by `labels` (rows,) where given.

    >>> parts = split_rows(10, {"train": 0.8, "test": 0.2}, seed=0, labels=np.arange(10) % 2)
    >>> {name: len(numbers) for name, numbers in parts.items()}
    {'train': 8, 'test': 2}
    >>> (parts["test"] % 2).tolist() in ([0, 1], [1, 0])
    True
    """
    labels = np.zeros(rows, np.int64) if labels is None else labels
    order = Stream.of(seed, "split").permutation(rows)
    # stable: within a class the rows keep their random order
    order = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels, minlength=1).tolist()
    pieces: dict[Part, list[NDArray[np.int64]]] = {name: [] for name in fractions}
    start = 0
    for size, counts in zip(sizes, allocate(sizes, list(fractions.values())), strict=True):
        edges = start + np.concatenate([[0], np.cumsum(counts)])
        for j, name in enumerate(fractions):
            pieces[name].append(order[edges[j] : edges[j + 1]])
        start += size
    return {name: np.sort(np.concatenate(parts)) for name, parts in pieces.items()}


def contiguous(size: int, fractions: Mapping[Part, float]) -> dict[Part, int]:
    """How many of `size` values that stand in a row each part gets, the parts one behind the other.

    >>> contiguous(25, {"train": 0.8, "valid": 0.1, "test": 0.1})
    {'train': 20, 'valid': 3, 'test': 2}
    """
    counts = allocate([size], list(fractions.values()))[0].tolist()
    return dict(zip(fractions, counts, strict=True))


def unused(whole: int, used: int, what: str) -> tuple[str, ...]:
    """A note about what is in no split, if there is any.

    >>> unused(10, 8, "rows")
    ('2 of 10 rows are in no split: the fractions sum to less than 1',)
    """
    if used == whole:
        return ()
    return (f"{whole - used:,} of {whole:,} {what} are in no split: the fractions sum to less than 1",)


def allocate(sizes: Sequence[int], shares: Sequence[float]) -> NDArray[np.int64]:
    """How many rows of each class each part gets, int64 (classes, parts), by largest remainder.

    >>> allocate([50, 50, 50], [0.8, 0.1, 0.1]).tolist()
    [[40, 5, 5], [40, 5, 5], [40, 5, 5]]
    >>> allocate([1, 1, 8], [0.8, 0.1, 0.1]).sum(axis=0).tolist()
    [8, 1, 1]
    """
    # exact, as written in decimal: in floats 50 * 0.1 + 100 * 0.1 and 150 * 0.1 may round to different sides
    exact = [Fraction(str(share)) for share in shares]
    total = max(Fraction(1), sum(exact, Fraction(0)))
    exact = [share / total for share in exact]
    # the rows that no fraction names are a part as well, so that they are stratified like the others
    exact.append(1 - sum(exact, Fraction(0)))
    parts = range(len(exact))
    counts = [[floor(size * share) for share in exact] for size in sizes]
    cells = [(c, p) for c in range(len(sizes)) for p in parts]
    cells.sort(key=lambda cell: counts[cell[0]][cell[1]] - sizes[cell[0]] * exact[cell[1]])
    rows_left = [size - sum(row) for size, row in zip(sizes, counts, strict=True)]
    parts_left = [want - sum(row[p] for row in counts) for p, want in enumerate(_largest_remainder(sum(sizes), exact))]
    while any(rows_left):  # a second round places what the largest remainders had no room for
        for c, p in cells:
            if rows_left[c] > 0 and parts_left[p] > 0:
                counts[c][p] += 1
                rows_left[c] -= 1
                parts_left[p] -= 1
    return np.array([row[:-1] for row in counts], np.int64)


def _largest_remainder(total: int, shares: Sequence[Fraction]) -> list[int]:
    counts = [floor(total * share) for share in shares]
    order = sorted(range(len(shares)), key=lambda p: counts[p] - total * shares[p])
    for p in order[: total - sum(counts)]:
        counts[p] += 1
    return counts
