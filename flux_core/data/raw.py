"""An array of a file before anything is done to it.

header ──▶ shape, dtype          known at once
values ──▶ read, or mapped       only when they are looked at
facts  ──▶ recalled, or found    of the file that the header was read from, and of no other
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.caches.facts import Identity, file_digest, identity, recall
from flux_core.data.archive import Header, map_array
from flux_core.data.files import open_file, require_unchanged


@dataclass(frozen=True)
class Raw:
    """Shape and dtype as the file has them, and how to get the values; `path` and `before`, the file's identity, are
    None for what is in no file.

    >>> Raw.of(np.zeros((3, 2))).shape
    (3, 2)
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[Any]]
    path: Path | None = None
    before: Identity | None = None
    is_mapped: bool = False

    @classmethod
    def of(cls, array: NDArray[Any]) -> Raw:
        """An array in memory."""
        return cls(array.shape, array.dtype, lambda: array)

    @classmethod
    def of_file(cls, path: Path, header: Callable[[], Header], read: Callable[[], NDArray[Any]]) -> Raw:
        """An array that is read when it is looked at; raises MissingFile, and what `header` raises."""
        before = _identity(path)
        found = header()
        return cls(found.shape, found.dtype, read, path, before)

    @classmethod
    def mapped(cls, path: Path) -> Raw:
        """The array of a .npy file; raises MissingFile or DataError."""
        before = _identity(path)
        array = map_array(path)
        return cls(array.shape, array.dtype, lambda: array, path, before, is_mapped=True)

    @cached_property
    def values(self) -> NDArray[Any]:
        """The array; what is not mapped is read once. Raises DataError if its file has changed since."""
        found = self.read()
        self.require_unchanged()
        return found

    def require_unchanged(self) -> None:
        """Raise DataError where there is another file now."""
        if self.path is not None and self.before is not None:
            require_unchanged(self.path, self.before)

    def recall(self, question: str, answer: Callable[[], Any]) -> Any:
        """What is known of the file, or `answer`, plain JSON, which is kept; raises DataError if it has changed."""
        assert self.path is not None  # of what is in no file, nothing is kept

        def looked() -> Any:
            found = answer()
            self.require_unchanged()  # or it would be kept as a fact of the other file
            return found

        found = recall(self.path, question, looked)
        self.require_unchanged()
        return found

    def digest(self) -> str:
        """SHA-256 of the file, which is still the one that it was."""
        assert self.path is not None
        found = file_digest(self.path)
        self.require_unchanged()
        return found


def _identity(path: Path) -> Identity:
    open_file(path).close()  # raises MissingFile
    return identity(path)
