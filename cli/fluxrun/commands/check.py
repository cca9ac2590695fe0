"""fluxrun check CONFIG: every error of a spec at once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fluxrun.commands.guard import Debug, Set, guard, print_json

EXAMPLES = """Examples:\n
\b
  fluxrun check configs/digits.yaml
  fluxrun check configs/digits.yaml --format json
"""


class Format(StrEnum):
    """How findings are written."""

    text = "text"
    json = "json"
    github = "github"


def check(
    config: Annotated[str, typer.Argument(help="The spec, a YAML file; - reads it from stdin.")],
    overrides: Set = None,
    form: Annotated[
        Format, typer.Option("--format", help="For people, programs, or GitHub annotations.")
    ] = Format.text,
    debug: Debug = False,
) -> None:
    """Check a spec, and its shapes where the data are at hand; exit code 2 if there are errors."""

    def work() -> int:
        from fluxrun import exits
        from fluxrun.jobs.check import check_spec
        from fluxrun.render.stream import say
        from fluxrun.spec.problems import as_github, as_json, as_text
        from fluxrun.spec.text import visible

        report = check_spec(config, overrides or ())
        if form is Format.json:
            found = as_json(report.problems)
            print_json({"version": 1, "ok": not found, "problems": found, "shapes_unchecked": report.unchecked})
        elif form is Format.github:
            if report.problems:
                print(as_github(report.problems))
        elif report.problems:
            say(as_text(report.problems))
        elif report.unchecked:
            say(f"{visible(config)}: ok, but shapes were not checked: {visible(report.unchecked)}")
        else:
            say(f"{visible(config)}: ok")
        return exits.USAGE if report.problems else exits.OK

    guard(work, debug)
