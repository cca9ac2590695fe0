"""Time series in tables: from `steps` rows, the next `horizon` values of the target.

    row    0   1   2   3   4   5   6   7              steps 4, horizon 2, stride 1
    x0   [ .   .   .   . ]                            float32 (steps, columns)
    y0                   [ *   * ]                    float32 (horizon x targets): all targets of row 4, then of row 5
    x1       [ .   .   .   . ]
    y1                       [ *   * ]

Splits are contiguous, in the order train, valid, test, and a window with its targets lies in one of them. The scale of
each column comes from the rows of the training split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import MISSING, Numbers, Place, looks_numeric, read_numbers
from flux_core.data.columns import NumericColumn, require_present
from flux_core.data.dataset import Dataset, Examples, Peek, Task
from flux_core.data.files import MAX_BYTES, check_size
from flux_core.data.kept import kept_dataset, question_about
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.scale import Scale
from flux_core.data.sliding import sliding
from flux_core.data.split import PARTS, Part, contiguous, unused
from flux_core.data.table import Table
from flux_core.data.tables import TableFiles, choose, lacking, misnamed, target_note
from flux_core.errors import ColumnError, DataError, SettingError

if TYPE_CHECKING:
    from flux_core.data.new import Gives, NewData

FORMAT = 2  # goes up when the same table begins to mean other values
BAD_CELL = (", and most of this column is", "correct the cell: a series has a number in every row")
MISSING_HINT = "a series has a value in every row: fill it in, or leave the column out of data.columns"


@dataclass(frozen=True)
class Series:
    """Columns of numbers over some rows of a file, which stand in these lines."""

    file: Path
    lines: NDArray[np.int64]
    columns: Mapping[str, Numbers]

    def take(self, rows: slice) -> Series:
        """Some of the rows."""
        columns = {name: Numbers(numbers.values[rows]) for name, numbers in self.columns.items()}
        return Series(self.file, self.lines[rows], columns)

    def encode(self, columns: Sequence[NumericColumn]) -> NDArray[np.float32]:
        """float32 (rows, columns)."""
        found = [
            column.encode(self.columns[column.name], Place(self.file, self.lines, column.name), "")[0]
            for column in columns
        ]
        return np.concatenate(found, axis=1)


@dataclass(frozen=True)
class WindowsSource(TableFiles):
    """Windows of `steps` rows over the `columns` of text tables (the default is every column of numbers).

    `target` is what is forecast, one column or several, by name or by index, which the training file makes a name;
    `horizon` is how many rows ahead. Windows start `stride` rows apart.
    """

    steps: int
    path: str | Path | None = None
    train_path: str | Path | None = None
    valid_path: str | Path | None = None
    test_path: str | Path | None = None
    columns: Sequence[str | int] | None = None
    target: str | int | Sequence[str | int] = -1
    horizon: int = 1
    stride: int = 1
    header: bool = True
    delimiter: str = ","
    missing: Sequence[str] = MISSING
    split: Mapping[str, float] | None = None
    standardize: bool = True
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        for name in ("steps", "horizon", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n\0':
            raise ValueError(f"the delimiter is {self.delimiter!r}, it must be one character and no quote")
        if not isinstance(self.target, str | int) and not self.target:
            raise ValueError("target is an empty list: there is nothing to forecast")
        if self.columns is not None and not self.columns:
            raise ValueError("columns is an empty list: there is nothing to forecast from")
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read and cut, or map what was made before where it is large; nothing is random, the task is a regression.

        Raises MissingFile, ColumnError, SettingError for windows that are too long, DataError with file, row, column.
        """
        paths = self._paths()
        return kept_dataset(paths["train"], question_about(self, FORMAT, paths), self._load)

    def misnamed(self) -> list[ColumnError]:
        """The names of columns that the training file lacks, where `load` stops at the first; if there is none, the
        columns that another file lacks."""
        if isinstance(self.target, str | int):
            targets = [(self.target, "target")]
        else:
            targets = [(name, f"target.{i}") for i, name in enumerate(self.target)]
        tables = self._tables()
        main = tables["train"]
        columns = [(name, f"columns.{i}") for i, name in enumerate(self.columns or ())]
        if found := list(misnamed(main, [*targets, *columns])):
            return found
        return list(lacking(tables, list(dict.fromkeys((*self._columns(main)[0], *self._targets(main))))))

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """By loading: windows may be longer than the series."""
        data = self.load(seed=seed)
        return Peek(data.train.x.shape[1:], "float32", None, "regression", data.train.y.shape[1:])

    def read_new(self, path: Path, preprocessing: Preprocessing) -> NewData:
        """The windows of another table, which need not have the target."""
        return self._new(path, preprocessing)[1]

    def read_answered(self, path: Path, preprocessing: Preprocessing, gives: Gives) -> Dataset:
        """The windows that have targets behind them."""
        from flux_core.data.new import of_this_file
        from flux_core.data.new_tables import answered_windows

        table, new = self._new(path, preprocessing)
        with of_this_file():  # an index means another column where there are more of them
            targets = [choose(table, name, "target") for name in preprocessing.answers] or self._targets(table)
        return answered_windows(new, table, targets, self.horizon, preprocessing, gives)

    def _load(self) -> Dataset:
        tables = self._tables()
        main = tables["train"]
        targets = self._targets(main)
        columns, left_out = self._columns(main)
        series = {part: self._series(part, table, (*columns, *targets)) for part, table in tables.items()}
        counts = contiguous(len(main.lines), self._fractions())
        about = target_note(self.target, targets[0])
        notes = (*about, *left_out, *unused(len(main.lines), sum(counts.values()), "rows"))
        whole, start = series["train"], 0
        for part, count in counts.items():
            series[part], start = whole.take(slice(start, start + count)), start + count
        for part, one in series.items():
            self._require_rows(part, one)
        fitted = {
            name: NumericColumn.fit(name, values, self.standardize, "error")
            for name, values in series["train"].columns.items()
        }
        inputs, outputs = ([fitted[name] for name in which] for which in (columns, targets))
        parts = {part: self._examples(series[part], inputs, outputs) for part in PARTS if part in series}
        return Dataset(
            train=parts["train"],
            valid=parts.get("valid"),
            test=parts.get("test"),
            task="regression",
            classes=(),
            features=tuple(columns),
            preprocessing=Preprocessing(
                columns=tuple(inputs),
                missing=tuple(self.missing),
                targets=self._scale(outputs),
                window=self.steps,
                answers=tuple(targets),
            ),
            notes=notes,
        )

    def _targets(self, table: Table) -> list[str]:
        if isinstance(self.target, str | int):
            return [choose(table, self.target, "target")]
        return list(dict.fromkeys(choose(table, name, f"target.{i}") for i, name in enumerate(self.target)))

    def _columns(self, table: Table) -> tuple[list[str], tuple[str, ...]]:
        """The columns of x, and a note about those that are left out."""
        if self.columns is not None:
            return list(dict.fromkeys(choose(table, name, f"columns.{i}") for i, name in enumerate(self.columns))), ()
        columns = [name for name in table.names if self._is_numeric(table, name)]
        if not columns:
            raise DataError("there is no column of numbers", file=table.file)
        others = ", ".join(repr(name) for name in table.names if name not in columns)
        return columns, (f"left out, as they hold no numbers: {others}",) if others else ()

    def _is_numeric(self, table: Table, name: str) -> bool:
        return looks_numeric(table.columns[name], frozenset(self.missing))

    def _series(self, part: Part, table: Table, names: Iterable[str]) -> Series:
        """Some columns of a table, parsed; raises ColumnError for one that is absent, DataError for a bad cell."""
        columns = {}
        for name in names:
            choose(table, name, f"{part}_path")  # raises where a file lacks it
            if not self._is_numeric(table, name):
                raise DataError("this column holds text, a series is made of numbers", file=table.file, column=name)
            place = Place(table.file, table.lines, name)
            columns[name] = read_numbers(table.columns[name], self.missing, place, *BAD_CELL)
            require_present(columns[name].missing, place, MISSING_HINT)
        return Series(table.file, table.lines, columns)

    def _require_rows(self, part: Part, series: Series) -> None:
        """Raise SettingError for a split that is shorter than a window with its targets."""
        rows = len(series.lines)
        if rows < self.steps + self.horizon:
            raise SettingError(
                f"the {part} split has {rows:,} row{'s' * (rows != 1)}, too few for a window of "
                f"{self.steps:,} steps and {self.horizon:,} behind it: {self.steps + self.horizon:,} are needed",
                key="steps",
                file=series.file,
                hint="lower data.steps or data.horizon, or take other fractions in data.split",
            )

    def _examples(self, series: Series, inputs: Sequence[NumericColumn], outputs: Sequence[NumericColumn]) -> Examples:
        """The windows of a split and their targets."""
        windows = (len(series.lines) - self.steps - self.horizon) // self.stride + 1
        values = windows * (self.steps * len(inputs) + self.horizon * len(outputs))
        check_size(values * 4, self.max_bytes, series.file, "the windows")
        x, y = series.encode(inputs), series.encode(outputs)
        targets = sliding(y[self.steps :], self.horizon, self.stride)
        return Examples(sliding(x[: -self.horizon], self.steps, self.stride), targets.reshape(windows, -1))

    def _scale(self, targets: Sequence[NumericColumn]) -> Scale | None:
        """The scale of y, (horizon x targets,)."""
        if not self.standardize:
            return None
        mean, std = ([float(getattr(column.scale, name)) for column in targets] for name in ("mean", "std"))
        return Scale.of(np.tile(mean, self.horizon), np.tile(std, self.horizon))
