"""Facts about files: found out once, again when the file has changed, and never believed when they are damaged."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from flux_core import fsio
from flux_core.caches import facts
from flux_core.caches.facts import file_digest, identity, keep, recall, unchanged
from flux_core.caches.folder import data_folder

OLD = 1_600_000_000 * 10**9  # long enough ago for a file to have settled


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, ns=(OLD, OLD))
    return path


class Asked:
    """An answer that counts how often it was asked for."""

    def __init__(self, value: object = 1) -> None:
        self.value, self.times = value, 0

    def __call__(self) -> object:
        self.times += 1
        return self.value


def test_the_second_answer_is_remembered(cache: Path, file: Path) -> None:
    first, second, other = Asked({"mean": [0.1, 1e-300]}), Asked(), Asked("x")
    assert recall(file, "moments", first) == {"mean": [0.1, 1e-300]}
    assert recall(file, "other", other) == "x"
    assert recall(file, "moments", second) == {"mean": [0.1, 1e-300]}
    assert (first.times, second.times, other.times) == (1, 0, 1)
    assert data_folder() == cache


def change(path: Path) -> None:
    path.write_bytes(b"another")
    os.utime(path, ns=(OLD, OLD))  # only the time of the entry tells


def replace(path: Path) -> None:
    path.with_name("new").write_bytes(b"content")
    os.utime(path.with_name("new"), ns=(OLD, OLD))
    path.with_name("new").replace(path)


@pytest.mark.parametrize(
    "changed", [change, replace, lambda path: path.write_bytes(b"longer than before"), lambda path: path.touch()]
)
def test_a_changed_file_is_looked_at_again(cache: Path, file: Path, changed) -> None:
    recall(file, "question", Asked(1))
    changed(file)
    assert recall(file, "question", Asked(2)) == 2


def test_a_file_of_this_moment_is_not_settled(cache: Path, file: Path) -> None:
    file.touch()
    recall(file, "question", Asked(1))
    assert recall(file, "question", Asked(2)) == 2


def test_a_file_that_changes_meanwhile_is_not_remembered(cache: Path, file: Path) -> None:
    def answer() -> int:
        change(file)
        return 1

    recall(file, "question", answer)
    assert recall(file, "question", Asked(2)) == 2


def test_what_is_unchanged(file: Path) -> None:
    before = identity(file)
    file.chmod(0o600)
    os.link(file, file.with_name("another name"))
    assert identity(file) != before
    assert unchanged(file, before)
    file.touch()
    assert not unchanged(file, before)
    os.utime(file, ns=(OLD, OLD))
    assert unchanged(file, before)
    replace(file)
    assert not unchanged(file, before)
    assert not unchanged(file.with_name("none"), before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b'"question": 1', b'"question": 3'),
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"[]",
        lambda data: b"\xff\xfe",
        lambda data: b"[" * 100_000,
        lambda data: b'{"identity": 1, "facts": 2, "check": 3}',
    ],
)
def test_damaged_facts_are_found_out_again(cache: Path, file: Path, damage) -> None:
    recall(file, "question", Asked(1))
    (kept,) = cache.iterdir()
    assert damage(kept.read_bytes()) != kept.read_bytes()
    kept.write_bytes(damage(kept.read_bytes()))
    assert recall(file, "question", Asked(2)) == 2
    assert recall(file, "question", Asked(3)) == 2


def test_an_error_is_not_an_answer(cache: Path, file: Path) -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        recall(file, "question", fails)
    assert recall(file, "question", Asked(2)) == 2


def test_nothing_can_be_kept(cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(fsio.disk, "write", refused)
    recall(file, "question", Asked(1))
    assert recall(file, "question", Asked(2)) == 2
    monkeypatch.setattr(facts, "data_folder", lambda: None)
    assert recall(file, "question", Asked(3)) == 3
    keep(file, {"question": 4}, identity(file))


def test_digests(cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = hashlib.sha256(b"content").hexdigest()
    assert file_digest(file) == wanted
    assert not cache.exists()  # it is small
    monkeypatch.setattr(facts, "SMALL", 3)
    assert file_digest(file) == wanted
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("the file was read again"))
    assert file_digest(file) == wanted


def test_files_that_share_a_name_do_not_share_facts(cache: Path, file: Path) -> None:
    other = file.parent / "folder" / file.name
    other.parent.mkdir()
    other.write_bytes(b"content")
    os.utime(other, ns=(OLD, OLD))
    recall(file, "question", Asked(1))
    assert recall(other, "question", Asked(2)) == 2


def test_what_has_no_end_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="no regular file"):
            file_digest(path)
