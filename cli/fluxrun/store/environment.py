"""Where and with what a run ran, for its record."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("fluxrun", "numpy", "numba", "llvmlite", "scipy")


def environment(directory: Path) -> dict[str, Any]:
    """Host, process, CPU, versions, and the git commit of `directory` if it has one."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "cpu": cpu_name(),
        "platform": _platform(),
        "versions": {"python": platform.python_version(), **{name: version_of(name) for name in PACKAGES}},
        "git": _git(directory),
    }


def process_alive(host: str, pid: int) -> bool | None:
    """Whether a process runs; None for another host, where nothing can be said."""
    if host != socket.gethostname():
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no process has so large a number
        return False
    except OSError:
        return True
    return True


def cpu_name() -> str:
    """What the CPU is called."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _platform() -> str:
    """The system, its release and the machine; `platform.platform` also reads the interpreter for its C library."""
    system = platform.uname()
    return f"{system.system}-{system.release}-{system.machine}"


def version_of(package: str) -> str | None:
    """The version of an installed package, or None; one that is imported knows its own."""
    if isinstance(own := getattr(sys.modules.get(package), "__version__", None), str):
        return own
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(directory: Path) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(directory), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
