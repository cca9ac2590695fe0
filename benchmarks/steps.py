"""Longer windows: what a step of a sequence costs in time and memory, whatever the number of steps.

    window of  32 steps   ──fluxrun train──▶ seconds / (batch · 32)      bytes of the tape / 32
    window of 128 steps   ──fluxrun train──▶ ...
    window of 512 steps

Of a tape that costs by the step, both are the same in every row. The windows take turns, process by process; a ratio
is the median of the ratios of the same turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.on_fluxrun import DROPPED
from benchmarks.process import Failed, module, run
from benchmarks.spec import write_spec
from benchmarks.table import paired, summary, table, text
from benchmarks.throughput import Settings
from benchmarks.workload import Workload

WINDOWS = (32, 128, 512)


def windowed(work: Workload, steps: int) -> Workload:
    """The workload with windows of so many steps, and as many tokens for each rate.

    >>> from benchmarks.workload import load
    >>> windowed(load()["slstm"], 128).round_epochs, load()["slstm"].round_epochs
    (18, 75)
    """
    taken = max(1, work.steps * work.steps_per_sequence // steps)
    return replace(work, name=f"{work.name}-{steps}", steps_per_sequence=steps, steps=taken)


def steps(works: Sequence[Workload], s: Settings) -> dict[str, Any]:
    """On one core, for each recurrent workload a row for each window, and what failed."""
    found: dict[str, Any] = {"rows": [], "failures": {}}
    for work in works:
        windows = [windowed(work, steps) for steps in WINDOWS]
        reports = reported(windows, s, found["failures"])
        found["rows"] += rows([one for one in windows if one.name not in found["failures"]], reports)
    return found


def reported(works: Sequence[Workload], s: Settings, failures: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What every process said, by the name of the workload."""
    specs = {one.name: write_spec(one, s.folder, DROPPED + s.rounds * one.round_epochs) for one in works}
    found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in works}
    for turn in range(s.repeats):
        for one in (one for one in works if one.name not in failures):
            s.say(f"{one.name}, turn {turn + 1}/{s.repeats}")
            options = ("--per-step", one.per_step, "--batch", one.batch, "--round-epochs", one.round_epochs)
            command = module("on_fluxrun", specs[one.name], *options, "--threads", 1, "--rounds", s.rounds)
            try:
                found[one.name].append(run(command, 1, s.store).report())
            except Failed as error:
                failures[one.name] = str(error)
    return found


def rows(works: Sequence[Workload], reports: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the reports of all windows come to, against the first window."""
    seconds = [[1 / median(report["rates"]) for report in reports[one.name]] for one in works]
    memory = [reports[one.name][0]["bound"]["workspace_bytes"] / one.per_step for one in works]
    return [
        {
            "work": one.name,
            "steps": one.steps_per_sequence,
            "seconds": summary(times),
            "of_first": paired(times, seconds[0]),
            "bytes": size,
            "bytes_of_first": size / memory[0],
        }
        for one, times, size in zip(works, seconds, memory, strict=True)
    ]


def rendered(found: dict[str, Any]) -> str:
    """The table."""
    header = ["work", "steps", "ns a step", "of the first", "bytes a step", "of the first"]
    lines = [
        [
            row["work"],
            str(row["steps"]),
            text(row["seconds"]["median"] * 1e9),
            text(row["of_first"], ".2f", "x"),
            text(row["bytes"]),
            text(row["bytes_of_first"], ".2f", "x"),
        ]
        for row in found["rows"]
    ]
    return "\n".join([table(header, lines), *(f"{name} failed: {why}" for name, why in found["failures"].items())])
