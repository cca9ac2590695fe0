"""fluxrun evaluate RUN [DATA]: the metrics of a trained model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.choosing import Run
from fluxrun.commands.guard import Debug, Runs, given, guard
from fluxrun.commands.training import Threads

EXAMPLES = """Examples:\n
\b
  fluxrun evaluate last
  fluxrun evaluate last configs/data/iris.csv --json
"""


class Split(StrEnum):
    """The splits of a run's data."""

    train = "train"
    valid = "valid"
    test = "test"


def evaluate(
    which: Run,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", callback=given, help="A file with rows and answers, - is stdin; by default the run's own."
        ),
    ] = None,
    split: Annotated[Split | None, typer.Option(help="Which split of the run's own data; test by default.")] = None,
    runs: Runs = "runs",
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model on its test split, or on another file."""

    def work() -> int:
        from fluxrun.jobs.evaluate import evaluate as measure
        from fluxrun.jobs.expect import UsageError
        from fluxrun.jobs.piped import shown
        from fluxrun.render.numbers import number
        from fluxrun.render.stream import say
        from fluxrun.render.text import noted
        from fluxrun.spec.text import visible

        if data is not None and split is not None:
            raise UsageError(f"--split is of the run's own data, and {data} is to be measured: name one of them")
        found = measure(which, data, split or Split.test, Path(runs), threads)
        if as_json:
            print_json(found.to_json())
            return 0
        what = f"the {found.split} split" if data is None else visible(shown(data))
        say(*noted(found.notes), f"{visible(str(found.run))}: {found.examples:,} examples of {what}")
        for name, value in found.metrics.items():
            print(f"{name} {number(value)}")
        return 0

    guard(work, debug)
