"""What a shell offers when Tab is pressed.

fluxrun resume di<Tab>                    digits-7f3a9c01de     from the names of the folders alone
fluxrun show best:<Tab>                   best:valid.loss       from the records, as for --sort, --where and --expect
fluxrun train spec.yaml --set tr<Tab>     train.epochs=         from the spec, the record of a run, or the schema
fluxrun train --set train.loss=<Tab>      train.loss=mse        from the schema: components, words, true and false
fluxrun components me<Tab>                metrics               whatever `components` has an answer for
fluxrun init --from a.csv --target <Tab>  price                 from the table's first line

A word that is not at its end comes with another one that begins so, or the shell would put a space behind it.
Whatever goes wrong here is silent: a shell that waits for words is no place for errors.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import typer

BEST = "best:"
WORD = re.compile(r"""(?:'[^']*'?|"[^"]*"?|[^\s'"])+""")
SAFE = re.compile(r"[\w.,:/+\[\]-]+")  # what the shell leaves as it is
Known = dict[str, tuple[str, str]]  # keys by what is typed: their paths and what stands there now
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
    names = (name for name in ("last", BEST, *sorted(names_in(folder))) if name not in there)

    def behind(word: str) -> list[str]:
        metrics = _metrics(folder) if word == BEST else []
        return ["", *metrics] if metrics or word != BEST else []

    return _open(names, begun, behind)


@_silent
def complete_key(ctx: typer.Context, begun: str) -> Iterable[str]:
    """Keys of the spec that the command is about, each with its equals sign; behind that its values."""
    # behind an option that waits for its value, the parser has not come to the arguments
    named = [ctx.params.get(name) for name in ("config", "configs", "run", "which")]
    flat = [one for value in named for one in (value if isinstance(value, list | tuple) else [value])]
    known = _known(next((value for value in (*flat, *ctx.args) if value), ""), _folder(ctx))
    key, equals, _ = begun.partition("=")
    if equals:
        return [f"{key}={value}" for value in _behind(key, known)]
    return _open((f"{key}=" for key in known), begun, lambda word: ["", *(_behind(word[:-1], known) or ["..."])])


@_silent
def complete_sort(ctx: typer.Context, begun: str) -> Iterable[str]:
    """What runs may be sorted by."""
    return _names(ctx)


@_silent
def complete_where(ctx: typer.Context, begun: str) -> Iterable[str]:
    """The name that a condition begins with."""
    return _open(_names(ctx), begun, lambda name: ["", "==", "!="])


@_silent
def complete_metric(ctx: typer.Context, begun: str) -> Iterable[str]:
    """The metric that a bound begins with."""
    return _open(_metrics(_folder(ctx)), begun, lambda name: ["", "<=", ">="])


@_silent
def complete_component(ctx: typer.Context, begun: str) -> Iterable[str]:
    """Names of components and sections, their kinds, and the keys that take these."""
    from fluxrun.spec.describe import words_for_named

    return sorted(words_for_named())


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


def _open(words: Iterable[str], begun: str, behind: Callable[[str], list[str]]) -> list[str]:
    """The words that begin so; one by itself with what may stand behind it, since a shell ends what is alone."""
    found = [word for word in words if word.startswith(begun)]
    return [f"{found[0]}{end}" for end in behind(found[0])] if len(found) == 1 else found


def _names(ctx: typer.Context) -> list[str]:
    """What the values of the runs are called."""
    from fluxrun.store.listing import runs
    from fluxrun.store.names import FIELDS, Names

    names = Names(runs(_folder(ctx)))
    return [*FIELDS, *sorted(names.metrics), *sorted(names.ends())]


def _behind(key: str, known: Known) -> list[str]:
    """What the schema lists for a key, and what stands there now; of files the shell itself knows more."""
    from fluxrun.spec.choices import position
    from fluxrun.spec.part import FileMark

    path, now = known.get(key, (key, ""))
    found = position(path, known.get("data.source", ("", ""))[1])
    there = [now] if SAFE.fullmatch(now) and not isinstance(found.inside, FileMark) else []
    return [*dict.fromkeys([*found.choices(), *there])]


def _known(which: str, runs: Path) -> Known:
    """The keys of a spec, of a run or of the schema, as they are without the quotes, which the shell takes away."""
    from fluxrun.spec.key import split

    words = ((".".join(split(path)), path, value) for path, value in _values(which, runs))
    return {
        word: (path, value if isinstance(value, str) else json.dumps(value))
        for word, path, value in words
        if SAFE.fullmatch(word)
    }


def _values(which: str, runs: Path) -> Iterable[tuple[str, Any]]:
    """Paths and what stands there; by the schema alone the defaults, and no path of what holds others only."""
    from fluxrun.spec.choices import position
    from fluxrun.spec.elsewhere import every_key
    from fluxrun.spec.part import Named, Section

    if not which:
        found = ((path, position(path)) for path in every_key(None))
        return [
            (path, "" if at.default is None else at.default)
            for path, at in found
            if not isinstance(at.inside, Named | Section) and path != "data"
        ]
    if Path(which).is_file():
        from fluxrun.spec.flat import flat
        from fluxrun.spec.load import load

        return flat(load(which).spec).items()
    from fluxrun.store.listing import find

    return find(runs, which).spec.items()
