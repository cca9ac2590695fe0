"""From raw targets to a Dataset: the part that all sources share.

    raw y of each file ──read_targets──▶ Targets ──cut──▶ rows of each part ──dataset──▶ Dataset
                            task, classes          split                   y encoded

Label order: numbers ascend, text is sorted. The classes are those of all files, the scale of a regression's
targets comes from the training split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Place, Words, shown
from flux_core.data.dataset import Dataset, Examples, Task
from flux_core.data.preprocessing import LARGEST, Preprocessing
from flux_core.data.scale import Scale
from flux_core.data.split import Part, split_rows, unused
from flux_core.errors import DataError, SettingError

REGRESSION_HINT = "for numbers to be predicted, set data.task: regression and a loss such as mse"


@dataclass(frozen=True)
class Targets:
    """What y means, and its values for each file: int64 labels (rows,) or float64 (rows, targets).

    Where each step of a sequence has a target, values have an axis of steps more, and `real` says for each file which
    steps are no padding; else `real` is empty. `lengths` are those of each file's sequences, if they have any.
    """

    task: Task
    classes: tuple[str, ...]
    values: Mapping[Part, NDArray[Any]]
    real: Mapping[Part, NDArray[np.bool_]] = field(default_factory=dict)
    lengths: Mapping[Part, NDArray[np.int64]] = field(default_factory=dict)

    def of(self, piece: Cut) -> NDArray[Any]:
        """The targets of one part, those of real steps one behind the other."""
        y = self.values[piece.file][piece.rows]
        return np.asarray(y[self.real[piece.file][piece.rows]] if self.real else y)


@dataclass(frozen=True)
class Cut:
    """One part of the data: `rows` of the file that is listed under `file`."""

    file: Part
    rows: NDArray[np.int64]


def read_targets(ys: Mapping[Part, NDArray[Any] | Words], places: Mapping[Part, Place], task: Task | None) -> Targets:
    """Decide the task (text and integers are classes, floats are numbers, unless `task` says) and the classes.

    >>> targets = read_targets({"train": np.array([7, 3, 7])}, {"train": Place()}, None)
    >>> targets.task, targets.classes, targets.values["train"].tolist()
    ('classification', ('3', '7'), [1, 0, 1])

    Raises DataError with file, row and column for what is no answer, SettingError where another task would take it.
    """
    first = ys["train"]
    numeric = not isinstance(first, Words) and first.dtype.kind == "f"
    own: Task = "regression" if numeric else "classification"
    try:
        return _numeric(ys, places) if (task or own) == "regression" else _classes(ys, places)
    except DataError as error:
        if task in (None, own):
            raise
        raise SettingError(
            error.reason, key="task", file=error.file, row=error.row, column=error.column, hint=error.hint
        ) from None


def _numeric(ys: Mapping[Part, NDArray[Any] | Words], places: Mapping[Part, Place]) -> Targets:
    return Targets("regression", (), {name: _numbers(y, places[name]) for name, y in ys.items()})


def _classes(ys: Mapping[Part, NDArray[Any] | Words], places: Mapping[Part, Place]) -> Targets:
    texts, numbers = {}, {}
    for name, y in ys.items():
        labels = _labels(y, places[name])
        if isinstance(labels, Words):
            texts[name] = labels
        else:
            numbers[name] = labels
    if texts and numbers:
        raise DataError(
            "the labels are text in one file and numbers in another",
            file=places["train"].file,
            column=places["train"].column,
        )
    classes, codes = _coded_texts(texts) if texts else _coded_numbers(numbers)
    return Targets("classification", classes, codes)


Coded = tuple[tuple[str, ...], dict[Part, NDArray[np.int64]]]


def _coded_texts(labels: Mapping[Part, Words]) -> Coded:
    """The classes, and which of them each row has."""
    classes = tuple(sorted({name for words in labels.values() for name in words.vocabulary}))
    index = {name: i for i, name in enumerate(classes)}
    codes = {
        part: np.array([index[name] for name in words.vocabulary], np.int64)[words.codes]
        for part, words in labels.items()
    }
    return classes, codes


def _coded_numbers(labels: Mapping[Part, NDArray[Any]]) -> Coded:
    """The same for whole numbers."""
    distinct = _distinct(np.concatenate(list(labels.values())))
    codes = {part: np.searchsorted(distinct, y).astype(np.int64) for part, y in labels.items()}
    return tuple(map(str, distinct.tolist())), codes


def _distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The different values, in order; `np.unique` would import masked arrays, a fortieth of the time to start."""
    ordered: NDArray[Any] = np.sort(values)
    new: NDArray[np.bool_] = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return np.asarray(ordered[new])


def cut(targets: Targets, fractions: Mapping[Part, float], *, seed: int) -> tuple[dict[Part, Cut], tuple[str, ...]]:
    """Which rows make each part, and notes about empty parts, unused rows and classes without training rows."""
    main = targets.values["train"]
    labels = main if targets.task == "classification" and not targets.real else None
    rows = split_rows(len(main), fractions, seed=seed, labels=labels)
    cuts = {name: Cut("train", numbers) for name, numbers in rows.items()}
    cuts |= {name: Cut(name, np.arange(len(y))) for name, y in targets.values.items() if name != "train"}
    if not len(cuts["train"].rows):
        raise DataError(f"{len(main)} rows are too few: none is left to train on")
    notes = [f"the {name} split got none of {len(main)} rows" for name, part in cuts.items() if not len(part.rows)]
    notes += unused(len(main), sum(len(numbers) for numbers in rows.values()), "rows")
    if targets.task == "classification":
        trained = np.bincount(targets.of(cuts["train"]), minlength=len(targets.classes))
        names = [name for name, count in zip(targets.classes, trained, strict=True) if not count]
        if names:
            notes.append(f"no row to train on for class {', '.join(shown(name) for name in names[:5])}")
    return {name: part for name, part in cuts.items() if len(part.rows)}, tuple(notes)


def fit_targets(targets: Targets, train: Cut, *, standardize: bool) -> Scale | None:
    """The scale of a regression's targets; None for classes, or without standardisation."""
    if targets.task == "classification" or not standardize:
        return None
    return Scale.fit(targets.of(train))


def dataset(
    xs: Mapping[Part, NDArray[Any]],
    targets: Targets,
    cuts: Mapping[Part, Cut],
    preprocessing: Preprocessing,
    notes: Sequence[str],
    *,
    shared: bool = False,
) -> Dataset:
    """Put x and y of every part together; with `shared`, `xs` are the whole files, and parts are rows of them."""
    scale = preprocessing.targets

    def encoded(y: NDArray[Any]) -> NDArray[Any]:
        if targets.task == "classification":
            return y
        return y.astype(np.float32) if scale is None else scale.apply(y)

    ys = {file: encoded(y) for file, y in targets.values.items()} if shared else {}

    def part(name: Part) -> Examples | None:
        if name not in cuts:
            return None
        file, rows = cuts[name].file, cuts[name].rows
        if not shared:
            lengths = targets.lengths[file][rows] if targets.lengths else None
            return Examples(xs[name], encoded(targets.values[file][rows]), lengths=lengths)
        # rows ascend: as many as there are, they are all of them
        return Examples(xs[file], ys[file], None if len(rows) == len(xs[file]) else rows)

    train = part("train")
    assert train is not None  # `cut` refuses an empty training split
    return Dataset(
        train=train,
        valid=part("valid"),
        test=part("test"),
        task=targets.task,
        classes=targets.classes,
        features=preprocessing.features,
        preprocessing=preprocessing,
        notes=tuple(notes),
    )


def _numbers(y: NDArray[Any] | Words, place: Place) -> NDArray[np.float64]:
    if isinstance(y, Words) or y.dtype.kind not in "biuf":
        raise DataError(
            f"the target holds {_kind(y)}, a regression needs numbers",
            file=place.file,
            column=place.column,
            hint="set data.task: classification, or choose a numeric target",
        )
    numbers = y.astype(np.float64)
    with np.errstate(over="ignore"):
        _require(np.isfinite(numbers.astype(np.float32)), y, "is not a finite float32", place, None)
    return numbers.reshape(len(y), -1)


def _labels(y: NDArray[Any] | Words, place: Place) -> NDArray[np.int64] | Words:
    """Labels as text or integers, (rows,)."""
    if isinstance(y, Words):
        return y
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"the labels have shape {y.shape}, a classification needs one label a row",
            file=place.file,
            column=place.column,
            hint=f"one-hot labels become numbers with y.argmax(axis=1); {REGRESSION_HINT}",
        )
    if y.dtype.kind == "S":
        y = np.asarray(np.char.decode(y, "utf-8", "replace"))
    if y.dtype.kind == "U":
        distinct = _distinct(y)
        return Words(np.searchsorted(distinct, y).astype(np.int64), tuple(distinct.tolist()))
    if y.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(y) & (np.abs(y) < 2.0**53) & (y == np.floor(y))
        _require(whole, y, "is no label of a class: labels are whole numbers or text", place, REGRESSION_HINT)
    if y.dtype.kind == "u":
        _require(y <= LARGEST, y, f"is too large for the label of a class: {LARGEST} is the largest", place, None)
    return y.astype(np.int64)


def _require(good: NDArray[np.bool_], y: NDArray[Any], message: str, place: Place, hint: str | None) -> None:
    if not good.all():
        index = np.unravel_index(int(np.argmin(good)), good.shape)
        raise place.error(f"{y[index]} {message}", int(index[0]), hint)


def _kind(y: NDArray[Any] | Words) -> str:
    return "text" if isinstance(y, Words) or y.dtype.kind in "US" else f"values of type {y.dtype}"
