"""Whether a training is there already, for `--if-missing`: the runs of the same hash, whatever their names.

    finished, diverged       settled: there is nothing to do, and nothing heavy is imported to find that out
    stopped by --max-steps   settled if it came as far as is asked for now
    another process at it    RunBusy
    interrupted, failed      goes on at its last checkpoint

Every number of a training follows from what the hash is made of, so one that diverged would diverge again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fluxrun.jobs.request import Request
from fluxrun.spec.surrounding import surrounding_overrides
from fluxrun.store.asked import asked_key, still_holds
from fluxrun.store.hold import held
from fluxrun.store.listing import Run, runs_with


def is_settled(run: Run, request: Request) -> bool:
    """Whether the run is all that the request asks for."""
    if run.status == "stopped":
        steps = run.values.get("steps")
        return request.max_steps is not None and isinstance(steps, int) and steps >= request.max_steps
    return run.status in ("finished", "diverged")


def settled_by_name(request: Request) -> Run | None:
    """A settled run of exactly this command on unchanged files, found without reading the spec; None says nothing."""
    if request.config == "-":
        return None
    try:
        text = Path(request.config).read_bytes()
    except (OSError, ValueError):
        return None
    key = asked_key(text, request.config, (*surrounding_overrides(), *request.overrides), request.name)
    for run in runs_with(request.runs, key):
        if run.values.get("exact") and is_settled(run, request) and still_holds(run.values):
            return run
    return None


def same_training(runs: Path, digest: str) -> Iterator[Run]:
    """The runs of a hash; one that went on with other numbers is none."""
    return (run for run in runs_with(runs, digest) if run.values.get("hash") == digest and run.values.get("exact"))


def started_meanwhile(request: Request, digest: str) -> Run | None:
    """A settled run of the hash, to be asked for while nobody else claims folders. Raises RunBusy."""
    for run in same_training(request.runs, digest):
        if is_settled(run, request):
            return run
        if run.values.get("status") == "running":
            with held(run.folder):
                pass
    return None
