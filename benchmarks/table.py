"""Tables in plain text, and the numbers in them.

| work | fluxrun |
| mlp  | 121,000 |
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width; all but the first are aligned to the right.

    >>> print(table(["work", "rate"], [["mlp", "1,000"], ["wide", "7"]]))
    | work |  rate |
    | ---- | ----: |
    | mlp  | 1,000 |
    | wide |     7 |
    """
    widths = [max(4, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return " | ".join([f"| {first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in rest)]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most of some measurements; None for none.

    >>> summary([3.0, 1.0, 2.0])
    {'median': 2.0, 'min': 1.0, 'max': 3.0, 'n': 3}
    """
    if not values:
        return {"median": None, "min": None, "max": None, "n": 0}
    return {"median": median(values), "min": min(values), "max": max(values), "n": len(values)}


def paired(above: Sequence[float], below: Sequence[float]) -> float | None:
    """The median of the ratios of measurements taken in the same turn.

    >>> paired([2.0, 3.0, 8.0], [1.0, 2.0, 2.0])
    2.0
    """
    ratios = [a / b for a, b in zip(above, below, strict=False)]
    return median(ratios) if ratios else None


def text(value: float | None, form: str = ",.0f", unit: str = "") -> str:
    """A number, or a dash where there is none.

    >>> text(1234.5), text(0.25, ".2f", "x"), text(None)
    ('1,234', '0.25x', '-')
    """
    return "-" if value is None else f"{value:{form}}{unit}"
