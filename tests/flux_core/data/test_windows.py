"""Windows over series: what is ahead is the target, splits share no row, only training rows decide the scale."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_core.data import Examples, Preprocessing, WindowsSource, chunks, tables
from flux_core.data.sliding import sliding
from flux_core.data.table import read_table
from flux_core.errors import CheckpointError, ColumnError, DataError, MissingFile, SettingError

ALL = {"train": 1.0}
ROWS = 60
A, B = np.arange(ROWS) * 1.0, 100.0 + np.arange(ROWS) ** 2


def write(path: Path, rows: range = range(ROWS)) -> Path:
    lines = [f"day {i},{A[i]},{B[i]},x" for i in rows]
    path.write_text("\n".join(["day,a,b,mark", *lines]) + "\n")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "a.csv")


def by_hand(rows: range, columns: list, targets: list, steps: int, horizon: int, stride: int) -> Examples:
    """The windows of some rows, one after the other."""
    xs, ys = [], []
    for start in range(rows.start, rows.stop - steps - horizon + 1, stride):
        xs.append([[column[i] for column in columns] for i in range(start, start + steps)])
        ys.append([target[start + steps + ahead] for ahead in range(horizon) for target in targets])
    return Examples(np.array(xs, np.float32), np.array(ys, np.float32))


def require_same(found: Examples, wanted: Examples) -> None:
    np.testing.assert_array_equal(found.x, wanted.x, strict=True)
    np.testing.assert_array_equal(found.y, wanted.y, strict=True)


@pytest.mark.parametrize("stride", [1, 3, 50])
@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("target", ["b", ["a", "b"], [2, "a"]], ids=str)
@pytest.mark.parametrize("columns", [None, ["b"], ["b", 1]], ids=str)
def test_windows_are_those_by_hand(file: Path, stride: int, horizon: int, target: object, columns: object) -> None:
    source = WindowsSource(
        7, file, target=target, columns=columns, horizon=horizon, stride=stride, split=ALL, standardize=False
    )
    chosen = {None: [A, B], "['b']": [B], "['b', 1]": [B, A]}[columns if columns is None else str(columns)]
    targets = {"b": [B], "['a', 'b']": [A, B], "[2, 'a']": [B, A]}[str(target)]
    data = source.load(seed=0)
    require_same(data.train, by_hand(range(ROWS), chosen, targets, 7, horizon, stride))
    assert (data.task, data.classes, data.streams) == ("regression", (), False)


@pytest.mark.parametrize("fault", ["delay", "columns", "stride"])
def test_a_planted_fault_is_caught(file: Path, fault: str) -> None:
    found = WindowsSource(7, file, target="b", horizon=2, split=ALL, standardize=False).load(seed=0).train
    require_same(found, by_hand(range(ROWS), [A, B], [B], 7, 2, 1))
    wrong = {
        "delay": Examples(found.x, np.roll(found.y, 1, axis=0)),
        "columns": Examples(found.x[..., ::-1], found.y),
        "stride": Examples(found.x[::2], found.y[::2]),
    }
    with pytest.raises(AssertionError):
        require_same(wrong[fault], by_hand(range(ROWS), [A, B], [B], 7, 2, 1))


def test_splits_share_no_row(file: Path) -> None:
    shares = {"train": 0.6, "valid": 0.25, "test": 0.15}
    data = WindowsSource(3, file, target=["a"], horizon=2, split=shares, standardize=False).load(seed=0)
    for part, rows in (("train", range(36)), ("valid", range(36, 51)), ("test", range(51, 60))):
        found = getattr(data, part)
        require_same(found, by_hand(rows, [A, B], [A], 3, 2, 1))
        assert {*found.x[..., 0].ravel(), *found.y.ravel()} == set(rows)


def test_training_rows_alone_decide_the_scale(file: Path) -> None:
    shares = {"train": 0.5, "valid": 0.5}
    data = WindowsSource(3, file, target=["b", "a"], horizon=2, split=shares).load(seed=0)
    mean, std = np.array([A[:30].mean(), B[:30].mean()]), np.array([A[:30].std(), B[:30].std()])
    plain = WindowsSource(3, file, target=["b", "a"], horizon=2, split=shares, standardize=False).load(seed=0)
    np.testing.assert_allclose(data.valid.x, (plain.valid.x - mean) / std, rtol=1e-5, atol=1e-6)
    both = [1, 0, 1, 0]
    np.testing.assert_allclose(data.valid.y, (plain.valid.y - mean[both]) / std[both], rtol=1e-5, atol=1e-6)
    restored = data.preprocessing.targets.restore(data.valid.y)
    np.testing.assert_allclose(restored, plain.valid.y, rtol=1e-6)
    assert plain.preprocessing.targets is None
    assert data.notes == ("left out, as they hold no numbers: 'day', 'mark'",)
    assert data.features == ("a", "b")


def test_new_rows_become_windows_as_in_training(file: Path) -> None:
    data = WindowsSource(5, file, columns=["b", "a"], target="a", split=ALL).load(seed=0)
    preprocessing = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert preprocessing == data.preprocessing
    x, _ = preprocessing.encode({"a": list(A), "b": [str(value) for value in B], "other": [""] * ROWS})
    np.testing.assert_array_equal(x[:-1], data.train.x)
    assert len(x) == ROWS - 4, "the last window has nothing behind it, which is what is asked for"
    with pytest.raises(DataError, match="4 rows are too few, the model reads 5 at once"):
        preprocessing.encode({"a": [1] * 4, "b": [1] * 4})
    for value in (0, -1, True, 2.0, "3"):
        with pytest.raises(CheckpointError, match="no length of a window"):
            Preprocessing.from_json({**data.preprocessing.to_json(), "window": value})


def test_files_of_their_own(tmp_path: Path) -> None:
    paths = {
        f"{name}_path": write(tmp_path / f"{name}.csv", rows)
        for name, rows in (("train", range(30)), ("valid", range(20, 40)), ("test", range(50, 60)))
    }
    source = WindowsSource(4, **paths, target="a", columns=["a"], standardize=False)
    data = source.load(seed=0)
    require_same(data.train, by_hand(range(30), [A], [A], 4, 1, 1))
    require_same(data.valid, by_hand(range(20, 40), [A], [A], 4, 1, 1))
    require_same(data.test, by_hand(range(50, 60), [A], [A], 4, 1, 1))
    assert source.files() == tuple(paths.values())
    paths["test_path"].write_text("b\n1\n2\n3\n4\n5\n")
    with pytest.raises(ColumnError, match="there is no column 'a'") as caught:
        source.load(seed=0)
    assert (caught.value.key, caught.value.file) == ("test_path", str(paths["test_path"]))


def test_peek_is_what_load_gives(file: Path) -> None:
    source = WindowsSource(4, file, target=["a", "b"], horizon=2)
    data, seen = source.load(seed=0), source.peek()
    assert (seen.input_shape, seen.target_shape) == (data.train.x.shape[1:], data.train.y.shape[1:]) == ((4, 2), (4,))
    assert (seen.input_dtype, seen.classes, seen.task) == ("float32", None, "regression")


def test_a_large_series_is_parsed_once(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(file, (1_600_000_000, 1_600_000_000))  # settled
    source = WindowsSource(5, file, target="b", horizon=2, split={"train": 0.8, "valid": 0.2})
    plain = source.load(seed=0)
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "LARGE", 1)
    parsed = []
    monkeypatch.setattr(tables, "read_table", lambda path, **more: (parsed.append(path), read_table(path, **more))[1])
    for _ in range(3):
        data = source.load(seed=0)
        require_same(data.train, plain.train)
        require_same(data.valid, plain.valid)
        assert (data.preprocessing, data.notes) == (plain.preprocessing, plain.notes)
    assert parsed == [file]
    other = dataclasses.replace(source, horizon=1).load(seed=0)
    np.testing.assert_array_equal(other.train.y[:-1], plain.train.y[:, :1])
    assert parsed == [file, file]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 60, "split": ALL}, "the train split has 60 rows, .* 60 steps and 1 behind it: 61 are needed"),
        ({"steps": 50, "horizon": 11, "split": ALL}, "the train split has 60 rows, .* and 11 behind it: 61 are needed"),
        ({"steps": 6}, "the valid split has 6 rows, .* 6 steps and 1 behind it: 7 are needed"),
    ],
)
def test_a_series_that_is_too_short(file: Path, options: dict[str, object], message: str) -> None:
    source = WindowsSource(path=file, target="b", **options)
    for ask in (source.load, source.peek):
        with pytest.raises(SettingError, match=message) as caught:
            ask(seed=0)
        assert (caught.value.key, caught.value.file) == ("steps", str(file))
    assert len(WindowsSource(59, file, target="b", split=ALL).load(seed=0).train) == 1


@pytest.mark.parametrize(
    ("cell", "message", "hint"),
    [
        ("", "column 'b': the value is missing", "fill it in"),
        ("?", "column 'b': the value is missing", "data.columns"),
        ("oops", "column 'b': 'oops' is not a number, and most", "correct the cell"),
        ("inf", "column 'b': 'inf' is not a finite number", "correct the cell"),
    ],
)
def test_a_bad_cell_is_named(file: Path, cell: str, message: str, hint: str) -> None:
    lines = file.read_text().splitlines()
    lines[40] = f"day 39,1,{cell},x"
    file.write_text("\n".join(lines))
    for options in ({"target": "b"}, {"target": "a"}):
        with pytest.raises(DataError, match=message) as caught:
            WindowsSource(3, file, **options).load(seed=0)
        assert (caught.value.row, caught.value.file) == (41, str(file))
        assert hint in caught.value.hint
    WindowsSource(3, file, target="a", columns=["a"]).load(seed=0)


def test_columns_that_do_not_fit(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'mark': this column holds text"):
        WindowsSource(3, file).load(seed=0)
    with pytest.raises(DataError, match="column 'day': this column holds text"):
        WindowsSource(3, file, target="a", columns=["day"]).load(seed=0)
    for options, key in (
        ({"target": "c"}, "target"),
        ({"target": ["a", "bb"]}, "target.1"),
        ({"target": "a", "columns": [0, 9]}, "columns.1"),
    ):
        with pytest.raises(ColumnError, match="there is no column") as caught:
            WindowsSource(3, file, **options).load(seed=0)
        assert caught.value.key == key
    (tmp_path / "text.csv").write_text("a\nx\ny\n")
    with pytest.raises(DataError, match="no column of numbers"):
        WindowsSource(3, tmp_path / "text.csv").load(seed=0)
    with pytest.raises(MissingFile, match="no such file"):
        WindowsSource(3, tmp_path / "none.csv").load(seed=0)
    with pytest.raises(DataError, match="the windows would take 3,280 bytes, more than the limit of 3,000"):
        WindowsSource(20, file, target="a", max_bytes=3000, split=ALL, stride=2).load(seed=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"horizon": 0}, "horizon is 0"),
        ({"stride": 0}, "stride is 0"),
        ({"delimiter": "::"}, "the delimiter is"),
        ({"target": []}, "nothing to forecast"),
        ({"columns": []}, "nothing to forecast from"),
        ({"path": None}, "give path"),
        ({"valid_path": "b"}, "go with train_path"),
    ],
)
def test_arguments_without_a_meaning(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WindowsSource(**{"steps": 3, "path": "a.csv", **arguments})


@given(st.integers(0, 30), st.integers(1, 12), st.integers(1, 9), st.sampled_from([(), (2,), (2, 3)]))
def test_sliding(rows: int, steps: int, stride: int, shape: tuple[int, ...]) -> None:
    x = np.arange(rows * int(np.prod(shape))).reshape(rows, *shape)
    wanted = [x[start : start + steps] for start in range(0, rows - steps + 1, stride)]
    found = sliding(x, steps, stride)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.array(wanted, x.dtype).reshape(-1, steps, *shape), strict=True)


def test_every_wrong_name_at_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    source = WindowsSource(2, path, target=["c", "d"], columns=["a", "e"])
    assert [error.key for error in source.misnamed()] == ["target.1", "columns.1"]
    assert [error.key for error in WindowsSource(2, path, target="d").misnamed()] == ["target"]
    (tmp_path / "b.csv").write_text("b,d\n1,2\n")
    two = WindowsSource(1, train_path=path, test_path=tmp_path / "b.csv", target="c", columns=["a", "b", "c"])
    assert [(error.key, error.reason[:22]) for error in two.misnamed()] == [
        ("test_path", "there is no column 'a'"),
        ("test_path", "there is no column 'c'"),
    ]
