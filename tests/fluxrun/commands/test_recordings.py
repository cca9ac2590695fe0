"""One run, recorded on a terminal and through a pipe: recordings/terminal.txt and recordings/pipe.txt.

`FLUXRUN_GOLDEN=write pytest tests/fluxrun/commands/test_recordings.py` writes them anew; read them before keeping them.
What differs between any two runs is masked: times, rates, and the digits of the run's name.
"""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / "recordings"
MASKS = [
    (re.compile(r"small-[0-9a-f]{10}"), "small-##########"),
    (re.compile(r"[0-9.]+ (ms|s|min|h)$", re.MULTILINE), "# s"),
    (re.compile(r"[0-9,]+ examples/s"), "# examples/s"),
]
RATE = re.compile(r"^( +[0-9]+ .*?)( +[0-9,]+)(  best)?$", re.MULTILINE)  # the last column of the table
ARGUMENTS = [sys.executable, "-m", "fluxrun", "train", "small.yaml"]


def environment():
    return {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40"}


def terminal():
    """Everything that a training writes to a terminal."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(ARGUMENTS, stdout=inner, stderr=inner, env=environment())
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
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


def masked(text):
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return RATE.sub(lambda found: f"{found[1]}{'#':>{len(found[2])}}{found[3] or ''}", text)


def compare(name, text):
    golden = RECORDINGS / name
    if os.environ.get("FLUXRUN_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_on_a_terminal(folder, screen):
    written = terminal()
    assert "\x1b[1m" in written, "the head of the table is bold"
    compare("terminal.txt", masked(screen(written)))


def test_through_a_pipe(folder):
    done = subprocess.run(ARGUMENTS, capture_output=True, text=True, env=environment(), timeout=60, check=True)
    both = done.stderr + done.stdout
    assert both.replace("\n", "").isprintable(), "no control character"
    compare("pipe.txt", masked(both))


def test_a_bar_that_stays_on_the_screen_is_seen(screen):
    golden = (RECORDINGS / "terminal.txt").read_text(encoding="utf-8")
    assert screen("epoch 1/3 ---\r\x1b[2K" + golden.replace("\n", "\r\n")) == golden
    assert screen("epoch 1/3 ---\r\n" + golden.replace("\n", "\r\n")) != golden
