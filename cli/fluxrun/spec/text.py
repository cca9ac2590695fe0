"""Places in texts that people wrote.

    configs/digits.yaml:14:5: error: unknown key 'learning_rat' in train.optimizer.adam
       14 |     learning_rat: 0.001
          |     ^^^^^^^^^^^^ did you mean 'learning_rate'?

A Source is one such text: a file, standard input or the value of an option. A Place is a run of characters on
one of its lines. Columns count characters from 0 inside and from 1 on the screen; a caret line follows the tabs and the
double-width characters of the line above it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML counts as the end of a line
WINDOW = 160  # characters of a long line that are shown around the caret


def visible(text: str) -> str:
    """The text without anything that a terminal would act on: control, bidi and format characters become U+FFFD.

    >>> visible("run\\x1b]0;title\\x07")
    'run\\ufffd]0;title\\ufffd'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def width(text: str) -> int:
    """How many columns of a terminal the text fills.

    >>> width("naïve"), width("数据"), width("e\\u0301")
    (5, 4, 1)
    """
    return sum(_width(c) for c in text)


def _width(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


@dataclass(frozen=True, eq=False)
class Source:
    """A text with a name; paths in it are relative to `directory`, `order` sorts sources in reports."""

    name: str
    text: str
    directory: Path = field(default_factory=Path)
    order: int = 0
    one_line: bool = False  # the value of an option: its places are columns

    @cached_property
    def lines(self) -> list[str]:
        return LINE_BREAK.split(self.text)

    def line(self, number: int) -> str:
        return self.lines[number] if 0 <= number < len(self.lines) else ""

    def whole(self) -> Place:
        """The first line that says something; the place of what concerns the whole text."""
        for number, line in enumerate(self.lines):
            if line.strip() and not line.lstrip().startswith("#"):
                return Place(self, number, len(line) - len(line.lstrip()), len(line.rstrip()))
        return Place(self, 0, 0, 0)


@dataclass(frozen=True)
class Place:
    """Characters `column` to `end` (exclusive) of line `row`, all counted from 0."""

    source: Source
    row: int
    column: int
    end: int

    @property
    def key(self) -> tuple[int, int, int]:
        return self.source.order, self.row, self.column

    def __str__(self) -> str:
        name = visible(self.source.name)
        if self.source.one_line:
            return name + (f", line {self.row + 1}" if self.row else "") + f", column {self.column + 1}"
        return f"{name}:{self.row + 1}:{self.column + 1}"

    def picture(self, hint: str | None = None) -> list[str]:
        """The line, and under it carets below the characters, with the hint behind them."""
        line = self.source.line(self.row)
        column, end = min(self.column, len(line)), min(self.end, len(line))
        start = max(0, column - WINDOW // 2) if len(line) > WINDOW else 0
        stop = start + WINDOW
        before, under = line[start:column], line[column : min(end, stop)]
        blank = "".join("\t" if c == "\t" else " " * _width(c) for c in before)
        shown = "\t".join(visible(part) for part in line[start:stop].split("\t"))
        lead, tail = ("..." if start else ""), ("..." if len(line) > stop else "")
        number = "" if self.source.one_line else str(self.row + 1)
        carets = "^" * max(1, width(under))
        return [
            f"{number:>5} | {lead}{shown}{tail}".rstrip(),
            f"      | {' ' * len(lead)}{blank}{carets}" + (f" {hint}" if hint else ""),
        ]
