"""Throughput: every workload on fluxrun and on the peers, side after side, turn after turn.

    turn 1: fluxrun, torch, torch-compile, jax, jax-scan      turn 2: fluxrun, torch, ...

For each workload and number of cores: the median rate of each side over its turns, fluxrun's ratio to the best peer
and to the bound that its matrix products set, both taken turn by turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.on_fluxrun import DROPPED
from benchmarks.process import Failed, module, run
from benchmarks.spec import trainable, write_spec
from benchmarks.table import paired, summary, table, text
from benchmarks.workload import Workload

FLUXRUN = "fluxrun"


@dataclass(frozen=True)
class Settings:
    """How much is measured: processes for each side, rounds in each process; where its files are."""

    repeats: int
    rounds: int
    folder: Path
    workloads: Path
    say: Callable[[str], None]

    @property
    def store(self) -> dict[str, str]:
        """The kernel store of this benchmark, so that the user's stays as it is."""
        return {"FLUXRUN_CACHE": str(self.folder / "store")}


def throughput(works: Sequence[Workload], threads: Sequence[int], peers: Sequence[str], s: Settings) -> list[Any]:
    """One row for each workload and number of cores."""
    return [measured(work, n, peers, s) for work in works for n in threads]


def measured(work: Workload, threads: int, peers: Sequence[str], s: Settings) -> dict[str, Any]:
    """All sides on one workload: rates, ratios and what failed."""
    sides = [FLUXRUN, *peers] if trainable(work) else list(peers)
    commands = {side: module("peers", "--peer", side, *_peer_options(work, s)) for side in peers}
    if trainable(work):
        spec = write_spec(work, s.folder, DROPPED + s.rounds * work.round_epochs)
        options = ("--per-step", work.per_step, "--batch", work.batch, "--round-epochs", work.round_epochs)
        commands[FLUXRUN] = module("on_fluxrun", spec, *options, "--threads", threads, "--rounds", s.rounds)
    reports: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    failures: dict[str, str] = {}
    for turn in range(s.repeats):
        for side in sides:
            if side in failures:
                continue
            s.say(f"{work.name}, {threads} cores, turn {turn + 1}/{s.repeats}: {side}")
            try:
                reports[side].append(run(commands[side], threads, s.store).report())
            except Failed as error:
                failures[side] = str(error)
    return row(work, threads, reports, failures)


def row(
    work: Workload, threads: int, reports: dict[str, list[dict[str, Any]]], failures: dict[str, str]
) -> dict[str, Any]:
    """What the reports of all sides come to."""
    rates = {side: [median(report["rates"]) for report in found] for side, found in reports.items()}
    peers = {side: median(found) for side, found in rates.items() if found and side != FLUXRUN}
    best = max(peers, key=peers.__getitem__, default=None)
    mine, own = rates.get(FLUXRUN, []), reports.get(FLUXRUN, [])
    bounds = [report["bound"]["rate"] for report in own]
    return {
        "work": work.name,
        "threads": threads,
        "unit": work.unit,
        "rates": {side: summary(found) for side, found in rates.items()},
        "whole": summary([report["whole"] for report in own if report["whole"]]),
        "best_peer": best,
        "ratio": paired(mine, rates[best]) if best else None,
        "bound": summary(bounds),
        "of_bound": paired(mine, bounds),
        "gemms": own[0]["bound"]["gemms"] if own else [],
        "blas": own[0]["blas"] if own else [],
        "first_epoch_s": {side: summary([r["first_epoch_s"] for r in found]) for side, found in reports.items()},
        "loss": {side: found[-1]["loss"] for side, found in reports.items() if found},
        "failures": failures,
        "missing": None if trainable(work) else "fluxrun has no layers for it yet",
    }


def rendered(rows: Sequence[dict[str, Any]], peers: Sequence[str]) -> str:
    """The table, and what is to be said below it."""
    header = ["work", "cores", FLUXRUN, "whole", *peers, "best peer", "ratio", "GEMM bound", "of bound"]
    lines = []
    notes = []
    for r in rows:
        mine = "not yet" if r["missing"] else text(r["rates"][FLUXRUN]["median"])
        theirs = [text(r["rates"][peer]["median"]) for peer in peers]
        ratio, of_bound = text(r["ratio"], ".2f", "x"), text(r["of_bound"], ".0%")
        best = r["best_peer"] or "-"
        whole, most = text(r["whole"]["median"]), text(r["bound"]["median"])
        lines.append([r["work"], str(r["threads"]), mine, whole, *theirs, best, ratio, most, of_bound])
        notes += [f"{r['work']}, {r['threads']} cores: {side} failed: {why}" for side, why in r["failures"].items()]
    kernels = sorted({kernel for r in rows for kernel in r["blas"]})
    notes += [f"BLAS under fluxrun: {kernel}" for kernel in kernels]
    return "\n".join([table(header, lines), *notes])


def _peer_options(work: Workload, s: Settings) -> tuple[object, ...]:
    return ("--work", work.name, "--workloads", s.workloads, "--rounds", s.rounds)
