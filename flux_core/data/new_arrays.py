"""Arrays that a trained model has never seen: in an archive, which may hold answers, or in a file of their own.

new.npz  ──the names of the training──▶ x, y, lengths
new.npy, idx files                      x
"""

from __future__ import annotations

from pathlib import Path

from flux_core.data.archive import map_array, read_array
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset
from flux_core.data.files import MAX_BYTES
from flux_core.data.idx import read_idx
from flux_core.data.lengths import checked_lengths, cleared
from flux_core.data.new import Gives, NewData, answered, kind_of, of_this_file
from flux_core.data.preprocessing import Preprocessing
from flux_core.errors import ColumnError, DataError, SettingError

HINT = "an .npz file with the arrays x and y, or those that data.features and data.target name, has both"


def new_arrays(
    path: Path,
    preprocessing: Preprocessing,
    *,
    x: str = "x",
    lengths: str | None = None,
    limit: int = MAX_BYTES,
) -> NewData:
    """The examples of a file; `x` and `lengths` are names of arrays in an archive, `limit` is in bytes.

    Raises MissingFile, DataError, SettingError for a table.
    """
    kind, known = kind_of(path), None
    if kind == ".npz":
        with of_this_file():
            values = read_array(path, x, "features", limit)
            if lengths is not None:
                found = read_array(path, lengths, "lengths", limit)
                known = checked_lengths(found, values.shape, preprocessing.dtype == "int64", Place(path, None, lengths))
                values = cleared(values, known)
    elif kind == ".npy":
        values = map_array(path)
    elif kind == ".csv":
        raise SettingError("the model has learnt from arrays: give it .npz, .npy or idx files", key="source", file=path)
    else:
        values = read_idx(path, limit)
    return NewData(path, preprocessing.encode_array(values, file=path, name=x), lengths=known)


def answered_arrays(
    new: NewData, preprocessing: Preprocessing, gives: Gives, *, y: str = "y", limit: int = MAX_BYTES
) -> Dataset:
    """The examples with the array `y` of their archive. Raises DataError, also where there is none."""
    try:
        if kind_of(new.path) != ".npz":
            raise ColumnError("only archives have answers")
        values = read_array(new.path, y, "target", limit)
    except ColumnError:
        raise DataError("there are no answers in it to measure by", file=new.path, hint=HINT) from None
    return answered(new, values, Place(new.path, None, y), preprocessing, gives)
