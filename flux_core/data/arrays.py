"""Datasets from arrays: what npz, idx and synthetic sources share.

    x (rows, ...) of each file, Targets ──cut, fit on training rows, encode──▶ Dataset

Two axes are standardised column by column; more axes (images) with one mean and deviation for everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flux_core.data.assemble import Targets, cut, dataset, fit_targets
from flux_core.data.dataset import Dataset
from flux_core.data.preprocessing import Preprocessing, check_finite
from flux_core.data.scale import Scale
from flux_core.data.split import Part
from flux_core.errors import DataError


def array_dataset(
    xs: Mapping[Part, NDArray[Any]],
    targets: Targets,
    *,
    files: Mapping[Part, Path],
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
    for part, x in xs.items():
        _check(x, targets.values[part], xs["train"], files.get(part), name, ids)
    cuts, notes = cut(targets, fractions, seed=seed)
    train = xs["train"][cuts["train"].rows]
    if standardize is None:
        standardize = train.dtype.kind == "f" and train.ndim == 2
    inputs = None if unit == 1.0 else Scale.of(0.0, unit)
    if standardize and not ids:
        inputs = Scale.fit(train, whole=train.ndim > 2)
    preprocessing = Preprocessing(
        inputs=inputs,
        dtype="int64" if ids else "float32",
        targets=fit_targets(targets, cuts["train"], standardize=standardize),
        classes=targets.classes,
    )
    encoded = {
        part: preprocessing.encode_array(xs[piece.file][piece.rows], file=files.get(piece.file), name=name)
        for part, piece in cuts.items()
    }
    return dataset(encoded, targets, cuts, preprocessing, notes)


def input_shape(shape: tuple[int, ...], ids: bool) -> tuple[int, ...]:
    """The shape of one encoded example, from the shape of the array.

    >>> input_shape((100, 8), False), input_shape((100,), False), input_shape((100,), True)
    ((8,), (1,), ())
    """
    return shape[1:] if ids or len(shape) > 1 else (1,)


def _check(x: NDArray[Any], y: NDArray[Any], train: NDArray[Any], file: Path | None, name: str, ids: bool) -> None:
    if x.ndim == 0 or x.dtype.kind not in "biuf":
        what = "a single value" if x.ndim == 0 else f"values of type {x.dtype}"
        raise DataError(f"array {name!r} holds {what}, features are rows of numbers", file=file)
    if len(x) != len(y):
        raise DataError(f"array {name!r} has {len(x)} rows and the target has {len(y)}", file=file)
    if x.shape[1:] != train.shape[1:]:
        raise DataError(
            f"one example of {name!r} has shape {x.shape[1:]}, in the training file it has {train.shape[1:]}",
            file=file,
        )
    if ids and (x.dtype.kind not in "iu" or (x.size and int(x.min()) < 0)):
        raise DataError(f"array {name!r} does not hold ids: whole numbers from 0", file=file)
    check_finite(x, file, name)
