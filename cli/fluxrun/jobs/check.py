"""Check a spec without training: the spec by itself, its shapes where the data are at hand, and the data themselves.

load ─▶ errors of the spec │ peek ─▶ what does not fit the data │ gather, audit ─▶ warnings, and what must be beaten
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flux_core.errors import DataError, MissingFile
from fluxrun.spec.build import gather, peek
from fluxrun.spec.check import find
from fluxrun.spec.load import Loaded, load
from fluxrun.spec.problems import Problem, SpecError
from fluxrun.spec.text import Place, Source

if TYPE_CHECKING:
    from flux_core.data.baseline import Baseline


@dataclass(frozen=True)
class Report:
    """What a check found; `unchecked` says why shapes were not looked at, None if they were.

    `fault` is what is wrong inside of a data file; `warnings` and `baseline` come from a look at the data.
    """

    problems: tuple[Problem, ...] = ()
    unchecked: str | None = None
    fault: DataError | None = None
    warnings: tuple[Problem, ...] = ()
    baseline: Baseline | None = None

    @property
    def everything(self) -> tuple[Problem, ...]:
        """Errors, then warnings; a fault in a data file stands at its line."""
        return (*self.problems, *((_fault(self.fault),) if self.fault else ()), *self.warnings)


def check_spec(config: str, overrides: Sequence[str] = (), *, data: bool = False) -> Report:
    """Check a spec, with `data` also the data that it names. Raises MissingFile without a config, or without data."""
    try:
        loaded = load(config, overrides)
    except SpecError as error:
        return Report(error.problems, "the spec has errors")
    try:
        if data:
            return _audited(loaded)
        peek(loaded)
    except SpecError as error:
        return Report(error.problems)
    except MissingFile as error:
        if data:
            raise
        return Report((), str(error))
    except DataError as error:
        return Report(fault=error)
    return Report()


def _audited(loaded: Loaded) -> Report:
    from flux_core.data.audit import audit

    dataset = gather(loaded, drawn=False)[3]
    seen = audit(dataset)
    warnings = [
        Problem(find(loaded.tree, f"data.{f.key}"), f.message, f.hint, severity="warning") for f in seen.findings
    ]
    return Report(warnings=tuple(sorted(warnings, key=lambda p: p.place.key)), baseline=seen.baseline)


def _fault(error: DataError) -> Problem:
    """An error inside of a data file as a problem at its line."""
    source = Source(error.file or "data", "", Path())
    what = f"column {error.column!r}: {error.reason}" if error.column is not None else error.reason
    return Problem(Place(source, (error.row or 1) - 1, 0, 0), what, error.hint)
