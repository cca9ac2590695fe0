"""The targets of new data in the terms of a trained model: classes as its ids, numbers in its units.

["setosa", "virginica"]   ──its classes──▶ int64 [0, 2]           a class that it does not know is an error
[151.0, 75.0]             ──its scale────▶ float32 (rows, targets)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Place, named, shown
from flux_core.data.preprocessing import Preprocessing, check_finite
from flux_core.errors import DataError


def answers(values: NDArray[Any], preprocessing: Preprocessing, place: Place, targets: int) -> NDArray[Any]:
    """`values` (rows,) or (rows, targets), text or numbers, as y: int64 (rows,) or float32 (rows, targets).

    A model of numbers gives so many `targets`.

    >>> answers(np.array(["b", "a"]), Preprocessing(classes=("a", "b")), Place(), 2).tolist()
    [1, 0]

    Raises DataError for a class that the model does not know, and for what is no finite number.
    """
    if preprocessing.classes:
        return _labels(values, preprocessing.classes, place)
    if values.dtype.kind not in "biuf":
        raise DataError("the target holds text, the model gives numbers", file=place.file, column=place.column)
    numbers = values.astype(np.float64).reshape(len(values), -1)
    check_finite(numbers, place.file, place.column)
    if numbers.shape[1] != targets:
        count = numbers.shape[1]
        raise DataError(
            f"there {'is' if count == 1 else 'are'} {count} target{'s' * (count != 1)}, the model gives {targets}",
            file=place.file,
            column=place.column,
        )
    scale = preprocessing.targets
    return numbers.astype(np.float32) if scale is None else scale.apply(numbers)


def _labels(values: NDArray[Any], classes: tuple[str, ...], place: Place) -> NDArray[np.int64]:
    if values.ndim != 1:
        raise DataError(f"the labels have shape {values.shape}, one a row is wanted", file=place.file)
    ids = {name: i for i, name in enumerate(classes)}
    distinct, position = np.unique(values, return_inverse=True)
    found = np.array([ids.get(named(value, ids), -1) for value in distinct.tolist()], np.int64)[position]
    if (found < 0).any():
        index = int(np.argmin(found))
        known = ", ".join(map(shown, classes[:10])) + (", ..." if len(classes) > 10 else "")
        raise place.error(f"{shown(str(values[index]))} is no class of the model: it knows {known}", index)
    return found
