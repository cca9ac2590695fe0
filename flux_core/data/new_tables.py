"""Tables that a trained model has never seen: columns are found by their names, and there may be more of them.

new.csv ──the delimiter and header of the training──▶ Table ──▶ NewData      a series: windows over the rows
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from flux_core.data.cells import Place, read_numbers
from flux_core.data.dataset import Dataset
from flux_core.data.new import Gives, NewData, answered, kind_of
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.sliding import sliding
from flux_core.data.table import Table, read_table
from flux_core.errors import ColumnError, DataError, SettingError


def new_table(path: Path, *, header: bool, delimiter: str, limit: int) -> Table:
    """Raises MissingFile, DataError, SettingError for arrays."""
    if kind_of(path) in (".npz", ".npy"):
        raise SettingError(
            "the model has learnt from a table with columns: give it a text table", key="source", file=path
        )
    return read_table(path, header=header, delimiter=delimiter, limit=limit)


def new_rows(table: Table, preprocessing: Preprocessing, *, header: bool, delimiter: str) -> NewData:
    """Raises DataError for absent columns and for cells that cannot be read."""
    try:
        x, notes = preprocessing.encode(table.columns, file=table.file, lines=table.lines)
    except ColumnError as error:  # of this file, not of a spec
        absent = [column.name for column in preprocessing.columns if column.name not in table.columns]
        folded = {name.casefold(): name for name in table.names}
        near = get_close_matches(absent[0].casefold(), folded, n=1)
        hint = f"did you mean {folded[near[0]]!r}?" if near else _has(table)
        raise DataError(error.reason, file=table.file, hint=hint) from None
    return NewData(table.file, x, notes, table.columns, header=header, delimiter=delimiter)


def _has(table: Table) -> str:
    names = ", ".join(map(repr, table.names[:10]))
    return f"the columns are: {names}" + (", ..." if len(table.names) > 10 else "")


def answered_rows(new: NewData, table: Table, target: str, preprocessing: Preprocessing, gives: Gives) -> Dataset:
    """The rows that have an answer. Raises DataError, also where none has one."""
    if any(column.name == target for column in preprocessing.columns):
        # a checkpoint that did not keep the target's name: its index means another column of this table
        raise DataError(f"column {target!r} would be the target, and the model reads it", file=new.path)
    cells, marks = table.columns[target], preprocessing.missing
    rows = np.flatnonzero([cell not in marks for cell in cells])
    if not len(rows):
        raise DataError("no row has a value here", file=new.path, column=target)
    lacking = len(cells) - len(rows)
    notes = [f"{new.path.name}: {lacking} of {len(cells)} rows have no target, left out"] if lacking else []
    place = Place(new.path, table.lines[rows], target)
    kept = [cell for cell in cells if cell not in marks]
    # objects: a text of NumPy is as long as the longest of them
    values = np.array(kept, object) if preprocessing.classes else read_numbers(kept, marks, place).values
    some = NewData(new.path, new.x[rows], new.notes)
    return answered(some, values, place, preprocessing, gives, *notes)


def answered_windows(
    new: NewData, table: Table, targets: Sequence[str], horizon: int, preprocessing: Preprocessing, gives: Gives
) -> Dataset:
    """The windows with the next `horizon` values of the targets. Raises DataError, also where none has so many."""
    window, marks = preprocessing.window, preprocessing.missing
    assert window is not None, "the model of a series reads windows"
    if len(table.lines) < window + horizon:
        raise DataError(
            f"{len(table.lines)} rows are too few, the model reads {window} and is measured by the next {horizon}",
            file=new.path,
        )
    columns = [read_numbers(table.columns[n], marks, Place(new.path, table.lines, n)).values for n in targets]
    ahead = sliding(np.stack(columns, axis=1)[window:], horizon)
    some = NewData(new.path, new.x[: len(ahead)], new.notes)
    return answered(some, ahead.reshape(len(ahead), -1), Place(new.path, None, targets[0]), preprocessing, gives)
