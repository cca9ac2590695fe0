"""What is suspicious in a data set before anything is trained on it, and what a model must beat.

    Dataset ──▶ shared rows │ constant columns │ identifiers │ leaks │ imbalance │ the source's own notes
            ──▶ Baseline("test.accuracy", 0.7592, "always '<=50K'")

A finding may be right as it is: these are doubts, not errors. Columns are looked at one by one, and what needs
sorting looks at some tens of thousands of rows only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flux_core.data.baseline import Baseline, baseline
from flux_core.data.cells import shown
from flux_core.data.dataset import Dataset
from flux_core.data.leaks import leaks
from flux_core.data.shared_rows import shared_rows
from flux_core.data.views import Column, columns_of, limits

IMBALANCE = 20  # rows of the largest class for each row of the smallest
MOST_NAMES = 5  # in one sentence


@dataclass(frozen=True)
class Finding:
    """A doubt: its kind, the key of `data` that it concerns, what was found, and what could be done."""

    kind: str
    key: str
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Audit:
    """The findings, and the baseline."""

    findings: tuple[Finding, ...]
    baseline: Baseline


def audit(data: Dataset) -> Audit:
    """Look at a data set from all sides."""
    found = [*_notes(data), *_shared(data), *_constants(data), *_identifiers(data), *_leaks(data), *_imbalance(data)]
    return Audit(tuple(found), baseline(data))


def _notes(data: Dataset) -> Iterator[Finding]:
    yield from (Finding("note", "path", note) for note in data.notes)


def _shared(data: Dataset) -> Iterator[Finding]:
    for part, other, count, size in shared_rows(data):
        rows = f"{count:,} of {size:,} rows of the {part} split {'is' if count == 1 else 'are'}"
        hint = f"the {part} split looks better than it is: remove doubled rows from the file"
        yield Finding("shared_rows", "split", f"{rows} also in the {other} split, answer and all", hint)


def _constants(data: Dataset) -> Iterator[Finding]:
    columns = columns_of(data)
    if not columns:
        return
    low, high = limits(data)
    flat = [column.name for column in columns if (low[column.where] == high[column.where]).all()]
    if flat:
        what = f"{'column' if len(flat) == 1 else f'{len(flat)} columns'}: the same value in every row to train on"
        yield Finding("constant", "ignore", f"{what} ({_list(flat)})", _leave_out(data, flat))


def _identifiers(data: Dataset) -> Iterator[Finding]:
    if data.train.x.ndim != 2:  # in a series rows have an order, and a column may tell it
        return
    named = [column.name for column in columns_of(data) if _names_rows(column, data)]
    if named:
        what = "column looks like the name or number of a row" if len(named) == 1 else "columns name rows"
        yield Finding("identifier", "ignore", f"{what}: {_list(named)}", _leave_out(data, named))


def _names_rows(column: Column, data: Dataset) -> bool:
    """Almost as many categories as rows; or whole numbers, all different, in the order of the rows or without gaps."""
    rows = len(data.train)
    if rows < 20 or column.where.stop - column.where.start > 1:
        return rows >= 20 and column.categories >= 0.9 * rows
    if column.scale is None:
        return False
    values = column.scale.restore(data.train.part(slice(None))[0][:, column.where.start])
    whole = np.rint(values)
    # a column was rounded to float32 as a multiple of its deviation
    if (np.abs(values - whole) > 1e-6 * float(column.scale.std) + 1e-3).any():
        return False
    steps = np.diff(whole)
    if (steps > 0).all() or (steps < 0).all():
        return True
    return len(np.unique(whole)) == rows and whole.max() - whole.min() < 2 * rows


def _leaks(data: Dataset) -> Iterator[Finding]:
    for name, words in leaks(data):
        hint = "is it known before the answer is? if not, put it into data.ignore"
        yield Finding("leak", "target", f"column {shown(name)} alone tells the target: {words}", hint)


def _imbalance(data: Dataset) -> Iterator[Finding]:
    y = data.train.part(slice(None))[1]
    if data.task != "classification" or y.ndim != 1 or len(data.classes) < 2:
        return
    counts = np.bincount(y, minlength=len(data.classes))
    most, least = int(counts.argmax()), int(np.where(counts, counts, len(y)).argmin())
    if counts[most] >= IMBALANCE * counts[least]:
        rows = "1 row" if counts[least] == 1 else f"{counts[least]:,} rows"
        text = (
            f"class {shown(data.classes[least])} has {rows} to train on, "
            f"class {shown(data.classes[most])} has {counts[most]:,}"
        )
        yield Finding("imbalance", "target", text, "accuracy hardly shows how the small class does")


def _list(names: list[str]) -> str:
    return ", ".join(map(shown, names[:MOST_NAMES])) + (", ..." if len(names) > MOST_NAMES else "")


def _leave_out(data: Dataset, names: list[str]) -> str | None:
    """Only tables have columns that can be left out."""
    return f"data.ignore: [{_list(names)}]" if data.preprocessing.columns else None
