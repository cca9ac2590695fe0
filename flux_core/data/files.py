"""Opening data files: what is not there, too large, or another file by now, and which file stands for which part."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Mapping
from glob import glob
from os.path import exists, isdir, isfile
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from flux_core.caches.facts import Identity, unchanged
from flux_core.data.split import DEFAULT, PARTS, Part, check_fractions
from flux_core.errors import DataError, MissingFile

F = TypeVar("F")
AS_UTF8 = "save the file as UTF-8; from Latin-1: iconv -f latin1 -t utf-8 OLD > NEW"
MAX_BYTES = 4 * 2**30  # a limit against files that claim to be huge, not against large data: `max_bytes` raises it
DEFLATE_RATIO = 1032  # no deflate stream expands by more (zlib's technical notes)

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_file(path: Path) -> BinaryIO:
    """The file for reading; raises MissingFile, with the nearest name in its folder, also for what is no regular file.

    A pipe or a device gives its bytes once, or for ever, and data are read again: for their digest, and to go on.
    """
    try:
        if (kind := stat.S_IFMT(path.stat().st_mode)) != stat.S_IFREG:
            again = "data are read more than once: save them as a file"
            hint = "name a file in it" if kind == stat.S_IFDIR else again
            raise MissingFile(f"this is {KINDS.get(kind, 'something else')}, not a data file", file=path, hint=hint)
        return path.open("rb")
    except FileNotFoundError:
        raise MissingFile("no such file", file=path, hint=_near(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MissingFile(f"cannot be opened: {reason}", file=path) from None


def require_unchanged(path: Path, before: Identity | None) -> None:
    """Raise DataError if a file is not the one any more that had this identity (None: it was not there): what is found
    out about it would be said of other data."""
    if before is None or not unchanged(path, before):
        raise DataError("the file has changed while it was read", file=path, hint="start again once it is whole")


def check_size(size: int, limit: int, path: Path, what: str) -> None:
    """Raise DataError if `size` bytes are more than the limit."""
    if size > limit:
        raise DataError(
            f"{what} would take {size:,} bytes, more than the limit of {limit:,}",
            file=path,
            hint="set data.max_bytes to a larger number if this is meant",
        )


def utf8(data: bytes, path: Path, *, hint: str = AS_UTF8) -> str:
    """The text of a file's bytes, from its start on; raises DataError with the line and the place in it."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()  # without the mark that may stand at the start of UTF-8
        raise DataError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8 text",
            file=path,
            row=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
            hint=hint,
        ) from None


def part_files(
    path: str | Path | None,
    train_path: str | Path | None,
    valid_path: str | Path | None,
    test_path: str | Path | None,
) -> dict[Part, Path]:
    """The file of each part, the main one under "train"; raises ValueError for combinations without a meaning."""
    files: dict[Part, str | Path] = files_of_parts(path, train_path, valid_path, test_path)
    return {part: Path(file) for part, file in files.items()}


def files_of_parts(path: F | None, train_path: F | None, valid_path: F | None, test_path: F | None) -> dict[Part, F]:
    """The same for whatever stands for the files of a part."""
    if (path is None) == (train_path is None):
        raise ValueError("give path, or train_path with valid_path and test_path")
    if path is not None and (valid_path is not None or test_path is not None):
        raise ValueError("valid_path and test_path go with train_path, not with path")
    given = {"train": path if path is not None else train_path, "valid": valid_path, "test": test_path}
    return {name: value for name in PARTS if (value := given[name]) is not None}


def matching(path: Path) -> list[Path]:
    """The file itself, or sorted the files that its name is a pattern for (*, ?, [...]).

    Raises MissingFile where a pattern has none; a file without a pattern may still not be there.
    """
    if not any(mark in path.name for mark in "*?[") or exists(path):  # these say no to what can be no path too
        return [path]
    folder = path.parent
    names = glob(path.name, root_dir=folder, include_hidden=True) if isdir(folder) else []
    found = sorted((file for name in names if isfile(file := folder / name)), key=str)
    if not found:
        raise MissingFile("no file has a name of this pattern", file=path)
    return found


def fractions_of_main(
    split: Mapping[str, float] | None, files: Mapping[Part, Any], *, separate: bool
) -> dict[Part, float]:
    """How the main file is cut: `split`, or by default all of it to train where parts have their own files.

    >>> fractions_of_main(None, {"train": "a.csv"}, separate=False)
    {'train': 0.8, 'valid': 0.1, 'test': 0.1}
    >>> fractions_of_main(None, {"train": "a.csv", "test": "b.csv"}, separate=True)
    {'train': 1.0}
    >>> fractions_of_main({"train": 0.9, "valid": 0.1}, {"train": "a.csv", "test": "b.csv"}, separate=True)
    {'train': 0.9, 'valid': 0.1}
    """
    if split is None:
        return {"train": 1.0} if separate else dict(DEFAULT)
    fractions = check_fractions(split)
    for name in fractions:
        if name != "train" and name in files:
            raise ValueError(f"the {name} examples come from split.{name} or from their own file, not from both")
    return fractions


def _near(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.exists()]  # no link into the void
    except OSError:
        return f"there is no folder {str(path.parent)!r}"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else None
