"""What a checkpoint has no room for is known before the first step."""

import numpy as np
import pytest

from flux_core.data import Dataset, Examples
from flux_core.data.columns import CategoricalColumn, NumericColumn
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.scale import Scale
from flux_core.errors import DataError
from flux_core.layers import Affine
from flux_core.optim import sgd
from flux_core.training import Fit, Plan, checkpoint, room
from flux_core.training.room import require_room

ONE = Scale.of(0.5, 2.0)
NAMES = tuple(f"name {i:04}" for i in range(400))
CASES = {
    "categories": (
        Preprocessing(columns=(NumericColumn("size", ONE), CategoricalColumn("who", NAMES))),
        "^column 'who': its 400 categories take too much room: a checkpoint would tell [0-9,]+ bytes",
        "data.ignore",
    ),
    "columns": (
        Preprocessing(columns=tuple(NumericColumn(name, ONE) for name in NAMES)),
        "^the 400 columns",
        "data.features",
    ),
    "classes": (Preprocessing(columns=(NumericColumn("size", ONE),), classes=NAMES), "^the 400 classes", "number"),
    "inputs": (
        Preprocessing(inputs=Scale.of(np.arange(400) / 7, np.arange(1, 401) / 7)),
        "^the means and deviations",
        "data.standardize: false",
    ),
}


def dataset(preprocessing):
    part = Examples(np.zeros((4, 3), np.float32), np.zeros(4, np.int64))
    classes = preprocessing.classes or ("a", "b")
    return Dataset(part, None, None, "classification", classes, preprocessing.features, preprocessing)


@pytest.mark.parametrize("case", CASES)
def test_what_takes_the_most_room_is_named(case, monkeypatch):
    preprocessing, message, hint = CASES[case]
    data = dataset(preprocessing)
    require_room(data)
    monkeypatch.setattr(room, "ROOM", 4000)
    with pytest.raises(DataError, match=message) as caught:
        Fit(Affine(3, 2), data, Plan("cross_entropy", sgd(0.1)))
    assert hint in caught.value.hint


def test_what_has_room_can_be_written(tmp_path, monkeypatch):
    """The size that is asked for is the one in the file, where quotes of a text stand behind backslashes."""
    columns = tuple(NumericColumn(f'"{name}\\ ü"', ONE) for name in NAMES)
    data = dataset(Preprocessing(columns=columns))
    checkpoint.write(tmp_path / "file", {}, room.told(data))
    size = int.from_bytes((tmp_path / "file").read_bytes()[:8], "little")
    monkeypatch.setattr(room, "ROOM", size)
    require_room(data)
    monkeypatch.setattr(room, "ROOM", size - 200)  # the rest of the header is less than that
    with pytest.raises(DataError):
        require_room(data)


def test_forty_thousand_columns_have_room():
    columns = (NumericColumn(f"gene_{i}", Scale.of(i / 7, i / 3 + 1)) for i in range(40_000))
    require_room(dataset(Preprocessing(columns=tuple(columns))))
