"""The columns of a data set as its file had them, seen in the encoded x.

x   [ size | colour=blue | colour=red | age ]     Column("size", slice(0, 1)), Column("colour", slice(1, 3)), ...

Arrays of two axes have columns by number; images, text and ids have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.chunks import pieces
from flux_core.data.columns import CategoricalColumn
from flux_core.data.dataset import Dataset, Examples
from flux_core.data.scale import Scale

MOST = 2000  # columns; more are no table that anyone reads


@dataclass(frozen=True)
class Column:
    """A column: where it stands along the last axis of x, and the scale of one that holds numbers."""

    name: str
    where: slice
    scale: Scale | None
    categories: int = 0


def columns_of(data: Dataset) -> list[Column]:
    """The columns of a table or of an array with two axes; none for what has no columns."""
    x, preprocessing = data.train.x, data.preprocessing
    if x.dtype.kind == "i" or x.shape[-1] > MOST:
        return []
    if not preprocessing.columns:
        inputs = preprocessing.inputs
        scales = [inputs] * x.shape[-1] if inputs is None or not inputs.mean.ndim else _each(inputs)
        return [Column(str(i), slice(i, i + 1), scales[i]) for i in range(x.shape[-1])] if x.ndim == 2 else []
    found, start = [], 0
    for column in preprocessing.columns:
        categorical = isinstance(column, CategoricalColumn)
        width = len(column.features) - column.indicator
        scale = None if isinstance(column, CategoricalColumn) else column.scale
        found.append(Column(column.name, slice(start, start + width), scale, width if categorical else 0))
        start += len(column.features)
    return found


def _each(scale: Scale) -> list[Scale | None]:
    return [Scale(mean, std) for mean, std in zip(scale.mean, scale.std, strict=True)]


def limits(data: Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    """The smallest and the largest value of each place of the last axis in the training split, (columns,) each.

    Only for data that have columns.
    """
    examples, width = data.train, data.train.x.shape[-1]
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for piece in pieces((len(examples), *examples.x.shape[1:])):
        x = examples.part(piece)[0].reshape(-1, width)
        low, high = np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0))
    return low, high


def sample(examples: Examples, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """x and y of at most so many examples, evenly spread."""
    step = -(-len(examples) // most)
    return examples.part(slice(None, None, step))
