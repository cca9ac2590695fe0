"""How the rows of a file become the numbers that a model sees: fitted once, kept in the checkpoint.

    table: columns by name ──encode──▶ x float32 (rows, features)      numeric: fill, standardise; categorical: one-hot
    array                  ──encode──▶ x float32 (rows, ...)           standardise; or int64 ids as they are
    text                   ──vocabulary──▶ int64 ids
    series                 ──encode──▶ x float32 (rows - window + 1, window, features)      a table cut into windows

Everything is fitted on the training split. The value goes to JSON and back without losing a bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Place, text_of, texts
from flux_core.data.columns import CategoricalColumn, Column, NumericColumn
from flux_core.data.scale import Scale
from flux_core.data.sliding import sliding
from flux_core.data.vocabulary import Vocabulary
from flux_core.errors import CheckpointError, ColumnError, DataError

Table = Mapping[str, Sequence[object]]
LARGEST = np.iinfo(np.int64).max  # of ids


@dataclass(frozen=True)
class Preprocessing:
    """The fitted encoding; `columns` for tables, `inputs` for arrays, `vocabulary` for text, `targets` for regressions.

    With `window`, rows are a series, and each example is so many rows of it. `answers` are the columns of a table that
    hold what is predicted; () where the checkpoint is of a version that did not keep them.

    >>> columns = (CategoricalColumn("colour", ("blue", "red")), NumericColumn("size", Scale.of(2.0, 0.5)))
    >>> preprocessing = Preprocessing(columns=columns)
    >>> preprocessing.features
    ('colour=blue', 'colour=red', 'size')
    >>> x, notes = preprocessing.encode({"size": [3.0], "colour": ["red"]})
    >>> x.tolist()
    [[0.0, 1.0, 2.0]]
    >>> Preprocessing.from_json(preprocessing.to_json()) == preprocessing
    True
    """

    columns: tuple[Column, ...] = ()
    missing: tuple[str, ...] = ()
    inputs: Scale | None = None
    dtype: Literal["float32", "int64"] = "float32"
    targets: Scale | None = None
    classes: tuple[str, ...] = ()
    vocabulary: Vocabulary | None = None
    window: int | None = None
    answers: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns of x; () for arrays."""
        return tuple(name for column in self.columns for name in column.features)

    def encode(
        self,
        rows: Table | NDArray[Any],
        *,
        file: str | Path | None = None,
        lines: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[Any], tuple[str, ...]]:
        """New rows as the model's x, with notes; raises ColumnError for absent columns, DataError for bad cells.

        Cells are text as in a file, or numbers; None and nan are missing values. Extra columns are
        ignored. `file` and `lines` (rows,) are for messages.
        """
        if isinstance(rows, np.ndarray):
            return self.encode_array(rows, file=file), ()
        absent = [column.name for column in self.columns if column.name not in rows]
        if absent:
            names = ", ".join(repr(name) for name in absent)
            raise ColumnError(f"the model was trained with columns that are not here: {names}", file=file, key="path")
        sizes = {column.name: len(rows[column.name]) for column in self.columns}
        if len(set(sizes.values())) > 1:
            raise DataError(f"the columns differ in length: {sizes}", file=file)
        parsed = {}
        for column in self.columns:
            cells = [text_of(cell) for cell in rows[column.name]]
            parsed[column.name] = column.parse(cells, self.missing, Place(file, lines, column.name))
        x, notes = self.encode_columns(parsed, Place(file, lines), "this data")
        if self.window is None:
            return x, notes
        if len(x) < self.window:
            raise DataError(f"{len(x)} rows are too few, the model reads {self.window} at once", file=file)
        return sliding(x, self.window), notes

    def encode_columns(
        self, parsed: Mapping[str, Any], place: Place, where: str
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Parsed columns as x; `where` names the rows in notes ("the valid split")."""
        x = np.empty((0, 0), np.float32)
        notes: list[str] = []
        at = 0
        for column in self.columns:
            block, found = column.encode(parsed[column.name], replace(place, column=column.name), where)
            if not at:
                x = np.empty((len(block), len(self.features)), np.float32)
            x[:, at : at + block.shape[1]] = block
            at += block.shape[1]
            notes += found
        return x, tuple(notes)

    def encode_array(
        self, x: NDArray[Any], *, file: str | Path | None = None, name: str = "x", first: int = 0
    ) -> NDArray[Any]:
        """An array as x: ids stay int64, everything else becomes finite float32; `first` is the number of its row 0."""
        if self.dtype == "int64":
            check_ids(x, file, name, first)
            return x.astype(np.int64)
        x = x[:, None] if x.ndim == 1 else x  # one number a row is one feature
        if self.inputs is not None and self.inputs.mean.ndim and x.shape[1:] != self.inputs.mean.shape:
            raise DataError(
                f"a row of {name!r} has shape {x.shape[1:]}, the model was trained with {self.inputs.mean.shape}",
                file=file,
            )
        check_finite(x, file, name, first)
        with np.errstate(over="ignore"):
            encoded = x.astype(np.float32) if self.inputs is None else self.inputs.apply(x)
        check_finite(encoded, file, name, first)
        return encoded

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values; floats are exact, as JSON writes the shortest text that reads back equal."""
        return {
            "columns": [column.to_json() for column in self.columns],
            "missing": list(self.missing),
            "inputs": None if self.inputs is None else self.inputs.to_json(),
            "dtype": self.dtype,
            "targets": None if self.targets is None else self.targets.to_json(),
            "classes": list(self.classes),
            "vocabulary": None if self.vocabulary is None else self.vocabulary.to_json(),
            "window": self.window,
            "answers": list(self.answers),
        }

    @classmethod
    def from_json(cls, data: Any) -> Preprocessing:
        """The value that `to_json` wrote; raises CheckpointError for anything else."""
        try:
            data = {"answers": [], **data}
            if set(data) != set(cls().to_json()) or data["dtype"] not in ("float32", "int64"):
                raise ValueError("unknown or absent keys")
            return cls(
                columns=tuple(_column(column) for column in data["columns"]),
                missing=texts(data["missing"]),
                inputs=None if data["inputs"] is None else Scale.from_json(data["inputs"]),
                dtype=data["dtype"],
                targets=None if data["targets"] is None else Scale.from_json(data["targets"]),
                classes=texts(data["classes"]),
                vocabulary=None if data["vocabulary"] is None else Vocabulary.from_json(data["vocabulary"]),
                window=_window(data["window"]),
                answers=texts(data["answers"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(f"the preprocessing in the checkpoint is damaged: {error}") from None


def _window(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise ValueError(f"{value!r} is no length of a window")
    return value


def _column(data: dict[str, Any]) -> Column:
    kinds: dict[str, type[NumericColumn] | type[CategoricalColumn]] = {
        "numeric": NumericColumn,
        "categorical": CategoricalColumn,
    }
    return kinds[data["kind"]].from_json(data)


def check_ids(x: NDArray[Any], file: str | Path | None, name: str, first: int = 0) -> None:
    """Raise DataError where an array does not hold ids, with the index of the first number that is none."""
    what = f"array {name!r} does not hold ids: whole numbers from 0"
    if x.dtype.kind not in "iu":
        raise DataError(what, file=file)
    if x.size and (int(x.min()) < 0 or int(x.max()) > LARGEST):
        raise DataError(f"{what}; there is {place_of((x < 0) | (x > LARGEST), x, first)}", file=file)


def place_of(which: NDArray[np.bool_], x: NDArray[Any], first: int = 0) -> str:
    """The first of some values of an array, whose row 0 has the number `first`, and its index.

    >>> place_of(np.array([False, True]), np.array([4, -2]), 100)
    '-2 at [101]'
    """
    index = [int(i) for i in np.argwhere(which)[0]]
    return f"{x[tuple(index)]} at {[first + index[0], *index[1:]]}"


def check_finite(x: NDArray[Any], file: str | Path | None, name: str, first: int = 0) -> None:
    """Raise DataError with the index of the first nan or infinity of an array, whose row 0 has the number `first`."""
    if x.dtype.kind != "f" or bool(np.isfinite(x).all()):
        return
    raise DataError(
        f"array {name!r} holds {place_of(~np.isfinite(x), x, first)}; every value must be a finite float32",
        file=file,
        hint="remove or replace such values before training",
    )
