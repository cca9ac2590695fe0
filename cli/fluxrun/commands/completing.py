"""What a shell offers when Tab is pressed: runs, metrics after best:, keys of a spec after --set.

fluxrun resume di<Tab>                    digits-7f3a9c01de     from the names of the folders alone
fluxrun show best:<Tab>                   best:valid.loss       from the records
fluxrun train spec.yaml --set tr<Tab>     train.epochs=         from the spec, or the record of a run

Whatever goes wrong here is silent: a shell that waits for words is no place for errors.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

import typer

BEST = "best:"
_after_best = False  # bash took the word apart at the colon, and what comes is only its end


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of runs, `last`, `best:`, and after that the metrics that there are."""
    from flux_core.errors import FluxError
    from fluxrun.store.listing import names_in, runs

    folder = _folder(ctx)
    try:
        if _after_best or incomplete.startswith(BEST):
            metrics = sorted({name for run in runs(folder) for name in run.metrics})
            return metrics if _after_best else [f"{BEST}{name}" for name in metrics]
        return [name for name in ("last", BEST, *sorted(names_in(folder))) if name.startswith(incomplete)]
    except (FluxError, OSError):
        return []


def complete_key(ctx: typer.Context, incomplete: str) -> list[str]:
    """Keys of the spec that the command is about, each with its equals sign."""
    from flux_core.errors import FluxError

    # behind an option that waits for its value, the parser has not come to the arguments
    which = next((value for value in (*map(ctx.params.get, ("config", "run", "which")), *ctx.args) if value), "")
    try:
        return [f"{path}=" for path in _paths(which, _folder(ctx)) if path.startswith(incomplete)]
    except (FluxError, OSError):
        return []


def mend_bash(environ: MutableMapping[str, str] = os.environ) -> None:
    """Take `best` and `:` out of the words of a completion in bash, which splits words at colons."""
    global _after_best
    words, at = environ.get("COMP_WORDS", "").split(), environ.get("COMP_CWORD", "")
    if environ.get("_FLUXRUN_COMPLETE") != "complete_bash" or not at.isdecimal():
        return
    place = int(at)
    for colon in (place - 1, place):
        if colon > 1 and words[colon - 1 : colon + 1] == ["best", ":"]:
            del words[colon - 1 : colon + 1]
            environ["COMP_WORDS"], environ["COMP_CWORD"] = " ".join(words), str(colon - 1)
            _after_best = True
            return


def _folder(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("runs") or os.environ.get("FLUXRUN_RUNS") or "runs")


def _paths(which: str, runs: Path) -> list[str]:
    if Path(which).is_file():
        from fluxrun.spec.flat import flat
        from fluxrun.spec.load import load

        return list(flat(load(which).spec))
    from fluxrun.store.listing import find

    return list(find(runs, which).spec)
