"""Arrays that were decoded once: the next run maps a file instead of reading the data again.

    key ──▶ data/KEY.npy, still the very file that was written ──▶ mapped
       └──▶ absent, damaged: under a lock, piece after piece into a new file ──▶ mapped
       └──▶ no room, no writable folder: in memory, and the second value says why

The key holds everything that the array depends on, so an entry never goes out of date.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from flux_core import fsio
from flux_core.caches.facts import facts, identity, keep
from flux_core.caches.folder import data_folder
from flux_core.data.archive import map_array
from flux_core.errors import DataError

Parts = Iterator[NDArray[Any]]
ABANDONED = 3600  # seconds without a write


def key_of(**what: Any) -> str:
    """A name for what an array depends on, plain JSON values."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def decoded(
    key: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Callable[[], Parts]
) -> tuple[NDArray[Any], str | None]:
    """The array whose rows `parts` gives piece after piece, and why it is not in a file, None if it is.

    What `parts` raises goes on its way, and nothing is kept.
    """
    folder = data_folder()
    if folder is None:
        return _in_memory(shape, dtype, parts), "no folder for decoded data can be written to"
    file = folder / f"{key}.npy"
    if (found := _kept(file, key, shape, dtype)) is not None:
        return found, None
    with ExitStack() as stack:
        with suppress(OSError):  # without locks, each process decodes
            stack.enter_context(fsio.locked(folder / f"{key}.lock"))
        if (found := _kept(file, key, shape, dtype)) is not None:  # another process was faster
            return found, None
        try:
            _clean(folder)
            fsio.write_parts(file, _bytes(shape, dtype, parts))
            keep(file, {"decoded": key}, identity(file))
            return map_array(file), None
        except OSError as error:
            reason = f"decoded data cannot be kept in {folder}: {error.strerror or error}"
    return _in_memory(shape, dtype, parts), reason


def _kept(file: Path, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The array of an entry, if nobody has touched it since it was written."""
    if facts(file).get("decoded") != key:
        return None
    try:
        array = map_array(file)
    except (OSError, DataError):
        return None
    return array if (array.shape, array.dtype) == (shape, dtype) and array.flags.c_contiguous else None


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any], parts: Callable[[], Parts]) -> Iterator[bytes | memoryview]:
    """The .npy file, header first."""
    header = io.BytesIO()
    description = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(header, description)
    yield from chain([header.getvalue()], (np.ascontiguousarray(part).data.cast("B") for part in parts()))


def _in_memory(shape: tuple[int, ...], dtype: np.dtype[Any], parts: Callable[[], Parts]) -> NDArray[Any]:
    array, at = np.empty(shape, dtype), 0
    for part in parts():
        array[at : at + len(part)] = part
        at += len(part)
    return array


def _clean(folder: Path) -> None:
    """Remove what a process that was killed has left half written."""
    for file in folder.glob(".tmp-*"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > ABANDONED and not _alive(file.name.split("-")[1]):
                fsio.disk.unlink(file)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass  # it runs, as someone else
    return True
