"""Go on with a run where it stopped.

    resume RUN                   find ─▶ hold ─▶ resolved.yaml, --set ─┐
    train CONFIG --if-missing    spec ─▶ runs of its hash ─▶ hold ─────┴▶ same data, versions? ─▶ state ─▶ Prepared

The rest is equal to the bit to that of an unbroken training as long as data, spec, versions and CPU are the same. Files
may have moved; how often the state is saved, more patience, and more epochs where the rate does not know of the end
change nothing of what was done so far. Any other change needs `allow_inexact` and is written into the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from fluxrun.jobs.existing import is_settled, same_training
from fluxrun.jobs.expect import UsageError
from fluxrun.jobs.request import Outcome, Request
from fluxrun.jobs.same_data import require_same_data, require_same_format
from fluxrun.jobs.train import Going, Prepared, prepare, prepare_loaded
from fluxrun.spec.build import build_source
from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.flat import aside, flat
from fluxrun.spec.load import load
from fluxrun.spec.schema.root import Spec
from fluxrun.store.environment import PACKAGES, cpu_name, version_of
from fluxrun.store.fingerprint import fingerprint
from fluxrun.store.hold import held
from fluxrun.store.listing import Run, find, read_run
from fluxrun.store.states import latest

FIXED = ("name", "seed", "data.", "train.metrics")  # they decide which examples are held out, and what is measured
HARMLESS = ("train.early_stop.patience",)
MOVED = "put it back, or train anew; if it moved: --set data.path=..."


@contextmanager
def starting(request: Request) -> Iterator[Prepared | Outcome]:
    """A training that can start or go on, or with `if_missing` how it ended when it was done. Raises as `prepare`."""
    prepared = prepare(request)
    with ExitStack() as holding:
        ready = _continued(prepared, holding) if request.if_missing else prepared
        if isinstance(ready, Prepared):
            _ = ready.fit  # what does not fit together is told before anything is on the disk
        yield ready


@contextmanager
def resuming(request: Request) -> Iterator[Prepared | Outcome]:
    """A run that can go on, held for this process, or how it ended when there is nothing left to do.

    Raises NoSuchRun, RunBusy, CheckpointError, DataError, SpecError, and UsageError for changes that cannot be made.
    """
    run = find(request.runs, request.config)
    with held(run.folder):
        run = read_run(run.folder) or run  # as it is now that nobody else writes to it
        yield Outcome.of(run) if is_settled(run, request) and not request.overrides else _resumed(run, request)


def _continued(prepared: Prepared, holding: ExitStack) -> Prepared | Outcome:
    """A run of the same hash that is settled or can go on, else the training as it is."""
    request, notes = prepared.request, list(prepared.notes)
    known = list(same_training(request.runs, prepared.digest))
    for run in known:
        if is_settled(run, request):
            return Outcome.of(run)
    for run in known:
        with ExitStack() as stack:
            stack.enter_context(held(run.folder))
            now = read_run(run.folder) or run
            if is_settled(now, request):
                return Outcome.of(now)
            if differences := _environment(now):
                notes.append(f"{run.name} stopped under another environment ({'; '.join(differences)}), so it is left")
                continue
            holding.enter_context(stack.pop_all())
            state, more = latest(run.folder)
            return replace(prepared, going=Going(now, state), notes=(*notes, *more))
    return replace(prepared, notes=tuple(notes))


def _resumed(run: Run, request: Request) -> Prepared:
    values, config = run.values, str(run.folder / "resolved.yaml")
    require_same_format(run, "train it anew")
    before, loaded = load(config, surrounding=False), load(config, request.overrides, surrounding=False)
    digests = [str(file.get("sha256")) for file in values.get("data") or ()]
    until = {values.get("hash"), *(past.get("hash") for past in values.get("resumed") or ())}
    if fingerprint(before.spec, digests) not in until:
        raise UsageError(f"{config} was changed since the run began; put it back, and give changes by --set")
    state, notes = latest(run.folder)
    inexact = _changes(before.spec, loaded.spec)
    require_same_data(build_source(loaded.spec.data).files(), digests, MOVED)
    inexact = [] if state is None else [*inexact, *_environment(run)]
    if inexact and not request.allow_inexact:
        raise UsageError(
            f"the rest would not be that of an unbroken training: {'; '.join(inexact)}; "
            "--allow-inexact goes on all the same"
        )
    position = {"epoch": 0, "step_in_epoch": 0} if state is None else state.meta["position"]
    behind = position["epoch"] + (position["step_in_epoch"] > 0)
    if behind > loaded.spec.train.epochs:
        raise UsageError(f"train.epochs={loaded.spec.train.epochs}: the run is in its epoch {behind} already")
    prepared = prepare_loaded(request, loaded)
    going = Going(run, state, request.overrides, tuple(inexact))
    ready = replace(prepared, going=going, notes=(*notes, *(f"not exact: {reason}" for reason in inexact)))
    _ = ready.fit
    return ready


def _changes(before: Spec, after: Spec) -> list[str]:
    """What makes the rest another training. Raises UsageError for what cannot change."""
    old, new = flat(before), flat(after)
    left_out = aside(before) | aside(after)
    moved = {path for path in left_out if (old.get(path) is None) == (new.get(path) is None)}
    changed = [path for path in {**old, **new} if old.get(path) != new.get(path) and path not in moved]
    fixed = [path for path in changed if path.startswith(FIXED)]
    if fixed:
        raise UsageError(f"{fixed[0]} cannot change within a run; train it anew")
    harmless = {*HARMLESS, *left_out, *(() if _knows_its_end(after) else ("train.epochs",))}
    return [
        f"{path} was {_shown(old.get(path))}, now {_shown(new.get(path))}" for path in changed if path not in harmless
    ]


def _knows_its_end(spec: Spec) -> bool:
    schedule = spec.train.schedule
    return schedule is not None and bool(CATALOG["schedule"][schedule.name].make().whole)


def _shown(value: Any) -> str:
    return "not there" if value is None else str(value)


def _environment(run: Run) -> list[str]:
    """What decides the last bits of results, where it is not as it was when the run ran."""
    then: dict[str, Any] = run.values.get("versions") or {}
    pairs: Sequence[tuple[str, Any, Any]] = [(name, then.get(name), version_of(name)) for name in PACKAGES]
    pairs = [*pairs, ("the CPU", run.values.get("cpu"), cpu_name())]
    return [f"{name} was {_shown(old)}, now {_shown(new)}" for name, old, new in pairs if old != new]
