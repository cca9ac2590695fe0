"""Reading a text table: bytes to columns of cells.

    bytes ──UTF-8, no NUL──▶ lines ──csv──▶ rows ──equal lengths──▶ Table: columns of cells, the line of each row

Blanks around values are dropped, empty lines too. Quoted text may hold delimiters, doubled quotes and line
breaks. Everything else that is irregular is an error with its line.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import shown
from flux_core.data.files import check_size, open_file, utf8
from flux_core.errors import DataError

Row = tuple[int, list[str]]  # the line on which it starts, its cells
BLOCK = 2**18  # cells
csv.field_size_limit(2**31 - 1)  # of a cell; `limit` is that of the file
END = "\0"  # stands behind the text and between packed cells; a file with a NUL is refused, so it is in no cell


@dataclass(frozen=True)
class Columns(Mapping[str, list[str]]):
    """Cells by the name of their column, kept as texts of many cells: a string of its own for each takes ten times
    the memory.

    >>> Columns({"a": ["1\\x002", "3"]})["a"]
    ['1', '2', '3']
    """

    packed: Mapping[str, Sequence[str]]

    def __getitem__(self, name: str) -> list[str]:
        return [cell for text in self.packed[name] for cell in text.split(END)]

    def __contains__(self, name: object) -> bool:
        return name in self.packed

    def __iter__(self) -> Iterator[str]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)


@dataclass(frozen=True)
class Table:
    """Named columns of text cells; `lines` (rows,) are the lines of the file, from 1, on which the rows start."""

    file: Path
    names: tuple[str, ...]
    columns: Mapping[str, Sequence[str]]
    lines: NDArray[np.int64]


def read_table(path: Path, *, header: bool, delimiter: str, limit: int) -> Table:
    """Read a table; without a header its columns are c0, c1, ...

    Raises MissingFile, or DataError for an empty file, a row of another length, text that is not UTF-8,
    a name that stands twice, a quote that never ends.
    """
    rows = _rows(_lines(path, limit), path, delimiter)
    first = next(rows, None)
    if first is None:
        raise DataError("the file is empty", file=path)
    line, cells = first
    if header:
        names = [cell.strip() or f"c{i}" for i, cell in enumerate(cells)]
        _check_names(names, path, line)
    else:
        names = [f"c{i}" for i in range(len(cells))]
        rows = chain([first], rows)
    whole = _whole(rows, names, header, path)
    lines: list[int] = []
    packed: dict[str, list[str]] = {name: [] for name in names}
    while block := list(islice(whole, max(1, BLOCK // len(names)))):
        lines += [line for line, _ in block]
        for texts, values in zip(packed.values(), zip(*(cells for _, cells in block), strict=True), strict=True):
            texts.append(END.join(map(str.strip, values)))
    if not lines:
        raise DataError("the file has a header and no rows", file=path)
    return Table(path, tuple(names), Columns(packed), np.array(lines, np.int64))


def _whole(rows: Iterator[Row], names: list[str], header: bool, path: Path) -> Iterator[Row]:
    """Rows with a cell for each name; those of blanks are left out."""
    width = len(names)
    for line, cells in rows:
        if len(cells) == width:
            yield line, cells
        elif "".join(cells).strip():
            raise _ragged(len(cells), names, header, path, line)


def _lines(path: Path, limit: int) -> Iterator[str]:
    with open_file(path) as file:
        try:
            check_size(path.stat().st_size, limit, path, "the file")
            data = file.read()
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", file=path) from None
    decoded(data, path)
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")  # a text of all lines would be another copy


def decoded(data: bytes, path: Path) -> str:
    """The text of a table's bytes, from its start on; raises DataError with the line for what is no text in UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("the text is UTF-16", file=path, hint="save the file as UTF-8")
    if (position := data.find(b"\0")) >= 0:
        row = data.count(b"\n", 0, position) + 1
        raise DataError("there is a NUL byte: this is not a text table", file=path, row=row)
    return utf8(data, path)


def _rows(text: Iterator[str], path: Path, delimiter: str) -> Iterator[Row]:
    """Rows with the line on which they start, empty lines left out."""
    reader = csv.reader(chain(text, ["\n", END]), delimiter=delimiter, skipinitialspace=True)
    line = 1
    cells: list[str] = []
    try:
        for cells in reader:
            if cells and cells[0] != END:
                # the marker inside a cell: a quote swallowed the rest of the file
                if END in cells[-1]:
                    break
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"the row cannot be read: {error}", file=path, row=line) from None
    if cells[:1] != [END]:
        raise DataError("a quote that begins in this row never ends", file=path, row=line)


def _check_names(names: list[str], path: Path, line: int) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = " and ".join(str(i + 1) for i, name in enumerate(names) if name == twice[0])
        raise DataError(
            f"the name {shown(twice[0])} stands over columns {places}",
            file=path,
            row=line,
            hint="rename one of them; or set data.header to false if this row is no header",
        )


def _ragged(found: int, names: list[str], header: bool, path: Path, line: int) -> DataError:
    standard = "the header" if header else "the first row"
    return DataError(
        f"the row has {found} values, {standard} has {len(names)}",
        file=path,
        row=line,
        hint="a value that holds the delimiter must stand in quotes; data.delimiter sets another one",
    )
