"""What a training would stand on here, and what is wrong with it.

versions   CPU, cores   BLAS   kernel store   one product by the engine      each probed by itself
   └──────────┴──────────┴─────────┴───────────────┴──▶ Report, problems with a next step
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fluxrun.store.environment import PACKAGES, cpu_name, version_of

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """Something to know, and what to do about it; `broken` if trainings suffer until it is done."""

    what: str
    next: str
    broken: bool = True


@dataclass
class Report:
    """Facts by topic, in the order in which they are shown, and findings."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not any(finding.broken for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """What `doctor --json` prints."""
        return {"ok": self.ok, **self.facts, "problems": [vars(finding) for finding in self.findings]}


def examine() -> Report:
    """Look at everything; never raises for what it finds."""
    report = Report()
    report.facts["versions"] = _versions(report)
    report.facts["cpu"] = _probed("the CPU", _cpu, report) or {}
    report.facts["blas"] = _probed("BLAS", lambda: _blas(report), report) or {}
    report.facts["store"] = _probed("the kernel store", lambda: _store(report), report) or {}
    if report.ok:  # else it is clear that it fails, or why it is slow
        _probed("the engine", lambda: _engine(report), report)
    return report


def _probed(topic: str, probe: Callable[[], T], report: Report) -> T | None:
    """What a probe finds; its error is a finding."""
    try:
        return probe()
    except Exception as error:  # whatever fails here is a finding: telling it is what this is for
        what = f"{topic} cannot be examined: {type(error).__name__}: {error}"
        report.findings.append(Finding(what, "install fluxrun anew, in an environment of its own"))
        return None


def _versions(report: Report) -> dict[str, Any]:
    import platform

    found = {"python": platform.python_version(), **{name: version_of(name) for name in PACKAGES}}
    for name, version in found.items():
        if version is None:
            report.findings.append(Finding(f"{name} is not installed", f"pip install {name}"))
    return found


def _cpu() -> dict[str, Any]:
    from flux_core.engine.health import processor
    from flux_core.training.plan import usable_cores

    name, features = processor()
    return {
        "name": cpu_name(),
        "compiled_for": name,
        "features": list(features),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
    }


def _blas(report: Report) -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    from flux_core.engine.blas import sgemm_address

    sgemm_address()  # loads the library that products go to
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    ours = next((pool for pool in pools if "scipy" in Path(pool["filepath"]).parent.name), pools[0] if pools else None)
    if ours is None:
        return {}
    if ours["num_threads"] != 1:
        what = f"BLAS runs {ours['num_threads']} threads of its own, which costs small models time"
        report.findings.append(Finding(what, "start trainings through fluxrun, which sets one"))
    if chosen := os.environ.get("OPENBLAS_CORETYPE"):
        what = f"OPENBLAS_CORETYPE={chosen} chooses the kernels of BLAS, which may be slower than its own choice"
        report.findings.append(Finding(what, "unset it, unless results must be those of another CPU", broken=False))
    found = {"library": ours["internal_api"], "version": ours["version"], "kernel": ours.get("architecture")}
    return {**found, "threads": ours["num_threads"], "file": ours["filepath"]}


def _store(report: Report) -> dict[str, Any]:
    from flux_core.engine.health import store_health

    health = store_health()
    chosen = "FLUXRUN_CACHE" if "FLUXRUN_CACHE" in os.environ else None
    for reason in health.passed_over:
        what = f"a place for kernels is passed over: {reason}"
        mend = f"mend it, or let {chosen or 'FLUXRUN_CACHE'} name a folder that is yours alone (chmod go-w)"
        report.findings.append(Finding(what, mend))
    if health.folder is None:
        what = "no folder can keep compiled kernels: every process compiles its own, for seconds"
        report.findings.append(Finding(what, "let FLUXRUN_CACHE name a folder that can be written to"))
    elif not health.writable:
        what = f"{health.folder} cannot be written to: kernels that it lacks are compiled by every process"
        report.findings.append(Finding(what, "make it writable, or let FLUXRUN_CACHE name another folder"))
    if health.damaged:
        what = f"{health.damaged} of {health.kernels} kernels are damaged; they are compiled anew when needed"
        report.findings.append(Finding(what, "fluxrun warmup", broken=False))
    if health.folder is not None and not health.kernels:
        what = "no kernel is compiled yet: the first training takes some seconds longer"
        report.findings.append(Finding(what, "fluxrun warmup", broken=False))
    if health.outdated:
        parent, count = health.outdated[0].parent, len(health.outdated)
        folders = "1 folder" if count == 1 else f"{count} folders"
        what = f"{folders} in {parent} {'is' if count == 1 else 'are'} of another version or another CPU"
        report.findings.append(Finding(what, "remove them if nothing uses them any more", broken=False))
    return {
        "folder": str(health.folder) if health.folder else None,
        "writable": health.writable,
        "kernels": health.kernels,
        "bytes": health.bytes,
    }


def _engine(report: Report) -> None:
    from flux_core.engine.health import self_test

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrong = self_test()
    if wrong is not None:
        report.findings.append(
            Finding(f"the engine computes wrongly: {wrong}", "train.engine: reference until it is mended")
        )
    for warning in caught:
        report.findings.append(Finding(str(warning.message), "free some room on the disk, or set FLUXRUN_CACHE"))
