"""What `train` and `resume` have in common: their options, and the way from a training that can start to an exit code.

starting ──▶ Outcome     it was there already ─▶ told
         └─▶ Prepared    Signals, renderer ─▶ trained ─▶ path or JSON on stdout ─▶ die by the signal that came
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fluxrun.commands.answer import print_json
from fluxrun.commands.completing import complete_metric

if TYPE_CHECKING:
    from fluxrun.jobs.request import Outcome, Request
    from fluxrun.jobs.train import Prepared
    from fluxrun.render.live import Live
    from fluxrun.render.plain import Plain

MaxSteps = Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many steps; exit code 0.")]
MaxTime = Annotated[str | None, typer.Option(metavar="TIME", help="Stop after 90s, 10m, 1h30m; exit code 75.")]
Expect = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        autocompletion=complete_metric,
        help="Such as 'valid.accuracy>=0.9'; exit code 4 if not met; repeatable.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", envvar="FLUXRUN_THREADS", help="How many threads at most; every number gives the same run."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def requested(
    config: str,
    overrides: list[str] | None,
    runs: str,
    max_steps: int | None,
    max_time: str | None,
    expect: list[str] | None,
    threads: int | None,
    **own: Any,
) -> Request:
    """The request that the common options make, and those that a command has of its own. Raises UsageError."""
    from fluxrun.jobs.duration import parse_duration
    from fluxrun.jobs.expect import Expectation
    from fluxrun.jobs.request import Request

    return Request(
        config=config,
        overrides=tuple(overrides or ()),
        runs=Path(runs),
        max_steps=max_steps,
        max_seconds=None if max_time is None else parse_duration(max_time),
        threads=threads,
        expect=tuple(Expectation.parse(text) for text in expect or ()),
        **own,
    )


def follow(ready: Prepared | Outcome, request: Request, as_json: bool, quiet: bool, dry_run: bool = False) -> int:
    """Train what can start, or tell how it ended before; the exit code."""
    from fluxrun.jobs.request import Outcome

    if isinstance(ready, Outcome):
        return tell(ready, request, as_json, quiet)
    return _preview(ready, as_json, quiet) if dry_run else _train(ready, as_json, quiet)


def tell(outcome: Outcome, request: Request, as_json: bool, quiet: bool) -> int:
    """Tell how a training ended before; the exit code, which `--expect` decides as it does after a training."""
    from fluxrun.render.stream import say, width
    from fluxrun.render.summary import closing

    names = [*outcome.final, *(outcome.best or ())]
    for expectation in request.expect:
        expectation.require_known(names)
    outcome.judge(request.expect)
    if not quiet:
        say("\n".join(["there is nothing left to do:", *closing(outcome, width(sys.stderr))]))
    _answer(outcome, as_json)
    return _code(outcome, quiet)


def _preview(prepared: Prepared, as_json: bool, quiet: bool) -> int:
    from fluxrun.render.stream import say
    from fluxrun.render.summary import opening

    folder = prepared.folder
    if not quiet:
        say("\n".join([*opening(prepared, folder), "dry run: nothing was trained"]))
    if as_json:
        print_json(prepared.to_json())
    else:
        print(folder)
    return 0


def _train(prepared: Prepared, as_json: bool, quiet: bool) -> int:
    from fluxrun.jobs.request import Listener
    from fluxrun.jobs.signals import Signals
    from fluxrun.jobs.train import train as run

    renderer = None if quiet else _renderer()
    outcome: Outcome | None = None
    with Signals(renderer.signalled if renderer else lambda text: None) as signals:
        try:
            outcome = run(prepared, renderer or Listener(), signals)
        finally:
            if renderer:
                renderer.close(outcome)
        _answer(outcome, as_json)
        sys.stdout.flush()
    signals.die()
    return _code(outcome, quiet)


def _answer(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print_json(outcome.to_json())
    else:
        print(outcome.run)


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
    from fluxrun.render.summary import REMEDY, go_on

    if outcome.status == "diverged":
        if quiet:
            say(f"error: {outcome.reason}\n  {REMEDY}")
        return exits.DIVERGED
    if outcome.reason == "max_time":
        if quiet:
            say(f"error: --max-time is over\n  {go_on(outcome)}")
        return exits.OUT_OF_TIME
    if outcome.unmet and quiet:
        say("\n".join(f"error: expected {text}: not met" for text in outcome.unmet))
    return exits.EXPECTATION if outcome.unmet else exits.OK
