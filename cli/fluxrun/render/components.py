"""The components of specs as text: a list of all, a page about one, and the tables of the documentation.

optimizer
  adam  learning_rate beta1 beta2 epsilon weight_decay    Adam; weight decay is added to the gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from fluxrun.render.numbers import grid
from fluxrun.spec.describe import Description

PLURALS = {"loss": "losses"}
INTRODUCTION = """\
# What a spec may hold

Written by `fluxrun components --markdown > docs/components.md`. A component stands in a spec as its name (`adam`),
with the value of its first argument in bold (`adam: 0.01`), or with any arguments (`adam: {beta1: 0.8}`). An argument
without a default that is not required is explained by its last column.
"""


def as_table(found: Sequence[Description]) -> list[str]:
    """All components, kind by kind, one line each."""
    lines = ["An argument in [ ] may be left out; `fluxrun components NAME` says more."]
    for kind, group in _kinds(found):
        rows = [[one.name, " ".join(_short(one)), one.doc] for one in group]
        lines += ["", _title(kind)]
        for row, line in zip(rows, grid(["", ""], [[row[0], ""] for row in rows], left=2)[1:], strict=True):
            lines += [f"  {line.ljust(max(len(r[0]) for r in rows))}  {row[2]}"]
            lines += [f"      {part}" for part in _wrapped(row[1])]
    return lines


def as_page(found: Iterable[Description]) -> list[str]:
    """Each with a table of its arguments."""
    lines: list[str] = []
    for one in found:
        lines += [*([""] if lines else []), f"{one.name} ({one.kind}): {one.doc}"]
        if one.main:
            lines.append(f"  {one.name}: VALUE stands for {one.name}: {{{one.main}: VALUE}}")
        if one.arguments:
            rows = [[a.name, a.type, a.shown(), a.doc] for a in one.arguments]
            lines += ["", *(f"  {line}" for line in grid(["argument", "type", "default", ""], rows, left=4))]
    return lines


def as_markdown(found: Sequence[Description], introduction: str = INTRODUCTION) -> str:
    """The page of the documentation, of all components; of some of them without an introduction."""
    lines = introduction.splitlines()
    for kind, group in _kinds(found):
        lines += [*([""] if lines else []), f"## {_title(kind)}"]
        bare = [one for one in group if not one.arguments]
        if bare:
            lines += ["", "| name | |", "|---|---|", *(f"| `{one.name}` | {_cell(one.doc)} |" for one in bare)]
        for one in group:
            if one.arguments:
                lines += [
                    "",
                    f"### {one.name}",
                    "",
                    one.doc,
                    "",
                    "| argument | type | default | |",
                    "|---|---|---|---|",
                ]
                lines += list(_rows(one))
    return "\n".join(lines)


def _rows(one: Description) -> Iterator[str]:
    for a in one.arguments:
        name = f"**`{a.name}`**" if a.name == one.main else f"`{a.name}`"
        default = a.shown()
        default = f"`{default}`" if a.default is not None else default
        yield f"| {name} | {_cell(a.type)} | {_cell(default)} | {_cell(a.doc)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _kinds(found: Sequence[Description]) -> Iterator[tuple[str, list[Description]]]:
    for kind, group in groupby(found, key=lambda one: one.kind):
        yield kind, list(group)


def _title(kind: str) -> str:
    return PLURALS.get(kind, f"{kind}s").capitalize()


def _short(one: Description) -> Iterator[str]:
    for a in one.arguments:
        yield a.name if a.required else f"[{a.name}]"


def _wrapped(text: str, width: int = 100) -> list[str]:
    from textwrap import wrap

    return wrap(text, width, break_long_words=False)
