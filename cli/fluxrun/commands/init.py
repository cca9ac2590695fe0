"""fluxrun init --from data.csv --target COLUMN: a first spec for a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.completing import complete_column
from fluxrun.commands.guard import Debug, given, guard

EXAMPLES = """Examples:\n
\b
  fluxrun init --from configs/data/iris.csv --target species
  fluxrun init --from configs/data/diabetes.csv --target progression -o -
"""


def init(
    source: Annotated[str, typer.Option("--from", metavar="CSV", callback=given, help="A text table.")],
    target: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", autocompletion=complete_column, help="What to predict: a name, or an index such as -1."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", callback=given, help="By default as the table is called; - is stdout."
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a first spec for a table. With a reason on every line; it trains as it is."""

    def work() -> int:
        from fluxrun.jobs.starter import about, examine, starter, write
        from fluxrun.render.stream import say
        from fluxrun.spec.text import visible

        one_form({"--json": as_json, "-o -": output == "-"})
        place = f"{Path(source).stem}.yaml" if output is None else output
        found = examine(Path(source), target)
        text = starter(found, place)
        if place == "-":
            print(text, end="")
            return 0
        schema = write(text, Path(place))
        if as_json:
            print_json({"config": place, "schema": None if schema is None else str(schema), **found.to_json()})
            return 0
        for line in about(place, schema):
            say(visible(line))
        return 0

    guard(work, debug)
