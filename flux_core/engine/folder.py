"""Where compiled kernels are kept.

    $FLUXRUN_CACHE | $XDG_CACHE_HOME/fluxrun | ~/.cache/fluxrun | TMP/fluxrun-UID
        └── py3.11-numba0.68.1-1f0c.../        one folder for one set of sources, versions and one kind of CPU

Native code is loaded from there, so a folder that belongs to someone else, or that others may write to, is
passed over. Everything that changes what the compiler makes is in the folder's name: a changed source or
version finds an empty folder and never old code.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from flux_core.caches.folder import candidates, unfit

INDEX = "index.json"


class FolderWarning(UserWarning):
    """Kernels are kept in another folder than the one that was asked for."""


def store_folder() -> Path | None:
    """The first folder that is ours and can keep kernels or has some, made if missing; None if there is none.

    Warns where that is not the one that FLUXRUN_CACHE names: whoever set it looks for kernels there.
    """
    name = folder_name()
    refusals = []
    for base in candidates():
        if (reason := passed_over(base, name)) is not None:
            refusals.append(reason)
            continue
        if refusals and os.environ.get("FLUXRUN_CACHE"):
            words = f"FLUXRUN_CACHE cannot be used: {refusals[0]}; kernels are kept in {base / name}"
            warnings.warn(words, FolderWarning, stacklevel=2)
        return base / name
    return None


def passed_over(base: Path, name: str) -> str | None:
    """Why kernels are not kept in `base`/`name`, which is made if missing; None if they can be."""
    return unfit(base, name, sign=INDEX)


def folder_name() -> str:
    """The name for these sources, versions, settings and this CPU."""
    from importlib.metadata import version

    import llvmlite
    import llvmlite.binding as llvm
    import numpy as np

    python = ".".join(map(str, sys.version_info[:3]))
    numba = version("numba")
    digest = hashlib.sha256()
    for fact in (
        python,
        sys.implementation.cache_tag,
        numba,
        llvmlite.__version__,
        np.__version__,
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        *(f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith("NUMBA_")),
        *sources(),
    ):
        digest.update(fact.encode("utf-8", "surrogateescape") + b"\0")
    return f"py{python}-numba{numba}-{digest.hexdigest()[:16]}"


def sources() -> Iterator[str]:
    """The text of the compiler and of all that kernels may call: Numba does not see a changed callee by itself."""
    here = Path(__file__).parent
    for file in (here / "compiler.py", *sorted((here / "kernels").glob("*.py"))):
        yield file.read_text("utf-8")
