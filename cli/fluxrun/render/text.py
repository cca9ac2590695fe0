"""A text on its way to stdout, piece by piece, and notes on theirs to stderr.

    pipe, file     the bytes as they are
    terminal       nothing in it acts on the terminal but line ends and tabs; the last line is ended

Every piece is flushed: whoever reads sees it at once, and a pipe that nobody reads ends the writing.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import TextIO

from fluxrun.spec.text import visible

KEPT = re.compile("([\n\t]+)")


def write_text(pieces: Iterable[bytes], stream: TextIO) -> None:
    """Write UTF-8, or any bytes, as they come. Raises BrokenPipeError, OSError."""
    terminal, decoder = stream.isatty(), codecs.getincrementaldecoder("utf-8")("replace")
    stream.flush()
    end = ""
    for piece in pieces:
        if terminal:
            text = tamed(decoder.decode(piece))
            piece, end = text.encode(), text[-1:] or end
        stream.buffer.write(piece)
        stream.buffer.flush()
    if terminal and end != "\n":
        stream.buffer.write(b"\n")


def noted(notes: Iterable[str]) -> list[str]:
    """What else is worth knowing, a line each.

    >>> noted(["not exact"])
    ['note: not exact']
    """
    return [f"note: {visible(note)}" for note in notes]


def tamed(text: str) -> str:
    """The text without what a terminal would act on, but for line ends and tabs.

    >>> tamed("one\\ttwo\\n\\x1b[2J")
    'one\\ttwo\\n\\ufffd[2J'
    """
    return "".join(part if KEPT.fullmatch(part) else visible(part) for part in KEPT.split(text))
