"""The options that choose runs, for `ls`, `compare` and `rm`."""

from __future__ import annotations

from typing import Annotated

import typer

from fluxrun.commands.completing import complete_run

RUN_HELP = "A run's path, name, last, or best:METRIC."
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Such as 'learning_rate<0.01 and status==finished'; the end of a name will do; repeatable: all must hold.",
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="By a metric, best first, or by any value; -NAME turns the order round."),
]
Top = Annotated[int | None, typer.Option(min=1, help="Only so many, the first of --sort or else the newest.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print a table as csv on stdout.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)]
ConfigOrRun = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|RUN", help="A spec; or a run's path, name, last, or best:METRIC.", autocompletion=complete_run
    ),
]
SeveralRuns = Annotated[list[str] | None, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)]
