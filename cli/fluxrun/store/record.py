"""run.json: what a run is and how it stands; always a whole file, replaced atomically.

status    running -> finished | stopped | diverged | interrupted | failed       `reason` says why, in a word
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flux_core import fsio

VERSION = 1  # of the shape of run.json
FORMAT = 2  # goes up when the same spec begins to mean another training


def now() -> str:
    """The time, in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def jsonable(value: Any) -> Any:
    """The value with null in the place of what JSON has no number for.

    >>> jsonable({"loss": float("nan"), "epoch": 3})
    {'loss': None, 'epoch': 3}
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def line(value: dict[str, Any]) -> bytes:
    """One line of a .jsonl file."""
    return json.dumps(jsonable(value), allow_nan=False).encode() + b"\n"


@dataclass
class Record:
    """The content of a run's run.json."""

    folder: Path
    values: dict[str, Any] = field(default_factory=dict)

    def update(self, **values: Any) -> None:
        """Change some values and write the file."""
        self.values |= values
        text = json.dumps(jsonable(self.values), indent=2, allow_nan=False)
        fsio.write_atomically(self.folder / "run.json", text.encode() + b"\n")
