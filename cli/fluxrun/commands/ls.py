"""fluxrun ls: the runs of a folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.choosing import Csv, Sort, Top, Where, choose, none_chosen
from fluxrun.commands.guard import Debug, Runs, guard

if TYPE_CHECKING:
    from fluxrun.jobs.select import Selection

EXAMPLES = """Examples:\n
\b
  fluxrun ls --sort valid.loss --top 10
  fluxrun ls --where 'learning_rate<0.01 and status==finished' --json
"""
SHOWN = ("run", "status", "epochs", "seconds")  # what every row has
FIELDS = ("status", "reason", "created", "epochs", "steps", "seconds", "best_epoch")


def ls(
    where: Where = None,
    sort: Sort = None,
    top: Top = None,
    runs: Runs = "runs",
    as_json: Json = False,
    as_csv: Csv = False,
    debug: Debug = False,
) -> None:
    """List the runs of a folder with their best metrics. Oldest first, or as --sort says."""

    def work() -> int:
        from fluxrun.render.stream import say, width
        from fluxrun.render.table import fitting, side_by_side
        from fluxrun.spec.text import visible

        one_form({"--json": as_json, "--csv": as_csv})
        chosen = choose(runs, (), where, sort, top)
        if as_json:
            kept = ("name", "reason", "created", "epochs", "steps", "seconds", "best", "best_epoch", "final", "hash")
            rows = [
                {"run": str(run.folder), "status": run.status, **{key: run.values.get(key) for key in kept}}
                for run in chosen.runs
            ]
            print_json({"runs": rows})
        elif as_csv:
            sys.stdout.write(_csv(chosen))
        elif not chosen.runs:
            say(none_chosen(runs, where))
        else:
            columns = width(sys.stdout)
            header, lines, least = _table(chosen)
            fit = fitting(header, lines, columns, least=least)
            print("\n".join(side_by_side(header[:fit], [line[:fit] for line in lines], columns)))
            if out := header[fit:]:
                say(f"left out: {visible(', '.join(out))}; --csv and --json have all")
        return 0

    guard(work, debug)


def _csv(chosen: Selection) -> str:
    from fluxrun.render.table import csv_text
    from fluxrun.store.names import Names, value_of_field

    metrics = list(Names(chosen.runs).metrics)
    more = [key for key in chosen.keys if key.field is None and key.name not in metrics]
    rows = [
        [
            str(run.folder),
            *(value_of_field(run, name) for name in FIELDS),
            *(key.shown(run) for key in more),
            *(run.metrics.get(name) for name in metrics),
        ]
        for run in chosen.runs
    ]
    return csv_text(["run", *FIELDS, *(key.name for key in more), *metrics], rows)


def _table(chosen: Selection) -> tuple[list[str], list[list[str]], int]:
    """The names of columns, the lines, and how many columns always stay: those up to the first metric.

    There is one for each value that the runs were chosen by and that is not there anyway, and for metrics; those of
    the train split have none unless there are no others.
    """
    from fluxrun.jobs.duration import show_duration
    from fluxrun.render.numbers import number, value
    from fluxrun.store.names import Names

    more = [key for key in chosen.keys if key.field not in SHOWN and not key.metrics]
    known = Names(chosen.runs).metrics
    asked = [name for key in chosen.keys for name in key.metrics]
    metrics = list(dict.fromkeys([*asked, *(name for name in known if not name.startswith("train."))])) or list(known)
    rows = []
    for run in chosen.runs:
        seconds = run.values.get("seconds")
        took = show_duration(seconds) if isinstance(seconds, int | float) else "-"
        chosen_by = (value(key.shown(run)) for key in more)
        measured = (number(run.metrics.get(name)) for name in metrics)
        rows.append([run.name, run.status, value(run.values.get("epochs")), took, *chosen_by, *measured])
    header = [*SHOWN[:3], "time", *(key.name for key in more), *metrics]
    return header, rows, len(header) - len(metrics[1:])
