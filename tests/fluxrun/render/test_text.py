"""Text that is streamed: every piece at once, exact in pipes, tame on terminals."""

import io

import pytest

from fluxrun.render.text import write_text


class Recorded(io.BytesIO):
    """Bytes, and what was there at each flush."""

    def __init__(self):
        super().__init__()
        self.flushed = []

    def flush(self):
        self.flushed.append(self.getvalue())


class Stream:
    def __init__(self, terminal):
        self.buffer, self.terminal = Recorded(), terminal

    def isatty(self):
        return self.terminal

    def flush(self):
        self.buffer.flush()


def written(pieces, terminal):
    stream = Stream(terminal)
    write_text(pieces, stream)
    return stream.buffer


@pytest.mark.parametrize("terminal", [False, True])
def test_every_piece_is_out_before_the_next_is_made(terminal):
    stream = Stream(terminal)

    def pieces():
        for i, letter in enumerate("abc\n"):
            assert stream.buffer.flushed[-1] == b"abc"[:i]
            yield letter.encode()

    write_text(pieces(), stream)
    assert stream.buffer.getvalue() == b"abc\n"


PIECES = [b"a\x1b", b"[2J", b"\xc3", b"\xa9\xff", b"\t\r\n", "\u202e".encode(), b"z"]


def test_a_pipe_has_the_bytes():
    assert written(PIECES, False).getvalue() == b"".join(PIECES)
    assert written([], False).getvalue() == b""


def test_a_terminal_has_text():
    assert written(PIECES, True).getvalue().decode() == "a\ufffd[2Jé\ufffd\t\ufffd\n\ufffdz\n"
    assert written([b"a\n"], True).getvalue() == b"a\n"
    assert written([b"", b"a\n", b"\xc3"], True).getvalue() == b"a\n"
