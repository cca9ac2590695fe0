"""The first and the last words about a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fluxrun.jobs.duration import show_duration
from fluxrun.jobs.request import Outcome
from fluxrun.render.numbers import count, counted, number
from fluxrun.spec.text import visible

if TYPE_CHECKING:
    from flux_core.training.events import Started
    from fluxrun.jobs.train import Prepared


def opening(prepared: Prepared, name: str) -> list[str]:
    """What is going to be trained on what."""
    classes = prepared.built.dataset.classes
    sizes = ", ".join(f"{count(examples)} {split}" for split, examples in prepared.examples.items())
    what = f"{len(classes)} classes" if classes else "regression"
    return [f"{visible(name)}: {sizes} examples, {what}", *(f"note: {visible(note)}" for note in prepared.remarks)]


def started(event: Started) -> str:
    """How large the task is."""
    return f"{counted(event.parameters, 'parameter')}, {counted(event.steps_per_epoch, 'step')} an epoch"


def closing(outcome: Outcome) -> list[str]:
    """How it ended, the best epoch, and where everything is."""
    words = {"early_stop": "early stop", "max_steps": "--max-steps reached", "max_time": "--max-time reached"}
    reason = words.get(outcome.reason or "", outcome.reason or "")
    status = outcome.status + (f" ({visible(reason)})" if reason else "")
    lines = [
        f"{status}: {counted(outcome.epochs, 'epoch')}, {counted(outcome.steps, 'step')}, "
        f"{show_duration(outcome.seconds)}"
    ]
    if outcome.best:
        lines.append(f"best epoch {outcome.best_epoch}: {_values(outcome.best, 'train.', 'valid.')}")
    if tested := _values(outcome.final, "test."):
        lines.append(f"test: {tested}")
    lines += [f"expected {text}: not met" for text in outcome.unmet]
    return [*lines, f"run: {visible(str(outcome.run))}"]


def _values(metrics: Mapping[str, Any], *splits: str) -> str:
    return "  ".join(f"{name} {number(value)}" for name, value in metrics.items() if name.startswith(splits))
