"""Places inside a text of several lines: where a character of a value stands in the file that it was read from.

    forward: |                    the value       a = b       line 1, column 5
      a = b                       the file            a = b   line 2, column 7

YAML takes away indentation, joins folded lines and drops comments behind them, but it leaves all other characters in
their order: the n-th that is no blank in the value is the n-th in the file. Where they differ, as behind a variable
of the environment, the place is that of the whole value.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from string import hexdigits

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
    found: list[tuple[int, int]] = []
    for wanted, (row, column, character) in zip("".join(value.split()), _characters(whole), strict=False):
        if character != wanted:
            break
        found.append((row, column))
    return found


def _characters(whole: Place) -> Iterator[tuple[int, int, str]]:
    """Row, column and meaning of every character from the first of a value on, but for blanks."""
    row, column = whole.row, whole.column
    quote = whole.source.line(row)[column : column + 1]
    if quote in ("|", ">"):  # a block stands on the lines below
        row, column = row + 1, 0
    elif quote in ("'", '"'):
        column += 1
    for number, line in enumerate(whole.source.lines[row:], row):
        at = column if number == row else 0
        while at < len(line):
            length, character = _escaped(line, at) if quote == '"' and line[at] == "\\" else (1, line[at])
            if quote == "'" and line.startswith("''", at):
                length = 2
            if not character.isspace():
                yield number, at, character
            at += length


def _escaped(line: str, at: int) -> tuple[int, str]:
    """The length and the meaning of an escape between double quotes; all that has no sign of its own is a blank."""
    kind = line[at + 1 : at + 2]
    digits = {"x": 2, "u": 4, "U": 8}.get(kind, 0)
    code = line[at + 2 : at + 2 + digits]
    if digits and len(code) == digits and all(digit in hexdigits for digit in code):
        return 2 + digits, chr(min(int(code, 16), 0x10FFFF))
    return 2, kind if kind in ('"', "\\", "/") else " "
