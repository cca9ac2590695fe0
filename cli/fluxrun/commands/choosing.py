"""The options that choose runs, for `ls`, `compare` and `rm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fluxrun.commands.completing import complete_run, complete_sort, complete_where

if TYPE_CHECKING:
    from fluxrun.jobs.select import Selection

RUN_HELP = "A run's path, name, last, or best:METRIC."
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        autocompletion=complete_where,
        help="Such as 'learning_rate<0.01 and status==finished'; the end of a name will do; repeatable: all must hold.",
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=complete_sort,
        help="By a metric, best first, or by any value; -NAME turns the order round.",
    ),
]
Top = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only so many, the first of --sort or else the newest.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Print a table as csv on stdout.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)]
ConfigOrRun = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|RUN", help="A spec; or a run's path, name, last, or best:METRIC.", autocompletion=complete_run
    ),
]
SeveralRuns = Annotated[list[str] | None, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)]


def choose(
    runs: str,
    which: Sequence[str] | None = None,
    where: Sequence[str] | None = None,
    sort: str | None = None,
    top: int | None = None,
) -> Selection:
    """The runs that the options mean; what may be meant otherwise goes to stderr. Raises as `select`."""
    from fluxrun.jobs.select import select
    from fluxrun.render.stream import say
    from fluxrun.render.text import noted

    chosen = select(Path(runs), which or (), where or (), sort, top)
    say(*noted(chosen.notes))
    return chosen


def none_chosen(runs: str, where: Sequence[str] | None) -> str:
    """The line that says that there is no such run."""
    from fluxrun.spec.text import visible

    if not Path(runs).exists():
        return f"no runs in {visible(runs)}: there is no such folder"
    return f"no runs in {visible(runs)}" + (" meet the condition" if where else "")
