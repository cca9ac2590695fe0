"""What sources of text tables share: their files, and columns by name or index.

    path, train_path, ... ──header, delimiter──▶ Table of each part ──choose──▶ the name of a column

A column that a table does not have is an error at the spec path that asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from flux_core.data.files import fractions_of_main, part_files
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.split import Part
from flux_core.data.table import Table, read_table
from flux_core.errors import ColumnError

if TYPE_CHECKING:
    from flux_core.data.new import NewData

FEW = 5  # absent columns that are named one by one


class TableFiles:
    """The files of a source of text tables, for each part its own or one that is cut."""

    path: str | Path | None
    train_path: str | Path | None
    valid_path: str | Path | None
    test_path: str | Path | None
    header: bool
    delimiter: str
    split: Mapping[str, float] | None
    max_bytes: int

    def files(self) -> tuple[Path, ...]:
        """The files, train first."""
        return tuple(self._paths().values())

    def _new(self, path: Path, preprocessing: Preprocessing) -> tuple[Table, NewData]:
        from flux_core.data.new_tables import new_rows, new_table

        table = new_table(path, header=self.header, delimiter=self.delimiter, limit=self.max_bytes)
        return table, new_rows(table, preprocessing, header=self.header, delimiter=self.delimiter)

    def _paths(self) -> dict[Part, Path]:
        return part_files(self.path, self.train_path, self.valid_path, self.test_path)

    def _fractions(self) -> dict[Part, float]:
        return fractions_of_main(self.split, self._paths(), separate=self.train_path is not None)

    def _tables(self) -> dict[Part, Table]:
        return {
            part: read_table(path, header=self.header, delimiter=self.delimiter, limit=self.max_bytes)
            for part, path in self._paths().items()
        }


def target_note(target: str | int | Sequence[str | int], name: str) -> tuple[str, ...]:
    """What is said where nothing may have named the target: a table that has it elsewhere is trained on, too.

    >>> target_note(-1, "note"), target_note("y", "y")
    (("the target is 'note', the last column; data.target would name another",), ())
    """
    return (f"the target is {name!r}, the last column; data.target would name another",) if target == -1 else ()


def misnamed(table: Table, asked: Iterable[tuple[str | int, str]]) -> Iterator[ColumnError]:
    """An error for each (column, spec path) that the table does not have, with near names; one for all behind `FEW`."""
    absent = [(column, key) for column, key in asked if _name(table, column) is None]
    for column, key in absent[:FEW]:
        yield _absent(table, column, key)
    if rest := absent[FEW:]:
        what = f"{len(rest):,} more column{'s' * (len(rest) > 1)}"
        names = ", ".join(repr(column) for column, _ in rest[:FEW]) + (", ..." if len(rest) > FEW else "")
        yield ColumnError(f"the table lacks {what}: {names}", file=table.file, key=rest[0][1])


def lacking(tables: Mapping[Part, Table], names: Sequence[str]) -> Iterator[ColumnError]:
    """The same, at the spec path of the file, for columns that the table of a part does not have."""
    for part, table in tables.items():
        yield from misnamed(table, [(name, f"{part}_path") for name in names if name not in table.columns])


def choose(table: Table, column: str | int, key: str) -> str:
    """The name of a column given by name or index; raises ColumnError with near names, `key` the spec's path.

    >>> import numpy as np
    >>> table = Table(Path("a.csv"), ("age", "sex"), {}, np.array([], np.int64))
    >>> choose(table, -1, "target"), choose(table, "age", "target")
    ('sex', 'age')
    """
    if (name := _name(table, column)) is None:
        raise _absent(table, column, key)
    return name


def _name(table: Table, column: str | int) -> str | None:
    if isinstance(column, int):
        return table.names[column] if -len(table.names) <= column < len(table.names) else None
    return column if column in table.names else None


def _absent(table: Table, column: str | int, key: str) -> ColumnError:
    """What is said of a column that the table does not have; near names cost a look at every name."""
    count = len(table.names)
    if isinstance(column, int):
        there = f"indices go from {-count} to {count - 1}"
        return ColumnError(f"there is no column {column}: {there}", file=table.file, key=key)
    folded = {name.casefold(): name for name in table.names}
    near = [folded[name] for name in get_close_matches(column.strip().casefold(), folded, n=1)]
    has = ", ".join(repr(name) for name in table.names[:10]) + (", ..." if count > 10 else "")
    return ColumnError(f"there is no column {column!r}, the columns are: {has}", file=table.file, key=key, near=near)
