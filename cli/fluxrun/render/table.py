"""Tables of runs.

csv_text        for programs that read tables
side_by_side    for people: a row for each run; on a terminal that is narrower, a column for each run
fitting         what of such a table is worth a row for each run still: how many of its columns
against         two runs, value by value

    run               iris-36dd1a2a54  iris-0c1f0e7a55
    learning_rate                0.01            0.001
    valid.loss                 0.1000           0.2500
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from fluxrun.render.numbers import grid
from fluxrun.spec.text import visible, width

SHORT = 16  # no cell is cut to less
NOTHING = "-"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for a formula when a text begins with it


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lines of csv with \\n; nothing is an empty cell, a list is JSON, and no text begins like a formula.

    >>> print(csv_text(["run", "valid.loss"], [["a,b", -0.5], ["=1+1", None]]), end="")
    run,valid.loss
    "a,b",-0.5
    '=1+1,
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def fitting(header: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None, *, least: int) -> int:
    """How many columns of a table, at least so many, can have a row for each run; all where fewer than these fit.

    >>> [fitting(["run", "status", "loss"], [["a", "finished", "0.5"]], room, least=2) for room in (19, 18, 12)]
    [3, 2, 3]
    """
    sizes = [max(width(visible(cell)) for cell in column) for column in zip(header, *rows, strict=True)]
    fit = sum(size <= (columns or math.inf) for size in accumulate(sizes, lambda sum, size: sum + 2 + size))
    return fit if fit >= least else len(sizes)


def side_by_side(header: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> list[str]:
    """The lines of a table, turned where they are longer than `columns`.

    >>> side_by_side(["run", "rate"], [["first", "0.1"], ["second", "0.2"]], 8)
    ['run   first', 'rate    0.1', '', 'run   second', 'rate     0.2']
    """
    lines = grid(header, rows, left=2)
    return lines if columns is None or max(map(width, lines)) <= columns else _turned(header, rows, columns)


def _turned(header: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """A column for each row, as many beside each other as there is room for, without what none of these has.

    Cells are no longer than the longest name of a run.
    """
    names = [visible(name) for name in header]
    room = columns - max(map(width, names)) - 2
    longest = max(width(visible(row[0])) for row in rows)
    blocks: list[list[Sequence[str]]] = []
    left = 0
    for row in rows:
        cells = [cut(cell, max(longest, SHORT)) for cell in row]
        size = max(map(width, cells)) + 2
        if not blocks or size > left:
            blocks.append([])
            left = room + 2
        blocks[-1].append(cells)
        left -= size
    lines: list[str] = []
    for block in blocks:
        first, *rest = zip(names, *block, strict=True)
        rest = [line for line in rest if set(line[1:]) != {NOTHING}]
        lines += [*([""] if lines else []), *grid(first, rest)]
    return lines


def against(tables: Mapping[str, Sequence[Sequence[str]]], names: Sequence[str], columns: int | None) -> list[str]:
    """Tables of two values for each name, under titles; where lines are longer than `columns`, the two are a and b.

    >>> against({"spec": [["seed", "0", "1"]], "data": []}, ["first", "second"], 15)
    ['a: first', 'b: second', 'spec  a  b', 'seed  0  1', 'data: no difference']
    """
    lines = [line for title, rows in tables.items() for line in _against(title, rows, names)]
    if columns is None or max(map(width, lines)) <= columns:
        return lines
    lines = [f"{letter}: {visible(name)}" for letter, name in zip("ab", names, strict=True)]
    for title, rows in tables.items():
        room = (columns - max((width(visible(row[0])) for row in rows), default=0) - 4) // 2
        short = [[row[0], *(cut(cell, max(room, SHORT)) for cell in row[1:])] for row in rows]
        lines += _against(title, short, "ab")
    return lines


def _against(title: str, rows: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    if rows:
        return grid([title, *names], rows, left=3)
    return ["metrics: none yet" if title == "metrics" else f"{title}: no difference"]


def cut(text: str, room: int) -> str:
    """A text for a cell, without its beginning if it is too long.

    >>> cut("/home/me/data/iris.csv", 14), cut("0.1", 14), cut("/数据/花.csv", 9)
    ('…data/iris.csv', '0.1', '…/花.csv')
    """
    text = visible(text)
    if width(text) <= room:
        return text
    kept = sum(size < room for size in accumulate(map(width, reversed(text))))
    return f"…{text[len(text) - kept :]}"


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(FORMULA) else text
