"""Signals that end a training: note the first one, so that the state can be saved; then die by it.

with Signals(say) as signals:      SIGINT, SIGTERM, SIGHUP set `signals.caught`; a second one kills at once
    ...
signals.die()                      a bash loop sees that the command was killed, and stops too

`say` hears of the first one in the handler itself, whatever the training is at: it must not write through a buffer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Catches the signals that end a process while the block runs; one that is ignored (nohup) stays ignored."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.caught: signal.Signals | None = None
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = signal.Signals(number)
        for ending in self.before:
            signal.signal(ending, signal.SIG_DFL)
        self.say(f"{self.name}: saving; a second one ends at once")

    @property
    def name(self) -> str:
        """The name of the signal that came."""
        return self.caught.name if self.caught else ""

    def die(self) -> None:
        """Die by the signal that came, if one came."""
        if self.caught is not None:
            signal.signal(self.caught, signal.SIG_DFL)
            os.kill(os.getpid(), self.caught)
