"""Arrays that are too large to be copied: looked at piece by piece, encoded into a file once, or used as they lie.

    mapped, float32 or ids, no scale ──every value looked at once──▶ the file itself
    anything else                    ──piece by piece──▶ `decoded` file, mapped

What was found out about a file (its values are finite, its moments) is kept as long as the file does not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.chunks import fit_scale, pieces
from flux_core.data.decoded import decoded, key_of
from flux_core.data.preprocessing import Preprocessing, check_finite, check_ids
from flux_core.data.raw import Raw
from flux_core.data.scale import Scale

FORMAT = 1  # goes up when the same key begins to mean other values


def fit_large(raw: Raw, rows: NDArray[np.int64], name: str, whole: bool) -> Scale:
    """The moments of some rows, as `fit_scale`; raises DataError for values that are not finite, in any row."""
    _look_at(raw, name, ids=False)
    question = f"moments of {name}, {'whole' if whole else 'columns'}, {sha256(rows.tobytes()).hexdigest()}"
    return Scale.from_json(raw.recall(question, lambda: fit_scale(raw.values, rows, whole=whole).to_json()))


def encode_large(
    raw: Raw, preprocessing: Preprocessing, name: str, example: tuple[int, ...]
) -> tuple[NDArray[Any], str | None]:
    """All rows as the model's x, each of shape `example`, and why they are in memory, None if they are in a file.

    Raises DataError for values that are not finite, and ids that are none.
    """
    dtype, shape, ids = np.dtype(preprocessing.dtype), (raw.shape[0], *example), preprocessing.dtype == "int64"
    scale = preprocessing.inputs
    if raw.is_mapped and scale is None and raw.dtype == dtype:
        x = raw.values
        if x.flags.c_contiguous and x.flags.aligned:
            _look_at(raw, name, ids)
            return x.reshape(shape), None

    def parts() -> Iterator[NDArray[Any]]:
        for piece in pieces(raw.shape):
            part = raw.values[piece]
            yield preprocessing.encode_array(part, file=raw.path, name=name, first=piece.start)
        raw.require_unchanged()  # or it would be kept under the digest of the other file

    key = key_of(
        format=FORMAT,
        file=raw.digest(),
        array=name,
        shape=shape,
        dtype=preprocessing.dtype,
        scale=None if scale is None else scale.to_json(),
    )
    return decoded(key, shape, dtype, parts)


def large_ids(raw: Raw, name: str) -> NDArray[Any]:
    """The largest id at each place of an example. Raises DataError for ids that are none."""

    def look() -> Any:
        found = []
        for piece in pieces(raw.shape):
            check_ids(raw.values[piece], raw.path, name, piece.start)
            found.append(raw.values[piece].max(axis=0))
        return np.max(found, axis=0).tolist()

    return np.array(raw.recall(f"largest ids of {name}", look))


def _look_at(raw: Raw, name: str, ids: bool) -> None:
    """Every value once, if the file has changed since it was last looked at."""

    def look() -> bool:
        for piece in pieces(raw.shape):
            if ids:
                check_ids(raw.values[piece], raw.path, name, piece.start)
            check_finite(raw.values[piece], raw.path, name, piece.start)
        return True

    raw.recall(f"{name} holds {'ids' if ids else 'finite numbers'}", look)
