"""A checkpoint is one safetensors file that any safetensors reader opens, and that we trust only when it is whole.

    8 bytes   length of the header, little endian
    header    {"__metadata__": {"fluxrun": JSON of the meta data, "sha256": checksum},
               name: {"dtype": "F32", "shape": [3, 4], "data_offsets": [begin, end]}, ...}
    data      the tensors one after another, without gaps

The header has one canonical text for one content (keys sorted, no blanks, wide tensors first so that all are
aligned), so equal content gives equal bytes, and a reader can demand exactly that text. The checksum is
SHA-256 over that text with an empty checksum, then the data. Nothing in a file is ever executed or unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core import fsio
from flux_core.errors import CheckpointError

FORMAT = 1
HEADER_LIMIT = 1 << 24  # bytes; other readers of the format take six times as many
NAME_LIMIT = 2000  # characters: twenty nets within one another, with names as long as they may be
NAME = re.compile(r"[\w-]+(?:[./:][\w-]+)*")  # words joined by single marks: no path that leads out of a folder
AXES_LIMIT = 32
SIZE_LIMIT = 1 << 60
DTYPES: dict[str, np.dtype[Any]] = {"F64": np.dtype("<f8"), "I64": np.dtype("<i8"), "F32": np.dtype("<f4")}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}

Tensors = dict[str, NDArray[Any]]


def write(path: str | Path, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write tensors (float32, float64 or int64) and JSON meta data in the place of `path`, atomically.

    Raises ValueError for what the format cannot hold (a name, a dtype, a NaN in `meta`, a header above 16 MiB)
    and OSError when the disk fails; the old file is intact then.
    """
    arrays: Tensors = {}
    for name, tensor in tensors.items():
        dtype = tensor.dtype.newbyteorder("<")
        if dtype not in DTYPE_NAMES:
            raise ValueError(f"tensor {name!r} is {tensor.dtype}; a checkpoint holds float32, float64 and int64")
        if not _name_is_sound(name):
            raise ValueError(f"{name!r} cannot be the name of a tensor in a checkpoint")
        arrays[name] = np.asarray(tensor, dtype, order="C")
    text = json.dumps({"format": FORMAT, "meta": meta}, sort_keys=True, allow_nan=False)
    shapes = {name: (DTYPE_NAMES[array.dtype], array.shape) for name, array in arrays.items()}
    parts = [arrays[name].reshape(-1).view(np.uint8).data for name in _order(shapes)]
    digest = hashlib.sha256(_header(shapes, text, ""))
    for part in parts:
        digest.update(part)
    header = _header(shapes, text, digest.hexdigest())
    if len(header) > HEADER_LIMIT:
        raise ValueError(f"the names and meta data take {len(header)} bytes; a checkpoint has room for {HEADER_LIMIT}")
    fsio.write_atomically(path, len(header).to_bytes(8, "little"), header, *parts)


def read(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Read what `write` wrote: tensors by name and the meta data.

    Raises CheckpointError, with the path and what is wrong, for a file that is missing, damaged or not ours.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read the checkpoint: {error.strerror or error}") from error
    except _DamageError as damage:
        raise CheckpointError(f"{path}: the checkpoint is damaged: {damage}") from None
    except _ForeignError as foreign:
        raise CheckpointError(f"{path}: {foreign}") from None


class _DamageError(Exception):
    """What is wrong with the bytes."""


class _ForeignError(Exception):
    """The bytes are whole, but not for this version."""


def _read(file: BufferedReader) -> tuple[Tensors, dict[str, Any]]:
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_LIMIT, size - 8):
        raise _DamageError(f"it is {size} bytes long, too short or with a header above {HEADER_LIMIT} bytes")
    header = file.read(length)
    shapes, offsets, text = _parse(header)
    total = sum(end - begin for begin, end in offsets.values())
    if total != size - 8 - length:  # before anything of that size is allocated
        raise _DamageError(f"the header describes {total} bytes of data, the file holds {size - 8 - length}")
    data = bytearray(total)
    if file.readinto(data) != total:
        raise _DamageError("it became shorter while it was read")
    digest = hashlib.sha256(_header(shapes, text, ""))
    digest.update(data)
    if header != _header(shapes, text, digest.hexdigest()):
        raise _DamageError("the checksum does not match")
    tensors = {}
    for name, (begin, _) in offsets.items():
        dtype, shape = shapes[name]
        flat = np.frombuffer(data, DTYPES[dtype], math.prod(shape), begin)
        tensors[name] = flat.reshape(shape)
    content = _json(text, "meta data")
    if content.get("format") != FORMAT:
        raise _ForeignError(f"the checkpoint is of another format; this version reads format {FORMAT}")
    if not isinstance(content.get("meta"), dict):
        raise _DamageError("it has no meta data")
    return tensors, content["meta"]


Shapes = dict[str, tuple[str, tuple[int, ...]]]
Offsets = dict[str, tuple[int, int]]


def _parse(header: bytes) -> tuple[Shapes, Offsets, str]:
    """The parts of a header, each checked: types, names, dtypes, sizes, and data without gaps or overlaps."""
    described = _json(header, "header")
    try:
        metadata = described.pop("__metadata__")
        text = metadata["fluxrun"]
    except (KeyError, TypeError):
        raise _ForeignError("this safetensors file is no checkpoint of fluxrun") from None
    if not isinstance(text, str):
        raise _DamageError("the meta data is no text")
    shapes: Shapes = {}
    offsets: Offsets = {}
    for name, entry in described.items():
        if not _name_is_sound(name):
            raise _DamageError(f"a tensor cannot be called {name[:40]!r}")
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise _DamageError(f"tensor {name!r} is not described as it should be")
        dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise _DamageError(f"tensor {name!r} has a dtype that no checkpoint holds")
        if not _is_shape(shape):
            raise _DamageError(f"tensor {name!r} has an impossible shape")
        if not _are_counts(place) or len(place) != 2:
            raise _DamageError(f"tensor {name!r} has no beginning and end")
        shapes[name], offsets[name] = (dtype, tuple(shape)), (place[0], place[1])
    if offsets != _offsets(shapes):
        raise _DamageError("the tensors overlap, leave gaps or do not have the size of their shapes")
    return shapes, offsets, text


def _json(text: str | bytes, what: str) -> dict[str, Any]:
    """A JSON object without NaN, infinities and doubled keys."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _DamageError(f"the {what} is no JSON") from None
    if not isinstance(value, dict):
        raise _DamageError(f"the {what} is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ; a reader that takes the last of two can be told two stories."""
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise _DamageError("a key stands twice in the header")
    return entries


def _no_number(constant: str) -> None:
    raise _DamageError(f"{constant} is no JSON")


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < SIZE_LIMIT for n in value)


def _is_shape(value: Any) -> bool:
    """Whether an array can have this shape; NumPy limits the product even where an axis of 0 makes it nothing."""
    fits = _are_counts(value) and len(value) <= AXES_LIMIT
    return fits and math.prod(max(1, n) for n in value) < SIZE_LIMIT


def _name_is_sound(name: str) -> bool:
    return len(name) <= NAME_LIMIT and NAME.fullmatch(name) is not None


def _order(shapes: Shapes) -> list[str]:
    """Names in the order of their data: wide dtypes first, so that every tensor is aligned."""
    return sorted(shapes, key=lambda name: (-DTYPES[shapes[name][0]].itemsize, name))


def _offsets(shapes: Shapes) -> Offsets:
    """Where each tensor begins and ends, in bytes."""
    offsets, begin = {}, 0
    for name in _order(shapes):
        dtype, shape = shapes[name]
        end = begin + math.prod(shape) * DTYPES[dtype].itemsize
        offsets[name], begin = (begin, end), end
    return offsets


def _header(shapes: Shapes, text: str, checksum: str) -> bytes:
    """The one header for this content, padded with blanks to a multiple of 8 bytes."""
    entries: dict[str, Any] = {"__metadata__": {"fluxrun": text, "sha256": checksum}}
    for name, (begin, end) in _offsets(shapes).items():
        dtype, shape = shapes[name]
        entries[name] = {"data_offsets": [begin, end], "dtype": dtype, "shape": list(shape)}
    header = json.dumps(entries, sort_keys=True, separators=(",", ":")).encode("ascii")
    return header + b" " * (-len(header) % 8)
