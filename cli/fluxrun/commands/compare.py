"""fluxrun compare [RUN]...: where specs differ, and what came of it, side by side."""

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
    """Show runs side by side. The values in which their specs differ, and their metrics; without RUN all of them."""

    def work() -> int:
        from fluxrun.jobs.compare import compare as set_side_by_side
        from fluxrun.render.numbers import counted, number, value
        from fluxrun.render.stream import say, width
        from fluxrun.render.table import csv_text, side_by_side

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
            keys = seen.telling()
            lines = [
                [
                    run.name,
                    run.status,
                    *(value(key.shown(run)) for key in keys),
                    *(number(run.metrics.get(name)) for name in seen.metrics),
                ]
                for run in seen.runs
            ]
            header = ["run", "status", *(key.name for key in keys), *seen.metrics]
            print("\n".join(side_by_side(header, lines, width(sys.stdout))))
            if follow := set(seen.paths).difference(*(key.paths for key in keys)):
                say(f"left out: {counted(len(follow), 'value')} that follow from these; --csv and --json have all")
        return 0

    guard(work, debug)
