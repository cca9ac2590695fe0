"""Large tables: parsed once, the same data set ever after, and never that of another table, seed or option."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from flux_core.data import CsvSource, chunks, tables
from flux_core.data.dataset import Dataset
from flux_core.errors import DataError, MissingFile

TABLE = (
    "a,colour,y\n" + "".join(f"{i % 7}.5,{'red' if i % 3 else 'blue'},{'uvw'[i % 3]}\n" for i in range(40)) + "9,red,\n"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "LARGE", 0)
    return tmp_path / "cache" / "data"


def written(path: Path, text: str = TABLE) -> Path:
    path.write_text(text)
    os.utime(path, (1_600_000_000, 1_600_000_000))  # settled
    return path


def assert_equal(found: Dataset, wanted: Dataset) -> None:
    for name in ("train", "valid", "test"):
        mine, its = getattr(found, name), getattr(wanted, name)
        assert (mine is None) == (its is None)
        if mine is not None:
            for a, b in ((mine.x, its.x), (mine.y, its.y)):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)
    rest = [field.name for field in dataclasses.fields(Dataset) if field.name not in ("train", "valid", "test")]
    assert {name: getattr(found, name) for name in rest} == {name: getattr(wanted, name) for name in rest}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were parsed."""
    calls, real = [], tables.read_table
    monkeypatch.setattr(tables, "read_table", lambda path, **more: (calls.append(path.name), real(path, **more))[1])
    return calls


def plain(source: CsvSource, seed: int = 0) -> Dataset:
    """What is read without keeping anything."""
    return source._load(seed, None)


OPTIONS = [
    {},
    {"target": "a", "on_missing": "mode"},
    {"target": 0, "on_missing": "mode", "standardize": False},
    {"split": {"train": 0.5, "valid": 0.5}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_second_time_nothing_is_parsed(cache: Path, tmp_path: Path, parsed: list[str], options) -> None:
    source = CsvSource(written(tmp_path / "t.csv"), **options)
    wanted = plain(source)
    del parsed[:]
    for _ in range(3):
        assert_equal(source.load(seed=0), wanted)
    assert parsed == ["t.csv"]
    assert source.peek().input_shape == wanted.train.x.shape[1:]
    assert parsed == ["t.csv"]


def test_small_tables_keep_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LARGE", 10**6)
    CsvSource(written(tmp_path / "t.csv")).load(seed=0)
    assert not cache.exists() or not list(cache.iterdir())


def test_everything_that_matters_tells_data_sets_apart(cache: Path, tmp_path: Path) -> None:
    path, other = written(tmp_path / "t.csv"), written(tmp_path / "u.csv", TABLE.replace("6.5", "8.5"))
    for _ in range(2):
        for source in [CsvSource(path, **options) for options in OPTIONS] + [CsvSource(other)]:
            for seed in (0, 1):
                assert_equal(source.load(seed=seed), plain(source, seed))
    written(path, TABLE.replace("5.5", "4.5"))
    for seed in (0, 1):
        assert_equal(CsvSource(path).load(seed=seed), plain(CsvSource(path), seed))


def test_files_of_other_splits_count(cache: Path, tmp_path: Path, parsed: list[str]) -> None:
    paths = {"train_path": written(tmp_path / "t.csv"), "test_path": written(tmp_path / "u.csv")}
    source = CsvSource(**paths)
    first = source.load(seed=0)
    written(paths["test_path"], TABLE.replace("6.5", "8.5"))
    second = source.load(seed=0)
    assert_equal(second, plain(source))
    assert not np.array_equal(first.test.x, second.test.x)
    paths["test_path"].unlink()
    with pytest.raises(MissingFile, match=r"u\.csv: no such file"):
        source.load(seed=0)


@pytest.mark.parametrize("known", [False, True], ids=["new", "arrays gone"])
def test_a_file_that_is_replaced_while_it_is_read(cache: Path, tmp_path: Path, monkeypatch, known: bool) -> None:
    source, real = CsvSource(written(tmp_path / "t.csv")), tables.read_table
    if known:
        source.load(seed=0)
        for file in cache.glob("*.npy"):
            file.unlink()

    def slowly(path: Path, **more: object) -> object:
        table = real(path, **more)
        written(tmp_path / "new", TABLE.replace("6.5", "8.5")).replace(path)
        return table

    with monkeypatch.context() as patched:
        patched.setattr(tables, "read_table", slowly)
        with pytest.raises(DataError, match=r"t\.csv: the file has changed while it was read"):
            source.load(seed=0)
    for _ in range(2):
        assert_equal(source.load(seed=0), plain(source))
    written(tmp_path / "t.csv")  # the old content, whose key must not lead to the new values
    assert_equal(source.load(seed=0), plain(source))


def test_a_file_whose_rights_change_while_it_is_read(cache: Path, tmp_path: Path, monkeypatch) -> None:
    path, real = written(tmp_path / "t.csv"), tables.read_table

    def slowly(path: Path, **more: object) -> object:
        table = real(path, **more)
        path.chmod(0o600)
        os.link(path, tmp_path / "another name")
        return table

    with monkeypatch.context() as patched:
        patched.setattr(tables, "read_table", slowly)
        found = CsvSource(path).load(seed=0)
    assert_equal(found, plain(CsvSource(path)))


def test_arrays_that_are_gone_are_made_again(cache: Path, tmp_path: Path, parsed: list[str]) -> None:
    source = CsvSource(written(tmp_path / "t.csv"))
    wanted = plain(source)
    source.load(seed=0)
    del parsed[:]
    files = sorted(cache.glob("*.npy"))
    assert len(files) == 6
    files[0].unlink()
    files[3].write_bytes(files[3].read_bytes()[:-4])
    for _ in range(2):
        assert_equal(source.load(seed=0), wanted)
    assert parsed == ["t.csv"]
