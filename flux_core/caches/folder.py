"""Where things are kept between runs.

    $FLUXRUN_CACHE | $XDG_CACHE_HOME/fluxrun | ~/.cache/fluxrun | TMP/fluxrun-UID
        ├── data/        what was found out about data files, and arrays that were decoded from them
        └── py3.11-.../  compiled kernels (`engine.folder`)

What lies there is believed, so a folder that belongs to someone else, or that others may write to, is passed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flux_core import fsio

DATA = "data"


def candidates() -> Iterator[Path]:
    """The places to try, best first."""
    if chosen := os.environ.get("FLUXRUN_CACHE"):
        yield Path(chosen).absolute()
    if (shared := os.environ.get("XDG_CACHE_HOME", "")) and Path(shared).is_absolute():
        yield Path(shared) / "fluxrun"
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "fluxrun"
    import tempfile

    with suppress(OSError):  # no temporary folder that can be written to
        yield Path(tempfile.gettempdir()).absolute() / f"fluxrun-{os.geteuid()}"


def is_ours(folder: Path) -> bool:
    """Whether a folder (not a link to one) belongs to this user and nobody else can write to it."""
    status = folder.stat(follow_symlinks=False)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def unfit(base: Path, name: str, *, sign: str) -> str | None:
    """Why nothing can be kept in `base`/`name`, which is made if missing; None if it can.

    A folder that cannot be written to will do where it holds something already: a file like `sign`, a pattern.
    """
    try:
        for folder in (base, base / name):
            fsio.ensure_directory(folder, mode=0o700)
            if not is_ours(folder):
                return f"{folder} belongs to someone else, is a link, or can be written to by others"
        if os.access(folder, os.W_OK) or any(folder.glob(sign)):
            return None
        return f"{folder} cannot be written to"
    except OSError as error:
        return f"{error.filename or base}: {error.strerror or error}"


def data_folder() -> Path | None:
    """The first folder for facts about data and for decoded arrays, made if missing; None if there is none."""
    return next((base / DATA for base in candidates() if unfit(base, DATA, sign="*") is None), None)
