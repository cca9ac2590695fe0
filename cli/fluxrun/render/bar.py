"""One line at the bottom of a terminal that moves, and lines above it that stay, in the bars and colours of rich.

epoch 13/20 ━━━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━  loss 0.0298  0:00:02 left  41,200 examples/s

rich's own live display hides the cursor and draws from a thread; here whatever stops the process, or ends it, leaves a
sound terminal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from fluxrun.render.stream import Quiet, width

EVERY_SECONDS = 0.1
ROOM = 10  # a shorter bar says nothing
ERASE, UP = "\r\x1b[K", "\x1b[A"


class Bar:
    """A bar on a terminal, drawn at most every tenth of a second and below every line that is printed."""

    def __init__(self, stream: Quiet, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        self.stream, self.clock = stream, clock
        self.console = Console(file=stream, highlight=False, soft_wrap=True)  # type: ignore[arg-type]  # it writes
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
        from rich.text import Text

        with self.console.capture() as printed:
            for line in lines:
                self.console.print(Text(line, "bold" if bold else ""))
        self._write(self._erased() + printed.get() + self._drawn())

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
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        self.at = self.clock()
        label, share, more = self.state
        columns = (width(self.stream) or 80) - len("^C") - 1  # which the terminal may add, and no line may be full
        head, room, tail = layout(label, more, columns)
        self.size = len(head) + room + len(tail)
        bar = ProgressBar(1.0, share, room, style="bright_black", complete_style="green", finished_style="green")
        with self.console.capture() as drawn:
            self.console.print(Text(head), end="")
            if room:
                self.console.print(bar, end="", width=room)
            self.console.print(Text(tail), end="")
        return drawn.get()


def layout(label: str, more: Sequence[str], columns: int) -> tuple[str, int, str]:
    """The label, the size of the bar, and as much of the rest as leaves room for it.

    >>> layout("epoch 1/2", ["loss 0.5", "0:00:02 left"], 36)
    ('epoch 1/2 ', 16, '  loss 0.5')
    >>> layout("epoch 12/20", ["loss 0.5"], 20)
    ('epoch 12/20', 0, '')
    >>> layout("epoch 12/20", ["loss 0.5"], -1)
    ('', 0, '')
    """
    kept = list(more)
    while kept and len(label) + 1 + ROOM + len(_joined(kept)) > columns:
        kept.pop()
    room = columns - len(label) - 1 - len(_joined(kept))
    if room < ROOM:
        return label[: max(0, columns)], 0, ""
    return f"{label} ", room, _joined(kept)


def _joined(texts: Sequence[str]) -> str:
    return "".join(f"  {text}" for text in texts)
