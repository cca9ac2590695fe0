"""Facts about files that are costly to find out: a digest, whether all values are finite, moments.

    recall(path, question, answer) ──▶ the answer of last time, if the file is still the same: size, times, inode
                                   └─▶ answer(), kept for the next time

A file that was changed a moment ago may change again within the same tick of its clock; nothing is kept about it.
Where nothing can be kept, or what was kept is damaged, the answer is found out again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flux_core import fsio
from flux_core.caches.folder import data_folder

Identity = tuple[int, int, int, int]
SMALL = 16 * 2**20  # bytes that are hashed sooner than the cache is asked
SETTLED = 2 * 10**9  # nanoseconds, the coarsest clock of a file system in use


def recall(path: Path, question: str, answer: Callable[[], Any]) -> Any:
    """The answer, plain JSON, to a question about the content of a file; `answer` may raise, which is not kept."""
    before = identity(path)
    known = facts(path)
    if question in known:
        return known[question]
    found = answer()
    if unchanged(path, before) and time.time_ns() - before[1] > SETTLED:
        keep(path, {question: found}, before)
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; of a large file that has not changed it is not computed again.

    Raises OSError, also for what is no regular file and may have no end.
    """

    def digest() -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "this is no regular file", str(path))
    if status.st_size < SMALL:
        return digest()
    return str(recall(path, "sha256", digest))


def identity(path: Path) -> Identity:
    """Size, time of the last change, time of the last change of its entry, inode; times in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def unchanged(path: Path, before: Identity) -> bool:
    """Whether there is still the file that had this identity, its entry aside: other rights or one more name for it
    change no content."""
    try:
        size, changed, _, inode = identity(path)
    except OSError:
        return False
    return (size, changed, inode) == (before[0], before[1], before[3])


def facts(path: Path) -> dict[str, Any]:
    """What is known of the file as it is now; an empty dict where nothing is."""
    try:
        return _facts(path, identity(path))
    except OSError:
        return {}


def keep(path: Path, found: Mapping[str, Any], of: Identity) -> None:
    """Add to what is known of the file with this identity, if that can be written anywhere."""
    with suppress(OSError):
        if (place := _place(path)) is not None:
            every = _facts(path, of) | dict(found)
            content = {"identity": of, "facts": every, "check": _check(of, every)}
            fsio.write_atomically(place, json.dumps(content).encode())


def _facts(path: Path, of: Identity) -> dict[str, Any]:
    try:
        place = _place(path)
        if place is None:
            return {}
        kept = json.loads(place.read_bytes())
        whole = kept["check"] == _check(kept["identity"], kept["facts"])
        return dict(kept["facts"]) if whole and tuple(kept["identity"]) == of else {}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


def _place(path: Path) -> Path | None:
    folder = data_folder()
    name = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]
    return None if folder is None else folder / f"{name}.json"


def _check(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
