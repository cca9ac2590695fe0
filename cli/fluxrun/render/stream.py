"""The standard streams.

stderr    never gets in the way: when nobody reads it any more, the training goes on
stdout    holds the result: when it cannot be written, the error says that it was stdout
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO


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

    def write_at_once(self, text: str) -> None:
        """Write past all buffers, as a handler of signals must: it may come in the middle of a write to them."""
        with suppress(OSError, ValueError):
            os.write(self.fileno(), text.encode(self.encoding, "replace"))

    def isatty(self) -> bool:
        return not self.broken and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:
        return self.stream.encoding or "utf-8"


class Stdout(io.FileIO):
    """The file of stdout: an error has its name, as those of other files have theirs, and it comes once.

    What could not be written stays in the buffers above, and the interpreter's end would try it again.
    """

    def __init__(self, file: int) -> None:
        super().__init__(file, "w", closefd=False)
        self.broken = False

    def write(self, data: Any, /) -> int:
        if not self.broken:
            try:
                return super().write(data)
            except OSError as error:
                self.broken, error.filename = True, "stdout"
                raise
        return len(data)


def named(stream: io.TextIOWrapper, errors: str) -> io.TextIOWrapper:
    """A stream in the place of stdout: errors have its name, and a line goes out in one piece.

    PYTHONUNBUFFERED would part a line from its end, and another process of the loop would write in between.
    """
    buffer = io.BufferedWriter(Stdout(stream.fileno()))
    return io.TextIOWrapper(buffer, stream.encoding, errors, line_buffering=stream.isatty())


def say(*lines: str) -> None:
    """Lines for people."""
    stream = Quiet(sys.stderr)
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


def on_terminal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to draw: a terminal that can move its cursor, and no CI."""
    return stream.isatty() and environ.get("TERM") != "dumb" and not environ.get("CI")


def width(stream: TextIO | Quiet, environ: Mapping[str, str] = os.environ) -> int | None:
    """How many characters a line of a terminal has; None for what is no terminal and takes lines of any length."""
    if not stream.isatty():
        return None
    given = environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
