"""stderr that never gets in the way: when nobody reads it any more, the training goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO


class Quiet:
    """A text stream that drops everything once writing fails."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.broken = False

    def write(self, text: str) -> int:
        if not self.broken:
            try:
                return self.stream.write(text)
            except (OSError, ValueError):
                self.broken = True
        return len(text)

    def flush(self) -> None:
        if not self.broken:
            try:
                self.stream.flush()
            except (OSError, ValueError):
                self.broken = True

    def isatty(self) -> bool:
        return not self.broken and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:
        return self.stream.encoding or "utf-8"


def say(text: str) -> None:
    """One line, or several, for people."""
    stream = Quiet(sys.stderr)
    stream.write(text + "\n")
    stream.flush()


def on_terminal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to draw: a terminal that can move its cursor, and no CI."""
    return stream.isatty() and environ.get("TERM") != "dumb" and not environ.get("CI")
