"""Runs found again, from their run.json alone: no index that could be wrong.

runs(folder)              every run, oldest first; folders without a readable record are skipped
find(folder, "last")      a path, a name, `last`, or `best:valid.accuracy`
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flux_core import fsio
from fluxrun.store.environment import process_alive
from fluxrun.store.folder import NoSuchRun

LOCK = "events.jsonl"  # it is there from the first moment, and is never replaced
COUNTS = ("pid", "format", "epochs", "steps", "best_epoch", "seconds")
KINDS: dict[str, type] = {  # of the other values of a record
    **dict.fromkeys(("status", "reason", "created", "host", "hash", "cpu"), str),
    **dict.fromkeys(("best", "final", "spec", "versions", "asked"), dict),
    **dict.fromkeys(("data", "resumed", "overrides"), list),
    "exact": bool,
}
HIGHER_IS_BETTER = re.compile(r"accuracy|r2|top_[0-9]+")


@dataclass(frozen=True)
class Run:
    """A run's folder and its record."""

    folder: Path
    values: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def status(self) -> str:
        """The recorded status; a run whose process is gone was interrupted, whatever it says itself."""
        status = self.values.get("status")
        if status == "running" and not self._goes_on():
            return "interrupted"
        return status if isinstance(status, str) else "failed"

    def _goes_on(self) -> bool:
        """Whether somebody writes to it: who does holds its lock, and numbers of processes are used again.

        A lock that is free says nothing of another host, which may not see those of this one.
        """
        alive = process_alive(*self.process)
        try:
            return fsio.is_locked(self.folder / LOCK) or alive is None
        except OSError:  # no locks here, or no right to ask
            return alive is not False

    @property
    def process(self) -> tuple[str, int]:
        """Host and number of the process that wrote to it last."""
        return str(self.values.get("host")), int(self.values.get("pid", 0))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric at the best epoch, else at the end."""
        found = {**self._map("final"), **self._map("best")}
        return {name: value for name, value in found.items() if isinstance(value, int | float)}

    @property
    def spec(self) -> dict[str, Any]:
        """The values of the resolved spec by dotted path."""
        return self._map("spec")

    def _map(self, key: str) -> dict[str, Any]:
        value = self.values.get(key)
        return value if isinstance(value, dict) else {}


def read_run(folder: Path) -> Run | None:
    """The run in a folder, or None if there is no sound record."""
    try:
        with open(folder / "run.json", "rb") as file:
            values = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None
    return Run(folder, values) if isinstance(values, dict) and _is_sound(values) else None


def _is_sound(values: dict[str, Any]) -> bool:
    """Whether each value that is asked for later is of its kind, or is not there."""
    if not all(isinstance(values[key], kind) for key, kind in KINDS.items() if values.get(key) is not None):
        return False
    counts = (values.get(key) for key in COUNTS)
    metrics = (x for key in ("best", "final") for x in (values.get(key) or {}).values())
    return (
        all(x is None or (isinstance(x, int | float) and abs(x) < 1 << 53) for x in counts)
        and all(x is None or (isinstance(x, int | float) and abs(x) <= sys.float_info.max) for x in metrics)
        and all(isinstance(one, dict) for key in ("data", "resumed") for one in values.get(key) or ())
        and values.get("pid", 0) is not None
    )


def runs(folder: Path) -> list[Run]:
    """Every run of a folder, in the order of their start; none where there is no folder yet.

    Raises NoSuchRun for what is there and is no folder.
    """
    if not _is_folder(folder) and os.path.lexists(folder):
        raise NoSuchRun(f"{folder}: this is no folder; --runs names one that holds runs")
    found = [run for run in map(read_run, _folders(folder)) if run]
    return sorted(found, key=lambda run: (str(run.values.get("created", "")), run.name))


def names_in(folder: Path) -> list[str]:
    """The names of the folders that may be runs."""
    return [path.name for path in _folders(folder)]


def runs_with(folder: Path, text: str) -> Iterator[Run]:
    """The runs whose record holds a text, such as a hash; the others are not even parsed."""
    for path in _folders(folder):
        try:
            with open(path / "run.json", "rb") as file:
                holds = text.encode() in file.read()
        except OSError:
            continue
        if holds and (run := read_run(path)):
            yield run


def find(folder: Path, which: str, what: str = "run", other: Callable[[Path], str | None] = lambda path: None) -> Run:
    """One run; raises NoSuchRun with the near names.

    `what` else it could have been goes into the message; where no run is near, `other` says what else is.
    """
    from fluxrun.spec.problems import near

    for candidate in (Path(which), folder / which):
        if which and "\0" not in which and _is_folder(candidate) and (run := read_run(_named(candidate))):
            return run
    known = runs(folder)
    if which == "last" or which.startswith("best:"):
        if not known:
            raise NoSuchRun(f"there are no runs in {folder}")
        return known[-1] if which == "last" else _best(known, which.removeprefix("best:"))
    begun = [run.name for run in known if which and run.name.startswith(which)]
    of_spec = [run.name for run in known if which in (run.values.get("name"), run.values.get("config"))]
    own = of_spec or begun
    hint = f"did you mean {own[-1]!r}?" if own else near(which, [run.name for run in known])
    if os.path.isfile(which):
        raise NoSuchRun(f"{which}: this is a file, and a run is wanted" + (f"; {hint}" if own else ""))
    if which and _is_folder(Path(which)):
        raise NoSuchRun(f"{which}: this is a folder, and no {what}" + (f"; {hint}" if own else ""))
    hint = hint or other(Path(which))
    raise NoSuchRun(f"no {what} in {folder} is called {which!r}" + (f"; {hint}" if hint else ""))


def higher_is_better(metric: str) -> bool:
    """Whether a metric, by its full name, is better when it is larger."""
    return HIGHER_IS_BETTER.fullmatch(metric.rpartition(".")[2]) is not None


def _best(known: list[Run], metric: str) -> Run:
    from fluxrun.spec.problems import listing, near

    scored = [(value, run) for run in known if (value := run.metrics.get(metric)) is not None]
    if not scored:
        names = {name for run in known for name in run.metrics}
        hint = near(metric, names) or (f"known: {listing(names)}" if names else "none has any yet")
        raise NoSuchRun(f"no run has a metric {metric!r}; {hint}")
    sign = 1 if higher_is_better(metric) else -1
    return max(scored, key=lambda pair: sign * pair[0])[1]


def _named(path: Path) -> Path:
    """A path that ends in a name: `.` and `..` have one as well."""
    return path.resolve() if path.name in ("", "..") else path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def _folders(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
