"""Lines elsewhere than on a terminal: few, and nothing in them that moves a cursor."""

import io
from pathlib import Path

import pytest

from flux_core.training.events import Compiling, EpochEnded, Started
from fluxrun.jobs.request import Outcome
from fluxrun.render.numbers import number
from fluxrun.render.plain import Plain
from fluxrun.render.stream import Quiet, on_terminal, width
from fluxrun.render.summary import closing


class Clock:
    at = 0.0

    def __call__(self):
        return self.at


def ended(epoch, step=None, improved=False):
    metrics = {"train.loss": 0.5, "valid.loss": float("nan")}
    return EpochEnded(epoch, step or epoch * 10, metrics, 1e-4, 1.0, 1234.5, improved)


@pytest.fixture
def plain():
    made = Plain(Quiet(io.StringIO()), Clock())
    made.event(Started(9610, 10, 100, 0, 0, 320))
    return made


def lines(plain):
    return plain.stream.stream.getvalue().splitlines()


def test_at_most_one_line_in_thirty_seconds(plain):
    for epoch in range(1, 101):
        plain.clock.at = float(epoch)
        plain.event(ended(epoch))
    shown = [text.split()[1] for text in lines(plain)[1:]]
    assert shown == ["1/100", "31/100", "61/100", "91/100"]


def test_every_epoch_that_takes_long_has_its_line(plain):
    for epoch in range(1, 4):
        plain.clock.at = epoch * 31.0
        plain.event(ended(epoch))
    assert len(lines(plain)) == 4


def test_the_last_epoch_and_the_summary_are_always_there(plain, tmp_path):
    for epoch in (1, 2, 3):
        plain.event(ended(epoch, improved=epoch == 3))
    best = {"train.loss": 0.5, "valid.loss": 0.25, "test.loss": 0.3}
    plain.close(Outcome(tmp_path / "run", "finished", None, 3, 30, 1.5, best, 3, best))
    assert lines(plain) == [
        "9,610 parameters, 10 steps an epoch",
        "epoch 1/100  train.loss 0.5000  valid.loss nan  rate 1.00e-04  1,234 examples/s",
        "epoch 3/100  train.loss 0.5000  valid.loss nan  rate 1.00e-04  1,234 examples/s  best",
        "finished: 3 epochs, 30 steps, 1.5 s",
        "best epoch 3: train.loss 0.5000  valid.loss 0.2500",
        "test: test.loss 0.3000",
        f"run: {tmp_path / 'run'}",
    ]


def test_an_epoch_that_was_cut_short_is_called_by_its_step(plain):
    plain.event(ended(0, step=7))
    assert lines(plain)[1].startswith("step 7  ")
    metrics = {"train.loss": 0.5}
    plain.close(Outcome(Path("run"), "stopped", "max_steps", 0, 7, 1.5, metrics, 0, metrics))
    assert "best at step 7: train.loss 0.5000" in lines(plain)


def test_what_was_interrupted_tells_how_to_go_on_in_words_that_a_shell_takes(plain):
    plain.close(Outcome(Path("my runs/a"), "interrupted", "SIGINT", 1, 10, 1.5))
    assert lines(plain)[-1] == "go on with: fluxrun resume 'my runs/a'"


def test_long_lines_are_folded_between_metrics():
    best = {"train.loss": 0.5, "valid.loss": 0.25, "valid.accuracy": 0.75, "test.loss": 1.0}
    folded = closing(Outcome(Path("run"), "finished", None, 3, 30, 1.5, best, 3, best), 36)
    assert folded[1:4] == [
        "best epoch 3: train.loss 0.5000",
        "              valid.loss 0.2500",
        "              valid.accuracy 0.7500",
    ]
    assert closing(Outcome(Path("run"), "finished", None, 3, 30, 1.5, best, 3, best))[1].count("  ") == 2


def test_no_control_characters(plain, tmp_path):
    plain.event(ended(1))
    plain.close(Outcome(tmp_path / "r\x1b]0;x\x07n", "failed", "a\rb\x1b[2J"))
    text = plain.stream.stream.getvalue()
    assert text.replace("\n", "").isprintable()


def test_a_signal_is_told_past_the_buffers(tmp_path):
    with open(tmp_path / "log", "w") as file:
        file.write("later")
        Plain(Quiet(file)).signalled("at once")
    assert (tmp_path / "log").read_text() == "at once\nlater"


def test_kernels_are_told_once(plain):
    for at, count in ((0, 9), (0, 9), (1, 5), (2, 5)):
        plain.event(Compiling(at, count))
    assert lines(plain)[1:] == ["another process compiles kernels", "compiling 5 kernels, once on this machine"]


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def test_a_stream_that_nobody_reads_stops_nothing():
    quiet = Plain(Quiet(Broken()), Clock())
    quiet.event(Started(1, 1, 1, 0, 0, 1))
    quiet.event(ended(1))
    assert quiet.stream.broken


def test_a_terminal_is_one_that_can_move_its_cursor():
    terminal = type("Terminal", (), {"isatty": lambda self: True})()
    assert on_terminal(terminal, {"TERM": "xterm"})
    assert not on_terminal(terminal, {"TERM": "dumb"})
    assert not on_terminal(terminal, {"CI": "true"})
    assert not on_terminal(io.StringIO(), {"TERM": "xterm"})


def test_the_width_of_a_terminal():
    terminal = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})()
    assert [width(terminal, {"COLUMNS": text}) for text in ("90", "0", "x", "")] == [90, 80, 80, 80]
    assert width(io.StringIO(), {"COLUMNS": "90"}) is None


@pytest.mark.parametrize("value", [0.0, 1e-12, 0.99999, -0.5, 999.99996, 123456.7, 3e9, -1e-5, float("-inf"), None])
def test_numbers_fit_their_column(value):
    assert len(number(value)) <= 9
