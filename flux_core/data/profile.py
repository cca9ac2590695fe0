"""What the columns of a table hold, and which of them a first model should learn from.

cells ──▶ Profile("age", "numeric", "73 different numbers from 17 to 90")
          Profile("name", None, "a different text in almost every row")            None: to be left out
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Literal

from flux_core.data.cells import MISSING, shown
from flux_core.data.cells import number as spelled

ODD_MARKS = ("nan", "null", "NULL", "None", "none", "N/A", "n/a", "na", "#N/A", "-", "--", ".", "unknown", "missing")
DECIMAL = re.compile(r"[+-]?[0-9]+(,[0-9]+)?")
MANY = 200  # categories; each becomes a column
FEW = 10  # known cells: the odds that all of them miss a training split of 0.8 are 0.2 ** 10
FEW_NUMBERS = 20  # different whole numbers that may be classes


@dataclass(frozen=True)
class Profile:
    """A column: what it holds (None: nothing to learn from), why in words, and how many of its cells are missing."""

    name: str
    kind: Literal["numeric", "categorical"] | None
    words: str
    missing: int


@dataclass(frozen=True)
class Target:
    """The column to predict."""

    task: Literal["classification", "regression"]
    counts: tuple[tuple[str, int], ...]  # classes, the most frequent first; () for numbers
    words: str
    declared: bool  # whether the task must be said, as the numbers do not say that they are classes
    mixed: bool = False  # whether some of the classes are numbers and others are not


def number(cell: str) -> float | None:
    """The finite number that a cell spells, or None.

    >>> number("2"), number("nan"), number("two")
    (2.0, None, None)
    """
    value = spelled(cell)
    return value if value is not None and isfinite(value) else None


def marks_of(columns: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The cells that stand for missing values: the usual ones, and odd ones between numbers.

    >>> marks_of([["1", "-", "3"], ["a", "-", "b"]])
    ('', 'NA', 'NaN', '?', '-')
    """
    found: dict[str, None] = {}
    for cells in columns:
        counts = Counter(cells)
        texts = [cell for cell in counts if cell not in MISSING and number(cell) is None]
        numbers = sum(count for cell, count in counts.items() if cell not in MISSING and number(cell) is not None)
        if numbers * 2 > sum(counts.values()) - sum(counts[mark] for mark in MISSING):
            found |= dict.fromkeys(text for text in texts if text in ODD_MARKS)
    return (*MISSING, *found)


def profile(name: str, cells: Sequence[str], marks: Collection[str]) -> Profile:
    """What a column holds.

    >>> profile("a", ["1", "2", "?", "4"], {"?"})
    Profile(name='a', kind='numeric', words='3 different numbers from 1 to 4', missing=1)
    """
    counts = Counter(cells)
    absent = sum(counts.pop(mark, 0) for mark in marks)
    rows = len(cells) - absent
    if not counts:
        return Profile(name, None, "no value at all", absent)
    if rows < min(FEW, absent):  # where more cells are known than not, the training split has some
        return Profile(name, None, f"a value in only {rows} of {len(cells):,} rows", absent)
    if len(counts) == 1:
        return Profile(name, None, f"the same value in every row, {shown(next(iter(counts)))}", absent)
    values = {cell: value for cell in counts if (value := number(cell)) is not None}
    if len(values) == len(counts):
        return _numbers(name, cells, values, rows, absent)
    if comma := _comma(counts):
        return Profile(name, None, comma, absent)
    if len(values) * 2 > len(counts) and len(counts) > MANY // 4:
        odd = next(cell for cell in counts if cell not in values)
        return Profile(name, None, f"numbers, and others such as {shown(odd)}: correct these cells", absent)
    if rows >= 20 and len(counts) >= 0.5 * rows:
        return Profile(name, None, f"a different text in almost every row: {len(counts):,} in {rows:,}", absent)
    if len(counts) > MANY:
        return Profile(name, None, f"{len(counts):,} different texts, too many to be categories", absent)
    return Profile(name, "categorical", f"{len(counts)} categories", absent)


def _numbers(name: str, cells: Sequence[str], values: dict[str, float], rows: int, absent: int) -> Profile:
    low, high = min(values.values()), max(values.values())
    words = f"{len(values):,} different numbers from {_shown(low)} to {_shown(high)}"
    if rows >= 20 and len(values) == rows and not absent and all(value == value // 1 for value in values.values()):
        order = [values[cell] for cell in cells]
        steps = [b > a for a, b in pairwise(order)]
        if all(steps) or not any(steps) or high - low < 2 * rows:
            return Profile(
                name, None, f"the number of a row: {rows:,} different ones from {_shown(low)} to {_shown(high)}", absent
            )
    return Profile(name, "numeric", words, absent)


def profile_target(cells: Sequence[str], marks: Collection[str]) -> Target | str:
    """What is to be predicted, or in words why it cannot be."""
    counts = Counter(cell for cell in cells if cell not in marks)
    rows = sum(counts.values())
    values = [value for cell in counts if (value := number(cell)) is not None]
    if len(counts) < 2:
        return "it has the same value in every row" if counts else "it has no value"
    if comma := _comma(counts):
        return f"it holds {comma}"
    numeric = len(values) == len(counts)
    if numeric:
        whole = all(value == value // 1 for value in values)
        if not whole or len(counts) > FEW_NUMBERS or rows < 5 * len(counts):
            return Target(
                "regression", (), f"numbers from {_shown(min(values))} to {_shown(max(values))}", declared=False
            )
    elif len(counts) > MANY or rows < 2 * len(counts):
        return f"it has {len(counts):,} different texts in {rows:,} rows, too many to be told apart"
    ranked = tuple(counts.most_common())
    listed = ", ".join(f"{shown(cell)} {count / rows:.0%}" for cell, count in ranked[:4])
    words = f"{len(counts)} classes: {listed}" + (", ..." if len(ranked) > 4 else "")
    mixed = not numeric and any(spelled(cell) is not None for cell in counts)
    return Target("classification", ranked, words, declared=numeric, mixed=mixed)


def _comma(cells: Collection[str]) -> str | None:
    """What to say of numbers that another language writes."""
    if not all(DECIMAL.fullmatch(cell) for cell in cells) or all("," not in cell for cell in cells):
        return None
    return f"numbers with a comma such as {shown(next(cell for cell in cells if ',' in cell))}: write them with a point"


def _shown(value: float) -> str:
    """A number as people write it."""
    return f"{value:,.0f}" if value == value // 1 and abs(value) < 1e15 else f"{value:g}"
