"""fluxrun predict RUN DATA: what a trained model says about new rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.choosing import Run
from fluxrun.commands.guard import Debug, Runs, given, guard

EXAMPLES = """Examples:\n
\b
  fluxrun predict last configs/data/iris.csv
  fluxrun predict last configs/data/iris.csv -o predictions.csv
"""


def predict(
    which: Run,
    data: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            callback=given,
            help="A file with rows such as those of the training; answers may be there; - reads stdin.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .csv or .npz file instead of stdout, which is -."),
    ] = None,
    runs: Runs = "runs",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict for the rows of a file. Prints all of its columns, then the prediction and the probability of each class.

    Where the data have no header (data.header: false), the answer has none either. A file that -o names is replaced,
    unless it is the one that is read, or one that the run was trained on.
    """

    def work() -> int:
        from fluxrun.jobs.predict import predict as say_what
        from fluxrun.jobs.predict import write
        from fluxrun.render.stream import say
        from fluxrun.render.text import noted, write_text
        from fluxrun.spec.text import visible

        place = None if output == "-" else output
        found = say_what(which, data, Path(runs), place)
        if place is not None:
            write(found, Path(place))
        if as_json:
            print_json(found.to_json() if place is None else {**found.about(), "output": place})
            return 0
        say(*noted(found.new.notes))
        if place is None:
            write_text(found.table(), sys.stdout)
        else:
            say(f"{visible(place)}: {len(found):,} predictions")
        return 0

    guard(work, debug)
