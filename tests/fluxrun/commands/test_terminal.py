"""The same run on a terminal, without colours, and where a terminal should not be drawn on."""

import os
import pty
import re
import subprocess
import sys

import pytest

COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-9])[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(**environ):
    """What a training writes to stderr when that is a terminal, and its stdout."""
    outer, inner = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "fluxrun", "train", "small.yaml"],
        stdout=subprocess.PIPE,
        stderr=inner,
        text=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ},
    )
    os.close(inner)
    written = b""
    while True:
        try:
            piece = os.read(outer, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(outer)
    stdout, _ = done.communicate(timeout=60)
    assert done.returncode == 0, written.decode()
    return written.decode(), stdout


def table(text):
    """The rows of the table, without what moves the cursor and without the columns of time."""
    rows = [CONTROL.sub("", row.split("\r")[-1]).rstrip() for row in text.replace("\r\n", "\n").split("\n")]
    return [re.sub(r"\s+[0-9,]+(\s+best)?$", r"\1", row) for row in rows if re.match(r" +([0-9]+|epoch) ", row)]


def test_a_bar_a_table_and_a_summary(folder):
    text, stdout = on_terminal()
    assert COLOUR.search(text)
    assert "\x1b[?" not in text, "the cursor is never hidden"
    rows = table(text)
    assert rows[0].split() == [
        "epoch",
        "train.loss",
        "train.accuracy",
        "valid.loss",
        "valid.accuracy",
        "rate",
        "examples/s",
    ]
    assert [row.split()[0] for row in rows[1:]] == ["1", "2", "3"]
    assert "finished: 3 epochs, 18 steps" in CONTROL.sub("", text)
    assert stdout.startswith("runs/small-")
    assert stdout.count("\n") == 1


def test_no_color(folder):
    text, _ = on_terminal(NO_COLOR="1")
    assert not COLOUR.search(text)
    assert len(table(text)) == 4


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}])
def test_terminals_that_are_not_drawn_on(folder, environ):
    text, _ = on_terminal(**environ)
    assert text.replace("\r\n", "").isprintable()  # a terminal makes its own line ends
    assert "epoch 3/3" in text


def test_the_pipe_says_the_same_without_any_control_character(folder, process):
    text = process("train", "small.yaml").stderr
    assert text.replace("\n", "").isprintable()
    first = table(on_terminal()[0])[1].split()
    line = next(row for row in text.splitlines() if row.startswith("epoch 1/3"))
    assert line.split()[3:10:2] == first[1:5]
