"""Runs side by side: where their specs differ, and what came of it.

compare(runs)      the paths of the specs that are not the same in all of them, and every metric
diff(a, b)         two runs in everything that decides a training: spec, data, versions; and their metrics

A value that is null and one that is not there are the same. `Comparison.telling` is for people:

    train.optimizer                       adam   sgd
    train.optimizer.adam.learning_rate    0.01         ┐ one value, learning_rate
    train.optimizer.sgd.learning_rate            0.1   ┘
    train.optimizer.adam.beta1            0.9            left out: it follows from the optimizer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fluxrun.spec.key import join, split
from fluxrun.store.listing import Run
from fluxrun.store.names import MISSING, Key, Names, UnknownName

SOURCE = "data.source"
Pairs = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Comparison:
    """Runs, the paths in which their specs differ, and the names of their metrics."""

    runs: Sequence[Run]
    paths: list[str]
    metrics: list[str]
    names: Names

    def to_json(self) -> dict[str, Any]:
        """What `compare --json` prints."""
        rows = [
            {
                "run": str(run.folder),
                "status": run.status,
                "spec": {path: run.spec.get(path) for path in self.paths},
                "metrics": {name: run.metrics.get(name) for name in self.metrics},
            }
            for run in self.runs
        ]
        return {"runs": rows}

    def telling(self) -> list[Key]:
        """The values in which specs differ, without those that follow from another one.

        Where components differ, their arguments of the same name are one value. It follows from the component where
        all runs that have it agree.
        """
        groups: dict[tuple[str, str], list[str]] = {}
        for path in self.names.paths:  # also one that is null, beside that of another component
            groups.setdefault(self._place(path), []).append(path)
        differing, keys = set(self.paths), []
        for (component, rest), paths in groups.items():
            key = Key(self._name(component, rest, paths), paths=tuple(paths))
            if differing.intersection(paths) and (not component or len(_distinct(self.runs, key)) > 1):
                keys.append(key)
        return keys

    def _place(self, path: str) -> tuple[str, str]:
        """The innermost component that differs and the name of its argument; no component, and the path itself."""
        parts = split(path)
        if parts[0] == "data" and SOURCE in self._components and path != SOURCE:
            return SOURCE, path  # its arguments stand beside its name
        for end in range(len(parts) - 2, 0, -1):
            component = join(parts[:end])
            if parts[end] in self._components.get(component, ()):
                return component, join(parts[end + 1 :])
        return "", path

    @cached_property
    def _components(self) -> dict[str, set[str]]:
        """The texts that stand at each path that differs; the names of components are among them."""
        return {path: {text for run in self.runs if isinstance(text := run.spec.get(path), str)} for path in self.paths}

    def _name(self, component: str, rest: str, paths: Sequence[str]) -> str:
        """The shortest name that stands for these paths alone."""
        if len(paths) == 1:
            return self.names.short(paths[0])
        try:
            alone = set(self.names.key(rest).paths) == set(paths)
        except UnknownName:
            alone = False
        return rest if alone else f"{component}.{rest}"


@dataclass(frozen=True)
class Difference:
    """Two runs: what differs by name, the first one's value and the second one's; all metrics, equal ones too."""

    runs: tuple[Run, Run]
    spec: Pairs
    data: Pairs
    versions: Pairs
    metrics: Pairs

    def to_json(self) -> dict[str, Any]:
        """What `diff --json` prints."""
        parts = {name: getattr(self, name) for name in ("spec", "data", "versions", "metrics")}
        return {"runs": [str(run.folder) for run in self.runs], **parts}


def compare(found: Sequence[Run]) -> Comparison:
    """Set runs side by side; their names are no difference."""
    names = Names(found)
    paths = [path for path in names.paths if path != "name" and _differs(found, path)]
    return Comparison(found, paths, list(names.metrics), names)


def diff(a: Run, b: Run) -> Difference:
    """Set two runs against each other."""
    environments = [_environment(run) for run in (a, b)]
    return Difference(
        (a, b),
        _pairs(a.spec, b.spec),
        _pairs(_data(a), _data(b)),
        _pairs(*environments),
        {name: (a.metrics.get(name), b.metrics.get(name)) for name in {**a.metrics, **b.metrics}},
    )


def _distinct(found: Sequence[Run], key: Key) -> list[Any]:
    """The values of the runs that have one, each once."""
    values: list[Any] = []
    for run in found:
        if (value := key.of(run)) is not MISSING and value not in values:
            values.append(value)
    return values


def _differs(found: Sequence[Run], path: str) -> bool:
    first = found[0].spec.get(path)
    return any(run.spec.get(path) != first for run in found)


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> Pairs:
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _data(run: Run) -> dict[str, Any]:
    """SHA-256 of each data file, by its place in the list."""
    files = run.values.get("data")
    return {f"file {i}": file.get("sha256") for i, file in enumerate(files if isinstance(files, list) else ())}


def _environment(run: Run) -> dict[str, Any]:
    versions = run.values.get("versions")
    found = dict(versions) if isinstance(versions, dict) else {}
    return found | {name: run.values.get(name) for name in ("format", "cpu", "platform", "git", "engine")}
