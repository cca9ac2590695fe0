"""A data file that a run has never seen, as its model takes it.

    new.csv  ──the run's delimiter, header, marks──▶ Table    columns by name
    new.npz  ──the run's names of arrays────────────▶ x, y, lengths
    new.npy, idx files                               x
    new.txt  ──the run's vocabulary─────────────────▶ ids, a row for each symbol

What a model has learnt from decides what it can be given: a table for a table, an array for arrays, text for text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core.data.files import MAX_BYTES, open_file
from flux_core.errors import ColumnError, DataError
from fluxrun.jobs.expect import UsageError
from fluxrun.jobs.piped import PATH
from fluxrun.spec.part import Component
from fluxrun.spec.problems import near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flux_core.data.preprocessing import Preprocessing
    from flux_core.data.table import Table
    from flux_core.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class NewData:
    """The encoded rows of a file; what is no array also has its columns as they were."""

    path: Path
    x: NDArray[Any]
    notes: tuple[str, ...]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    table: Table | None = None
    y: NDArray[Any] | None = None
    lengths: NDArray[Any] | None = None  # of sequences that are padded

    @property
    def ahead(self) -> int:
        """How many rows of the columns stand before the first that has a prediction."""
        return next((len(cells) - len(self.x) for cells in self.columns.values()), 0)


def read_new(path: Path, preprocessing: Preprocessing, data: Component) -> NewData:
    """Read and encode a file for a model; `data` are the arguments of its source.

    Raises MissingFile, DataError with file, row and column, UsageError for a kind of file that the model cannot take.
    """
    if preprocessing.vocabulary is not None:
        return _text(path, preprocessing.vocabulary, data)
    return _table(path, preprocessing, data) if preprocessing.columns else _arrays(path, preprocessing, data)


def limit_of(data: Component) -> int:
    """How many bytes a file may have."""
    return getattr(data, "max_bytes", MAX_BYTES)


def _suffix(path: Path) -> str:
    """What a file is, by its name; standard input has none, and its first bytes tell."""
    if path != PATH:
        return path.suffix
    with open_file(path) as file:
        start = file.read(4)
    return {b"PK\3\4": ".npz", b"\x93NUM": ".npy"}.get(start, "")


def _table(path: Path, preprocessing: Preprocessing, data: Component) -> NewData:
    from flux_core.data.table import read_table

    if _suffix(path) in (".npz", ".npy"):
        raise UsageError(f"the model has learnt from a table with columns: give it a text table, not {path.name!r}")
    header, delimiter = getattr(data, "header", True), getattr(data, "delimiter", ",")
    table = read_table(path, header=header, delimiter=delimiter, limit=limit_of(data))
    try:
        x, notes = preprocessing.encode(table.columns, file=path, lines=table.lines)
    except ColumnError as error:  # of this file, not of a spec
        absent = [column.name for column in preprocessing.columns if column.name not in table.columns]
        raise DataError(error.reason, file=path, hint=near(absent[0], table.names) or _has(table)) from None
    return NewData(path, x, notes, table.columns, table)


def _text(path: Path, vocabulary: Vocabulary, data: Component) -> NewData:
    from flux_core.data.text import read_text

    ids = vocabulary.encode(read_text(path, vocabulary.unit, limit_of(data)), file=path)
    names = vocabulary.names
    return NewData(path, ids, (), {"symbol": [names[i] for i in ids.tolist()]})


def _has(table: Table) -> str:
    names = ", ".join(map(repr, table.names[:10]))
    return f"the columns are: {names}" + (", ..." if len(table.names) > 10 else "")


def _arrays(path: Path, preprocessing: Preprocessing, data: Component) -> NewData:
    from flux_core.data.archive import map_array, read_array
    from flux_core.data.cells import Place
    from flux_core.data.idx import read_idx
    from flux_core.data.lengths import checked_lengths, cleared

    limit = limit_of(data)
    x, y = "x", "y"
    if hasattr(data, "target"):  # an archive names its arrays, other sources have files of their own
        x, y = getattr(data, "features", x), getattr(data, "target", y)
    target = lengths = None
    suffix = _suffix(path)
    try:
        if suffix == ".npz":
            values = read_array(path, x, "features", limit)
            target = _target(path, y, limit)
            if name := getattr(data, "lengths", None):
                found = read_array(path, name, "lengths", limit)
                place = Place(path, None, name)
                lengths = checked_lengths(found, values.shape, preprocessing.dtype == "int64", place)
                values = cleared(values, lengths)
        elif suffix == ".npy":
            values = map_array(path)
        elif suffix == ".csv":
            raise UsageError(f"the model has learnt from arrays: give it .npz, .npy or idx files, not {path.name!r}")
        else:
            values = read_idx(path, limit)
    except ColumnError as error:
        raise DataError(error.reason, file=path, hint=error.hint) from None
    return NewData(path, preprocessing.encode_array(values, file=path, name=x), (), y=target, lengths=lengths)


def _target(path: Path, name: str, limit: int) -> Any:
    """The array of the answers, None where there is none: not everybody who asks knows the answers."""
    from flux_core.data.archive import read_array

    try:
        return read_array(path, name, "target", limit)
    except ColumnError:
        return None
