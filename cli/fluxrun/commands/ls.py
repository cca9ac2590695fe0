"""fluxrun ls: the runs of a folder."""

from __future__ import annotations

from pathlib import Path

from fluxrun.commands.guard import Debug, Json, Runs, guard, print_json

EXAMPLES = """Examples:\n
\b
  fluxrun ls
  fluxrun ls --runs runs --json
"""


def ls(runs: Runs = "runs", as_json: Json = False, debug: Debug = False) -> None:
    """List the runs of a folder, oldest first, with their best metrics."""

    def work() -> int:
        from fluxrun.jobs.duration import show_duration
        from fluxrun.render.numbers import grid, number
        from fluxrun.render.stream import say
        from fluxrun.store.listing import runs as all_runs

        found = all_runs(Path(runs))
        if as_json:
            kept = ("name", "created", "epochs", "steps", "seconds", "best", "best_epoch", "final", "hash")
            rows = [
                {"run": str(run.folder), "status": run.status, **{key: run.values.get(key) for key in kept}}
                for run in found
            ]
            print_json({"version": 1, "runs": rows})
            return 0
        if not found:
            say(f"no runs in {runs}")
            return 0
        table = []
        for run in found:
            best = run.values.get("best") or run.values.get("final") or {}
            shown = [name for name in best if not name.startswith("train.")] or list(best)
            metrics = "  ".join(f"{name} {number(best[name])}" for name in shown)
            seconds = run.values.get("seconds")
            took = show_duration(seconds) if isinstance(seconds, int | float) else "-"
            table.append([run.name, run.status, str(run.values.get("epochs", "-")), took, metrics])
        lines = grid(["run", "status", "epochs", "time", "best"], [[*row[:4], ""] for row in table], left=2)
        print(lines[0])
        width = max(len(line) for line in lines)
        for line, row in zip(lines[1:], table, strict=True):
            print(f"{line:<{width}}  {row[4]}".rstrip())
        return 0

    guard(work, debug)
