"""fluxrun train CONFIG: train a spec into a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fluxrun.commands.guard import Debug, Json, Runs, Set, guard, print_json

if TYPE_CHECKING:
    from fluxrun.jobs.train import Outcome, Prepared
    from fluxrun.render.live import Live
    from fluxrun.render.plain import Plain

EXAMPLES = """Examples:\n
\b
  fluxrun train configs/digits.yaml
  fluxrun train configs/digits.yaml --set train.epochs=5 --json
"""


def train(
    config: Annotated[str, typer.Argument(help="The spec, a YAML file; - reads it from stdin.")],
    overrides: Set = None,
    name: Annotated[str | None, typer.Option(help="The run's name instead of the spec's.")] = None,
    runs: Runs = "runs",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, train nothing.")] = False,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps; exit code 0.")] = None,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop after 90s, 10m, 1h30m; exit code 75.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Such as 'valid.accuracy>=0.9'; exit code 4 if not met; repeatable."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, envvar="FLUXRUN_THREADS", help="How many threads at most; every number gives the same run."
        ),
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    debug: Debug = False,
) -> None:
    """Train a spec; prints the path of the run."""

    def work() -> int:
        from fluxrun.jobs.duration import parse_duration
        from fluxrun.jobs.expect import Expectation
        from fluxrun.jobs.train import Request, prepare

        request = Request(
            config=config,
            overrides=tuple(overrides or ()),
            name=name,
            runs=Path(runs),
            max_steps=max_steps,
            max_seconds=None if max_time is None else parse_duration(max_time),
            threads=threads,
            expect=tuple(Expectation.parse(text) for text in expect or ()),
        )
        prepared = prepare(request)
        return _preview(prepared, as_json, quiet) if dry_run else _train(prepared, as_json, quiet)

    guard(work, debug)


def _preview(prepared: Prepared, as_json: bool, quiet: bool) -> int:
    from fluxrun.render.stream import say
    from fluxrun.render.summary import opening

    folder = prepared.folder
    if not quiet:
        say("\n".join(opening(prepared, folder.name)))
    if as_json:
        print_json({"run": str(folder), "status": "dry_run"})
    else:
        print(folder)
    return 0


def _train(prepared: Prepared, as_json: bool, quiet: bool) -> int:
    from fluxrun.jobs.signals import Signals
    from fluxrun.jobs.train import Listener
    from fluxrun.jobs.train import train as run

    renderer = None if quiet else _renderer()
    outcome: Outcome | None = None
    with Signals() as signals:
        try:
            outcome = run(prepared, renderer or Listener(), signals)
        finally:
            if renderer:
                renderer.close(outcome)
        if as_json:
            print_json(outcome.to_json())
        else:
            print(outcome.run)
        sys.stdout.flush()
    signals.die()
    return _code(outcome, quiet)


def _renderer() -> Live | Plain:
    from fluxrun.render.stream import on_terminal

    if on_terminal(sys.stderr):
        from fluxrun.render.live import Live

        return Live()
    from fluxrun.render.plain import Plain

    return Plain()


def _code(outcome: Outcome, quiet: bool) -> int:
    from fluxrun import exits
    from fluxrun.render.stream import say

    if outcome.status == "diverged":
        if quiet:
            say(f"error: {outcome.reason}")
        return exits.DIVERGED
    if outcome.reason == "max_time":
        return exits.OUT_OF_TIME
    if outcome.unmet and quiet:
        say("\n".join(f"error: expected {text}: not met" for text in outcome.unmet))
    return exits.EXPECTATION if outcome.unmet else exits.OK
