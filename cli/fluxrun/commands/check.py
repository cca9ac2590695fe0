"""fluxrun check CONFIG...: every error of specs at once, and with --data what is suspicious about their data."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.guard import Debug, Set, given, guard
from fluxrun.commands.guard import report as tell_error

if TYPE_CHECKING:
    from fluxrun.jobs.check import Report

EXAMPLES = """Examples:\n
\b
  fluxrun check configs/digits.yaml configs/iris.yaml
  fluxrun check configs/digits.yaml --data --format json
"""


class Format(StrEnum):
    """How findings are written."""

    text = "text"
    json = "json"
    github = "github"


def check(
    configs: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG", callback=given, help="The specs, YAML files; - reads one from stdin."),
    ],
    overrides: Set = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="For people (text, the default), programs, or GitHub annotations.")
    ] = None,
    as_json: Json = False,
    data: Annotated[
        bool, typer.Option("--data", help="Look at the data too, and name what a model must beat.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="As --data, and what is suspicious about them is an error.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Check specs, and their shapes where the data are at hand. The exit code is not 0 if there are errors."""

    def work() -> int:
        from fluxrun.jobs.check import check_spec
        from fluxrun.spec.problems import as_github

        one_form({"--json": as_json, f"--format {form}": form not in (None, Format.json)})
        reports = [check_spec(config, overrides or (), data=data, strict=strict) for config in configs]
        if as_json or form is Format.json:
            print_json(_answer(reports))
        elif form is Format.github:
            if found := [problem for report in reports for problem in (*report.problems, *report.missing)]:
                print(as_github(found))
        else:
            for report in reports:
                _tell(report, several=len(reports) > 1)
        return max(map(_code, reports))

    guard(work, debug)


def _answer(reports: list[Report]) -> dict[str, Any]:
    from fluxrun.spec.problems import as_json

    problems = [{**problem, "config": report.config} for report in reports for problem in as_json(report.problems)]
    specs = [
        {
            "config": report.config,
            "ok": report.ok,
            "shapes_unchecked": report.unchecked,
            "baseline": vars(report.baseline) if report.baseline else None,
        }
        for report in reports
    ]
    only = specs[0] if len(specs) == 1 else {"shapes_unchecked": None, "baseline": None}
    unchecked, baseline = only["shapes_unchecked"], only["baseline"]
    return {
        "ok": all(report.ok for report in reports),
        "problems": problems,
        "shapes_unchecked": unchecked,
        "baseline": baseline,
        "specs": specs,
    }


def _tell(report: Report, *, several: bool) -> None:
    """Say what was found; of `several` specs a line behind its problems says whose they were."""
    from fluxrun.render.numbers import counted, number
    from fluxrun.render.stream import say
    from fluxrun.spec.problems import as_text
    from fluxrun.spec.text import visible

    name = visible(report.config)
    if report.fault:
        tell_error(report.fault, debug=False)
    elif report.problems:
        say(as_text(report.problems))
    elif report.unchecked:
        say(f"{name}: ok, but shapes were not checked: {visible(report.unchecked)}")
    else:
        say(f"{name}: ok")
    if several and report.problems:
        say(f"{name}: {counted(len(report.problems), 'warning' if report.ok else 'error')}")
    if report.baseline:
        beat = report.baseline
        start = f"{name}: " if several else ""
        say(f"{start}baseline to beat: {beat.metric} {number(beat.value)} ({visible(beat.answer)})")


def _code(report: Report) -> int:
    from fluxrun import exits

    if report.fault:
        return exits.exit_code(report.fault)
    return exits.OK if report.ok else exits.USAGE
