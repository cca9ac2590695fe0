"""fluxrun rm RUN...: remove runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.choosing import SeveralRuns, Where, choose, none_chosen
from fluxrun.commands.guard import Debug, Runs, guard

EXAMPLES = """Examples:\n
\b
  fluxrun rm last --yes
  fluxrun rm --where 'status==failed' --yes
"""


def rm(
    which: SeveralRuns = None,
    where: Where = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    runs: Runs = "runs",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove runs, with everything in their folders. Prints their paths; one that is going on stays."""

    def work() -> int:
        from fluxrun.jobs.expect import UsageError
        from fluxrun.jobs.remove import remove, require_idle
        from fluxrun.render.numbers import counted
        from fluxrun.render.stream import say
        from fluxrun.spec.text import visible

        if not which and not where:
            raise UsageError("rm: name runs, or choose them by --where")
        found = choose(runs, which, where).runs
        require_idle(found)
        if found and not yes:
            if not sys.stdin.isatty():
                raise UsageError("rm asks only on a terminal; --yes removes without asking")
            say("\n".join(visible(str(run.folder)) for run in found))
            if not _confirmed(f"remove {counted(len(found), 'run')}? [y/N] "):
                say("nothing was removed")
                found = []
        elif not found:
            say(none_chosen(runs, where))
        for run in found:
            remove(run)
            if not as_json:
                print(run.folder)
        if as_json:
            print_json({"removed": [str(run.folder) for run in found]})
        return 0

    guard(work, debug)


def _confirmed(question: str) -> bool:
    """Ask on stderr; stdout is for the paths."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
