"""fluxrun diff RUN RUN: two runs in everything that decides a training."""

from __future__ import annotations

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
    """Show what differs between two runs: spec by dotted path, data by SHA-256, versions; and their metrics."""

    def work() -> int:
        from fluxrun.jobs.compare import diff as set_against
        from fluxrun.render.numbers import grid, number, value
        from fluxrun.store.listing import find

        seen = set_against(find(Path(runs), first), find(Path(runs), second))
        if as_json:
            print_json(seen.to_json())
            return 0
        columns = [run.name for run in seen.runs]
        for title in ("spec", "data", "versions", "metrics"):
            pairs = getattr(seen, title)
            show = number if title == "metrics" else value
            rows = [[name, *(show(side) for side in pair)] for name, pair in pairs.items()]
            if rows:
                print("\n".join(grid([title, *columns], rows, left=3)))
            else:
                print(f"{title}: no difference" if title != "metrics" else "metrics: none yet")
        return 0

    guard(work, debug)
