"""Writing files under faults: for every N, the N-th operation fails, or the process ends there, or the power does."""

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flux_core import fsio
from flux_core.fsio import append, cut, ensure_directory, is_locked, locked, make_directory, write_atomically

OPERATIONS = [name for name in vars(fsio.Disk) if not name.startswith("_")]
CLEANING = ("unlink", "truncate", "rmdir")  # what runs only after a failure


class Faulty(fsio.Disk):
    """A disk whose N-th operation (counted from 0) fails; N is None for a disk that only counts."""

    def __init__(self, fail_at=None, code=errno.ENOSPC, for_ever=False):
        self.fail_at, self.code, self.for_ever, self.log = fail_at, code, for_ever, []

    def __getattribute__(self, name):
        method = object.__getattribute__(self, name)
        if name not in OPERATIONS:
            return method

        def operation(*arguments):
            number = len(self.log)
            self.log.append(name)
            failing = self.fail_at is not None and (
                number == self.fail_at or (self.for_ever and number > self.fail_at and name not in CLEANING)
            )
            if failing:
                if name == "write":  # half of it arrives
                    method(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise OSError(self.code, os.strerror(self.code))
            return method(*arguments)

        return operation


def with_every_fault(monkeypatch, action):
    """Run `action` with each of its operations failing once and from then on; yields after each failure."""
    monkeypatch.setattr(fsio, "disk", counter := Faulty())
    action()
    assert counter.log
    for number in range(len(counter.log)):
        for code in (errno.ENOSPC, errno.EIO, errno.EINTR):
            for for_ever in (False, True):
                monkeypatch.setattr(fsio, "disk", Faulty(number, code, for_ever))
                with pytest.raises(OSError, match=re.escape(os.strerror(code))):
                    action()
                monkeypatch.setattr(fsio, "disk", fsio.Disk())
                yield counter.log[number]


def test_content_is_old_or_new_and_nothing_is_left_behind(tmp_path, monkeypatch):
    path, new = tmp_path / "file", b"new" * 1000
    faults = with_every_fault(monkeypatch, lambda: write_atomically(path, new))
    expected = new  # from the run that counts
    for operation in faults:
        assert path.read_bytes() == (new if operation == "sync_directory" else expected)
        expected = b"old"
        assert os.listdir(tmp_path) == ["file"]
        write_atomically(path, b"old")


def test_the_harness_catches_a_writer_that_is_not_atomic(tmp_path, monkeypatch):
    """The planted fault: writing in place leaves neither the old nor the new content."""
    path = tmp_path / "file"

    def careless():
        file = fsio.disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            fsio.disk.write(file, memoryview(b"new" * 1000))
        finally:
            os.close(file)

    seen = set()
    for _ in with_every_fault(monkeypatch, careless):
        seen.add(path.read_bytes())
        write_atomically(path, b"old")
    assert seen - {b"old", b"new" * 1000}


def test_a_failed_append_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    append(path, b"one\n")
    expected = b"one\n" + b"two\n"  # from the run that counts
    for _ in with_every_fault(monkeypatch, lambda: append(path, b"two\n", sync=True)):
        assert path.read_bytes() == expected
        append(path, b"three\n")
        expected += b"three\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for action in (
        lambda: append(path, b"new", sync=True),
        lambda: write_atomically(path, b"new"),
        lambda: cut(path, 1),
    ):
        for number in (1, 2):  # behind the opening
            monkeypatch.setattr(fsio, "disk", Faulty(number))
            with pytest.raises(OSError, match="No space") as caught:
                action()
            assert caught.value.filename == str(path)


def test_a_failed_directory_can_be_claimed_again(tmp_path, monkeypatch):
    path = tmp_path / "run"

    def claim():
        make_directory(path)
        path.rmdir()

    for _ in with_every_fault(monkeypatch, claim):
        assert not path.exists()


def test_order_of_operations(tmp_path, monkeypatch):
    monkeypatch.setattr(fsio, "disk", counter := Faulty())
    write_atomically(tmp_path / "file", b"a", b"b")
    assert counter.log == ["open", "write", "write", "sync", "replace", "sync_directory"]
    counter.log.clear()
    append(tmp_path / "lines", b"a", sync=True)
    assert counter.log == ["open", "write", "sync"]


class Forgetful(fsio.Disk):
    """A disk that keeps, beside the real one, what a power loss would leave: only what was synced."""

    def __init__(self):
        self.names, self.durable_names, self.content, self.files = {}, {}, {}, {}

    def open(self, path, flags):
        file = super().open(path, flags)
        node = os.fstat(file).st_ino
        self.names[path.name], self.files[file] = node, path
        self.content.setdefault(node, b"")
        return file

    def sync(self, file):
        super().sync(file)
        self.content[os.fstat(file).st_ino] = self.files[file].read_bytes()

    def replace(self, source, target):
        super().replace(source, target)
        self.names[target.name] = self.names.pop(source.name)

    def sync_directory(self, path):
        super().sync_directory(path)
        self.durable_names = dict(self.names)

    def after_power_loss(self, name, names):
        return self.content[names[name]]


def test_power_loss_after_a_write_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(fsio, "disk", disk := Forgetful())
    write_atomically(tmp_path / "file", b"old")
    write_atomically(tmp_path / "file", b"new")
    assert disk.after_power_loss("file", disk.durable_names) == b"new"


def test_power_loss_with_the_rename_done_but_not_synced(tmp_path, monkeypatch):
    """Whether the names on the disk are those before the rename or after, the content is whole."""
    monkeypatch.setattr(fsio, "disk", disk := Forgetful())
    write_atomically(tmp_path / "file", b"old")
    monkeypatch.setattr(disk, "sync_directory", lambda path: None)
    write_atomically(tmp_path / "file", b"new")
    assert disk.after_power_loss("file", disk.durable_names) == b"old"
    assert disk.after_power_loss("file", disk.names) == b"new"


DYING = """
import os, sys
from pathlib import Path
from flux_core import fsio

left = int(sys.argv[2])

class Dying(fsio.Disk):
    pass

def dying(name):
    def operation(self, *arguments):
        global left
        result = getattr(fsio.Disk, name)(self, *arguments)
        left -= 1
        if left == 0:
            os._exit(9)
        return result
    return operation

for name in ("open", "write", "sync", "replace", "sync_directory"):
    setattr(Dying, name, dying(name))
fsio.disk = Dying()
fsio.write_atomically(Path(sys.argv[1]), b"new")
"""


@pytest.mark.parametrize(
    ("operations", "content"), [(1, b"old"), (2, b"old"), (3, b"old"), (4, b"new"), (5, b"new"), (6, b"new")]
)
def test_the_process_ends_after_an_operation(tmp_path, operations, content):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    ended = subprocess.run([sys.executable, "-c", DYING, str(path), str(operations)], check=False)
    assert ended.returncode == (9 if operations < 6 else 0)
    assert path.read_bytes() == content
    assert all(name.startswith(".tmp-") for name in os.listdir(tmp_path) if name != "file")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_get_the_permissions_of_the_umask(tmp_path, mask, mode):
    old = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"")
        append(tmp_path / "lines", b"")
        make_directory(tmp_path / "folder")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert (tmp_path / "lines").stat().st_mode & 0o777 == mode
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~mask


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(fsio.disk, "sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_a_directory_is_claimed_once(tmp_path):
    make_directory(tmp_path / "run")
    with pytest.raises(FileExistsError):
        make_directory(tmp_path / "run")


def test_directories_with_parents(tmp_path):
    ensure_directory(tmp_path / "a" / "b" / "c", mode=0o700)
    ensure_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        ensure_directory(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        ensure_directory(tmp_path / "file" / "below")


def test_a_leftover_of_an_earlier_process_of_the_same_number_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(fsio, "_count", iter(range(2)))
    leftover = tmp_path / f".tmp-{os.getpid()}-0"
    leftover.write_bytes(b"leftover")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert leftover.read_bytes() == b"leftover"


def test_no_symbolic_link_is_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    for name in ("lines", "file"):
        (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic"):
        append(tmp_path / "lines", b"x")
    write_atomically(tmp_path / "file", b"new")
    assert elsewhere.read_bytes() == b"precious"
    assert Path(tmp_path / "file").read_bytes() == b"new"


def test_a_file_system_that_cannot_sync_directories_will_do(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.EINVAL, "no such operation")

    monkeypatch.setattr(os, "fsync", refuse)
    make_directory(tmp_path / "run")
    assert (tmp_path / "run").is_dir()


def test_a_cut_keeps_the_beginning_of_the_same_file(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthr")
    inode = path.stat().st_ino
    cut(path, 8)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_ino == inode
    with pytest.raises(FileNotFoundError):
        cut(tmp_path / "none", 0)


def test_a_lock_lets_one_in_at_a_time_and_goes_with_its_process(tmp_path):
    path = tmp_path / "lock"
    script = (
        "import sys, time; from flux_core.fsio import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert not is_locked(path)
    assert not path.exists(), "asking makes no file"
    with holder, ThreadPoolExecutor() as pool:
        assert holder.stdout.readline() == "held\n"
        assert is_locked(path)
        waiting = pool.submit(lambda: locked(path).__enter__())
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        holder.kill()
        waiting.result(timeout=20)


def test_who_only_asks_for_a_lock_is_in_nobodys_way(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    with locked(path):
        assert is_locked(path)
    path.chmod(0o444)
    asking, moments = os.open(path, os.O_RDONLY), []
    fsio.fcntl.flock(asking, fsio.fcntl.LOCK_SH)
    monkeypatch.setattr(fsio.time, "sleep", lambda seconds: (moments.append(seconds), os.close(asking)))
    assert not is_locked(path), "two who ask see each other not"
    path.chmod(0o644)
    with locked(path, wait=False):
        assert moments == [fsio.ASKING_SECONDS]


@pytest.mark.parametrize("left", ["nothing", "another", "no folder"])
def test_a_lock_is_that_of_the_file_that_is_there(tmp_path, left):
    """Who waited for a file that went away would otherwise hold a lock that nobody else asks for."""
    path = tmp_path / "folder" / "lock"
    path.parent.mkdir()

    def wait():
        with locked(path):
            return is_locked(path)

    with ThreadPoolExecutor() as pool:
        with locked(path):
            waiting = pool.submit(wait)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.1)
            path.rename(tmp_path / "away")
            if left == "another":
                path.touch()
            elif left == "no folder":
                path.parent.rmdir()
        if left == "no folder":
            with pytest.raises(FileNotFoundError):
                waiting.result(timeout=20)
        else:
            assert waiting.result(timeout=20)
