"""Datasets from arrays: what npz, npy, idx and synthetic sources share.

    Raw x (rows, ...) of each file, Targets ──cut, fit on training rows, encode──▶ Dataset

Small arrays are cut into one array for each split. Large ones are encoded whole, into a file (`large`), and the
splits are rows of it. Two axes are standardised column by column; more axes (images) with one mean and deviation
for everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.assemble import Targets, cut, dataset, fit_targets
from flux_core.data.chunks import is_large
from flux_core.data.dataset import Dataset, MappedFile, Source
from flux_core.data.large import encode_large, fit_large, large_ids
from flux_core.data.lengths import real_steps
from flux_core.data.preprocessing import Preprocessing, check_finite, check_ids
from flux_core.data.raw import Raw
from flux_core.data.scale import Scale
from flux_core.data.split import Part
from flux_core.errors import DataError

if TYPE_CHECKING:
    from flux_core.data.new import Gives, NewData


class ReadsArrays:
    """How a source whose arrays have no names reads new files."""

    def read_new(self: Source, path: Path, preprocessing: Preprocessing) -> NewData:
        """The examples of an archive, a .npy or an idx file."""
        from flux_core.data.new_arrays import new_arrays

        return new_arrays(path, preprocessing, limit=self.max_bytes)

    def read_answered(self: Source, path: Path, preprocessing: Preprocessing, gives: Gives) -> Dataset:
        """The examples of an archive with its targets."""
        from flux_core.data.new_arrays import answered_arrays

        return answered_arrays(self.read_new(path, preprocessing), preprocessing, gives, limit=self.max_bytes)


def array_dataset(
    xs: Mapping[Part, Raw],
    targets: Targets,
    *,
    fractions: Mapping[Part, float],
    seed: int,
    standardize: bool | None,
    ids: bool = False,
    unit: float = 1.0,
    name: str = "x",
) -> Dataset:
    """Cut, fit and encode; `standardize` None means floats with two axes; else x is divided by `unit`.

    Raises DataError for arrays that do not fit each other, values that are not finite, ids that are none.
    """
    main = xs["train"]
    for part, raw in xs.items():
        _check(raw, targets.values[part], main, name, ids)
    size = sum(prod(raw.shape) for raw in xs.values()) * (8 if ids else 4)
    # the padding of sequences is cleared in memory
    large = main.path is not None and is_large(size) and not targets.lengths
    arrays = {} if large else {part: _checked(raw.values, raw.path, name, ids) for part, raw in xs.items()}
    largest = _largest(xs, arrays, name) if ids else None
    cuts, notes = cut(targets, fractions, seed=seed)
    rows = cuts["train"].rows
    if standardize is None:
        standardize = main.dtype.kind == "f" and len(main.shape) == 2
    inputs = None if unit == 1.0 else Scale.of(0.0, unit)
    if standardize and not ids:
        whole = len(main.shape) > 2
        inputs = fit_large(main, rows, name, whole) if large else _fit(arrays["train"], targets, rows, whole)
    preprocessing = Preprocessing(
        inputs=inputs,
        dtype="int64" if ids else "float32",
        targets=fit_targets(targets, cuts["train"], standardize=standardize),
        classes=targets.classes,
    )
    if large:
        wholes = {part: encode_large(raw, preprocessing, name, input_shape(raw.shape, ids)) for part, raw in xs.items()}
        reasons = dict.fromkeys(reason for _, reason in wholes.values() if reason)
        notes = (*notes, *(f"{reason}; every run decodes them again" for reason in reasons))
        data = dataset({part: x for part, (x, _) in wholes.items()}, targets, cuts, preprocessing, notes, shared=True)
        lent = [raw for part, raw in xs.items() if raw.is_mapped and np.may_share_memory(raw.values, wholes[part][0])]
        files = tuple(MappedFile.of(raw.path) for raw in lent if raw.path is not None)
        return replace(data, mapped=files, largest=largest)
    encoded = {
        part: preprocessing.encode_array(arrays[piece.file][piece.rows], file=xs[piece.file].path, name=name)
        for part, piece in cuts.items()
    }
    return replace(dataset(encoded, targets, cuts, preprocessing, notes), largest=largest)


def _largest(xs: Mapping[Part, Raw], arrays: Mapping[Part, NDArray[Any]], name: str) -> NDArray[np.int64]:
    """The largest id at each place of an example; of what is large, known as long as its file does not change."""
    found = [x.max(axis=0) for x in arrays.values()] or [large_ids(raw, name) for raw in xs.values()]
    return np.asarray(np.max(found, axis=0), np.int64)


def _fit(x: NDArray[Any], targets: Targets, rows: NDArray[np.int64], whole: bool) -> Scale:
    """The moments of some rows; of sequences, those of real steps."""
    x = x[rows]
    if targets.lengths:
        x = x[real_steps(targets.lengths["train"][rows], x.shape[1])]
    return Scale.fit(x, whole=whole)


def input_shape(shape: tuple[int, ...], ids: bool) -> tuple[int, ...]:
    """The shape of one encoded example, from the shape of the array.

    >>> input_shape((100, 8), False), input_shape((100,), False), input_shape((100,), True)
    ((8,), (1,), ())
    """
    return shape[1:] if ids or len(shape) > 1 else (1,)


def _check(raw: Raw, y: NDArray[Any], train: Raw, name: str, ids: bool) -> None:
    """What the header says against what is wanted."""
    if not raw.shape or raw.dtype.kind not in "biuf":
        what = f"values of type {raw.dtype}" if raw.shape else "a single value"
        raise DataError(f"array {name!r} holds {what}, features are rows of numbers", file=raw.path)
    if raw.shape[0] != len(y):
        raise DataError(f"array {name!r} has {raw.shape[0]} rows and the target has {len(y)}", file=raw.path)
    if raw.shape[1:] != train.shape[1:]:
        raise DataError(
            f"one example of {name!r} has shape {raw.shape[1:]}, in the training file it has {train.shape[1:]}",
            file=raw.path,
        )


def _checked(x: NDArray[Any], file: Path | None, name: str, ids: bool) -> NDArray[Any]:
    if ids:
        check_ids(x, file, name)
    check_finite(x, file, name)
    return x
