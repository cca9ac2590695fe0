"""The first and the last words about a training."""

from __future__ import annotations

from fluxrun.jobs.duration import show_duration
from fluxrun.jobs.train import Outcome, Prepared
from fluxrun.render.numbers import count, number
from fluxrun.spec.text import visible


def opening(prepared: Prepared, name: str) -> list[str]:
    """What is going to be trained on what."""
    data = prepared.built.dataset
    parts = [("train", data.train), ("valid", data.valid), ("test", data.test)]
    sizes = ", ".join(f"{count(len(part))} {split}" for split, part in parts if part is not None)
    what = f"{len(data.classes)} classes" if data.classes else "regression"
    return [f"{visible(name)}: {sizes} examples, {what}", *(f"note: {visible(note)}" for note in data.notes)]


def closing(outcome: Outcome) -> list[str]:
    """How it ended, the best epoch, and where everything is."""
    words = {"early_stop": "early stop", "max_steps": "--max-steps reached", "max_time": "--max-time reached"}
    reason = words.get(outcome.reason or "", outcome.reason or "")
    status = outcome.status + (f" ({visible(reason)})" if reason else "")
    lines = [
        f"{status}: {count(outcome.epochs)} epochs, {count(outcome.steps)} steps, {show_duration(outcome.seconds)}"
    ]
    if outcome.best:
        values = "  ".join(f"{name} {number(value)}" for name, value in outcome.best.items())
        lines.append(f"best epoch {outcome.best_epoch}: {values}")
    tested = {name: value for name, value in outcome.final.items() if name.startswith("test.")}
    if tested:
        lines.append("test: " + "  ".join(f"{name} {number(value)}" for name, value in tested.items()))
    lines += [f"expected {text}: not met" for text in outcome.unmet]
    return [*lines, f"run: {visible(str(outcome.run))}"]
