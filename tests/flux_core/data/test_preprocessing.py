"""The fitted encoding survives JSON bit for bit, and nothing else gets through."""

import copy
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_core.data import Preprocessing, Scale, chunks
from flux_core.data.columns import CategoricalColumn, NumericColumn
from flux_core.errors import CheckpointError

FINITE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)

EXAMPLE = Preprocessing(
    columns=(
        NumericColumn("a", Scale.of(0.1, 1 / 3), fill=2.5, indicator=True),
        CategoricalColumn("b", ("ü", "v\n"), fill="ü"),
    ),
    missing=("", "?"),
    inputs=Scale.of([0.1, 1e-300], [1.0, 2.0]),
    targets=Scale.of([math.pi], [5e-324]),
    classes=("no", "yes"),
)


def through_json(value: Preprocessing) -> Preprocessing:
    return Preprocessing.from_json(json.loads(json.dumps(value.to_json(), sort_keys=True, allow_nan=False)))


@given(FINITE, POSITIVE, st.none() | FINITE, st.text(), st.booleans())
def test_every_bit_survives_json(mean: float, std: float, fill: float | None, name: str, flag: bool) -> None:
    column = NumericColumn(name, Scale.of(mean, std), fill, flag)
    value = Preprocessing(columns=(column,), inputs=Scale.of([mean], [std]), classes=(name,))
    again = through_json(value)
    assert again == value
    assert again.columns[0].scale.mean.tobytes() == column.scale.mean.tobytes()
    assert again.inputs.std.tobytes() == value.inputs.std.tobytes()


def test_the_whole_value_survives_json() -> None:
    again = through_json(EXAMPLE)
    assert again == EXAMPLE
    assert again != Preprocessing()
    assert again.features == ("a", "a is missing", "b=ü", "b=v\n")
    assert through_json(Preprocessing(dtype="int64")).dtype == "int64"


def change(path: list[object], value: object) -> object:
    data = copy.deepcopy(EXAMPLE.to_json())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        change(["extra"], 1),
        change(["columns"], ...),
        change(["columns"], 3),
        change(["columns", 0, "kind"], "pickle"),
        change(["columns", 0, "kind"], ["numeric"]),
        change(["columns", 0, "name"], 3),
        change(["columns", 0, "fill"], "x"),
        change(["columns", 0, "fill"], float("nan")),
        change(["columns", 0, "fill"], True),
        change(["columns", 0, "scale"], None),
        change(["columns", 1, "categories"], "uv"),
        change(["columns", 1, "categories"], [1]),
        change(["columns", 1, "fill"], "w"),
        change(["dtype"], "object"),
        change(["inputs", "mean"], [0.0, float("inf")]),
        change(["inputs", "mean"], [0.0]),
        change(["inputs", "mean"], [[0.0], [0.0, 1.0]]),
        change(["inputs", "mean"], ["x", "y"]),
        change(["inputs", "std"], [0.0, 1.0]),
        change(["targets", "std"], [-1.0]),
        change(["classes"], "yes"),
        change(["missing"], None),
    ],
)
def test_damaged_json_is_refused(data: object) -> None:
    with pytest.raises(CheckpointError, match="preprocessing in the checkpoint is damaged"):
        Preprocessing.from_json(data)


@pytest.fixture(params=["at once", "in pieces"])
def fit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], Scale]:
    monkeypatch.setattr(chunks, "PIECE", 3)
    return Scale.fit if request.param == "at once" else lambda x: chunks.fit_scale(x, np.arange(len(x)), whole=False)


@pytest.mark.parametrize("magnitude", [1e-300, 1e-20, 1.0, 1e20, 1e307])
def test_moments_at_any_magnitude(fit: Callable[[np.ndarray], Scale], magnitude: float) -> None:
    scale = fit(np.array([1.0, 2.0, 4.0, 9.0]) * magnitude)
    assert scale.mean == pytest.approx(4.0 * magnitude, rel=1e-12)
    assert scale.std == pytest.approx(math.sqrt(9.5) * magnitude, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9 / 3, 1e300])
def test_a_constant_column_becomes_zeros(fit: Callable[[np.ndarray], Scale], value: float) -> None:
    values = np.full((1001, 1), value)
    scale = fit(values)
    assert scale.std.tolist() == [1.0]
    assert np.abs(scale.apply(np.full((1, 1), scale.mean[0]))).max() == 0


def test_a_small_spread_is_no_constant(fit: Callable[[np.ndarray], Scale]) -> None:
    scale = fit(1e6 + np.array([0.0, 1e-3, 2e-3, 1e-3]))
    assert scale.std == pytest.approx(math.sqrt(1 / 2) * 1e-3, rel=1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_moments_in_pieces_are_those_of_some_rows_at_once(whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, rows = rng.normal(50, 9, (400, 4, 2)).astype(np.float32), np.sort(rng.permutation(400)[:301])
    monkeypatch.setattr(chunks, "PIECE", 200)  # 25 rows, and one row at the end
    found, wanted = chunks.fit_scale(x, rows, whole=whole), Scale.fit(x[rows], whole=whole)
    assert found.mean.shape == wanted.mean.shape == (() if whole else (4, 2))
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=1e-14)
    np.testing.assert_allclose(found.std, wanted.std, rtol=1e-13)
    off = chunks.fit_scale(x, rows[:-1], whole=whole)
    assert not np.allclose(off.mean, wanted.mean, rtol=1e-14, atol=0)


def test_restore_undoes_apply() -> None:
    values = np.random.default_rng(0).normal(50, 9, (100, 3))
    scale = Scale.fit(values)
    np.testing.assert_allclose(scale.restore(scale.apply(values)), values, rtol=1e-5)
    whole = Scale.fit(values, whole=True)
    assert whole.mean.shape == ()
    assert float(whole.mean) == pytest.approx(values.mean())


class Na:
    """What pandas.NA is: neither equal to itself nor different from itself."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


def test_whole_numbers_that_another_library_made_floats_of():
    column = CategoricalColumn("c", ("1", "2", "2.5"), "2")
    x, notes = Preprocessing(columns=(column,)).encode({"c": [1.0, np.float32(2.0), "1.0", 2.5, Na(), np.nan, None]})
    assert x.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], *[[0, 1, 0]] * 3]
    assert notes == ()
    x, notes = Preprocessing(columns=(column,)).encode({"c": [3.0, 1]})
    assert x.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert "('3.0')" in notes[0]
    exact = CategoricalColumn("c", ("1", "1.0"))
    assert Preprocessing(columns=(exact,)).encode({"c": ["1.0", 1]})[0].tolist() == [[0, 1], [1, 0]]
