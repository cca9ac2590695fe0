"""fluxrun ls: the runs of a folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.choosing import Csv, Sort, Top, Where, choose, none_chosen
from fluxrun.commands.guard import Debug, Runs, guard

if TYPE_CHECKING:
    from fluxrun.jobs.select import Selection
    from fluxrun.store.listing import Run

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
    """List the runs of a folder, oldest first, with their best metrics."""

    def work() -> int:
        from fluxrun.render.stream import say

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
            print("\n".join(_table(chosen)))
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


def _table(chosen: Selection) -> list[str]:
    """The lines; a column for each value that the runs were chosen by and that is not there anyway."""
    from fluxrun.jobs.duration import show_duration
    from fluxrun.render.numbers import grid, value

    more = [key for key in chosen.keys if key.field not in SHOWN and not key.metrics]
    rows = []
    for run in chosen.runs:
        seconds = run.values.get("seconds")
        took = show_duration(seconds) if isinstance(seconds, int | float) else "-"
        rows.append(
            [run.name, run.status, value(run.values.get("epochs")), took, *(value(key.shown(run)) for key in more)]
        )
    lines = grid(
        ["run", "status", "epochs", "time", *(key.name for key in more), "best"], [[*row, ""] for row in rows], left=2
    )
    width = max(map(len, lines))
    return [
        lines[0],
        *(f"{line:<{width}}  {_best(run)}".rstrip() for line, run in zip(lines[1:], chosen.runs, strict=True)),
    ]


def _best(run: Run) -> str:
    from fluxrun.render.numbers import number
    from fluxrun.spec.text import visible

    best = run.values.get("best") or run.values.get("final") or {}
    shown = [name for name in best if not name.startswith("train.")] or list(best)
    return "  ".join(f"{visible(name)} {number(best[name])}" for name in shown)
