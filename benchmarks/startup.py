"""Start-up: whole processes, from the first instruction of the interpreter.

    first step   fluxrun train digits, started ──▶ the end of its first step     beside   python -c "import torch"
    empty store  the same, with kernels to compile                               beside   the same
    help         fluxrun --help                                                  beside   python -c "import typer"
    digits       fluxrun train digits, whole                                     beside   digits_torch.py, whole
    store        only the seconds in Store.load: kernels linked, or compiled

The first step's end is when the run notes its first epoch, cut to one step; it is evaluated by then, too.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.process import PYTHON, ROOT, Failed, fluxrun, module, run
from benchmarks.table import paired, summary, table, text
from benchmarks.throughput import Settings

CONFIG = ROOT / "configs" / "digits.yaml"
Measurement = Callable[[int, Settings], float]  # (cores, settings) -> seconds


@dataclass(frozen=True)
class Pair:
    """A measurement of fluxrun and what it is held against, which needs a package."""

    mine: Measurement
    name: str
    theirs: Measurement | None = None
    needs: str | None = None


def first_step(cores: int, s: Settings, store: dict[str, str] | None = None) -> float:
    """From the start of the process to the end of the first step."""
    with tempfile.TemporaryDirectory(dir=s.folder) as runs:
        command = fluxrun("train", CONFIG, "--max-steps", 1, "--quiet", "--runs", runs)
        done = run(command, cores, store or s.store)
        lines = (Path(done.output.strip()) / "events.jsonl").read_text().splitlines()
    event = next(event for event in map(json.loads, lines) if event["event"] == "epoch")
    return datetime.fromisoformat(event["time"]).timestamp() - done.began


def first_step_cold(cores: int, s: Settings) -> float:
    """The same with an empty kernel store."""
    with tempfile.TemporaryDirectory(dir=s.folder) as store:
        return first_step(cores, s, {"FLUXRUN_CACHE": store})


def digits(cores: int, s: Settings) -> float:
    """The whole training."""
    with tempfile.TemporaryDirectory(dir=s.folder) as runs:
        return run(fluxrun("train", CONFIG, "--quiet", "--runs", runs), cores, s.store).seconds


def digits_torch(cores: int, s: Settings) -> float:
    """The same training, written in PyTorch."""
    with tempfile.TemporaryDirectory(dir=s.folder) as folder:
        return run([PYTHON, str(ROOT / "benchmarks" / "digits_torch.py"), folder], cores).seconds


def help_text(cores: int, s: Settings) -> float:
    """`fluxrun --help`."""
    return run(fluxrun("--help"), cores, s.store).seconds


def importing(package: str) -> Measurement:
    """A process that imports a package."""
    return lambda cores, s: run([PYTHON, "-c", f"import {package}"], cores).seconds


def store_warm(cores: int, s: Settings) -> float:
    """Seconds in the kernel store when nothing has to be compiled."""
    return _in_store(cores, s.store, compiled=False)


def store_cold(cores: int, s: Settings) -> float:
    """Seconds in the kernel store when everything has to be compiled."""
    with tempfile.TemporaryDirectory(dir=s.folder) as store:
        return _in_store(cores, {"FLUXRUN_CACHE": store}, compiled=True)


PAIRS = {
    "first step, warm store": Pair(first_step, "import torch", importing("torch"), "torch"),
    "first step, empty store": Pair(first_step_cold, "import torch", importing("torch"), "torch"),
    "fluxrun --help": Pair(help_text, "import typer", importing("typer")),
    "digits, whole process": Pair(digits, "digits_torch.py", digits_torch, "torch"),
    "kernels of digits, loaded": Pair(store_warm, "-"),
    "kernels of digits, compiled": Pair(store_cold, "-"),
}


def startup(cores: int, s: Settings) -> list[dict[str, Any]]:
    """One row for each pair; all of them run once before, so that files are read and byte code is there."""
    digits(cores, s)
    return [measured(name, pair, cores, s) for name, pair in PAIRS.items()]


def measured(name: str, pair: Pair, cores: int, s: Settings) -> dict[str, Any]:
    """The sides of a pair in turns, after a turn that does not count."""
    theirs = pair.theirs if pair.needs is None or find_spec(pair.needs) else None
    sides: Sequence[Measurement | None] = (pair.mine, theirs)
    found: tuple[list[float], list[float]] = ([], [])
    failures = []
    for turn in range(-1, s.repeats):
        s.say(f"{name}, turn {turn + 1}/{s.repeats}")
        for seconds, side in zip(found, sides, strict=True):
            if side is None or (turn < 0 and side in COLD):
                continue
            try:
                value = side(cores, s)
            except Failed as error:
                failures.append(str(error))
                continue
            if turn >= 0:
                seconds.append(value)
    mine, other = found
    return {
        "what": name,
        "cores": cores,
        "seconds": summary(mine),
        "beside": pair.name,
        "beside_seconds": summary(other),
        "ratio": paired(mine, other),
        "failures": failures,
    }


COLD = (first_step_cold, store_cold)  # nothing of these is warmer the second time


def rendered(rows: Sequence[dict[str, Any]]) -> str:
    """The table."""
    header = ["what", "fluxrun", "beside", "takes", "fluxrun / beside"]
    lines = []
    notes = []
    for r in rows:
        mine, other = text(r["seconds"]["median"], ".3f", " s"), text(r["beside_seconds"]["median"], ".3f", " s")
        lines.append([r["what"], mine, r["beside"], other, text(r["ratio"], ".2f", "x")])
        notes += [f"{r['what']} failed: {why}" for why in r["failures"]]
    return "\n".join([table(header, lines), *notes])


def _in_store(cores: int, store: dict[str, str], *, compiled: bool) -> float:
    report = run(module("store_times"), cores, store).report()
    if bool(report["compiled"]) != compiled:
        raise Failed(f"{report['compiled']} of {report['kernels']} kernels were compiled")
    return float(report["seconds"])
