"""Tables of text: numeric and categorical columns, one of them the target.

    Table ──choose columns, drop rows without a target──▶ parse ──cut──▶ fit on training rows ──▶ Dataset

A column is numeric if more than half of its cells that are not missing spell numbers; then every other cell is
an error. `columns` decides otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from flux_core.data.assemble import Targets, cut, dataset, fit_targets, read_targets
from flux_core.data.cells import MISSING, Numbers, Place, Words, looks_numeric, read_numbers, read_words
from flux_core.data.columns import CategoricalColumn, Column, NumericColumn, OnMissing, require_present
from flux_core.data.dataset import Dataset, Peek, Task
from flux_core.data.files import MAX_BYTES, check_size
from flux_core.data.kept import kept_dataset, question_about
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.split import Part
from flux_core.data.table import Table
from flux_core.data.tables import TableFiles, choose, lacking, misnamed, target_note
from flux_core.errors import ColumnError, DataError, SettingError

if TYPE_CHECKING:
    from flux_core.data.new import Gives, NewData

Kind = Literal["numeric", "categorical"]
BAD_CELL = "correct the cell, add it to data.missing, or make the column categorical in data.columns"
FORMAT = 3  # goes up when the same table begins to mean other values


@dataclass(frozen=True)
class Parsed:
    """One file, parsed: its features, its target, and where they stand; rows without a target are gone."""

    features: dict[str, Numbers | Words]
    target: NDArray[np.float64] | Words
    place: Place
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CsvSource(TableFiles):
    """Text tables; `target` is a column's name or its index, negative from the end (the default is the last), which
    the training file makes a name.

    `features` lists the columns to use, or `ignore` those to leave out. `on_missing` says what stands in for a
    missing cell: the column's mean, median or mode (categories: always the mode), or with `indicator` the mean
    (categories: zeros) and one more column that is 1 where the cell was missing. Where no training row lacks the
    value, there is no such column, and the mean or mode stands in alone.
    """

    path: str | Path | None = None
    train_path: str | Path | None = None
    valid_path: str | Path | None = None
    test_path: str | Path | None = None
    target: str | int = -1
    header: bool = True
    delimiter: str = ","
    features: Sequence[str | int] | None = None
    ignore: Sequence[str | int] = ()
    columns: Mapping[str, Kind] | None = None
    missing: Sequence[str] = MISSING
    on_missing: OnMissing = "error"
    split: Mapping[str, float] | None = None
    standardize: bool = True
    task: Task | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n\0':
            raise ValueError(f"the delimiter is {self.delimiter!r}, it must be one character and no quote")
        if self.features is not None and self.ignore:
            raise ValueError("give features or ignore, not both")
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read and encode, or map what was read before where it is large.

        Raises MissingFile, ColumnError (a column that is not there) or DataError with file, row and column.
        """
        paths = self._paths()
        question = question_about(self, FORMAT, paths, seed, task)
        return kept_dataset(paths["train"], question, lambda: self._load(seed, task))

    def _load(self, seed: int, task: Task | None) -> Dataset:
        parsed = self._parse(self.task or task)
        targets = self._targets(parsed, self.task or task)
        cuts, notes = cut(targets, self._fractions(), seed=seed)
        train = cuts["train"].rows
        main = parsed["train"]
        preprocessing = Preprocessing(
            columns=tuple(self._fit(name, values.take(train), main) for name, values in main.features.items()),
            missing=tuple(self.missing),
            targets=fit_targets(targets, cuts["train"], standardize=self.standardize),
            classes=targets.classes,
            answers=(str(main.place.column),),
        )
        about = target_note(self.target, str(main.place.column))
        all_notes = [*about, *(note for one in parsed.values() for note in one.notes), *notes]
        xs = {}
        for part, piece in cuts.items():
            source = parsed[piece.file]
            size = len(piece.rows) * len(preprocessing.features) * 4
            check_size(size, self.max_bytes, Path(str(source.place.file)), "the encoded table")
            assert source.place.lines is not None  # tables always have lines
            place = replace(source.place, lines=source.place.lines[piece.rows])
            rows = {name: values.take(piece.rows) for name, values in source.features.items()}
            xs[part], found = preprocessing.encode_columns(rows, place, f"the {part} split")
            all_notes += found
        return dataset(xs, targets, cuts, preprocessing, all_notes)

    def misnamed(self) -> Sequence[SettingError]:
        """The names of columns that the training file lacks, where `load` stops at the first; if there is none, the
        columns that another file lacks."""
        asked: list[tuple[str | int, str]] = [(self.target, "target")]
        for key, names in (("features", self.features or ()), ("ignore", self.ignore)):
            asked += [(name, f"{key}.{i}") for i, name in enumerate(names)]
        asked += [(name, f"columns.{name}") for name in self.columns or ()]
        tables = self._tables()
        main = tables["train"]
        if found := list(misnamed(main, asked)):
            return found
        target = choose(main, self.target, "target")
        try:
            return list(lacking(tables, (*self._features(main, target), target)))
        except SettingError as error:  # the target among the features, or none of them
            return [error]

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """By loading: only the training rows say how many categories a column has."""
        data = self.load(seed=seed, task=task)
        classes = len(data.classes) if data.task == "classification" else None
        return Peek(data.train.x.shape[1:], "float32", classes, data.task, data.train.y.shape[1:], names=data.classes)

    def read_new(self, path: Path, preprocessing: Preprocessing) -> NewData:
        """The rows of another table, which need not have the target."""
        return self._new(path, preprocessing)[1]

    def read_answered(self, path: Path, preprocessing: Preprocessing, gives: Gives) -> Dataset:
        """The rows that have a target."""
        from flux_core.data.new import of_this_file
        from flux_core.data.new_tables import answered_rows

        table, new = self._new(path, preprocessing)
        with of_this_file():  # an index means another column where there are more of them
            target = choose(table, next(iter(preprocessing.answers), self.target), "target")
        return answered_rows(new, table, target, preprocessing, gives)

    def _parse(self, task: Task | None) -> dict[Part, Parsed]:
        tables = self._tables()
        main = tables["train"]
        target = choose(main, self.target, "target")
        features = self._features(main, target)
        said = ", and data.columns makes this column numeric"
        kinds = {choose(main, name, f"columns.{name}"): (kind, said) for name, kind in (self.columns or {}).items()}
        for error in lacking(tables, (*features, target)):
            raise error
        return {part: self._parse_table(table, features, target, kinds) for part, table in tables.items()}

    def _features(self, table: Table, target: str) -> list[str]:
        if self.features is None:
            ignored = {choose(table, name, f"ignore.{i}") for i, name in enumerate(self.ignore)}
            features = [name for name in table.names if name != target and name not in ignored]
        else:
            features = [choose(table, name, f"features.{i}") for i, name in enumerate(self.features)]
            if target in features:
                raise ColumnError(
                    f"{target!r} is the target, so it cannot be a feature",
                    file=table.file,
                    key=f"features.{features.index(target)}",
                )
        if not features and len(table.names) > 1:
            raise SettingError(
                f"no column is left besides the target {target!r}",
                key="ignore" if self.features is None else "features",
                file=table.file,
            )
        if not features:
            raise DataError(
                f"there are no columns besides the target {target!r}",
                file=table.file,
                hint="data.delimiter says what separates columns",
            )
        return list(dict.fromkeys(features))

    def _parse_table(
        self, table: Table, features: list[str], target: str, kinds: dict[str, tuple[Kind, str]]
    ) -> Parsed:
        """The main table comes first, and adds the `kinds` that were not chosen; each with what makes it so."""

        def parse(name: str) -> Numbers | Words:
            cells = table.columns[name]
            if name in kinds:
                kind, why = kinds[name]
            else:
                kind = "numeric" if looks_numeric(cells, frozenset(self.missing)) else "categorical"
                why = ", and most of this column is"
                kinds[name] = kind, ", and in the training file this column is numeric"
            if kind == "categorical":
                return read_words(cells, self.missing)
            return read_numbers(cells, self.missing, Place(table.file, table.lines, name), why, BAD_CELL)

        values = parse(target)
        rows = np.flatnonzero(~values.missing)
        if not len(rows):
            raise DataError("no row has a value here", file=table.file, column=target)
        kept = values.take(rows)
        y = kept.values if isinstance(kept, Numbers) else kept
        place = Place(table.file, table.lines[rows], target)
        parsed = {name: parse(name).take(rows) for name in features}
        if self.on_missing == "error":
            for name, column in parsed.items():
                require_present(column.missing, replace(place, column=name))
        return Parsed(parsed, y, place, self._notes(table, len(table.lines) - len(rows)))

    def _targets(self, parsed: Mapping[Part, Parsed], task: Task | None) -> Targets:
        return read_targets(
            {part: one.target for part, one in parsed.items()},
            {part: one.place for part, one in parsed.items()},
            task,
        )

    def _fit(self, name: str, train: Numbers | Words, main: Parsed) -> Column:
        if train.missing.all():
            raise DataError(
                "no value in the training split", file=main.place.file, column=name, hint="put it into data.ignore"
            )
        if isinstance(train, Numbers):
            return NumericColumn.fit(name, train, self.standardize, self.on_missing)
        return CategoricalColumn.fit(name, train, self.on_missing)

    def _notes(self, table: Table, dropped: int) -> tuple[str, ...]:
        notes = []
        if dropped:
            rows = "1 row" if dropped == 1 else f"{dropped} rows"
            notes.append(f"{table.file.name}: {rows} without a target dropped")
        # names such as 5.1 are values; 0, 1, 2, ... are how pixels and the like are named
        if self.header and looks_numeric(table.names, ()) and not all(map(str.isdigit, table.names)):
            notes.append(f"{table.file.name}: the header looks like a row of data; if it is, set data.header to false")
        return tuple(notes)
