"""Problems, collected: a check goes on after the first one, and the reader gets all of them, sorted by place.

problems = Problems()
problems.add(place, "unknown key 'epoch' in train", hint="did you mean 'epochs'?")
problems.raise_if_any()                     raises SpecError, which holds the sorted list
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flux_core.errors import FluxError
from fluxrun.spec.text import Place, visible
from fluxrun.spec.tree import Node

ALIASES = {  # what other tools say
    "bce": "binary_cross_entropy",
    "dense": "affine",
    "fc": "affine",
    "hidden_size": "out",
    "layers": "model",
    "linear": "affine",
    "lr": "learning_rate",
    "mean_squared_error": "mse",
    "out_features": "out",
    "rnn": "recurrent",
    "swish": "silu",
    "units": "out",
    "val": "valid",
    "validation": "valid",
}
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """What is wrong at a place, the next step, and other places that take part in it; or a warning of it."""

    place: Place
    message: str
    hint: str | None = None
    notes: tuple[tuple[Place, str], ...] = ()
    severity: Severity = "error"


class SpecError(FluxError):
    """A spec that cannot be used; `problems` are sorted by place and never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        unique = {(p.place.key, p.message): p for p in problems}
        self.problems = tuple(sorted(unique.values(), key=lambda p: p.place.key))
        super().__init__(as_text(self.problems))


@dataclass
class Problems:
    """A growing list of problems; once a part of the spec could not be read it is `lacking`: nothing is missing.

    `tree` is the whole spec, once it was read: where else a key may stand.
    """

    found: list[Problem] = field(default_factory=list)
    lacking: bool = False
    tree: Node | None = None

    def add(
        self, place: Place, message: str, hint: str | None = None, *, notes: Iterable[tuple[Place, str]] = ()
    ) -> None:
        self.found.append(Problem(place, message, hint, tuple(notes)))

    def raise_if_any(self) -> None:
        """Raise SpecError if there is a problem."""
        if self.found:
            raise SpecError(self.found)


def near(name: str, names: Iterable[str]) -> str | None:
    """The hint that names the closest known name, if one is close or other tools call it so.

    >>> near("sofmax", ["softmax", "tanh"])
    "did you mean 'softmax'?"
    >>> near("Linear", ["affine", "tanh"])
    "did you mean 'affine'?"
    """
    folded = {n.lower(): n for n in sorted(names, reverse=True)}
    wanted = name.lower()[:100]
    other = ALIASES.get(wanted)
    close = [other] if other in folded else difflib.get_close_matches(wanted, folded, n=1, cutoff=0.6)
    return f"did you mean {folded[close[0]]!r}?" if close else None


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names in a sentence, cut after `limit`.

    >>> listing(["adam", "sgd"])
    'adam, sgd'
    """
    known = sorted(names)
    return ", ".join(known[:limit]) + (f", ... ({len(known)} in all)" if len(known) > limit else "")


def as_text(problems: Sequence[Problem]) -> str:
    """The report for people: place, message, the line, carets and the hint."""
    lines: list[str] = []
    for problem in problems:
        lines.append(f"{problem.place}: {problem.severity}: {visible(problem.message)}")
        lines += problem.place.picture(visible(problem.hint) if problem.hint else None)
        for place, text in problem.notes:
            lines.append(f"{place}: note: {visible(text)}")
            lines += place.picture()
    return "\n".join(lines)


def as_json(problems: Sequence[Problem]) -> list[dict[str, object]]:
    """The report for programs; lines and columns count from 1, `end_column` is exclusive."""
    return [
        {
            **_where(problem.place),
            "severity": problem.severity,
            "message": problem.message,
            "hint": problem.hint,
            "related": [{**_where(place), "message": text} for place, text in problem.notes],
        }
        for problem in problems
    ]


def _where(place: Place) -> dict[str, object]:
    return {
        "file": place.source.name,
        "line": place.row + 1,
        "column": place.column + 1,
        "end_column": place.end + 1,
    }


def as_github(problems: Sequence[Problem]) -> str:
    """Workflow commands that put the problems beside the lines of a pull request; those of options have no file."""
    lines = []
    for problem in problems:
        where = _where(problem.place)
        fields = {
            "file": where["file"],
            "line": where["line"],
            "col": where["column"],
            "endColumn": where["end_column"],
        }
        text = problem.message + (f": {problem.hint}" if problem.hint else "")
        if problem.place.source.one_line:
            lines.append(f"::{problem.severity}::{_escape(f'{problem.place}: {text}', '')}")
            continue
        marks = ",".join(f"{key}={_escape(str(value), ',:')}" for key, value in fields.items())
        lines.append(f"::{problem.severity} {marks}::{_escape(text, '')}")
    return "\n".join(lines)


def _escape(text: str, more: str) -> str:
    return visible("".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text))
