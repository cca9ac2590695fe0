"""A training as it was asked for, how it ended, and who hears what happens in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxrun.jobs.expect import Expectation

if TYPE_CHECKING:
    from fluxrun.jobs.train import Prepared
    from fluxrun.store.listing import Run


@dataclass(frozen=True)
class Request:
    """A training as it was asked for; `config` is a spec, or for `resume` a reference to a run."""

    config: str
    overrides: tuple[str, ...] = ()
    name: str | None = None
    runs: Path = Path("runs")
    max_steps: int | None = None
    max_seconds: float | None = None
    threads: int | None = None
    expect: tuple[Expectation, ...] = ()
    if_missing: bool = False
    allow_inexact: bool = False


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
    trained: bool = True  # else it was there already

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """How a run of the past ended."""
        names = ("reason", "epochs", "steps", "seconds", "best", "best_epoch", "final")
        kept: dict[str, Any] = {name: run.values[name] for name in names if run.values.get(name) is not None}
        return cls(run.folder, run.status, trained=False, **kept)

    def judge(self, expectations: tuple[Expectation, ...]) -> None:
        """Note which expectations are not met; a training that did not come to its end is not judged."""
        values = {**self.final, **(self.best or {})}
        if self.status in ("finished", "stopped"):
            numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
            self.unmet = tuple(e.text for e in expectations if not e.met(numbers))

    def to_json(self) -> dict[str, Any]:
        """What `train --json` prints."""
        names = ("status", "reason", "epochs", "steps", "seconds", "best", "best_epoch", "final", "unmet", "trained")
        return {"run": str(self.run), **{name: getattr(self, name) for name in names}}


class Listener:
    """Hears what happens; a renderer overrides what it shows."""

    def claimed(self, folder: Path, prepared: Prepared) -> None: ...
    def event(self, event: object) -> None: ...
