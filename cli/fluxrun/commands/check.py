"""fluxrun check CONFIG: every error of a spec at once, and with --data what is suspicious about its data."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.guard import Debug, Set, guard

if TYPE_CHECKING:
    from fluxrun.jobs.check import Report

EXAMPLES = """Examples:\n
\b
  fluxrun check configs/digits.yaml
  fluxrun check configs/digits.yaml --data --format json
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
        Format | None, typer.Option("--format", help="For people (text, the default), programs, or GitHub annotations.")
    ] = None,
    as_json: Json = False,
    data: Annotated[
        bool, typer.Option("--data", help="Look at the data too, and name what a model must beat.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings about the data are errors.")] = False,
    debug: Debug = False,
) -> None:
    """Check a spec, and its shapes where the data are at hand; exit code 2 if there are errors."""

    def work() -> int:
        from fluxrun import exits
        from fluxrun.jobs.check import check_spec
        from fluxrun.spec.problems import as_github
        from fluxrun.spec.problems import as_json as as_objects

        one_form({"--json": as_json, f"--format {form}": form not in (None, Format.json)})
        report = check_spec(config, overrides or (), data=data or strict)
        failed = bool(report.problems or (strict and report.warnings))
        if as_json or form is Format.json:
            baseline = vars(report.baseline) if report.baseline else None
            result = {"ok": not (failed or report.fault), "problems": as_objects(report.everything)}
            print_json({**result, "shapes_unchecked": report.unchecked, "baseline": baseline})
        elif form is Format.github:
            if report.everything:
                print(as_github(report.everything))
        elif report.fault:
            raise report.fault
        else:
            _tell(report)
        return exits.exit_code(report.fault) if report.fault else exits.USAGE if failed else exits.OK

    def _tell(report: Report) -> None:
        from fluxrun.render.numbers import number
        from fluxrun.render.stream import say
        from fluxrun.spec.problems import as_text
        from fluxrun.spec.text import visible

        if report.everything:
            say(as_text(report.everything))
        elif report.unchecked:
            say(f"{visible(config)}: ok, but shapes were not checked: {visible(report.unchecked)}")
        else:
            say(f"{visible(config)}: ok")
        if report.baseline:
            beat = report.baseline
            say(f"baseline to beat: {beat.metric} {number(beat.value)} ({visible(beat.answer)})")

    guard(work, debug)
