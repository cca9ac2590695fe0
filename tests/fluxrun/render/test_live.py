"""The live table, drawn on a terminal that is only a text."""

import io

import pytest

from flux_core.training.events import Compiling, EpochEnded, Progress, Started
from fluxrun.jobs.request import Outcome
from fluxrun.render.live import FIRST_ROWS, ROWS_A_SECOND, Live
from fluxrun.render.stream import Quiet


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    at = 0.0

    def __call__(self):
        return self.at


@pytest.fixture
def live(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    made = Live(Quiet(Terminal()), Clock())
    made.event(Started(9610, 10, 2, 0, 0, 320))
    return made


@pytest.fixture
def lines(live, screen):
    """What is on the screen, whose driver makes line ends."""
    return lambda: screen(live.stream.stream.getvalue().replace("\n", "\r\n")).splitlines()


def ended(epoch, metrics, step=None, improved=False):
    return EpochEnded(epoch, step or 10 * epoch, metrics, 0.1, 1.0, 1234.5, improved)


def test_a_bar_and_fixed_columns(live, lines, tmp_path):
    live.event(Progress(0, 5, 5, 0.75, 1000.0))
    assert lines()[1].startswith("epoch 1/2 ━━━━━━━━━━╸━")
    assert lines()[1].endswith("━  loss 0.7500  0:00:00 left  1,000 examples/s")
    assert len(lines()[1]) == 97
    for epoch in (1, 2):
        live.clock.at = float(epoch)
        live.event(ended(epoch, {"train.loss": 0.5 / epoch, "valid.accuracy": 0.125 * epoch}, improved=epoch == 2))
        assert lines()[-1].startswith("epoch 2/2 ━"), "the bar is in the epoch behind the last row"
    assert "╸" not in lines()[-1], "all is done"
    live.close(Outcome(tmp_path / "run", "finished", None, 2, 20, 1.5))
    assert lines() == [
        "9,610 parameters, 10 steps an epoch",
        " epoch  train.loss  valid.accuracy      rate    examples/s",
        "     1      0.5000          0.1250    0.1000         1,234",
        "     2      0.2500          0.2500    0.1000         1,234  best",
        "finished: 2 epochs, 20 steps, 1.5 s",
        "train.loss  █▁  0.5000 to 0.2500",
        f"run: {tmp_path / 'run'}",
    ]


TWO = {"train.loss": 1.0, "train.accuracy": 0.5, "valid.loss": 1.0, "valid.accuracy": 0.5}
THREE = {f"{split}.{name}": 1.0 for split in ("train", "valid") for name in ("loss", "mae", "r2")}
WIDTHS = [
    (TWO, 100, False, "train.loss train.accuracy valid.loss valid.accuracy rate examples/s"),
    (TWO, 80, False, "train.loss train.accuracy valid.loss valid.accuracy rate"),
    (TWO, 80, True, "train.loss train.accuracy valid.loss valid.accuracy rate"),
    (TWO, 70, False, "train.loss train.accuracy valid.loss valid.accuracy"),
    (TWO, 70, True, "train.loss valid.loss valid.accuracy rate"),
    (TWO, 40, False, "valid.loss valid.accuracy"),
    (TWO, 10, False, "valid.loss"),
    (THREE, 80, False, "train.loss train.mae train.r2 valid.loss valid.mae valid.r2"),
    (THREE, 104, False, "train.loss train.mae train.r2 valid.loss valid.mae valid.r2 rate examples/s"),
    ({"train.loss": 1.0}, 10, True, "train.loss"),
]


@pytest.mark.parametrize(("metrics", "columns", "scheduled", "names"), WIDTHS)
def test_the_table_has_the_columns_for_which_there_is_room(
    live, lines, monkeypatch, metrics, columns, scheduled, names
):
    monkeypatch.setenv("COLUMNS", str(columns))
    live.scheduled = scheduled
    live.event(ended(1, metrics, improved=True))
    live.close(None)
    _, head, row = lines()
    assert head.split() == ["epoch", *names.split()]
    assert (len(row.split()), row.split()[-1]) == (len(names.split()) + 2, "best")
    assert len(row) <= max(columns, len("     1  valid.loss  best"))


def test_an_epoch_that_was_cut_short_is_called_by_its_step(live, lines, tmp_path):
    live.limit = 1015
    live.task = Started(9610, 10, 200, 0, 0, 320)
    live.event(ended(101, {"valid.loss": 2.0}))
    live.event(ended(101, {"valid.loss": 1.0}, step=1015, improved=True))
    best = {"valid.loss": 1.0}
    live.close(Outcome(tmp_path / "run", "stopped", "max_steps", 101, 1015, 1.5, best, 101, best))
    assert [line.split("  ")[0].strip() or line.split()[0] for line in lines()[1:4]] == ["epoch", "101", "step 1,015"]
    assert len({line.index("0000") for line in lines()[2:4]}) == 1, "columns stay columns"
    assert "best at step 1,015: valid.loss 1.0000" in lines()


def test_quick_epochs_have_no_row_each(live, lines, tmp_path):
    live.task = Started(9610, 10, 1000, 0, 0, 320)
    for epoch in range(1, 1001):
        live.clock.at = 0.5 + epoch / 1000
        live.event(ended(epoch, {"valid.loss": 1.0 / epoch}, improved=True))
    live.close(Outcome(tmp_path / "run", "finished", None, 1000, 10000, 1.5))
    shown = [int(line.split()[0]) for line in lines()[2:] if line.startswith("  ")]
    assert shown[:FIRST_ROWS] == list(range(1, FIRST_ROWS + 1))
    assert len(shown) == FIRST_ROWS + ROWS_A_SECOND + 1
    assert shown[-1] == 1000
    assert f"without a row: {1000 - len(shown)} epochs; metrics.jsonl has all" in lines()


def test_kernels_are_counted(live, lines):
    live.event(Compiling(34, 107))
    assert lines()[-1].startswith("compiling kernels (once on this machine) 34/107 ━")
    live.clock.at = 1.0
    live.event(Compiling(0, 14))
    assert lines()[-1].startswith("another process compiles kernels ━")


def test_a_bar_that_a_narrower_window_folds_is_erased_whole(live, monkeypatch):
    live.event(Compiling(1, 2))
    assert live.bar.size == 97
    monkeypatch.setenv("COLUMNS", "40")
    assert live.bar._erased() == "\r\x1b[K" + 2 * "\x1b[A\r\x1b[K"


def test_the_cursor_is_never_hidden_and_colours_may_be_unwanted(live, monkeypatch):
    live.event(Compiling(1, 2))
    written = live.stream.stream.getvalue()
    assert "\x1b[32m" in written
    assert "\x1b[?" not in written
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Live(Quiet(Terminal()), Clock())
    plain.event(Compiling(1, 2))
    assert "m" not in plain.stream.stream.getvalue().partition("━")[2]


def test_a_terminal_without_unicode():
    terminal = Terminal()
    terminal.encoding = "ascii"
    live = Live(Quiet(terminal), Clock())
    live.event(Compiling(1, 2))
    assert terminal.getvalue().isascii()


def test_a_window_without_room_for_a_bar(live, lines, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    live.event(Progress(0, 5, 5, 0.1983, 115725.0))
    assert lines()[-1] == "epoch 1/2 ━━━╸━━━━━━━━━━  loss 0.1983"
    monkeypatch.setenv("COLUMNS", "12")
    live.clock.at = 1.0
    live.event(Progress(0, 6, 6, 0.1983, 115725.0))
    assert lines()[-1] == "epoch 1/2"
