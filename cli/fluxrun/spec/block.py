"""Places inside a text of several lines: where a character of a value stands in the file that it was read from.

    forward: |                    the value       a = b       line 1, column 5
      a = b                       the file            a = b   line 2, column 7

YAML takes away indentation, joins folded lines and drops comments behind them, but it leaves all other characters in
their order: the n-th that is no blank in the value is the n-th in the file. Where they differ (an escape, a variable of
the environment) the place is that of the whole value.
"""

from __future__ import annotations

from functools import lru_cache

from flux_core.errors import Span
from fluxrun.spec.text import Place


def within(whole: Place, value: str, span: Span) -> Place:
    """The place of a span of a value that stands at `whole`, cut at the end of the line.

    >>> from fluxrun.spec.text import Source
    >>> source = Source("f.yaml", "forward: |\\n  a = b\\n  return a\\n")
    >>> str(within(Place(source, 0, 9, 10), "a = b\\nreturn a\\n", Span(2, 8, 9)))
    'f.yaml:3:10'
    """
    *above, line = value.split("\n")[: span.line]
    before = sum(len("".join(text.split())) for text in [*above, line[: span.column - 1]])
    length = len("".join(line[span.column - 1 : span.end - 1].split()))
    places = _places(whole, value)
    if before + length > len(places):
        return whole
    if not length:  # the end of a line
        row, column = places[before - 1] if before else (whole.row, whole.column - 1)
        return Place(whole.source, row, column + 1, column + 2)
    (row, column), (last, end) = places[before], places[before + length - 1]
    return Place(whole.source, row, column, end + 1 if last == row else len(whole.source.line(row).rstrip()))


@lru_cache(maxsize=8)  # a formula with many faults is gone through once
def _places(whole: Place, value: str) -> list[tuple[int, int]]:
    """Row and column of every character of the value that is no blank, as far as the file has them."""
    wanted = "".join(value.split())
    row, column = _first(whole)
    found: list[tuple[int, int]] = []
    for number, line in enumerate(whole.source.lines[row:], row):
        for at in range(column, len(line)):
            if line[at].isspace():
                continue
            if len(found) == len(wanted) or line[at] != wanted[len(found)]:
                return found
            found.append((number, at))
        column = 0
    return found


def _first(whole: Place) -> tuple[int, int]:
    """Where the characters of a value begin: behind a quote, or on the line below | and >."""
    mark = whole.source.line(whole.row)[whole.column : whole.column + 1]
    if mark in ("|", ">"):
        return whole.row + 1, 0
    return whole.row, whole.column + (mark in ("'", '"') and mark != "")
