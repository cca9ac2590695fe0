"""Processes that are measured: pinned to cores, in an environment that slows nobody down.

    run([python, -m, ...], cores=1)  ──▶  Finished(began, seconds, output)      raises Failed

A process sees only the first `cores` of the cores at hand, from its first instruction on, so that every thread
pool in it is made for these.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 900
PYTHON = sys.executable

# The first two make OpenBLAS use other kernels than those of this CPU; the rest would bind the peers' thread pools,
# or change what fluxrun trains.
UNSET = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "FLUXRUN_SET",
    "FLUXRUN_RUNS",
    "FLUXRUN_CACHE",
)


class Failed(Exception):
    """A measured process ended badly; its last words."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well: when it was started (seconds since 1970), how long it took, what it said."""

    began: float
    seconds: float
    output: str

    def report(self) -> dict[str, Any]:
        """The JSON object in the last line."""
        found: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return found


def environment(cores: int, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process.

    >>> sorted(set(environment(2)) & {*UNSET, "FLUXRUN_THREADS"}), environment(2)["FLUXRUN_THREADS"]
    (['FLUXRUN_THREADS'], '2')
    """
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"FLUXRUN_THREADS": str(cores), "PYTHONPATH": os.pathsep.join(paths)} | dict(more or {})


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(command: Sequence[str], cores: int, more: Mapping[str, str] | None = None) -> Finished:
    """Run a command on the first `cores` cores; raises Failed."""

    def pin() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    began, clock = time.time(), time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(cores, more),
            preexec_fn=pin if hasattr(os, "sched_setaffinity") else None,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took more than {TIMEOUT_SECONDS} s") from None
    seconds = time.perf_counter() - clock
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failed(said[-1])
    return Finished(began, seconds, done.stdout)


def module(name: str, *arguments: object) -> list[str]:
    """The command that runs a module of this package."""
    return [PYTHON, "-m", f"benchmarks.{name}", *map(str, arguments)]


def fluxrun(*arguments: object) -> list[str]:
    """The command `fluxrun`, as it is installed beside this Python."""
    script = Path(PYTHON).parent / "fluxrun"
    return [*([str(script)] if script.exists() else [PYTHON, "-m", "fluxrun"]), *map(str, arguments)]
