"""Arrays on their way into an .npz file, some rows after the others.

name ──▶ Member(dtype, shape, parts) ──.npy header, bytes of the parts──▶ deflated ──▶ the zip, piece by piece
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

CELLS = 1 << 14  # of a column at once


@dataclass(frozen=True)
class Member:
    """An array of the archive, in parts along its first axis, to be taken once."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    parts: Iterable[NDArray[Any]]

    @classmethod
    def of_cells(cls, cells: Sequence[Any]) -> Member:
        """A column of text, or of whole numbers.

        >>> [part.tolist() for part in Member.of_cells(["a", "bcd"]).parts]
        [['a', 'bcd']]
        """
        text = not len(cells) or isinstance(cells[0], str)
        dtype = np.dtype(f"U{max((1, *map(len, cells)))}" if text else np.int64)
        parts = (np.array(cells[at : at + CELLS], dtype) for at in range(0, len(cells), CELLS))
        return cls(dtype, (len(cells),), parts)


class _Pipe:
    """A file that cannot be gone back in; what was written to it is taken out."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> Iterator[bytes]:
        pieces, self.pieces = self.pieces, []
        return iter(pieces)


def zipped(members: Iterable[tuple[str, Member]]) -> Iterator[bytes]:
    """The bytes of an .npz file, the same for the same arrays.

    Any name will do: `np.savez` takes names for its own arguments.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]  # it needs no more of a file than this
        for name, member in members:
            about = zipfile.ZipInfo(f"{name}.npy")
            about.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(about, "w", force_zip64=True) as stream:
                description = {"descr": npy.dtype_to_descr(member.dtype), "fortran_order": False, "shape": member.shape}
                npy.write_array_header_1_0(stream, description)
                for part in member.parts:
                    stream.write(np.ascontiguousarray(part, member.dtype).tobytes())
                    yield from pipe.taken()
    yield from pipe.taken()
