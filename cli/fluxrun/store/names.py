"""What a run's values are called: on the command line a name is enough that only one of them ends with.

    learning_rate      train.optimizer.adam.learning_rate     a value of the spec
    valid.loss         valid.loss                             a metric, at the best epoch
    status, seconds    status, seconds                        a field of the record
    spec.train.loss    train.loss                             the loss of the spec: its metric has the same name
    columns."a.b"      data.columns."a.b"                     a key that is no name by itself, in quotes

Names that never stand together in one run, such as the learning rates of two optimisers, are one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flux_core.errors import FluxError
from fluxrun.spec.key import join, split
from fluxrun.store.listing import Run, higher_is_better

FIELDS = ("run", "status", "reason", "created", "ended", "seconds", "epochs", "steps", "best_epoch", "hash", "host")
STATUSES = ("running", "finished", "stopped", "diverged", "interrupted", "failed")


class MISSING:
    """Stands for a value that a run does not have."""


class UnknownName(FluxError):
    """No value has that name, or several have; `hint` says which do."""

    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True)
class Key:
    """A name and what it stands for: fields, metrics, or values of the spec, at most one of them in each run."""

    name: str
    field: str | None = None
    metrics: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def of(self, run: Run) -> Any:
        """The run's value, MISSING without one."""
        if self.field is not None:
            return value_of_field(run, self.field)
        for name in self.metrics:
            if name in run.metrics:
                return run.metrics[name]
        return next((run.spec[path] for path in self.paths if path in run.spec), MISSING)

    def shown(self, run: Run) -> Any:
        """The run's value, None without one."""
        return None if (value := self.of(run)) is MISSING else value

    @property
    def descending(self) -> bool:
        """Whether the best comes first when the largest does."""
        return bool(self.metrics) and higher_is_better(self.metrics[0])


class Names:
    """The names of the values of some runs."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.metrics = ordered(name for run in runs for name in run.metrics)
        self.paths = ordered(path for run in runs for path in run.spec)

    def key(self, name: str) -> Key:
        """What a name stands for. Raises UnknownName."""
        from fluxrun.spec.problems import listing, near

        if name in FIELDS:
            return Key(name, field=name)
        if name in self.metrics:
            return Key(name, metrics=(name,))
        path = join(split(name.removeprefix("spec.")))
        if path in self.paths:
            return Key(name, paths=(path,))
        metrics, paths = self._ending(name, path)
        if not metrics and not paths:
            ends = {join(split(full)[-n:]) for full in (*self.metrics, *self.paths) for n in (1, 2, 9)}
            hint = near(name, {*FIELDS, *ends}) or f"known: {listing([*FIELDS, *self.metrics])}, and the spec's"
            raise UnknownName(f"no run has a value {name!r}", hint)
        if len(metrics) + len(paths) > 1 and self._together(metrics, paths):
            full = [*metrics, *map(self.full, paths)]
            raise UnknownName(f"{name!r} stands for several values", f"write one of: {listing(full)}")
        return Key(name, metrics=metrics, paths=paths)

    def short(self, path: str) -> str:
        """The shortest name that stands for a path of the spec alone, as `--where` takes it.

        >>> from pathlib import Path
        >>> Names([Run(Path("a"), {"spec": {"train.epochs": 3, "model.0.affine.out": 1, "model.2.affine.out": 1}})]
        ...     ).short("model.0.affine.out")
        'model.0.affine.out'
        """
        parts = split(path)
        known = (*self.metrics, *self.paths)
        for count in range(1, len(parts)):
            name = join(parts[-count:])
            if (
                name[:1].isidentifier()
                and name not in FIELDS
                and sum(full == name or full.endswith(f".{name}") for full in known) == 1
            ):
                return name
        return self.full(path)

    def ends(self) -> list[str]:
        """The shortest name of every path of the spec, which may be one of others that never stand in the same run.

        >>> from pathlib import Path
        >>> rates = ({f"train.optimizer.{name}.learning_rate": 0.1} for name in ("adam", "sgd"))
        >>> Names([Run(Path("a"), {"spec": spec}) for spec in rates]).ends()
        ['learning_rate']
        """
        found: dict[str, None] = {}
        for path in self.paths:
            keys = split(path)
            shorter = (join(keys[-count:]) for count in range(1, len(keys)))
            found[next((name for name in shorter if name in found or self._is_end(name)), self.full(path))] = None
        return list(found)

    def _is_end(self, name: str) -> bool:
        """Whether a name stands for what ends with it, and in each run for one value at most."""
        if not name[:1].isidentifier() or name in FIELDS or name in self.metrics or name in self.paths:
            return False
        return not self._together(*self._ending(name, name))

    def _ending(self, metric: str, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The metrics and the paths that end so."""
        return (
            tuple(full for full in self.metrics if full.endswith(f".{metric}")),
            tuple(full for full in self.paths if full.endswith(f".{path}")),
        )

    def full(self, path: str) -> str:
        """The whole name of a path of the spec."""
        return f"spec.{path}" if path in self.metrics or path in FIELDS else path

    def _together(self, metrics: tuple[str, ...], paths: tuple[str, ...]) -> bool:
        return any(
            sum(name in run.metrics for name in metrics) + sum(path in run.spec for path in paths) > 1
            for run in self.runs
        )


def value_of_field(run: Run, name: str) -> Any:
    """A field of the record, or None."""
    if name == "run":
        return run.name
    return run.status if name == "status" else run.values.get(name)


def ordered(names: Iterable[str]) -> dict[str, None]:
    """Every name once, in the order of its first appearance; asking whether it is there takes no time."""
    return dict.fromkeys(names)
