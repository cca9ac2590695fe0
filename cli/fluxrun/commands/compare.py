"""fluxrun compare [RUN]...: where specs differ, and what came of it, a row for each run."""

from __future__ import annotations

import sys

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.choosing import Csv, SeveralRuns, Sort, Top, Where, choose, none_chosen
from fluxrun.commands.guard import Debug, Runs, guard

EXAMPLES = """Examples:\n
\b
  fluxrun compare --sort valid.loss --top 5
  fluxrun compare --where 'status==finished' --csv
"""


def compare(
    which: SeveralRuns = None,
    where: Where = None,
    sort: Sort = None,
    top: Top = None,
    runs: Runs = "runs",
    as_json: Json = False,
    as_csv: Csv = False,
    debug: Debug = False,
) -> None:
    """Show runs side by side: the values in which their specs differ, and their metrics; without RUN all of them."""

    def work() -> int:
        from fluxrun.jobs.compare import compare as set_side_by_side
        from fluxrun.render.numbers import grid, number, value
        from fluxrun.render.stream import say
        from fluxrun.render.table import csv_text

        one_form({"--json": as_json, "--csv": as_csv})
        seen = set_side_by_side(choose(runs, which, where, sort, top).runs)
        if as_json:
            print_json(seen.to_json())
        elif as_csv:
            rows = [
                [str(run.folder), run.status, *map(run.spec.get, seen.paths), *map(run.metrics.get, seen.metrics)]
                for run in seen.runs
            ]
            sys.stdout.write(csv_text(["run", "status", *map(seen.names.full, seen.paths), *seen.metrics], rows))
        elif not seen.runs:
            say(none_chosen(runs, where))
        else:
            header = ["run", "status", *map(seen.names.short, seen.paths), *seen.metrics]
            lines = grid(
                header,
                [
                    [
                        run.name,
                        run.status,
                        *(value(run.spec.get(path)) for path in seen.paths),
                        *(number(run.metrics.get(name)) for name in seen.metrics),
                    ]
                    for run in seen.runs
                ],
                left=2,
            )
            print("\n".join(lines))
        return 0

    guard(work, debug)
