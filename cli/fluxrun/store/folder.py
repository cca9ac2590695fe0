"""Run folders: claimed by whoever makes the directory first, found again by name.

digits-7f3a9c01de     digits-7f3a9c01de-2     digits-7f3a9c01de-3  ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flux_core import fsio
from flux_core.errors import FluxError


class RunFolderError(FluxError):
    """A run folder cannot be created."""


class NoSuchRun(FluxError):
    """No run, and no config, has that name."""


def names(name: str, digest: str, count: int) -> str:
    """The name of the count-th run of a training.

    >>> names("digits", "7f3a9c01de55", 2)
    'digits-7f3a9c01de-2'
    """
    return f"{name}-{digest[:10]}" + (f"-{count}" if count > 1 else "")


def next_folder(runs: Path, name: str, digest: str) -> Path:
    """The first name that is free now."""
    count = 1
    while (folder := runs / names(name, digest, count)).is_symlink() or folder.exists():
        count += 1
    return folder


@contextmanager
def staying(folder: Path) -> Iterator[None]:
    """Where a run's folder is written to: a file that is not there says so of the folder, if that has gone."""
    try:
        yield
    except FileNotFoundError as error:
        if folder.exists():
            raise
        what = "the run's folder has gone, it was removed or renamed while it was written to"
        raise FileNotFoundError(error.errno, what, str(folder)) from None


def claim(runs: Path, name: str, digest: str) -> Path:
    """Make the next folder and its `checkpoints`; processes never share one. Raises RunFolderError."""
    try:
        fsio.ensure_directory(runs)
        while True:
            folder = next_folder(runs, name, digest)
            try:
                fsio.make_directory(folder)
            except FileExistsError:
                continue
            fsio.make_directory(folder / "checkpoints")
            return folder
    except OSError as error:
        raise RunFolderError(f"{runs}: cannot create a run folder here: {error.strerror or error}") from error
