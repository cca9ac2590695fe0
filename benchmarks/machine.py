"""What was measured on: the CPU, the versions of everybody, and how busy it was.

versions, cores, load ──▶ dict ──▶ lines above the tables
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.process import usable_cores

PACKAGES = ("fluxrun", "numpy", "scipy", "numba", "llvmlite", "torch", "jax", "jaxlib")
BUSY = 0.3  # load average above which the numbers are not to be trusted


def machine() -> dict[str, Any]:
    """CPU, cores, system, versions, and the load average of the last minute."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def described(found: dict[str, Any]) -> str:
    """The machine in a few lines."""
    versions = ", ".join(f"{name} {v}" for name, v in found["versions"].items() if v)
    lines = [
        f"{found['cpu']}, {found['cores']} cores, {found['system']}",
        f"Python {found['python']}, {versions}",
    ]
    if found["load"] is not None and found["load"] > BUSY:
        lines.append(f"The machine is busy (load {found['load']}): do not quote these numbers.")
    return "\n".join(lines)


def _cpu() -> str:
    try:
        facts = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
    except OSError:
        return platform.processor() or platform.machine()
    values = {name.strip(): value.strip() for name, value in reversed(facts)}
    name = values.get("model name", platform.machine())
    wide = [flag for flag in ("avx2", "avx512f") if flag in values.get("flags", "").split()]
    family = f"family {values['cpu family']}, model {values['model']}" if "cpu family" in values else ""
    return ", ".join(filter(None, [name, family, *wide]))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
