"""What a shell offers when Tab is pressed.

fluxrun resume di<Tab>                    digits-7f3a9c01de     from the names of the folders alone
fluxrun show best:<Tab>                   best:valid.loss       from the records, as for --sort, --where and --expect
fluxrun train spec.yaml --set tr<Tab>     train.epochs=         from the spec, the record of a run, or the schema
fluxrun train --set train.loss=<Tab>      train.loss=mse        from the catalog, as for `components`
fluxrun init --from a.csv --target <Tab>  price                 from the table's first line

Whatever goes wrong here is silent: a shell that waits for words is no place for errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path

import typer

BEST = "best:"
WORD = re.compile(r"""(?:'[^']*'?|"[^"]*"?|[^\s'"])+""")
Complete = Callable[[typer.Context, str], list[str]]
_before = ""  # bash takes words apart at colons and equals signs, and what comes is only the end of this one


def _silent(words: Callable[[typer.Context, str], Iterable[str]]) -> Complete:
    """A completion from the words that may stand there, which gets the whole of the word that is begun."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        from flux_core.errors import FluxError

        begun = _before + incomplete
        try:
            return [word[len(_before) :] for word in words(ctx, begun) if word.startswith(begun)]
        except (FluxError, OSError, ValueError):
            return []

    return complete


@_silent
def complete_run(ctx: typer.Context, begun: str) -> Iterable[str]:
    """Names of runs that are not there yet, `last`, `best:`, and after that the metrics that there are."""
    from fluxrun.store.listing import names_in

    folder = _folder(ctx)
    if begun.startswith(BEST):
        return [f"{BEST}{name}" for name in _metrics(folder)]
    given = ctx.params.get("which")
    there = given if isinstance(given, list | tuple) else ()
    return [name for name in ("last", BEST, *sorted(names_in(folder))) if name not in there]


@_silent
def complete_key(ctx: typer.Context, begun: str) -> Iterable[str]:
    """Keys of the spec that the command is about, each with its equals sign; behind that the names of components."""
    key, equals, _ = begun.partition("=")
    if equals:
        return [f"{key}={name}" for name in _names_for(key)]
    # behind an option that waits for its value, the parser has not come to the arguments
    named = [ctx.params.get(name) for name in ("config", "configs", "run", "which")]
    flat = [one for value in named for one in (value if isinstance(value, list | tuple) else [value])]
    which = next((value for value in (*flat, *ctx.args) if value), "")
    return [f"{path}=" for path in _paths(which, _folder(ctx))]


@_silent
def complete_name(ctx: typer.Context, begun: str) -> Iterable[str]:
    """What runs may be sorted by, with or without a minus, or asked for by the first word of a condition."""
    from fluxrun.store.listing import runs
    from fluxrun.store.names import FIELDS, Names

    names = Names(runs(_folder(ctx)))
    minus = "-" if begun.startswith("-") else ""
    return [minus + name for name in (*FIELDS, *sorted(names.metrics), *sorted(map(names.short, names.paths)))]


@_silent
def complete_metric(ctx: typer.Context, begun: str) -> Iterable[str]:
    """The metrics that there are."""
    return _metrics(_folder(ctx))


@_silent
def complete_component(ctx: typer.Context, begun: str) -> Iterable[str]:
    """Names of components and their kinds."""
    from fluxrun.spec.catalog import CATALOG

    return sorted({*CATALOG, *(name for rows in CATALOG.values() for name in rows)})


@_silent
def complete_column(ctx: typer.Context, begun: str) -> Iterable[str]:
    """The columns of a text table, by its first line."""
    import csv

    with open(ctx.params.get("source") or "", encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(2**16)
    return [name.strip() for name in next(csv.reader([line], delimiter=max(",;\t|", key=line.count)), [])]


def mend_bash(environ: MutableMapping[str, str] = os.environ) -> None:
    """Put together what bash took apart at colons and equals signs; of the last word only the end is completed."""
    global _before
    at = environ.get("COMP_CWORD", "")
    if environ.get("_FLUXRUN_COMPLETE") != "complete_bash" or not at.isdecimal():
        return
    words = [*WORD.findall(environ.get("COMP_WORDS", "")), ""][: int(at) + 1]
    mended: list[str] = []
    cut = 0  # how much of the last word stands before its last separator, and that
    for before, word in zip(["", *words], words, strict=False):
        if word in (":", "=") and len(mended) > 1:
            if mended[-1].startswith("-"):  # --set=KEY is --set KEY
                mended.append("")
            else:
                mended[-1] += word
            cut = len(mended[-1])
        elif before in (":", "=") and len(mended) > 1:
            mended[-1] += word
        else:
            mended.append(word)
            cut = 0
    _before, mended[-1] = mended[-1][:cut], mended[-1][cut:]
    environ["COMP_WORDS"], environ["COMP_CWORD"] = " ".join(mended), str(len(mended) - 1)


def _folder(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("runs") or os.environ.get("FLUXRUN_RUNS") or "runs")


def _metrics(folder: Path) -> list[str]:
    from fluxrun.store.listing import runs

    return sorted({name for run in runs(folder) for name in run.metrics})


def _names_for(key: str) -> Iterable[str]:
    """The names that a key of a spec may have as its value."""
    from fluxrun.spec.catalog import CATALOG
    from fluxrun.spec.part import Slot, fields
    from fluxrun.spec.schema.training import Train

    kinds = {f"train.{name}": mark.kind for name, mark in fields(Train).items() if isinstance(mark, Slot)}
    kind = "layer" if re.fullmatch(r"model\.[0-9]+", key) else {**kinds, "data.source": "source"}.get(key)
    return CATALOG[kind] if kind else ()


def _paths(which: str, runs: Path) -> Iterable[str]:
    from fluxrun.spec.elsewhere import every_key

    if not which:
        return every_key(None)
    if Path(which).is_file():
        from fluxrun.spec.flat import flat
        from fluxrun.spec.load import load

        return flat(load(which).spec)
    from fluxrun.store.listing import find

    return find(runs, which).spec
