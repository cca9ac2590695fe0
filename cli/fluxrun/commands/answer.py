"""How a command answers a program: one JSON object on stdout.

answer ──▶ {"version": 1, ...}      docs/json.md has the keys of every command, and what the version promises
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

VERSION = 1  # of every answer in JSON
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON object on stdout, its version first, in ASCII so that any locale can carry it.

    A list may also come as an iterator: its items are written as they come, and need not be in memory together.
    """
    before = "{"
    for key, value in {"version": VERSION, **answer}.items():
        sys.stdout.write(f"{before}{json.dumps(key)}: ")
        sys.stdout.writelines(_items(value) if isinstance(value, Iterator) else [_text(value)])
        before = ", "
    print("}")


def _items(values: Iterator[Any]) -> Iterator[str]:
    yield "["
    for i, value in enumerate(values):
        yield f"{', ' if i else ''}{_text(value)}"
    yield "]"


def _text(value: Any) -> str:
    from fluxrun.store.record import jsonable

    return json.dumps(jsonable(value), allow_nan=False)


def one_form(forms: Mapping[str, bool]) -> None:
    """Raise UsageError where two forms of an answer are asked for at once; the keys are the options."""
    from fluxrun.jobs.expect import UsageError

    asked = [option for option, wanted in forms.items() if wanted]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} exclude each other")
