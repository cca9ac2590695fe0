"""fluxrun warmup: compile ahead, so that no training waits for a compiler."""

from __future__ import annotations

import sys

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.guard import Debug, guard

EXAMPLES = """Examples:\n
\b
  fluxrun warmup
  fluxrun warmup --json
"""


def warmup(as_json: Json = False, debug: Debug = False) -> None:
    """Compile all kernels that can be known ahead. Prints the folder that keeps them."""

    def work() -> int:
        from fluxrun import exits
        from fluxrun.jobs.warmup import warm_up
        from fluxrun.render.bar import Bar
        from fluxrun.render.numbers import counted
        from fluxrun.render.stream import Quiet, on_terminal, say
        from fluxrun.render.summary import kernels, kernels_left
        from fluxrun.spec.text import visible

        bar = Bar(Quiet(sys.stderr)) if on_terminal(sys.stderr) else None

        def show(number: int, count: int) -> None:
            if bar is not None:
                bar.show(kernels_left(number, count), number / count)
            elif number == 1:
                say(kernels(count))

        if bar is not None:
            bar.show("looking which kernels are missing", 0.0)
        done = warm_up(show)
        if bar is not None:
            bar.close()
        if done.fault is not None:
            say(f"error: {visible(done.fault)}\n  fluxrun doctor says more")
            return exits.CANNOT_CREATE
        say(f"{counted(done.compiled, 'kernel')} compiled, {done.present:,} present")
        if as_json:
            print_json({"folder": str(done.folder), "compiled": done.compiled, "present": done.present})
        else:
            print(done.folder)
        return exits.OK

    guard(work, debug)
