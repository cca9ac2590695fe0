"""How one column of a table becomes columns of x.

    numeric      x = (value - mean) / std        a missing cell: `fill` stands in
    categorical  one column of 0 and 1 for each category of the training split; an unseen one: all zeros
    indicator    one more column, 1 where the cell was missing, if the training split has such cells

`fill` is None where missing cells are errors (`on_missing: error`), and of categories beside an indicator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Numbers, Place, Words, finite, named, read_numbers, read_words, shown, texts
from flux_core.data.scale import Scale

OnMissing = Literal["error", "mean", "median", "mode", "indicator"]
Block = tuple[NDArray[np.float32], tuple[str, ...]]
MISSING_HINT = "set data.on_missing to mean, median, mode or indicator, or put the column into data.ignore"
NEW_HINT = "fill the cell, or train with data.on_missing: mean, median, mode or indicator"
UNSCALED = Scale.of(0.0, 1.0)


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers.

    >>> column = NumericColumn.fit("a", Numbers(np.array([1.0, 3.0, np.nan])), True, "indicator")
    >>> column.encode(Numbers(np.array([5.0, np.nan])), Place(), "this data")[0].tolist()
    [[3.0, 0.0], [0.0, 1.0]]
    """

    name: str
    scale: Scale = UNSCALED
    fill: float | None = None
    indicator: bool = False

    @classmethod
    def fit(cls, name: str, values: Numbers, standardize: bool, on_missing: OnMissing) -> NumericColumn:
        """Fit to the training split, which holds some value."""
        present = values.values[~values.missing]
        center: dict[OnMissing, Any] = {"median": np.median, "mode": _mode}
        scale = Scale.fit(present)
        fill = None
        if on_missing != "error":
            fill = float(center[on_missing](present)) if on_missing in center else float(scale.mean)
        return cls(name, scale if standardize else UNSCALED, fill, _is_indicated(values.missing, on_missing))

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def parse(self, cells: Sequence[str | None], marks: Sequence[str], place: Place) -> Numbers:
        """Cells as numbers."""
        return read_numbers(cells, marks, place, ", and the model has learnt numbers from this column")

    def encode(self, values: Numbers, place: Place, where: str) -> Block:
        """float32 (rows, features); raises DataError for a missing cell without `fill`, or one too large."""
        missing = values.missing
        if self.fill is None:
            require_present(missing, place, NEW_HINT)  # rows to train on were looked at before
            filled = values.values
        else:
            filled = np.where(missing, self.fill, values.values)
        x = self.scale.apply(filled)
        if not np.isfinite(x).all():
            index = int(np.argmin(np.isfinite(x)))
            raise place.error(f"{float(filled[index])!r} is too large for float32", index)
        if self.indicator:
            return np.stack([x, missing.astype(np.float32)], axis=1), ()
        return x[:, None], ()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "numeric",
            "name": self.name,
            "scale": self.scale.to_json(),
            "fill": self.fill,
            "indicator": self.indicator,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NumericColumn:
        (name,) = texts([data["name"]])
        fill = None if data["fill"] is None else finite(data["fill"])
        return cls(name, Scale.from_json(data["scale"]), fill, data["indicator"] is True)


@dataclass(frozen=True)
class CategoricalColumn:
    """A column of categories, known from the training split.

    >>> column = CategoricalColumn.fit("a", read_words(["x", "y", "x"], ()), "error")
    >>> x, notes = column.encode(read_words(["y", "z"], ()), Place(), "the test split")
    >>> x.tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    >>> notes
    ("column 'a': 1 row of the test split has a category that training never saw ('z'): encoded as zeros",)
    """

    name: str
    categories: tuple[str, ...]
    fill: str | None = None
    indicator: bool = False

    @classmethod
    def fit(cls, name: str, words: Words, on_missing: OnMissing) -> CategoricalColumn:
        """Fit to the training split, which holds some value; means and medians of categories are their mode, the most
        frequent one, and beside an indicator all zeros stand in."""
        counts = np.bincount(words.codes[~words.missing], minlength=len(words.vocabulary))
        categories = tuple(word for word, count in zip(words.vocabulary, counts, strict=True) if count)
        indicator = _is_indicated(words.missing, on_missing)
        fill = None if on_missing == "error" or indicator else words.vocabulary[int(np.argmax(counts))]
        return cls(name, categories, fill, indicator)

    @property
    def features(self) -> tuple[str, ...]:
        names = tuple(f"{self.name}={category}" for category in self.categories)
        return (*names, f"{self.name} is missing") if self.indicator else names

    def parse(self, cells: Sequence[str | None], marks: Sequence[str], place: Place) -> Words:
        """Cells as codes; those of whole numbers may have become floats."""
        words, known = read_words(cells, marks), frozenset(self.categories)
        return Words(words.codes, tuple(named(word, known) for word in words.vocabulary))

    def encode(self, words: Words, place: Place, where: str) -> Block:
        """float32 (rows, features); raises DataError for a missing cell where that is an error."""
        missing = words.missing
        if self.fill is None and not self.indicator:
            require_present(missing, place, NEW_HINT)  # rows to train on were looked at before
        position = {category: i for i, category in enumerate(self.categories)}
        # the last entry, found by code -1, is for missing cells
        words_to = [position.get(word, -1) for word in words.vocabulary]
        words_to.append(-1 if self.fill is None else position[self.fill])
        columns = np.array(words_to, np.int64)[words.codes]
        x = np.zeros((len(columns), len(self.features)), np.float32)
        known = np.flatnonzero(columns >= 0)
        x[known, columns[known]] = 1.0
        if self.indicator:
            x[missing, -1] = 1.0
        return x, self._notes(words, columns, where)

    def _notes(self, words: Words, columns: NDArray[np.int64], where: str) -> tuple[str, ...]:
        unseen = words.codes[(columns < 0) & ~words.missing]
        if not len(unseen):
            return ()
        examples = ", ".join(shown(words.vocabulary[code]) for code in np.unique(unseen)[:3])
        rows = "1 row" if len(unseen) == 1 else f"{len(unseen)} rows"
        verb = "has" if len(unseen) == 1 else "have"
        return (
            f"column {self.name!r}: {rows} of {where} {verb} a category that training never saw ({examples}): "
            "encoded as zeros",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "categorical",
            "name": self.name,
            "categories": list(self.categories),
            "fill": self.fill,
            "indicator": self.indicator,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CategoricalColumn:
        (name,) = texts([data["name"]])
        categories = texts(data["categories"])
        if data["fill"] is not None and data["fill"] not in categories:
            raise ValueError(f"{data['fill']!r} is no category of column {name!r}")
        return cls(name, categories, data["fill"], data["indicator"] is True)


Column = NumericColumn | CategoricalColumn


def require_present(missing: NDArray[np.bool_], place: Place, hint: str = MISSING_HINT) -> None:
    """Raise DataError at the first missing cell."""
    if missing.any():
        count = int(missing.sum())
        others = f" ({count} cells of this column are)" if count > 1 else ""
        raise place.error(f"the value is missing{others}", int(np.argmax(missing)), hint)


def _is_indicated(missing: NDArray[np.bool_], on_missing: OnMissing) -> bool:
    """Where no cell of the training split is missing, an indicator would be a constant."""
    return on_missing == "indicator" and bool(missing.any())


def _mode(values: NDArray[np.float64]) -> float:
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[np.argmax(counts)])
