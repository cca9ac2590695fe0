"""Train a spec into a run folder.

    load ─▶ build (data, model) ─▶ claim the folder ─▶ events ─▶ Outcome
            nothing is on the disk before this point ┘    └─▶ RunWriter, and whoever listens

Whatever ends a training, run.json says so before the error goes on its way. A training that goes on (`resume`) takes
the same way with a folder and a state that are there already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core.errors import Diverged
from fluxrun.jobs.description import description
from fluxrun.jobs.existing import started_meanwhile
from fluxrun.jobs.request import Listener, Outcome, Request
from fluxrun.jobs.same_data import digests_of, identities
from fluxrun.jobs.signals import Signals
from fluxrun.spec.build import Built, build, build_source
from fluxrun.spec.load import Loaded, load, to_yaml
from fluxrun.spec.resolve import metric_names
from fluxrun.store.fingerprint import fingerprint
from fluxrun.store.folder import claim, next_folder, staying
from fluxrun.store.hold import arranged, held
from fluxrun.store.listing import Run
from fluxrun.store.record import Record, now

if TYPE_CHECKING:
    from flux_core.training.events import TrainState
    from flux_core.training.loop import Fit
    from fluxrun.store.writer import RunWriter


@dataclass(frozen=True)
class Going:
    """A run that goes on: where it stands (None: nothing is saved yet), and what changes from here on."""

    run: Run
    state: TrainState | None
    changes: tuple[str, ...] = ()  # overrides
    inexact: tuple[str, ...] = ()  # why the rest is not that of an unbroken training

    @property
    def exact(self) -> bool:
        """Whether the run is, and will be, equal to an unbroken one."""
        return bool(self.run.values.get("exact", True)) and not self.inexact


@dataclass(frozen=True)
class Prepared:
    """A training that could start: everything is loaded and checked, nothing is on the disk."""

    request: Request
    loaded: Loaded
    built: Built
    files: tuple[tuple[Path, str], ...]  # data files and their digests
    digest: str
    going: Going | None = None
    notes: tuple[str, ...] = ()  # things worth saying to the user

    @cached_property
    def fit(self) -> Fit:
        """The trainer. Raises CheckpointError for a state that does not fit."""
        from flux_core.training.loop import Fit

        going = self.going
        state, exact = (going.state, going.exact) if going else (None, True)
        return Fit(self.built.model, self.built.dataset, self.built.plan, state, exact=exact)

    @property
    def folder(self) -> Path:
        """The folder that it has, or would get now."""
        if self.going is not None:
            return self.going.run.folder
        return next_folder(self.request.runs, self.built.spec.name, self.digest)

    @property
    def examples(self) -> dict[str, int]:
        """How many examples each split has that there is."""
        data = self.built.dataset
        parts = {"train": data.train, "valid": data.valid, "test": data.test}
        return {split: len(part) for split, part in parts.items() if part is not None}

    @property
    def remarks(self) -> list[str]:
        """What is worth saying before it starts."""
        slow = self.fit.interpreted
        why = [] if slow is None else [f"interpreted, which takes longer: {slow}"]
        return [*self.notes, *self.built.dataset.notes, *why]

    def to_json(self) -> dict[str, Any]:
        """What `train --dry-run --json` prints."""
        classes = list(self.built.dataset.classes)
        about = {"hash": self.digest, "examples": self.examples, "classes": classes, "notes": self.remarks}
        return {"run": str(self.folder), "status": "dry_run", **about}


def prepare(request: Request) -> Prepared:
    """Load and check everything. Raises SpecError, DataError, MissingFile, UsageError."""
    return prepare_loaded(request, load(request.config, request.overrides, request.name))


def prepare_loaded(request: Request, loaded: Loaded) -> Prepared:
    """The same with a spec that is loaded. Raises as `prepare`."""
    before = identities(build_source(loaded.spec.data).files())
    built = build(loaded, max_steps=request.max_steps, threads=request.threads)
    names = metric_names(built.spec, built.facts.splits)
    for expectation in request.expect:
        expectation.require_known(names)
    files = digests_of(built.source.files(), before)
    return Prepared(request, loaded, built, files, fingerprint(built.spec, [digest for _, digest in files]))


def train(prepared: Prepared, listener: Listener, signals: Signals) -> Outcome:
    """Claim a folder and train, or go on with a run that is held. Raises RunFolderError, OSError, CheckpointError.

    The record is right in any case. With `if_missing`, a training that was started meanwhile is not started again.
    """
    going, request = prepared.going, prepared.request
    described, resolved = description(prepared), to_yaml(prepared.built.spec)
    if going is not None:
        record = Record(going.run.folder, dict(going.run.values))
        with staying(record.folder):
            return _carry_out(prepared, record, lambda w: w.go_on(going.state, resolved, described), listener, signals)
    with ExitStack() as holding:
        arranging = holding.enter_context(ExitStack())
        if request.if_missing:
            arranging.enter_context(arranged(request.runs))
            if (other := started_meanwhile(request, prepared.digest)) is not None:
                return Outcome.of(other)
        folder = claim(request.runs, prepared.built.spec.name, prepared.digest)
        holding.enter_context(held(folder))
        holding.enter_context(staying(folder))

        def start(writer: RunWriter) -> None:
            writer.start(prepared.loaded.text, resolved, described)
            arranging.close()  # whoever looks now finds the run

        return _carry_out(prepared, Record(folder), start, listener, signals)


def _carry_out(
    prepared: Prepared, record: Record, begin: Callable[[RunWriter], None], listener: Listener, signals: Signals
) -> Outcome:
    from fluxrun.store.writer import RunWriter

    at = prepared.fit.at
    outcome = Outcome(record.folder, "failed", None, at.epoch, at.step, 0.0, at.best, at.best_epoch, dict(at.final))
    before = record.values.get("seconds") or 0.0
    started = time.monotonic()
    try:
        kept = prepared.built.spec.train.checkpoint
        by_epoch = kept.every_steps is None
        writer = RunWriter(record, last_seconds=60.0 * kept.every_minutes, keep=kept.keep, by_epoch=by_epoch)
        begin(writer)
        listener.claimed(record.folder, prepared)
        try:
            _loop(prepared.fit, prepared.request, writer, listener, signals, outcome)
        except Diverged as error:
            outcome.status, outcome.reason, outcome.steps = "diverged", str(error), error.step
            outcome.seconds = time.monotonic() - started
            writer.flush()
        outcome.seconds += before
        outcome.judge(prepared.request.expect)
    except BaseException as error:  # however it ends, its record says so
        outcome.reason, outcome.seconds = f"{type(error).__name__}: {error}", before + time.monotonic() - started
        _close(record, outcome, quietly=True)
        raise
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
            fit.stop("interrupted")
        elif stopping is None and deadline is not None and time.monotonic() >= deadline:
            stopping = "max_time"
            fit.stop("timeout")


def _close(record: Record, outcome: Outcome, *, quietly: bool = False) -> None:
    """Write how it ended; `quietly` when another error is on its way already."""
    names: Sequence[str] = ("status", "reason", "epochs", "steps", "seconds", "best", "best_epoch", "final")
    try:
        record.update(ended=now(), **{name: getattr(outcome, name) for name in names})
    except OSError:
        if not quietly:
            raise
