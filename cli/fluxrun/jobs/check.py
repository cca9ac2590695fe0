"""Check a spec without training: the spec by itself, its shapes where the data are at hand, and the data themselves.

load ─▶ errors of the spec │ peek ─▶ what does not fit the data │ gather, audit ─▶ warnings, and what must be beaten
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core.errors import DataError, MissingFile
from fluxrun.spec.build import gather, peek
from fluxrun.spec.check import find
from fluxrun.spec.load import Loaded, load
from fluxrun.spec.part import FileMark, fields
from fluxrun.spec.problems import Problem, Severity, SpecError
from fluxrun.spec.text import Place, Source

if TYPE_CHECKING:
    from flux_core.data.baseline import Baseline


@dataclass(frozen=True)
class Report:
    """What a check of one spec found.

    `fault` is a file that is missing, or what is wrong inside of one, and `problems` have it too. `unchecked` says why
    shapes were not looked at, and `missing` the same where the spec names a file that is not there. `baseline` comes
    from a look at the data.
    """

    config: str
    problems: tuple[Problem, ...] = ()
    unchecked: str | None = None
    missing: tuple[Problem, ...] = ()
    fault: DataError | None = None
    baseline: Baseline | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; what is doubtful may be right."""
        return all(problem.severity == "warning" for problem in self.problems)


def check_spec(config: str, overrides: Sequence[str] = (), *, data: bool = False, strict: bool = False) -> Report:
    """Check a spec, with `data` also the data that it names; `strict` makes errors of what is doubtful about them."""
    try:
        loaded = load(config, overrides)
    except SpecError as error:
        return Report(config, error.problems, "the spec has errors")
    except MissingFile as error:
        return Report(config, (_fault(error),), "the spec is not there", fault=error)
    try:
        if data or strict:
            return _audited(loaded, "error" if strict else "warning")
        peek(loaded)
    except SpecError as error:
        return Report(config, error.problems)
    except MissingFile as error:
        place = find(loaded.tree, _key_of(error.file, loaded))
        if data or strict:
            return Report(config, (Problem(place, str(error), error.hint),), str(error), fault=error)
        what = Problem(place, f"shapes were not checked: {error}", error.hint, severity="warning")
        return Report(config, unchecked=str(error), missing=(what,))
    except DataError as error:
        return Report(config, (_fault(error),), fault=error)
    return Report(config)


def _audited(loaded: Loaded, severity: Severity) -> Report:
    from flux_core.data.audit import audit

    seen = audit(gather(loaded, drawn=False)[3])
    found = [Problem(find(loaded.tree, f"data.{f.key}"), f.message, f.hint, severity=severity) for f in seen.findings]
    return Report(loaded.origin, tuple(sorted(found, key=lambda p: p.place.key)), baseline=seen.baseline)


def _key_of(file: str | None, loaded: Loaded) -> str:
    """The path of the spec that names a file of the data, or a pattern of it; the section, if none is found."""
    arguments = loaded.spec.data.arguments
    for name, mark in fields(type(arguments)).items():
        value: Any = getattr(arguments, name) if isinstance(mark, FileMark) else None
        if value == file:
            return f"data.{name}"
        if isinstance(value, list) and file in value:
            return f"data.{name}.{value.index(file)}"
    return "data"


def _fault(error: DataError) -> Problem:
    """An error of a file, or inside of one, as a problem at its line."""
    source = Source(error.file or "data", "", Path())
    what = f"column {error.column!r}: {error.reason}" if error.column is not None else error.reason
    return Problem(Place(source, (error.row or 1) - 1, 0, 0), what, error.hint)
