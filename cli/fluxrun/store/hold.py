"""Who may write into a run's folder: one process at a time.

    with held(folder): ...        an advisory lock on events.jsonl, which is only ever appended to
    with arranged(runs): ...      one process at a time looks what is there and claims a folder

The lock goes with its process, however that ends, so a run whose process was killed can be taken over at once. Where a
file system has no locks, a process that the record names and that is alive here counts as the holder.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flux_core import fsio
from fluxrun.store.environment import process_alive
from fluxrun.store.folder import RunFolderError
from fluxrun.store.listing import LOCK, read_run

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class RunBusy(RunFolderError):
    """The run is going on elsewhere."""

    def __init__(self, folder: Path) -> None:
        values = run.values if (run := read_run(folder)) else {}
        who = f"process {values.get('pid', '?')} on {values.get('host', '?')}"
        super().__init__(f"{folder} is going on elsewhere: {who} writes to it")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The right to write into a run's folder. Raises RunBusy, RunFolderError where nobody can have it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(fsio.locked(folder / LOCK, wait=False))
        except BlockingIOError:
            raise RunBusy(folder) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise RunFolderError(f"{folder}: cannot be locked: {error.strerror or error}") from error
            run = read_run(folder)
            if run is not None and run.values.get("status") == "running" and process_alive(*run.process) is not False:
                raise RunBusy(folder) from None
        yield


@contextmanager
def arranged(runs: Path) -> Iterator[None]:
    """The right to decide whether a training is there already. Raises RunFolderError."""
    with ExitStack() as stack:
        try:
            fsio.ensure_directory(runs)
            stack.enter_context(fsio.locked(runs / ".lock"))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise RunFolderError(f"{runs}: cannot create a run folder here: {error.strerror or error}") from error
        yield
