"""What run.json says of a training from its start: spec, data, command, machine; and what it was before.

description(prepared)     a new run
                          a run that goes on: what it keeps, and one more entry in `resumed`
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxrun.spec.flat import file_values, flat
from fluxrun.store.asked import asked_key, reading
from fluxrun.store.environment import environment
from fluxrun.store.record import FORMAT, VERSION, now

if TYPE_CHECKING:
    from fluxrun.jobs.train import Going, Prepared


def description(prepared: Prepared) -> dict[str, Any]:
    """What run.json says from the start."""
    request, built, loaded = prepared.request, prepared.built, prepared.loaded
    at = prepared.fit.at  # a state may be older than what the record said last
    origin = Path(request.config).parent if request.config != "-" else Path()
    described = {
        "version": VERSION,
        "name": built.spec.name,
        "status": "running",
        "reason": None,
        "created": now(),
        "ended": None,
        "hash": prepared.digest,
        "exact": True,
        "format": FORMAT,
        "config": request.config,
        "overrides": list(loaded.overrides),
        "options": {name: getattr(request, name) for name in ("name", "max_steps", "max_seconds", "threads")},
        "asked": _asked(prepared),
        "resumed": [],
        "spec": flat(built.spec),
        "seed": built.spec.seed,
        "engine": prepared.fit.engine.name,
        "threads": prepared.fit.engine.threads,
        "data": [{"path": str(path.absolute()), "sha256": digest} for path, digest in prepared.files],
        "task": built.dataset.task,
        "epochs": at.epoch,
        "steps": at.step,
        "seconds": None,
        "best": None if at.best is None else dict(at.best),
        "best_epoch": at.best_epoch,
        "final": dict(at.final),
        **environment(origin),
    }
    return described if prepared.going is None else described | _history(prepared.going)


def _asked(prepared: Prepared) -> dict[str, Any] | None:
    """How the run is found without reading its spec; None where the spec's words do not name each data file."""
    request, loaded = prepared.request, prepared.loaded
    named = {
        path for value in file_values(prepared.built.spec) for path in ([value] if isinstance(value, str) else value)
    }
    if named != {str(path.absolute()) for path, _ in prepared.files}:
        return None
    return {
        "key": asked_key(loaded.text, request.config, loaded.overrides, request.name),
        "bases": [[path, reading(text)] for path, text in loaded.bases],
    }


def _history(going: Going) -> dict[str, Any]:
    """What run.json keeps and adds when a run goes on."""
    values, state = going.run.values, going.state
    position = {"epoch": 0, "step": 0} if state is None else state.meta["position"]
    note = {
        "time": now(),
        "epoch": position["epoch"],
        "step": position["step"],
        "hash": values.get("hash"),  # until here
        "overrides": list(going.changes),
        "inexact": list(going.inexact),
    }
    kept = ("created", "config", "overrides", "seconds", "git")
    return {
        **{name: values[name] for name in kept if name in values},
        "exact": going.exact,
        "asked": None if going.changes else values.get("asked"),  # the command that began it means another training
        "resumed": [*(values.get("resumed") or ()), note],
    }
