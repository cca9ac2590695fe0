"""Numbers for people, always of the same width."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from fluxrun.spec.text import visible, width


def number(value: Any) -> str:
    """A metric in at most nine characters.

    >>> number(0.98765), number(12345.678), number(1e-7), number(float("nan")), number(None)
    ('0.9877', '12345.7', '1.00e-07', 'nan', '-')
    """
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(float(value))
    if value and abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}" if abs(value) < 1e6 else f"{value:.2e}"


def count(value: float) -> str:
    """A number of things.

    >>> count(9610), count(1234567.8)
    ('9,610', '1,234,568')
    """
    return f"{value:,.0f}"


def counted(n: float, thing: str) -> str:
    """A number of things, with their name.

    >>> counted(1, "epoch"), counted(2000, "step")
    ('1 epoch', '2,000 steps')
    """
    return f"{n:,.0f} {thing}" + ("" if n == 1 else "s")


def amount(size: float) -> str:
    """An amount of memory.

    >>> amount(512), amount(70_000), amount(999_949), amount(999_950), amount(999.7)
    ('512 B', '70.0 kB', '999.9 kB', '1.0 MB', '1.0 kB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        digits = 0 if unit == "B" else 1
        if round(size, digits) < 1000:
            return f"{size:.{digits}f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def clock(seconds: float) -> str:
    """A time that is left, as clocks show it.

    >>> clock(62.4), clock(36000)
    ('0:01:02', '10:00:00')
    """
    return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f}:{seconds % 60 // 1:02.0f}"


def shape(sizes: Iterable[int]) -> str:
    """A shape.

    >>> shape((28, 28)), shape(())
    ('28 x 28', 'scalar')
    """
    return " x ".join(str(size) for size in sizes) or "scalar"


def value(thing: Any) -> str:
    """A value of a spec or a record, on one line.

    >>> value("adam"), value(0.001), value(3), value(True), value(None), value([1, 2])
    ('adam', '0.001', '3', 'true', '-', '[1, 2]')
    """
    if thing is None:
        return "-"
    if isinstance(thing, str):
        return thing
    return json.dumps(thing)


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> list[str]:
    """Lines of a table; the first `left` columns are flush left, the others flush right.

    >>> grid(["layer", "size"], [["affine", "10"]])
    ['layer   size', 'affine    10']
    """
    cells = [[visible(cell) for cell in row] for row in [header, *rows]]
    widths = [max(width(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        gaps = [" " * (size - width(cell)) for size, cell in zip(widths, row, strict=True)]
        parts = [c + gap if i < left else gap + c for i, (c, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(parts).rstrip())
    return lines
