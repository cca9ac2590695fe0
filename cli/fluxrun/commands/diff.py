"""fluxrun diff RUN RUN: two runs in everything that decides a training."""

from __future__ import annotations

import sys
from pathlib import Path

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.choosing import Run
from fluxrun.commands.guard import Debug, Runs, guard

EXAMPLES = """Examples:\n
\b
  fluxrun diff last best:valid.loss
  fluxrun diff last best:valid.loss --json
"""


def diff(first: Run, second: Run, runs: Runs = "runs", as_json: Json = False, debug: Debug = False) -> None:
    """Show what differs between two runs. Spec by dotted path, data by SHA-256, versions; and their metrics."""

    def work() -> int:
        from fluxrun.jobs.compare import diff as set_against
        from fluxrun.render.numbers import number, value
        from fluxrun.render.stream import width
        from fluxrun.render.table import against
        from fluxrun.store.listing import find

        seen = set_against(find(Path(runs), first), find(Path(runs), second))
        if as_json:
            print_json(seen.to_json())
            return 0
        tables = {}
        for title in ("spec", "data", "versions", "metrics"):
            show = number if title == "metrics" else value
            pairs = getattr(seen, title)
            tables[title] = [[name, *(show(side) for side in pair)] for name, pair in pairs.items()]
        print("\n".join(against(tables, [run.name for run in seen.runs], width(sys.stdout))))
        return 0

    guard(work, debug)
