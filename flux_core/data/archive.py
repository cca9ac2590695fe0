"""Reading one array out of an .npz file, or mapping that of a .npy file, distrustfully.

    zip directory: declared size <= max_bytes, and what deflate can give   ┐ checked before any memory
    .npy header:   shape x item size = declared size, no Python objects    ┘ is taken for the array

A small file can claim terabytes, in the zip as in the header; and an array of objects is a pickle, which runs
code when it is read.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from flux_core.data.files import DEFLATE_RATIO, check_size, open_file
from flux_core.errors import ColumnError, DataError

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, SyntaxError)


@dataclass(frozen=True)
class Header:
    """What a .npy file says about its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]


def read_header(path: Path, name: str, key: str, limit: int) -> Header:
    """Shape and dtype of one array, without reading it; the errors are those of `read_array`."""
    with _member(path, name, key, limit) as (_, header):
        return header


def read_array(path: Path, name: str, key: str, limit: int) -> NDArray[Any]:
    """One array of an archive, shape as stored.

    Raises MissingFile, ColumnError (no array of this name; `key` is the spec's word for it) or DataError.
    """
    with _member(path, name, key, limit) as (stream, header):
        data = stream.read()  # to the end, so that the zip's checksum is verified
        return np.frombuffer(data, header.dtype).reshape(header.shape, order=header.order)


def map_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file, read from the disk when it is looked at; raises MissingFile or DataError."""
    with open_file(path) as file:
        try:
            header = _read_header(file, os.fstat(file.fileno()).st_size)
            array = np.memmap(file, header.dtype, "r", file.tell(), header.shape, header.order)
        except DAMAGE as error:
            raise DataError(f"this cannot be read as a .npy file: {error}", file=path) from None
    return np.asarray(array)


def misnamed(path: Path, asked: Mapping[str, str]) -> list[ColumnError]:
    """An error for each name, by its key, that is none of an array of the archive; raises MissingFile or DataError."""
    found = []
    with open_file(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                for key, name in asked.items():
                    try:
                        _find(archive, path, name, key)
                    except ColumnError as error:
                        found.append(error)
        except DAMAGE as error:
            raise DataError(f"its arrays cannot be listed: {error}", file=path) from None
    return found


@contextmanager
def _member(path: Path, name: str, key: str, limit: int) -> Iterator[tuple[IO[bytes], Header]]:
    """The stream of an array, standing behind its checked header."""
    with open_file(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                info = _find(archive, path, name, key)
                check_size(info.file_size, limit, path, f"array {name!r}")
                if info.file_size > (info.compress_size + 1) * DEFLATE_RATIO:
                    raise ValueError(f"it claims {info.file_size:,} bytes and stores {info.compress_size:,}")
                with archive.open(info) as stream:
                    yield stream, _read_header(stream, info.file_size)
        except DAMAGE as error:
            raise DataError(f"array {name!r} cannot be read: {error}", file=path) from None


def _find(archive: zipfile.ZipFile, path: Path, name: str, key: str) -> zipfile.ZipInfo:
    names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
    if name not in names:
        has = ", ".join(repr(other) for other in names[:10]) or "none"
        raise ColumnError(
            f"there is no array {name!r}, the arrays are: {has}",
            file=path,
            key=key,
            near=get_close_matches(name, names, n=1),
        )
    return archive.infolist()[names.index(name)]


def _read_header(stream: IO[bytes], size: int) -> Header:
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)
    if version not in readers:
        raise ValueError(f"version {version} of the npy format is not known")
    shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded; save numbers or text")
    if dtype.kind not in "biufUS":
        raise ValueError(f"it holds values of type {dtype}; save numbers or text")
    if not shape or not prod(shape):
        raise ValueError(f"its shape is {shape}: there are no values in it")
    if prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError(f"its header claims {prod(shape) * dtype.itemsize:,} bytes, {size - stream.tell():,} follow")
    return Header(shape, dtype, "F" if fortran else "C")
