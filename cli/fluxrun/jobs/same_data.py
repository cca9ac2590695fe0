"""Whether the data of a run are those that it began with: as many files, each with the bytes that it had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flux_core.caches.facts import file_digest
from flux_core.errors import DataError, MissingFile


def require_same_data(files: Sequence[Path], digests: Sequence[str], hint: str) -> None:
    """Raise DataError, naming the file, where data have changed, MissingFile without them.

    `digests` are those of the record, `hint` says what to do.
    """
    if len(files) != len(digests):
        now = f"{len(files)} file{'s' * (len(files) != 1)}"
        raise DataError(f"the data are {now}, the run began with {len(digests)}", hint=hint)
    for path, digest in zip(files, digests, strict=True):
        try:
            same = file_digest(path) == digest
        except OSError as error:
            raise MissingFile(error.strerror or str(error), file=path, hint=hint) from None
        if not same:
            raise DataError("the file is not the one that the run began with", file=path, hint=hint)
