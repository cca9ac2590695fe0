"""The one module through which files are written.

    write_atomically   tmp ──write, fsync──▶ tmp ──replace──▶ path ──fsync──▶ folder
                       a reader sees the old content or the new, whatever happens in between
    append             whole lines or nothing: a failed append is cut off again
    cut                the end of a file goes, what stays was never touched
    locked             one process at a time; the others wait, or are told
    is_locked          whether there is such a process now
    make_directory     an atomic claim: of many callers one wins, the others get FileExistsError

Every call to the operating system goes through `disk`, so that a test can make the N-th one fail. A failed
fsync counts as "not written" and is not tried again: the kernel may have dropped the pages. Reading needs
none of this and is done with plain `open`.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# some network and FUSE file systems sync names by themselves and refuse to be asked
NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP)
ASKING_SECONDS = 0.02  # much longer than a process holds a lock that only asks whether another one does

_count = itertools.count()


class Disk:
    """The operations that change a disk, one method each."""

    def open(self, path: Path, flags: int) -> int:
        """Open `path` as a file descriptor that no child inherits; a new file gets 0666 & ~umask."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)

    def write(self, file: int, data: memoryview) -> int:
        """Write some of `data`; returns how many bytes."""
        return os.write(file, data)

    def sync(self, file: int) -> None:
        """Wait until the file's content is on the disk."""
        os.fsync(file)

    def truncate(self, file: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(file, size)

    def replace(self, source: Path, target: Path) -> None:
        """Rename `source` to `target`, which may exist."""
        os.replace(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)

    def mkdir(self, path: Path, mode: int) -> None:
        """Make one directory."""
        os.mkdir(path, mode)

    def rmdir(self, path: Path) -> None:
        """Remove an empty directory."""
        os.rmdir(path)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the disk."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in NO_DIRECTORY_SYNC:
                raise
        finally:
            os.close(folder)


disk = Disk()


def write_atomically(path: str | Path, *parts: bytes | memoryview) -> None:
    """Put a file of these bytes, one part after another, in the place of `path`; raises as `write_parts`."""
    write_parts(path, parts)


def write_parts(path: str | Path, parts: Iterable[bytes | memoryview]) -> None:
    """Put a file in the place of `path` that is made while it is written, one part after another.

    Raises OSError, and leaves the old content and no temporary file behind, when an operation fails. (If the
    last one does, the sync of the folder, the new content is in place but may not survive a power loss.)
    """
    path = Path(path)
    temporary, file = _open_beside(path)
    try:
        with _named(path):
            try:
                _write_all(file, parts)
                disk.sync(file)
            finally:
                os.close(file)
        disk.replace(temporary, path)
    except BaseException:  # an interrupt too leaves nothing half-made
        with suppress(OSError):
            disk.unlink(temporary)
        raise
    disk.sync_directory(path.parent)


def append(path: str | Path, data: bytes, *, sync: bool = False) -> None:
    """Add `data` to the end of a file, which is made if missing; `sync` waits until it is on the disk.

    Raises OSError when an operation fails, and cuts off what was written of `data`, so that no half line
    stays. One process at a time may append to a file.
    """
    file = disk.open(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        try:
            with _named(path):
                _write_all(file, [data])
                if sync:
                    disk.sync(file)
        except BaseException:  # an interrupt too leaves no half line
            with suppress(OSError):
                disk.truncate(file, size)
            raise
    finally:
        os.close(file)


def make_directory(path: str | Path, *, mode: int = 0o777) -> None:
    """Claim a new directory, mode & ~umask; raises FileExistsError if the name is taken."""
    path = Path(path)
    disk.mkdir(path, mode)
    try:
        disk.sync_directory(path.parent)
    except BaseException:  # an interrupt too leaves no folder that nobody knows of
        with suppress(OSError):
            disk.rmdir(path)
        raise


def ensure_directory(path: str | Path, *, mode: int = 0o777) -> None:
    """Make a directory and its missing parents; one that another process makes meanwhile will do."""
    path = Path(path)
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        try:
            make_directory(folder, mode=mode)
        except FileExistsError:
            if not folder.is_dir():
                raise


def cut(path: str | Path, size: int) -> None:
    """Cut a file to its first `size` bytes, and wait until that is on the disk. Raises OSError."""
    file = disk.open(Path(path), os.O_WRONLY)
    try:
        with _named(path):
            disk.truncate(file, size)
            disk.sync(file)
    finally:
        os.close(file)


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, waiting for it or not; the lock goes with the process, however that ends.

    Raises OSError where the file cannot be opened or the file system has no locks, and BlockingIOError where another
    process holds the lock and there is no waiting.
    """
    path = Path(path)
    while True:
        file = disk.open(path, os.O_RDWR | os.O_CREAT)
        try:
            _lock(file, wait)
            if not _is_at(file, path):  # who held it before has moved it away, or removed it
                continue
            yield
            return
        finally:
            os.close(file)


def is_locked(path: str | Path) -> bool:
    """Whether a process, this one included, holds the lock file `path`; nobody holds one that is not there.

    Raises OSError where it cannot be read, or the file system has no locks.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(file)


def _lock(file: int, wait: bool) -> None:
    if wait:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(ASKING_SECONDS)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still what has this name."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """Errors of operations on an open file, which do not know its name, have it."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _open_beside(path: Path) -> tuple[Path, int]:
    """A new temporary file in the folder of `path`; its name tells whose it is, should the process die."""
    while True:
        temporary = path.with_name(f".tmp-{os.getpid()}-{next(_count)}")
        with suppress(FileExistsError):  # left by an earlier process of the same number
            return temporary, disk.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _write_all(file: int, parts: Iterable[bytes | memoryview]) -> None:
    for part in parts:
        rest = memoryview(part)
        while len(rest):
            rest = rest[disk.write(file, rest) :]
