"""The first and the last words about a training."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxrun.jobs.duration import show_duration
from fluxrun.jobs.request import Outcome
from fluxrun.render.numbers import count, counted, number
from fluxrun.render.text import noted
from fluxrun.spec.text import visible
from fluxrun.store.folder import names

REMEDY = "a lower learning rate, or train.clip_norm, may keep it finite"

if TYPE_CHECKING:
    from flux_core.training.events import Started
    from fluxrun.jobs.train import Prepared


def opening(prepared: Prepared, folder: Path) -> list[str]:
    """What is going to be trained on what."""
    classes = prepared.built.dataset.classes
    sizes = ", ".join(f"{count(examples)} {split}" for split, examples in prepared.examples.items())
    what = f"{len(classes)} classes" if classes else "regression"
    notes = [*prepared.remarks, *_again(prepared, folder)]
    return [f"{visible(folder.name)}: {sizes} examples, {what}", *noted(notes)]


def _again(prepared: Prepared, folder: Path) -> list[str]:
    """That the same was trained before, which the name of a new run's folder tells."""
    first = folder.with_name(names(prepared.built.spec.name, prepared.digest, 1))
    if folder == first or prepared.going is not None or prepared.request.if_missing:
        return []
    return [f"{first} is of the same spec and data; --if-missing trains nothing twice"]


def started(event: Started) -> str:
    """How large the task is."""
    return f"{counted(event.parameters, 'parameter')}, {counted(event.steps_per_epoch, 'step')} an epoch"


def kernels(count: int) -> str:
    """What has to be compiled."""
    return f"compiling {counted(count, 'kernel')}, once on this machine"


def kernels_left(number: int, count: int) -> str:
    """The same, as it goes on; number 0: elsewhere."""
    if number == 0:
        return "another process compiles kernels"
    return f"compiling kernels (once on this machine) {number}/{count}"


def closing(outcome: Outcome, columns: int | None = None) -> list[str]:
    """How it ended, the best epoch, where everything is, and what to do next; in lines of so many characters."""
    words = {"early_stop": "early stop", "max_steps": "--max-steps reached", "max_time": "--max-time reached"}
    reason = words.get(outcome.reason or "", outcome.reason or "").removeprefix(f"{outcome.status} ")
    status = outcome.status + (f" ({visible(reason)})" if reason else "")
    lines = [
        f"{status}: {counted(outcome.epochs, 'epoch')}, {counted(outcome.steps, 'step')}, "
        f"{show_duration(outcome.seconds)}"
    ]
    if best := _values(outcome.best or {}, "train.", "valid."):
        lines += _folded(_which(outcome), best, columns)
    if tested := _values(outcome.final, "test."):
        lines += _folded("test", tested, columns)
    lines += [f"expected {text}: not met" for text in outcome.unmet]
    lines += [REMEDY] if outcome.status == "diverged" else []
    lines += [f"run: {visible(str(outcome.run))}"]
    return [*lines, *([go_on(outcome)] if outcome.status == "interrupted" else [])]


def go_on(outcome: Outcome) -> str:
    """How to go on with a run that was interrupted."""
    return f"go on with: fluxrun resume {visible(shlex.quote(str(outcome.run)))}"


def _which(outcome: Outcome) -> str:
    """The name of the best epoch; one that --max-steps may have cut short goes by its step."""
    if outcome.status == "stopped" and outcome.best == outcome.final:
        return f"best at step {count(outcome.steps)}"
    return f"best epoch {outcome.best_epoch}"


def _folded(head: str, items: Sequence[str], columns: int | None) -> list[str]:
    """A head and its items, on as many lines as they need."""
    lines = [f"{head}: {items[0]}"]
    for item in items[1:]:
        if columns is not None and len(lines[-1]) + 2 + len(item) > columns:
            lines.append(" " * (len(head) + 2) + item)
        else:
            lines[-1] += f"  {item}"
    return lines


def _values(metrics: Mapping[str, Any], *splits: str) -> list[str]:
    return [f"{name} {number(value)}" for name, value in metrics.items() if name.startswith(splits)]
