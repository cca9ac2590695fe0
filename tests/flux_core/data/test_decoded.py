"""Arrays that are decoded once: the entry is the array, a damaged one is made again, and none is no disaster."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flux_core import fsio
from flux_core.data import decoded as module
from flux_core.data.decoded import decoded, key_of
from flux_core.errors import DataError

SHAPE, DTYPE = (5, 3), np.dtype(np.float32)
WANTED = np.arange(15, dtype=np.float32).reshape(SHAPE)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


class Parts:
    """The rows in two pieces; counts how often they are asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Iterator[np.ndarray]:
        self.times += 1
        yield WANTED[:2]
        yield WANTED[2:]


def entry(cache: Path) -> Path:
    (file,) = cache.glob("*.npy")
    return file


def test_the_second_time_is_a_map(cache: Path) -> None:
    parts = Parts()
    for _ in range(2):
        x, reason = decoded("key", SHAPE, DTYPE, parts)
        np.testing.assert_array_equal(x, WANTED)
        assert (reason, x.dtype, type(x), x.flags.writeable, x.ctypes.data % 64) == (None, DTYPE, np.ndarray, False, 0)
    assert parts.times == 1
    np.testing.assert_array_equal(np.load(entry(cache)), WANTED)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert not list(cache.glob(".tmp-*"))


def flip(file: Path) -> None:
    time.sleep(0.02)  # a tick of the clock of the file system
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


def other(file: Path) -> None:
    np.save(file, WANTED[:4])


@pytest.mark.parametrize("damage", [flip, cut, other, lambda file: file.write_bytes(b""), Path.unlink])
def test_a_damaged_entry_is_made_again(cache: Path, damage) -> None:
    decoded("key", SHAPE, DTYPE, Parts())
    damage(entry(cache))
    parts = Parts()
    x, reason = decoded("key", SHAPE, DTYPE, parts)
    np.testing.assert_array_equal(x, WANTED)
    assert (parts.times, reason) == (1, None)
    decoded("key", SHAPE, DTYPE, parts)
    assert parts.times == 1


def test_an_array_in_use_outlives_its_entry(cache: Path) -> None:
    x, _ = decoded("key", SHAPE, DTYPE, Parts())
    entry(cache).unlink()
    decoded("key", SHAPE, DTYPE, Parts())
    np.testing.assert_array_equal(x, WANTED)


@pytest.mark.parametrize("operation", ["open", "write", "sync", "replace", "sync_directory"])
@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch, operation: str, code: int) -> None:
    cache.mkdir(mode=0o700, parents=True)
    cache.parent.chmod(0o700)

    def refused(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fsio.disk, operation, refused)
    parts = Parts()
    x, reason = decoded("key", SHAPE, DTYPE, parts)
    np.testing.assert_array_equal(x, WANTED)
    assert reason == f"decoded data cannot be kept in {cache}: {os.strerror(code)}"
    assert not list(cache.glob(".tmp-*"))


def test_no_folder_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "data_folder", lambda: None)
    x, reason = decoded("key", SHAPE, DTYPE, Parts())
    np.testing.assert_array_equal(x, WANTED)
    assert reason == "no folder for decoded data can be written to"


def test_a_full_folder_that_is_read_only_is_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded("key", SHAPE, DTYPE, Parts())
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    x, reason = decoded("key", SHAPE, DTYPE, lambda: pytest.fail("it was there"))
    np.testing.assert_array_equal(x, WANTED)
    assert reason is None


def test_an_error_in_the_data_leaves_nothing_behind(cache: Path) -> None:
    def parts() -> Iterator[np.ndarray]:
        yield WANTED[:2]
        raise DataError("nan")

    with pytest.raises(DataError, match="nan"):
        decoded("key", SHAPE, DTYPE, parts)
    assert [file.name for file in cache.iterdir()] == ["key.lock"]


def test_what_a_dead_process_left_is_removed(cache: Path) -> None:
    decoded("first", SHAPE, DTYPE, Parts())
    dead, young, alive = (cache / f".tmp-{n}-0" for n in (2**22 + 1, 2**22 + 2, os.getpid()))
    for file in (dead, young, alive):
        file.write_bytes(b"half")
    for file in (dead, alive):
        os.utime(file, (0, 0))
    decoded("second", SHAPE, DTYPE, Parts())
    assert sorted(cache.glob(".tmp-*")) == sorted([young, alive])


def test_keys() -> None:
    assert key_of(a=1, b=[0.1]) == key_of(b=[0.1], a=1)
    assert key_of(a=1, b=[0.1]) != key_of(a=1, b=[0.1000000000000001])
