"""How a command answers a program: one JSON object on stdout.

answer ──▶ {"version": 1, ...}      docs/json.md has the keys of every command, and what the version promises
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

VERSION = 1  # of every answer in JSON
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON object on stdout, its version first, in ASCII so that any locale can carry it."""
    from fluxrun.store.record import jsonable

    print(json.dumps(jsonable({"version": VERSION, **answer}), allow_nan=False))


def one_form(forms: Mapping[str, bool]) -> None:
    """Raise UsageError where two forms of an answer are asked for at once; the keys are the options."""
    from fluxrun.jobs.expect import UsageError

    asked = [option for option, wanted in forms.items() if wanted]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} exclude each other")
