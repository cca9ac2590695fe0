"""How a text table is written: what separates its columns, and whether its first line holds names.

39;Private;Male        separator   the candidate that cuts the most lines into equally many cells, and the most cells
50;State-gov;Female    header      something sets the first line off from the lines below, and nothing says a row
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from flux_core.data.cells import MISSING, number
from flux_core.data.files import MAX_BYTES, check_size, open_file
from flux_core.data.profile import ODD_MARKS
from flux_core.data.table import decoded
from flux_core.errors import DataError

MARKS = frozenset((*MISSING, *ODD_MARKS))
SEPARATORS = (",", ";", "\t", "|")
HEAD = 2**18  # bytes that are looked at,
LINES = 3  # and lines behind them


@dataclass(frozen=True)
class Dialect:
    """How to read a table."""

    delimiter: str
    header: bool


def sniff(path: Path, target: str | None = None) -> Dialect:
    """Look at the start of a file; a `target` that stands in the first line says that this is the header.

    Raises MissingFile, and DataError for what is no text, or too large.
    """
    with open_file(path) as file:
        check_size(path.stat().st_size, MAX_BYTES, path, "the file")
        data = file.read(HEAD) + b"".join(islice(file, LINES))  # a line of a wide table may be longer than HEAD
        whole = not file.read(1)
    text = decoded(data, path)
    rows = max((_rows(text, mark, whole) for mark in SEPARATORS), key=lambda found: _fit(found[1]))
    delimiter, cells = rows
    if not cells:
        raise DataError("the file is empty", file=path)
    width = len(cells[0])
    below = [row for row in cells[1:] if len(row) == width]
    return Dialect(delimiter, (target in cells[0]) or _is_header(cells[0], below))


def _rows(text: str, delimiter: str, whole: bool) -> tuple[str, list[list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    found: list[list[str]] = []
    with suppress(csv.Error):  # what was read so far decides
        found.extend([cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row))
    return delimiter, found if whole else found[:-1]  # the last row may go on


def _fit(rows: Sequence[Sequence[str]]) -> tuple[float, bool, int]:
    """How many rows have the most frequent number of cells, in tenths, whether the first has, and that number; one
    cell is no cut."""
    if not rows:
        return (0.0, False, 0)
    width, count = Counter(map(len, rows)).most_common(1)[0]
    # numbers may hold a mark, 0,5;0,25, but in the names of columns it only separates
    return (0.0, False, 0) if width == 1 else (round(count / len(rows), 1), len(rows[0]) == width, width)


def _is_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the cells of the first line are names; blanks and marks of missing values say nothing.

    A text over numbers is a name, one that stands below it again is a value. Where numbers are among them, they have to
    be whole (years, pixels), and something else has to say that this is no row.
    """
    present = [cell for cell in first if cell]
    if len(set(present)) < len(present):
        return False
    texts = [cell not in MARKS and number(cell) is None for cell in first]
    columns = list(zip(*below, strict=True)) or [()] * len(first)
    over = list(zip(first, columns, texts, strict=True))
    if any(text and column and _mostly_numbers(column) for _, column, text in over):
        return True
    if any(text and cell in column for cell, column, text in over):
        return False
    numbers = [cell for cell in first if number(cell) is not None]
    if not numbers:
        return any(texts)
    return all(map(str.isdecimal, numbers)) and any(_is_new(cell, column) for cell, column, _ in over)


def _is_new(cell: str, column: Sequence[str]) -> bool:
    """Whether a cell that is not below is no value either: a text over those that come again and again, a blank over
    the numbers of the rows."""
    counts = Counter(column)
    if cell in MARKS:
        start = column[0] if column else ""
        return cell == "" and start in ("0", "1") and all(int(start) + i == number(c) for i, c in enumerate(column))
    rare = sum(count == 1 for count in counts.values())
    return number(cell) is None and rare * 10 <= len(column)


def _mostly_numbers(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if cell not in MISSING]
    return sum(number(cell) is not None for cell in present) * 2 > len(present)
