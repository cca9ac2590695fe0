"""The live table, drawn on a terminal that is only a text."""

import io

import pytest
from rich.console import Console

from flux_core.training.events import EpochEnded, Progress, Started
from fluxrun.jobs.request import Outcome
from fluxrun.render.live import Live


@pytest.fixture
def live():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    made = Live(console)
    yield made
    made.close(None)


def test_a_bar_and_fixed_columns(live, tmp_path):
    live.event(Started(9610, 10, 2, 0, 0, 320))
    live.event(Progress(0, 5, 5, 0.75, 1000.0))
    task = live.bar.tasks[0]
    assert (task.description, task.completed, task.total) == ("epoch 1/2", 5, 20)
    for epoch in (1, 2):
        metrics = {"train.loss": 0.5 / epoch, "valid.accuracy": 0.125 * epoch}
        live.event(EpochEnded(epoch, 10 * epoch, metrics, 0.1, 1.0, 1234.5, epoch == 2))
    assert live.bar.tasks[0].completed == 20
    live.close(Outcome(tmp_path / "run", "finished", None, 2, 20, 1.5))
    rows = [line.split("\x1b[2K")[-1] for line in live.console.file.getvalue().splitlines()]
    table = [row for row in rows if row.startswith(("  epoch", " epoch", "     "))]
    assert table[:3] == [
        " epoch  train.loss  valid.accuracy      rate    examples/s",
        "     1      0.5000          0.1250    0.1000         1,234",
        "     2      0.2500          0.2500    0.1000         1,234  best",
    ]
    assert f"run: {tmp_path / 'run'}" in rows


def test_names_are_never_markup(live, tmp_path):
    live.print("[red]run[/red] \x1b")
    assert "[red]run[/red]" in live.console.file.getvalue()
