"""One measurement of fluxrun: a training from the command line, then the workload's matrix products alone.

    fluxrun train SPEC ──▶ events.jsonl ──▶ rates of whole epochs, the first ones dropped
    the same process   ──▶ gemms        ──▶ the bound

    python -m benchmarks.on_fluxrun SPEC --per-step 64 --round-epochs 9 --threads 1 --rounds 5

`rates` are those that the run reports, its shuffling included (the peers' is not); `whole` is what lies between the
ends of two epochs: the run's files, everything.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

DROPPED = 2  # epochs, as many as the peers take to warm up


def train(spec: Path, runs: Path) -> Path:
    """`fluxrun train SPEC` in this process; returns the run's folder. Raises RuntimeError."""
    from fluxrun.main import run

    sys.argv = ["fluxrun", "train", str(spec), "--runs", str(runs), "--quiet"]
    try:
        run()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"fluxrun train ended with exit code {end.code}") from None
    return next(path for path in runs.iterdir() if (path / "run.json").exists())


def rates(folder: Path, scale: int, round_epochs: int) -> dict[str, Any]:
    """What a run says about its speed; `scale` is what one example counts for.

    A rate is that of `round_epochs` epochs in a row.
    """
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    started = next(event for event in events if event["event"] == "started")
    examples = json.loads((folder / "run.json").read_text())
    epochs = [event for event in events if event["event"] == "epoch"]
    kept = epochs[DROPPED:]
    seconds_an_example = [1 / event["examples_per_second"] for event in kept]
    groups = [seconds_an_example[i : i + round_epochs] for i in range(0, len(kept), round_epochs)]
    steps = kept[-1]["step"] - epochs[DROPPED - 1]["step"]
    between = _time(kept[-1]) - _time(epochs[DROPPED - 1])
    return {
        "rates": [scale * len(group) / sum(group) for group in groups],
        "steps_per_second": steps / between if between else None,
        "first_epoch_s": _time(epochs[0]) - _time(started),
        "loss": examples["final"]["train.loss"],
    }


def _time(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def blas() -> list[str]:
    """The BLAS libraries in this process, with the kernels they chose."""
    from threadpoolctl import threadpool_info

    return [
        f"{info['internal_api']} {info['version']} {info.get('architecture')} kernels, {info['num_threads']} thread"
        f" (in {Path(info['filepath']).parent.name})"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    ]


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description="one measurement of fluxrun")
    parser.add_argument("spec", type=Path)
    parser.add_argument("--per-step", type=int, required=True, help="what a step counts for")
    parser.add_argument("--batch", type=int, required=True, help="examples in a step")
    parser.add_argument("--round-epochs", type=int, required=True, help="epochs for one rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        folder = train(arguments.spec, Path(runs))
        found = rates(folder, arguments.per_step // arguments.batch, arguments.round_epochs)
    # not before: NumPy, which it imports, would find an environment that fluxrun has not set up yet
    from benchmarks.gemms import bound

    whole = found.pop("steps_per_second")
    found |= {
        "whole": None if whole is None else whole * arguments.per_step,
        "bound": bound(arguments.spec, arguments.per_step, arguments.threads, arguments.rounds),
        "blas": blas(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
