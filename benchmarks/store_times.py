"""One measurement of the kernel store: the time in it during a training from the command line.

    fluxrun train configs/digits.yaml ──▶ every Store.load, timed ──▶ {"kernels": 21, "compiled": 0, "seconds": 0.02}

With an empty store that is the time of the compiler, its import included; with a warm one, of reading and linking.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.on_fluxrun import train
from benchmarks.process import ROOT


def timed(load: Callable[[Iterable[Any]], list[int]], found: dict[str, Any]) -> Callable[[Iterable[Any]], list[int]]:
    """`load`, counting its seconds and the keys it was asked for."""

    def measured(kernels: Iterable[Any]) -> list[int]:
        wanted = list(kernels)
        began = time.perf_counter()
        addresses = load(wanted)
        found["seconds"] += time.perf_counter() - began
        found["keys"] |= {kernel.key for kernel in wanted}
        return addresses

    return measured


def main() -> None:
    """Measure, and print one line of JSON."""
    from fluxrun.main import BLAS_THREADS

    os.environ |= dict.fromkeys(BLAS_THREADS, "1")  # as fluxrun does before it loads anything
    from flux_core.engine import default_store

    found: dict[str, Any] = {"seconds": 0.0, "keys": set()}
    store = default_store()
    vars(store)["load"] = timed(store.load, found)  # of this one object
    with tempfile.TemporaryDirectory() as runs:
        train(ROOT / "configs" / "digits.yaml", Path(runs))
    print(json.dumps({"kernels": len(found["keys"]), "compiled": store.compiled, "seconds": found["seconds"]}))


if __name__ == "__main__":
    main()
