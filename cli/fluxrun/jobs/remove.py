"""Remove runs: a folder is renamed first, so that nobody ever sees half a run.

runs/digits-7f3a9c01de ──rename──▶ runs/.fluxrun-removed-digits-7f3a9c01de ──▶ gone
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from flux_core import fsio
from fluxrun.jobs.expect import UsageError
from fluxrun.store.hold import RunBusy, held
from fluxrun.store.listing import Run

TRASH = ".fluxrun-removed-"  # nobody else's folder is called so: what stays of one is removed without asking


def require_idle(found: Sequence[Run]) -> None:
    """Raise RunBusy if a run is going on, UsageError for one that lies elsewhere or that one stands in."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the present directory is gone: it lies in no run
        here = Path(os.devnull)
    for run in found:
        if run.folder.is_symlink():
            raise UsageError(f"{run.folder} is a link to a run; remove the run itself, or the link with rm")
        if here.is_relative_to(run.folder.resolve()):
            raise UsageError(
                f"{run.folder} holds the present directory; leave it first: cd {run.folder.resolve().parent}"
            )
        if run.status == "running":
            raise RunBusy(run.folder)


def remove(run: Run) -> None:
    """Remove a run, and what an earlier removal left behind beside it. Raises RunBusy, OSError."""
    parent = run.folder.parent
    with held(run.folder):
        trash = _free(parent / f"{TRASH}{run.name}")
        fsio.disk.replace(run.folder, trash)
        fsio.disk.sync_directory(parent)
    for path in parent.glob(f"{TRASH}*"):
        shutil.rmtree(path, ignore_errors=path != trash)  # another process may be removing it as well


def _free(path: Path) -> Path:
    count = 1
    while (free := path if count == 1 else path.with_name(f"{path.name}-{count}")).exists():
        count += 1
    return free
