"""fluxrun train CONFIG: train a spec into a run folder."""

from __future__ import annotations

from typing import Annotated

import typer

from fluxrun.commands.answer import Json
from fluxrun.commands.guard import Debug, Runs, Set, given, guard
from fluxrun.commands.training import Expect, MaxSteps, MaxTime, QuietOption, Threads, follow, requested, tell

EXAMPLES = """Examples:\n
\b
  fluxrun train configs/digits.yaml
  fluxrun train configs/digits.yaml --set train.epochs=5 --json
"""


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", callback=given, help="The spec, a YAML file; - reads it from stdin.")
    ],
    overrides: Set = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The run's name instead of the spec's.")] = None,
    runs: Runs = "runs",
    if_missing: Annotated[
        bool,
        typer.Option("--if-missing", help="Skip what is trained already; go on with what was interrupted."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, train nothing.")] = False,
    max_steps: MaxSteps = None,
    max_time: MaxTime = None,
    expect: Expect = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: QuietOption = False,
    debug: Debug = False,
) -> None:
    """Train a spec; prints the path of the run."""

    def work() -> int:
        from fluxrun.jobs.existing import settled_by_name
        from fluxrun.jobs.request import Outcome

        common = (config, overrides, runs, max_steps, max_time, expect, threads)
        request = requested(*common, name=name, if_missing=if_missing)
        if if_missing and (run := settled_by_name(request)) is not None:
            return tell(Outcome.of(run), request, as_json, quiet)
        from fluxrun.jobs.resume import starting

        with starting(request) as ready:
            return follow(ready, request, as_json, quiet, dry_run)

    guard(work, debug)
