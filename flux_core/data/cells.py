"""From text cells to values, a column at a time.

    ["1.5", "?", "2"]     ──read_numbers──▶ Numbers([1.5, nan, 2.0])          nan where missing
    ["red", "?", "blue"]  ──read_words────▶ Words([1, -1, 0], (blue, red))    -1 where missing

A bad cell is an error that names the file, the line and the column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.errors import DataError

MISSING = ("", "NA", "NaN", "?")  # cells that mean that the value is not known
LONGEST = 40  # characters of a cell that a message shows


@dataclass(frozen=True)
class Place:
    """Where a column of cells stands: its file, the line of each cell (None: no lines), its name."""

    file: str | Path | None = None
    lines: NDArray[np.int64] | None = None
    column: str = ""

    def error(self, message: str, index: int, hint: str | None = None) -> DataError:
        """A DataError about cell `index`."""
        row = None if self.lines is None else int(self.lines[index])
        where = message if row is not None else f"{message} (at index {index})"
        return DataError(where, file=self.file, row=row, column=self.column, hint=hint)


@dataclass(frozen=True)
class Numbers:
    """A numeric column, float64 (rows,), nan where the cell is missing."""

    values: NDArray[np.float64]

    @property
    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.values)

    def take(self, rows: NDArray[Any]) -> Numbers:
        return Numbers(self.values[rows])


@dataclass(frozen=True)
class Words:
    """A column of text: codes int64 (rows,) into the sorted vocabulary, -1 where the cell is missing."""

    codes: NDArray[np.int64]
    vocabulary: tuple[str, ...]

    @property
    def missing(self) -> NDArray[np.bool_]:
        return self.codes < 0

    def take(self, rows: NDArray[Any]) -> Words:
        return Words(self.codes[rows], self.vocabulary)


def text_of(cell: object) -> str | None:
    """A cell as text without blanks around it; None, nan, NaT and NA, the marks of other libraries, are None.

    >>> [text_of(cell) for cell in (" a ", 1.5, None, float("nan"))]
    ['a', '1.5', None, None]
    """
    try:
        missing = cell is None or bool(cell != cell)
    except TypeError:  # pandas.NA equals nothing and differs from nothing
        missing = True
    return None if missing else str(cell).strip()


def named(value: Any, known: Collection[str]) -> str:
    """The known name that a value means: 1, 1.0, "1" and "1.0" are each other where there is no closer one; else its
    text.

    Other libraries make floats of whole numbers as soon as one of them is missing.

    >>> [named(value, {"1", "red"}) for value in (1, 1.0, "1.0", b"red", True, 1.5, "2.0")]
    ['1', '1', '1', 'red', '1', '1.5', '2.0']
    >>> [named(value, {"0.0", "1.0"}) for value in (1, 1.0, "1", -0.0, False, "red", "2")]
    ['1.0', '1.0', '1.0', '0.0', '0.0', 'red', '2']
    """
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if text in known:
        return text
    whole = number(text) if not isinstance(value, bool) else float(value)
    if whole is None or whole != whole // 1 or abs(whole) >= 2**53:
        return text
    return next((found for found in (str(int(whole)), f"{int(whole)}.0") if found in known), text)


def shown(cell: str) -> str:
    """A cell as a message shows it: quoted, control characters escaped, cut where it is long.

    >>> print(shown("a" * 50))
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'
    """
    return repr(cell) if len(cell) <= LONGEST else repr(cell[:LONGEST] + "...")


def number(cell: str) -> float | None:
    """The number that a cell spells, nan and infinities included, or None.

    >>> number("1e-3"), number("inf"), number("1_000"), number("two")
    (0.001, inf, None, None)
    """
    # float() also takes underscores and the digits of other scripts: no table means those as numbers
    if "_" in cell or not cell.isascii():
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def looks_numeric(cells: Sequence[str | None], marks: Collection[str]) -> bool:
    """Whether more than half of the cells that are not missing spell numbers; True if all are missing.

    >>> looks_numeric(["1", "2", "x", "?"], {"?"}), looks_numeric(["1", "x"], {"?"})
    (True, False)
    """
    counts = Counter(cell for cell in cells if cell is not None)
    present = {cell: count for cell, count in counts.items() if cell not in marks}
    spelled = sum(count for cell, count in present.items() if number(cell) is not None)
    return not present or spelled * 2 > sum(present.values())


def read_numbers(
    cells: Sequence[str | None], marks: Collection[str], place: Place, why: str = "", hint: str = "correct the cell"
) -> Numbers:
    """Parse a numeric column; raises DataError for the first cell that is no finite number and no mark.

    `why` says behind the message why it has to be one, and `hint` what to do.

    >>> read_numbers(["1", "?"], {"?"}, Place()).values
    array([ 1., nan])
    """
    absent = {None, *marks}
    missing = np.zeros(len(cells), bool)
    if not absent.isdisjoint(cells):  # the common case has nothing to look for, cell by cell
        missing = np.fromiter((cell in absent for cell in cells), bool, len(cells))
    texts = ["nan" if cell is None or cell in absent else cell for cell in cells]
    joined = "".join(texts)
    try:
        if "_" in joined or not joined.isascii():
            raise ValueError("a cell that float() would take and number() does not")
        values = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        index, bad = next((i, text) for i, text in enumerate(texts) if number(text) is None)
        raise place.error(f"{shown(bad)} is not a number{why}", index, hint) from None
    odd = ~np.isfinite(values) & ~missing
    if odd.any():
        index = int(np.argmax(odd))
        raise place.error(f"{shown(texts[index])} is not a finite number", index, hint)
    return Numbers(values)


def read_words(cells: Sequence[str | None], marks: Collection[str]) -> Words:
    """Read a categorical column.

    >>> words = read_words(["red", "?", "blue"], {"?"})
    >>> words.codes.tolist(), words.vocabulary
    ([1, -1, 0], ('blue', 'red'))
    """
    absent = {None, *marks}
    distinct = sorted(cell for cell in set(cells) if cell is not None and cell not in absent)
    index = dict.fromkeys(absent, -1) | {word: code for code, word in enumerate(distinct)}
    codes = np.fromiter(map(index.__getitem__, cells), np.int64, len(cells))
    return Words(codes, tuple(distinct))


def texts(values: Any) -> tuple[str, ...]:
    """A list of strings from JSON as a tuple; raises ValueError for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("a list of strings is expected")
    return tuple(values)


def finite(value: Any) -> float:
    """A finite number from JSON; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)
