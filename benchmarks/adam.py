"""Adam over many parameters: fluxrun's update, PyTorch's fused one, and what memory allows. One core.

turn 1: fluxrun, torch      turn 2: fluxrun, torch      each process also times `x *= a` over as many bytes
"""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.process import Failed, module, run
from benchmarks.table import paired, summary, table, text
from benchmarks.throughput import FLUXRUN, Settings

PARAMETERS = 10_000_000
ROUNDS_A_ROUND = 6  # an update takes milliseconds


def adam(s: Settings) -> dict[str, Any]:
    """Seconds of an update on each side, and the ratios of the same turn."""
    sides = [FLUXRUN, *(["torch"] if find_spec("torch") else [])]
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    failures: dict[str, str] = {}
    for turn in range(s.repeats):
        for side in sides:
            s.say(f"Adam, turn {turn + 1}/{s.repeats}: {side}")
            options = ("--side", side, "--parameters", PARAMETERS, "--rounds", ROUNDS_A_ROUND * s.rounds)
            try:
                report = run(module("adam_step", *options), 1, s.store).report()
            except Failed as error:
                failures[side] = str(error)
                continue
            found[side].append({name: median(seconds) for name, seconds in report.items()})

    def times(side: str, name: str) -> list[float]:
        return [report[name] for report in found.get(side, [])]

    return {
        "parameters": PARAMETERS,
        "seconds": {side: summary(times(side, "adam")) for side in sides},
        "scale": {side: summary(times(side, "scale")) for side in sides},
        "ratio": paired(times("torch", "adam"), times(FLUXRUN, "adam")),
        "of_bandwidth": paired(times(FLUXRUN, "scale"), times(FLUXRUN, "adam")),
        "failures": failures,
    }


def rendered(found: dict[str, Any]) -> str:
    """The table."""
    header = ["side", "update", "x *= a over its bytes", "of that", "torch / fluxrun"]
    rows = []
    for side, seconds in found["seconds"].items():
        mine, scale = seconds["median"], found["scale"][side]["median"]
        of_bandwidth = scale / mine if mine else None
        ratio = "-"
        if side == FLUXRUN:
            of_bandwidth, ratio = found["of_bandwidth"], text(found["ratio"], ".2f", "x")
        rows.append([side, _ms(mine), _ms(scale), text(of_bandwidth, ".0%"), ratio])
    notes = [f"{side} failed: {why}" for side, why in found["failures"].items()]
    return "\n".join([table(header, rows), *notes])


def _ms(seconds: float | None) -> str:
    return text(None if seconds is None else 1000 * seconds, ".2f", " ms")
