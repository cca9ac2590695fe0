"""An array of a file before anything is done to it.

header ──▶ shape, dtype          known at once
values ──▶ read, or mapped       only when they are looked at
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.archive import map_array


@dataclass(frozen=True)
class Raw:
    """Shape and dtype as the file has them, and how to get the values; `path` is None for what is in no file.

    >>> Raw.of(np.zeros((3, 2))).shape
    (3, 2)
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[Any]]
    path: Path | None = None
    is_mapped: bool = False

    @classmethod
    def of(cls, array: NDArray[Any]) -> Raw:
        """An array in memory."""
        return cls(array.shape, array.dtype, lambda: array)

    @classmethod
    def mapped(cls, path: Path) -> Raw:
        """The array of a .npy file; raises MissingFile or DataError."""
        array = map_array(path)
        return cls(array.shape, array.dtype, lambda: array, path, is_mapped=True)

    @cached_property
    def values(self) -> NDArray[Any]:
        """The array; what is not mapped is read once."""
        return self.read()
