"""Whether data are still what they were: those of a run that began with them, and those that were just read.

files ──identities──▶ load ──digests_of──▶ record      an error if one of them was replaced between
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flux_core.caches.facts import Identity, file_digest, identity
from flux_core.data.files import require_unchanged
from flux_core.errors import CheckpointError, DataError, MissingFile
from fluxrun.store.listing import Run
from fluxrun.store.record import FORMAT


def require_same_format(run: Run, hint: str) -> None:
    """Raise CheckpointError for a run of a program that makes something else of the same spec and data."""
    if (its := run.values.get("format")) != FORMAT:
        raise CheckpointError(f"{run.folder} was trained in format {its}, this program has {FORMAT}; {hint}")


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


def identities(files: Sequence[Path]) -> dict[Path, Identity]:
    """What tells each file from another that takes its place; without those that are not there."""
    found = {}
    for path in files:
        with suppress(OSError):  # who reads it says so
            found[path] = identity(path)
    return found


def digests_of(files: Sequence[Path], before: Mapping[Path, Identity]) -> tuple[tuple[Path, str], ...]:
    """The digests of files that were read; raises DataError for one that is not what it was before."""
    found = []
    for path in files:
        was = before.get(path)
        require_unchanged(path, was)
        found.append((path, file_digest(path)))
        require_unchanged(path, was)
    return tuple(found)
