"""Runs found again, from their run.json alone: no index that could be wrong.

runs(folder)              every run, oldest first; folders without a readable record are skipped
find(folder, "last")      a path, a name, `last`, or `best:valid.accuracy`
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxrun.store.environment import process_alive
from fluxrun.store.folder import NoSuchRun

HIGHER_IS_BETTER = re.compile(r"accuracy|r2|top_[0-9]+")


@dataclass(frozen=True)
class Run:
    """A run's folder and its record."""

    folder: Path
    values: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def status(self) -> str:
        """The recorded status; a run whose process is gone was interrupted, whatever it says itself."""
        status = self.values.get("status")
        if status == "running" and process_alive(str(self.values.get("host")), int(self.values.get("pid", 0))) is False:
            return "interrupted"
        return status if isinstance(status, str) else "failed"

    def metric(self, name: str) -> float | None:
        """A metric at the best epoch, else at the end."""
        for key in ("best", "final"):
            value = (self.values.get(key) or {}).get(name)
            if isinstance(value, int | float):
                return float(value)
        return None


def read_run(folder: Path) -> Run | None:
    """The run in a folder, or None if there is no sound record."""
    try:
        values = json.loads((folder / "run.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return Run(folder, values) if isinstance(values, dict) and isinstance(values.get("pid", 0), int) else None


def runs(folder: Path) -> list[Run]:
    """Every run of a folder, in the order of their start."""
    found = [run for run in map(read_run, _folders(folder)) if run]
    return sorted(found, key=lambda run: (str(run.values.get("created", "")), run.name))


def find(folder: Path, which: str) -> Run:
    """One run; raises NoSuchRun with the near names."""
    from fluxrun.spec.problems import near

    for candidate in (Path(which), folder / which):
        if "\0" not in which and candidate.is_dir() and (run := read_run(candidate)):
            return run
    known = runs(folder)
    if which == "last" and known:
        return known[-1]
    if which.startswith("best:") and known:
        return _best(known, which.removeprefix("best:"))
    hint = near(which, [run.name for run in known])
    raise NoSuchRun(f"no config and no run in {folder} is called {which!r}" + (f"; {hint}" if hint else ""))


def _best(known: list[Run], metric: str) -> Run:
    scored = [(value, run) for run in known if (value := run.metric(metric)) is not None]
    if not scored:
        raise NoSuchRun(f"no run has a metric {metric!r}")
    sign = 1 if HIGHER_IS_BETTER.fullmatch(metric.rpartition(".")[2]) else -1
    return max(scored, key=lambda pair: sign * pair[0])[1]


def _folders(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
