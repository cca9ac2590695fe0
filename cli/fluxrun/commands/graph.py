"""fluxrun graph CONFIG|RUN: the training as a graph, behind every stage on its way to machine code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fluxrun.commands.choosing import ConfigOrRun
from fluxrun.commands.guard import Debug, Runs, Set, guard

EXAMPLES = """Examples:\n
\b
  fluxrun graph configs/digits.yaml
  fluxrun graph configs/digits.yaml --after simplify --format mermaid
"""


class Pass(StrEnum):
    """The stages, in their order."""

    atomise = "atomise"
    grad = "grad"
    simplify = "simplify"
    fuse = "fuse"
    legalise = "legalise"
    schedule = "schedule"
    memory = "memory"
    tape = "tape"


class Form(StrEnum):
    """How a graph is written."""

    text = "text"
    dot = "dot"
    mermaid = "mermaid"


def graph(
    which: ConfigOrRun,
    after: Annotated[
        Pass | None, typer.Option(help="Only what stands behind this stage; a drawing is of simplify by default.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="For people, Graphviz, or Markdown.")] = Form.text,
    overrides: Set = None,
    runs: Runs = "runs",
    debug: Debug = False,
) -> None:
    """Show the graph of a training behind every stage. Down to the instructions and their memory."""

    def work() -> int:
        from fluxrun.jobs.graph import graph_stages
        from fluxrun.spec.text import visible

        wanted = after or (None if form is Form.text else Pass.simplify)
        for stage in graph_stages(which, overrides or (), Path(runs)):
            if wanted in (None, stage.name):
                lines = stage.shown(form).splitlines()
                print("\n".join([*([] if wanted else ["", f"=== {stage.name}"]), *map(visible, lines)]))
            if wanted == stage.name:
                break
        return 0

    guard(work, debug)
