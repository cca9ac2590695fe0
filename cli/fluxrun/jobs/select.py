"""Which runs, and in which order: --where, --sort, --top.

all runs of a folder, or those that are named ──where──▶ ──sort──▶ ──top──▶ Selection
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxrun.jobs.expect import UsageError
from fluxrun.jobs.where import Condition, matching
from fluxrun.store.listing import Run, find, runs
from fluxrun.store.names import MISSING, Key, Names, UnknownName


@dataclass(frozen=True)
class Selection:
    """The runs, the keys that they were chosen and sorted by, and what may be meant otherwise."""

    runs: list[Run]
    keys: tuple[Key, ...]
    notes: tuple[str, ...] = ()


def select(
    folder: Path,
    which: Sequence[str] = (),
    where: Sequence[str] = (),
    sort: str | None = None,
    top: int | None = None,
) -> Selection:
    """Choose runs that meet every condition. Raises NoSuchRun, SpecError for a condition, UsageError for the order.

    `sort` is a name: metrics come best first, others from small to large, with a minus the other way round; runs
    without the value come last. `top` takes the first, without `sort` the newest.
    """
    found = _named(folder, which) if which else runs(folder)
    names = Names(found)
    conditions = [Condition(text, names) for text in where]
    for condition in conditions:
        found = matching(found, condition)
    keys = [key for condition in conditions for key in condition.keys]
    notes = tuple(note for condition in conditions for note in condition.notes)
    if sort is not None and names.runs:
        key = _key(sort, names)
        keys = [*keys, key]
        found = _sorted(found, key, key.descending != sort.startswith("-"))
    if top is not None:
        found = found[-top:] if sort is None else found[:top]
    return Selection(found, tuple({key.name: key for key in keys}.values()), notes)


def _named(folder: Path, which: Sequence[str]) -> list[Run]:
    """The runs that are named, each once however often."""
    found: dict[Path, Run] = {}
    for one in which:
        run = find(folder, one)
        found.setdefault(run.folder.resolve(), run)
    return list(found.values())


def _key(sort: str, names: Names) -> Key:
    try:
        return names.key(sort.removeprefix("-"))
    except UnknownName as error:
        raise UsageError(f"--sort {sort!r}: {error}; {error.hint}") from None


def _sorted(found: list[Run], key: Key, reverse: bool) -> list[Run]:
    values = [(key.of(run), run) for run in found]
    there = [(value, run) for value, run in values if value is not None and value is not MISSING]
    there.sort(key=lambda pair: _rank(pair[0]), reverse=reverse)
    return [run for _, run in there] + [run for value, run in values if value is None or value is MISSING]


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers before texts before lists, each in their own order."""
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, str(value))
