"""npy: arrays that are trained on where they lie; the same examples as from memory, whatever their type."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from flux_core.data import NpySource, NpzSource, chunks, decoded, large
from flux_core.data.dataset import Dataset
from flux_core.errors import DataError, MissingFile

ROWS = 60
RNG = np.random.default_rng(0)
X = RNG.normal(3, 20, (ROWS, 4)).astype(np.float32)
Y = RNG.integers(0, 3, ROWS)
PARTS = ("train", "valid", "test")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture(params=["large", "small"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cache: Path) -> str:
    """Whether the arrays count as large."""
    if request.param == "large":
        monkeypatch.setattr(chunks, "LARGE", 0)
    monkeypatch.setattr(chunks, "PIECE", 28)  # seven rows of four
    return str(request.param)


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(chunks, "LARGE", 0)
    monkeypatch.setattr(chunks, "PIECE", 28)


def saved(folder: Path, x: np.ndarray, y: np.ndarray = Y, name: str = "") -> dict[str, Path]:
    files = {"features": folder / f"x{name}.npy", "labels": folder / f"y{name}.npy"}
    np.save(files["features"], x)
    np.save(files["labels"], y)
    for file in files.values():
        os.utime(file, (1_600_000_000, 1_600_000_000))
    return files


def from_memory(folder: Path, x: np.ndarray, y: np.ndarray = Y, **options) -> Dataset:
    """The same by an archive, which is small."""
    np.savez(folder / "memory.npz", x=x, y=y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "LARGE", 2**60)
        return NpzSource(folder / "memory.npz", **{"standardize": False, **options}).load(seed=5)


def assert_equal(found: Dataset, wanted: Dataset, rtol: float = 0.0) -> None:
    assert (found.task, found.classes, found.notes) == (wanted.task, wanted.classes, wanted.notes)
    for name in PARTS:
        mine, its = getattr(found, name), getattr(wanted, name)
        assert (mine is None) == (its is None)
        if mine is not None:
            for a, b in zip(mine.part(slice(None)), its.part(slice(None)), strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


CASES = {
    "float32": X,
    "images": X[:, :, None].repeat(2, axis=2),
    "one number a row": X[:, 0],
    "float64": X.astype(np.float64) * 1.1,
    "big-endian": X.astype(">f4"),
    "columns first": np.asfortranarray(X),
    "bytes": np.abs(X).astype(np.uint8),
    "integers": X.astype(np.int64),
    "half": X.astype(np.float16),
    "truth": X > 0,
}


@pytest.mark.parametrize("x", CASES.values(), ids=CASES.keys())
def test_the_same_as_from_memory(size: str, tmp_path: Path, x: np.ndarray) -> None:
    source = NpySource(**saved(tmp_path, x))
    for _ in range(2):  # the second time from what was kept
        assert_equal(source.load(seed=5), from_memory(tmp_path, x))
    assert source.peek().input_shape == from_memory(tmp_path, x).train.x.shape[1:]


@pytest.mark.parametrize("x", [X, X[:, :, None].repeat(2, axis=2), X.astype(np.int16)], ids=["f4", "images", "i2"])
def test_standardised_in_pieces(size: str, tmp_path: Path, x: np.ndarray) -> None:
    source, wanted = NpySource(**saved(tmp_path, x), standardize=True), from_memory(tmp_path, x, standardize=True)
    first, second = source.load(seed=5), source.load(seed=5)
    assert_equal(first, wanted, rtol=1e-6)
    assert_equal(second, first)
    assert first.preprocessing == second.preprocessing
    assert first.preprocessing.inputs is not None
    np.testing.assert_allclose(first.preprocessing.inputs.std, wanted.preprocessing.inputs.std, rtol=1e-12)


def test_ids_stay_ids(size: str, tmp_path: Path) -> None:
    for dtype in (np.int64, np.uint16):
        x = np.abs(X).astype(dtype)
        source = NpySource(**saved(tmp_path, x), ids=True)
        assert_equal(source.load(seed=5), from_memory(tmp_path, x, ids=True))
        assert source.peek().input_dtype == "int64"


def test_regressions(size: str, tmp_path: Path) -> None:
    y = X[:, :2] * 3.0
    for standardize in (False, True):
        found = NpySource(**saved(tmp_path, X, y), standardize=standardize).load(seed=5)
        wanted = from_memory(tmp_path, X, y, standardize=standardize)
        assert_equal(found, wanted, rtol=1e-6 if standardize else 0)
        assert found.preprocessing.targets == wanted.preprocessing.targets


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_what_fits_is_not_copied(everything_is_large: None, cache: Path, tmp_path: Path, dtype: type) -> None:
    data = NpySource(**saved(tmp_path, np.abs(X).astype(dtype)), ids=dtype == np.int64).load(seed=0)
    assert data.train.x is data.valid.x is data.test.x
    assert data.train.y is data.valid.y is data.test.y
    assert any(isinstance(base, np.memmap) for base in bases(data.train.x))
    assert not list(cache.glob("*.npy"))


def bases(array: np.ndarray):
    while array is not None:
        yield array
        array = getattr(array, "base", None)


def test_splits_are_disjoint_and_all(everything_is_large: None, tmp_path: Path) -> None:
    data = NpySource(**saved(tmp_path, X)).load(seed=3)
    rows = np.concatenate([getattr(data, name).rows for name in PARTS])
    assert sorted(rows.tolist()) == list(range(ROWS))
    assert [len(getattr(data, name)) for name in PARTS] == [48, 6, 6]
    assert NpySource(**saved(tmp_path, X), split={"train": 1.0}).load(seed=3).train.rows is None


def test_rows_that_are_off_by_one_are_caught(everything_is_large: None, tmp_path: Path, monkeypatch) -> None:
    def shifted(x, y, rows=None):
        return right(x, y, None if rows is None else (rows + 1) % len(x))

    from flux_core.data import assemble

    right = assemble.Examples
    source, wanted = NpySource(**saved(tmp_path, X)), from_memory(tmp_path, X)
    monkeypatch.setattr(assemble, "Examples", shifted)
    with pytest.raises(AssertionError):
        assert_equal(source.load(seed=5), wanted)


def test_splits_with_their_own_files(size: str, tmp_path: Path) -> None:
    train, valid, test = (saved(tmp_path, X[i:], Y[i:], str(i)) for i in (0, 10, 20))
    pairs = {f"{p}_{k}": v for p, files in (("valid", valid), ("test", test)) for k, v in files.items()}
    source = NpySource(**train, **pairs)
    data = source.load(seed=0)
    assert [getattr(data, name).part(slice(None))[0].tolist() for name in PARTS] == [
        X.tolist(),
        X[10:].tolist(),
        X[20:].tolist(),
    ]
    assert [file.name for file in source.files()] == ["x0.npy", "y0.npy", "x10.npy", "y10.npy", "x20.npy", "y20.npy"]
    with pytest.raises(ValueError, match="not from both"):
        NpySource(**train, **pairs, split={"train": 0.9, "test": 0.1})
    with pytest.raises(ValueError, match="go together"):
        NpySource(**train, test_features=test["features"])


@pytest.mark.parametrize(("value", "spelled"), [(np.nan, "nan"), (-np.inf, "-inf")])
@pytest.mark.parametrize("options", [{}, {"standardize": True}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_finite_is_named(size: str, tmp_path: Path, value, spelled, options, dtype) -> None:
    x = X.astype(dtype)
    x[23, 2] = value
    source = NpySource(**saved(tmp_path, x), **options)
    for _ in range(2):
        with pytest.raises(DataError, match=rf"x\.npy: array 'features' holds {spelled} at \[23, 2\]"):
            source.load(seed=0)


def test_what_float32_cannot_hold_is_named(everything_is_large: None, cache: Path, tmp_path: Path) -> None:
    x = X.astype(np.float64)
    x[40, 1] = 1e200
    with pytest.raises(DataError, match=r"holds inf at \[40, 1\]"):
        NpySource(**saved(tmp_path, x)).load(seed=0)
    assert not list(cache.glob("*.npy"))


def test_negative_ids_are_refused(size: str, tmp_path: Path) -> None:
    x = np.zeros((ROWS, 4), np.int64)
    x[50, 0] = -1
    for array in (x, x.astype(np.int8), x.astype(np.float32)):
        with pytest.raises(DataError, match="does not hold ids"):
            NpySource(**saved(tmp_path, array), ids=True).load(seed=0)


def test_the_largest_ids_are_known(size: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 50, (ROWS, 4))
    source = NpySource(**saved(tmp_path, x), ids=True)
    for _ in range(2):  # the second time they are remembered
        found = source.load(seed=0).largest
        assert found is not None
        assert found.tolist() == x.max(axis=0).tolist()
    x[17, 2] = 1000
    found = NpySource(**saved(tmp_path, x), ids=True).load(seed=0).largest
    assert found is not None
    assert found.max() == 1000
    assert NpySource(**saved(tmp_path, X)).load(seed=0).largest is None


def counting(monkeypatch: pytest.MonkeyPatch, module, name: str) -> list[int]:
    """How often a function of a module is called."""
    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **kwargs: (calls.append(1), real(*args, **kwargs))[1])
    return calls


def test_values_are_looked_at_once(everything_is_large: None, tmp_path: Path, monkeypatch) -> None:
    looks = counting(monkeypatch, large, "check_finite")
    files = saved(tmp_path, X)
    NpySource(**files).load(seed=0)
    assert len(looks) == 9
    NpySource(**files).load(seed=1)
    assert len(looks) == 9
    saved(tmp_path, X)  # written again
    NpySource(**files).load(seed=0)
    assert len(looks) == 18


def test_a_kept_array_goes_with_content_and_conversion(everything_is_large: None, cache: Path, tmp_path: Path) -> None:
    x = np.abs(X).astype(np.uint8)
    files = saved(tmp_path, x)

    def entries(**options) -> int:
        NpySource(**files, **options).load(seed=options.pop("seed", 0))
        return len(list(cache.glob("*.npy")))

    assert entries() == 1
    assert entries() == 1
    assert entries(standardize=True) == 2
    assert entries(ids=True) == 3
    saved(tmp_path, x + 1)
    assert entries() == 4
    saved(tmp_path, x)
    assert entries() == 4
    NpySource(**files, standardize=True).load(seed=9)  # other rows to train on: other moments
    assert len(list(cache.glob("*.npy"))) == 5


def test_a_cache_that_takes_nothing_is_said_once(everything_is_large: None, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(decoded, "data_folder", lambda: None)
    x = np.abs(X).astype(np.uint8)
    pair = {f"test_{key}": file for key, file in saved(tmp_path, x[:20], Y[:20], "t").items()}
    data = NpySource(**saved(tmp_path, x), **pair).load(seed=5)
    assert data.notes == ("no folder for decoded data can be written to; every run decodes them again",)
    np.testing.assert_array_equal(data.train.x, x)
    np.testing.assert_array_equal(data.test.x, x[:20])


def header(shape: tuple[int, ...], descr: str = "<f4", fortran: bool = False) -> bytes:
    import io

    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": descr, "fortran_order": fortran, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header((10**6, 10**6)) + b"\0" * 64, "claims 4,000,000,000,000 bytes, 64 follow"),
        (header((2**62, 4)) + b"\0" * 64, "claims"),
        (header((60, 4)) + b"\0" * 959, "959 follow"),
        (header((60, 4)) + b"\0" * 961, "961 follow"),
        (header((60,), "|O") + b"\0" * 480, "Python objects, which are never loaded"),
        (header((60,), "<c8") + b"\0" * 480, "values of type complex64"),
        (header((0, 4)), "no values in it"),
        (b"", "cannot be read as a .npy file"),
        (b"\x93NUMPY", "cannot be read as a .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff{'descr'", "cannot be read as a .npy file"),
        (b"PK\x03\x04" + b"\0" * 100, "cannot be read as a .npy file"),
        (b"\x93NUMPY\x03\x00\x00\x00", "version"),
    ],
)
@pytest.mark.parametrize("which", ["features", "labels"])
def test_files_that_lie(size: str, tmp_path: Path, content: bytes, reason: str, which: str) -> None:
    files = saved(tmp_path, X)
    files[which].write_bytes(content)
    for ask in (NpySource.load, NpySource.peek):
        with pytest.raises(DataError, match=reason) as error:
            ask(NpySource(**files), seed=0)
        assert error.value.file == str(files[which])


def test_missing_files_and_rows(size: str, tmp_path: Path) -> None:
    files = saved(tmp_path, X)
    with pytest.raises(DataError, match="has 60 rows and the target has 59"):
        NpySource(**{**files, "labels": saved(tmp_path, X, Y[:-1], "short")["labels"]}).load(seed=0)
    with pytest.raises(MissingFile, match="no such file"):
        NpySource(tmp_path / "absent.npy", files["labels"]).load(seed=0)
    with pytest.raises(MissingFile, match="a folder"):
        NpySource(tmp_path, files["labels"]).load(seed=0)


def test_splits_of_other_shape(size: str, tmp_path: Path) -> None:
    pair = {f"test_{key}": file for key, file in saved(tmp_path, X[:, :3], name="t").items()}
    with pytest.raises(DataError, match="in the training file it has"):
        NpySource(**saved(tmp_path, X), **pair).load(seed=0)
