"""fluxrun components [NAME]: every name that a spec may use."""

from __future__ import annotations

from typing import Annotated

import typer

from fluxrun.commands.answer import Json, one_form, print_json
from fluxrun.commands.completing import complete_component
from fluxrun.commands.guard import Debug, guard

EXAMPLES = """Examples:\n
\b
  fluxrun components
  fluxrun components adam --json
"""


def components(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_component,
            help="Only what has this name, or may stand under this key.",
        ),
    ] = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
    debug: Debug = False,
) -> None:
    """List every name that a spec may use. With arguments, their types and defaults."""

    def work() -> int:
        from fluxrun.jobs.expect import UsageError
        from fluxrun.render.components import INTRODUCTION, as_markdown, as_page, as_table
        from fluxrun.spec.describe import descriptions, named

        one_form({"--json": as_json, "--markdown": markdown})
        found, hint = (descriptions(), None) if name is None else named(name)
        if not found:
            raise UsageError(f"no component is called {name!r}; {hint or '`fluxrun components` lists all of them'}")
        if as_json:
            print_json({"components": [one.to_json() for one in found]})
        elif markdown:
            print(as_markdown(found, INTRODUCTION if name is None else ""))
        else:
            print("\n".join(as_page(found) if name in {one.name for one in found} else as_table(found)))
        return 0

    guard(work, debug)
