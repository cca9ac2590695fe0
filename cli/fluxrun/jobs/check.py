"""Check a spec without training: the spec by itself, and its shapes where the data are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flux_core.errors import MissingFile
from fluxrun.spec.build import peek
from fluxrun.spec.load import load
from fluxrun.spec.problems import Problem, SpecError


@dataclass(frozen=True)
class Report:
    """What a check found; `unchecked` says why shapes were not looked at, None if they were."""

    problems: tuple[Problem, ...] = ()
    unchecked: str | None = None


def check_spec(config: str, overrides: Sequence[str] = ()) -> Report:
    """Raises MissingFile without a config, DataError for data that cannot be used."""
    try:
        loaded = load(config, overrides)
    except SpecError as error:
        return Report(error.problems, "the spec has errors")
    try:
        peek(loaded)
    except SpecError as error:
        return Report(error.problems)
    except MissingFile as error:
        return Report((), str(error))
    return Report()
