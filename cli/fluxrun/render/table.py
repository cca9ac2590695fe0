"""Tables of runs: a grid for people, csv for programs that read tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

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


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(FORMULA) else text
