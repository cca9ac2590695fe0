"""Train a spec into a run folder.

    load ─▶ build (data, model) ─▶ claim the folder ─▶ events ─▶ Outcome
            nothing is on the disk before this point ┘    └─▶ RunWriter, and whoever listens

Whatever ends a training, run.json says so before the error goes on its way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core.caches.facts import file_digest
from flux_core.errors import Diverged
from fluxrun.jobs.expect import Expectation
from fluxrun.jobs.signals import Signals
from fluxrun.spec.build import Built, build
from fluxrun.spec.load import Loaded, load, to_yaml
from fluxrun.spec.resolve import metric_names
from fluxrun.store.environment import environment
from fluxrun.store.fingerprint import FORMAT, fingerprint
from fluxrun.store.folder import claim, next_folder
from fluxrun.store.record import VERSION, Record, now

if TYPE_CHECKING:
    from flux_core.training.loop import Fit
    from fluxrun.store.writer import RunWriter


@dataclass(frozen=True)
class Request:
    """A training as it was asked for."""

    config: str
    overrides: tuple[str, ...] = ()
    name: str | None = None
    runs: Path = Path("runs")
    max_steps: int | None = None
    max_seconds: float | None = None
    threads: int | None = None
    expect: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A training that could start: everything is loaded and checked, nothing is on the disk."""

    request: Request
    loaded: Loaded
    built: Built
    fit: Fit
    files: tuple[tuple[Path, str], ...]  # data files and their digests
    digest: str

    @property
    def folder(self) -> Path:
        """The folder that it would get now."""
        return next_folder(self.request.runs, self.built.spec.name, self.digest)


@dataclass
class Outcome:
    """How a training ended."""

    run: Path
    status: str
    reason: str | None = None
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    best: dict[str, Any] | None = None
    best_epoch: int | None = None
    final: dict[str, Any] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `train --json` prints."""
        names = ("status", "reason", "epochs", "steps", "seconds", "best", "best_epoch", "final")
        return {"run": str(self.run), **{name: getattr(self, name) for name in names}}


class Listener:
    """Hears what happens; a renderer overrides what it shows."""

    def claimed(self, folder: Path, prepared: Prepared) -> None: ...
    def event(self, event: object) -> None: ...
    def interrupted(self, name: str) -> None: ...


def prepare(request: Request) -> Prepared:
    """Load and check everything. Raises SpecError, DataError, MissingFile, UsageError."""
    from flux_core.training.loop import Fit

    loaded = load(request.config, request.overrides, request.name)
    built = build(loaded, max_steps=request.max_steps, threads=request.threads)
    names = metric_names(built.spec, built.facts.splits)
    for expectation in request.expect:
        expectation.require_known(names)
    fit = Fit(built.model, built.dataset, built.plan)
    files = tuple((path, file_digest(path)) for path in built.source.files())
    digest = fingerprint(built.spec, [of_file for _, of_file in files])
    return Prepared(request, loaded, built, fit, files, digest)


def train(prepared: Prepared, listener: Listener, signals: Signals) -> Outcome:
    """Claim a folder and train. Raises RunFolderError, OSError; the record is right in any case."""
    from fluxrun.store.writer import RunWriter

    folder = claim(prepared.request.runs, prepared.built.spec.name, prepared.digest)
    record = Record(folder)
    outcome = Outcome(folder, "failed")
    started = time.monotonic()
    try:
        every = prepared.built.spec.train.checkpoint.every_minutes
        writer = RunWriter(record, last_seconds=60.0 * every)
        writer.start(prepared.loaded.text, to_yaml(prepared.built.spec), _description(prepared))
        listener.claimed(folder, prepared)
        try:
            _loop(prepared.fit, prepared.request, writer, listener, signals, outcome)
        except Diverged as error:
            outcome.status, outcome.reason, outcome.steps = "diverged", str(error), error.step
            outcome.seconds = time.monotonic() - started
            writer.flush()
    except BaseException as error:
        outcome.reason, outcome.seconds = f"{type(error).__name__}: {error}", time.monotonic() - started
        _close(record, outcome, quietly=True)
        raise
    values = {**outcome.final, **(outcome.best or {})}
    if outcome.status in ("finished", "stopped"):
        outcome.unmet = tuple(e.text for e in prepared.request.expect if not e.met(values))
    _close(record, outcome)
    return outcome


def _loop(
    fit: Fit,
    request: Request,
    writer: RunWriter,
    listener: Listener,
    signals: Signals,
    outcome: Outcome,
) -> None:
    from flux_core.training.events import Ended, EpochEnded

    deadline = None if request.max_seconds is None else time.monotonic() + request.max_seconds
    stopping = None
    for event in fit:
        writer.event(event, fit.state)
        listener.event(event)
        if isinstance(event, EpochEnded):
            outcome.epochs, outcome.steps, outcome.final = event.epoch, event.step, dict(event.metrics)
            if event.improved:
                outcome.best, outcome.best_epoch = dict(event.metrics), event.epoch
        if isinstance(event, Ended):
            status = {"timeout": "interrupted"}.get(event.status, event.status)
            reason = stopping or event.reason or ("max_steps" if status == "stopped" else None)
            outcome.status, outcome.reason = status, reason
            outcome.epochs, outcome.steps, outcome.seconds = event.epochs, event.steps, event.seconds
            outcome.best_epoch = event.best_epoch
            outcome.best = None if event.best is None else dict(event.best)
            outcome.final = dict(event.final)
        elif stopping is None and signals.caught:
            stopping = signals.name
            writer.note("signal", name=stopping)
            listener.interrupted(stopping)
            fit.stop("interrupted")
        elif stopping is None and deadline is not None and time.monotonic() >= deadline:
            stopping = "max_time"
            fit.stop("timeout")


def _description(prepared: Prepared) -> dict[str, Any]:
    """What run.json says from the start."""
    request, built = prepared.request, prepared.built
    origin = Path(request.config).parent if request.config != "-" else Path()
    return {
        "version": VERSION,
        "name": built.spec.name,
        "status": "running",
        "reason": None,
        "created": now(),
        "ended": None,
        "hash": prepared.digest,
        "format": FORMAT,
        "config": request.config,
        "overrides": list(prepared.loaded.overrides),
        "options": {name: getattr(request, name) for name in ("name", "max_steps", "max_seconds", "threads")},
        "seed": built.spec.seed,
        "engine": prepared.fit.engine.name,
        "threads": prepared.fit.engine.threads,
        "data": [{"path": str(path.absolute()), "sha256": digest} for path, digest in prepared.files],
        "task": built.dataset.task,
        "epochs": 0,
        "steps": 0,
        "seconds": None,
        "best": None,
        "best_epoch": None,
        "final": {},
        **environment(origin),
    }


def _close(record: Record, outcome: Outcome, *, quietly: bool = False) -> None:
    """Write how it ended; `quietly` when another error is on its way already."""
    names: Sequence[str] = ("status", "reason", "epochs", "steps", "seconds", "best", "best_epoch", "final")
    try:
        record.update(ended=now(), **{name: getattr(outcome, name) for name in names})
    except OSError:
        if not quietly:
            raise
