"""fluxrun resume RUN: go on where a training stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from fluxrun.commands.answer import Json
from fluxrun.commands.choosing import Run
from fluxrun.commands.guard import Debug, Runs, Set, guard
from fluxrun.commands.training import Expect, MaxSteps, MaxTime, QuietOption, Threads, follow, requested

EXAMPLES = """Examples:\n
\b
  fluxrun resume last
  fluxrun resume last --set train.epochs=40
"""


def resume(
    run: Run,
    overrides: Set = None,
    runs: Runs = "runs",
    allow_inexact: Annotated[
        bool,
        typer.Option(
            "--allow-inexact", help="Go on with other settings, versions or CPU; the run's record says what changed."
        ),
    ] = False,
    max_steps: MaxSteps = None,
    max_time: MaxTime = None,
    expect: Expect = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: QuietOption = False,
    debug: Debug = False,
) -> None:
    """Go on with a run at its last checkpoint. The rest is equal to the bit to that of an unbroken training.

    Free to change with --set: where data files lie, train.epochs (unless the schedule is a cosine, which knows the
    end), train.early_stop.patience, how often states are saved. Other keys of model and train need --allow-inexact;
    name, seed, data and metrics stay.
    """

    def work() -> int:
        from fluxrun.jobs.resume import resuming

        common = (run, overrides, runs, max_steps, max_time, expect, threads)
        request = requested(*common, allow_inexact=allow_inexact)
        with resuming(request) as ready:
            return follow(ready, request, as_json, quiet)

    guard(work, debug)
