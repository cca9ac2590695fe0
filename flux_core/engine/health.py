"""The state of the kernel store and of what the engine stands on, for those who want to know what is wrong.

folders that are passed over, and why  ──▶  the folder in use ──▶ kernels, bytes, damaged ones
CPU, BLAS                              ──▶  one product, compared
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flux_core.caches.folder import candidates
from flux_core.engine.folder import INDEX, folder_name, passed_over
from flux_core.engine.store import Store

FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "amx-tile", "neon", "sve")


@dataclass(frozen=True)
class StoreHealth:
    """The folder in use (None: kernels are compiled by each process), what it holds, and what lies beside it.

    `outdated` folders belong to other versions of the sources or packages, or to another CPU.
    """

    folder: Path | None
    writable: bool
    passed_over: tuple[str, ...]  # with the reason of each
    kernels: int
    bytes: int
    damaged: int
    outdated: tuple[Path, ...]


def store_health() -> StoreHealth:
    """Look at the store as a training would find it; makes its folder if missing."""
    name = folder_name()
    refusals: list[str] = []
    for base in candidates():
        reason = passed_over(base, name)
        if reason is None:
            folder = base / name
            kernels, damaged = Store(folder).inventory()
            size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
            others = sorted(p for p in base.iterdir() if p.name.startswith("py") and p.name != name and _is_store(p))
            writable = os.access(folder, os.W_OK)
            return StoreHealth(folder, writable, tuple(refusals), kernels, size, damaged, tuple(others))
        refusals.append(reason)
    return StoreHealth(None, False, tuple(refusals), 0, 0, 0, ())


def _is_store(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def processor() -> tuple[str, tuple[str, ...]]:
    """The compiler's name for this CPU, and those of its vector features that matter most."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return llvm.get_host_cpu_name(), tuple(name for name in FEATURES if features.get(name))


def self_test() -> str | None:
    """What is wrong with a small product and a formula by the engine, compared with NumPy; None if nothing is.

    Compiles two kernels where the store does not hold them.
    """
    from flux_core.engine.compiled import Compiled
    from flux_core.ir import Graph, input_node
    from flux_core.ops import tanh
    from flux_core.passes import Type

    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    w = np.linspace(1, -1, 20, dtype=np.float32).reshape(4, 5)
    graph = Graph(tanh(input_node(0) @ input_node(1)), 2)
    found = Compiled(graph, [Type(x.shape), Type(w.shape)])(x, w)
    error = float(np.abs(found - np.tanh(x @ w)).max())
    return None if error <= 1e-5 else f"tanh(x @ w) is {error:.1e} away from what NumPy says"
