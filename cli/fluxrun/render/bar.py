"""One line at the bottom of a terminal that moves, and lines above it that stay.

epoch 13/20 ━━━━━━━━━━━━━━━━━━━━━────────────  loss 0.0298  0:00:02 left  41,200 examples/s

The cursor stays where it is seen and no thread draws: whatever stops the process, or ends it, leaves a sound terminal.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence

from fluxrun.render.stream import Quiet, width

EVERY_SECONDS = 0.1
ROOM = 10  # a shorter bar says nothing
MARKS, ASCII_MARKS = "━─", "=-"  # what is done, what is not
BOLD, GREEN, DIM, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[90m", "\x1b[0m"
ERASE, UP = "\r\x1b[K", "\x1b[A"


class Bar:
    """A bar on a terminal, drawn at most every tenth of a second and below every line that is printed."""

    def __init__(self, stream: Quiet, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream, clock
        self.coloured = not os.environ.get("NO_COLOR")
        self.marks = MARKS if stream.encoding.lower().startswith("utf") else ASCII_MARKS
        self.at = -math.inf
        self.state: tuple[str, float, Sequence[str]] | None = None
        self.size = 0  # characters that are on the screen

    def show(self, label: str, share: float, more: Sequence[str] = ()) -> None:
        """How far it is, from 0 to 1, and what else is worth knowing, the most important first."""
        self.state = label, share, more
        if self.clock() - self.at >= EVERY_SECONDS:
            self._write(self._erased() + self._drawn())

    def print(self, *lines: str, bold: bool = False) -> None:
        """Lines that stay."""
        texts = [f"{BOLD}{line}{PLAIN}" if bold else line for line in lines]
        self._write(self._erased() + "".join(f"{text}\n" for text in texts) + self._drawn())

    def print_at_once(self, line: str) -> None:
        """The same from a handler of signals."""
        self.stream.write_at_once((ERASE if self.size else "") + line + "\n")

    def close(self) -> None:
        """Take the bar away."""
        self.state = None
        self._write(self._erased())

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

    def _erased(self) -> str:
        """What takes the bar away; it is several lines by now where the window became narrower."""
        if not self.size:
            return ""
        rows, self.size = (self.size - 1) // (width(self.stream) or self.size), 0
        return ERASE + rows * (UP + ERASE)

    def _drawn(self) -> str:
        if self.state is None:
            return ""
        self.at = self.clock()
        room = (width(self.stream) or 80) - len("^C") - 1  # which the terminal may add, and no line may be full
        head, done, rest, tail = layout(*self.state, room, self.marks)
        self.size = len(head + done + rest + tail)
        return head + self._in(GREEN, done) + self._in(DIM, rest) + tail

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self.coloured and text else text


def layout(
    label: str, share: float, more: Sequence[str], columns: int, marks: str = MARKS
) -> tuple[str, str, str, str]:
    """The label, what is done of the bar and what is not, and as much of the rest as leaves room for the bar.

    >>> layout("epoch 1/2", 0.75, ["loss 0.5", "0:00:02 left"], 36)
    ('epoch 1/2 ', '━━━━━━━━━━━━', '────', '  loss 0.5')
    >>> layout("epoch 12/20", 0.5, ["loss 0.5"], 20)
    ('epoch 12/20', '', '', '')
    """
    kept = list(more)
    while kept and len(label) + 1 + ROOM + len(_joined(kept)) > columns:
        kept.pop()
    room = columns - len(label) - 1 - len(_joined(kept))
    if room < ROOM:
        return label[:columns], "", "", ""
    done = int(room * min(1.0, max(0.0, share)))
    return f"{label} ", marks[0] * done, marks[1] * (room - done), _joined(kept)


def _joined(texts: Sequence[str]) -> str:
    return "".join(f"  {text}" for text in texts)
