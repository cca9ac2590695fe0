"""fluxrun sample RUN: text from a model that has learnt from text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.choosing import Run
from fluxrun.commands.guard import Debug, Runs, guard

EXAMPLES = """Examples:\n
\b
  fluxrun sample last --prime 'def ' --length 200 --temperature 0.7
  fluxrun sample last --top-k 5 --seed 1 | head -n 20
"""


def sample(
    which: Run,
    prime: Annotated[
        str, typer.Option(metavar="TEXT", help="The text to go on from, which is printed first; - reads it from stdin.")
    ] = "",
    length: Annotated[int, typer.Option(min=0, metavar="N", help="How many symbols to add.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(
            min=0, metavar="NUMBER", help="0: always the likeliest; 1: as the model says; above: more variety."
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Choose among so many of the likeliest.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another text.")] = 0,
    runs: Runs = "runs",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a model that has learnt from a text write. Symbol by symbol, to stdout, in UTF-8 or in the model's bytes."""

    def work() -> int:
        from fluxrun.jobs.sample import Settings
        from fluxrun.jobs.sample import sample as start
        from fluxrun.render.text import write_text

        text = sys.stdin.buffer.read().decode(errors="surrogateescape") if prime == "-" else prime
        found = start(which, Settings(text, length, temperature, top_k, seed), Path(runs))
        if as_json:
            print_json(found.to_json())
        else:
            write_text(found.pieces(), sys.stdout)
        return 0

    guard(work, debug)
