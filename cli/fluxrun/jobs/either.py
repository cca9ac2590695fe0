"""A spec, or the spec of a run: commands that take either read it here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fluxrun.spec.load import Loaded, load, near_spec
from fluxrun.store.listing import Run, find


def load_either(which: str, overrides: Sequence[str], runs: Path) -> tuple[Loaded, Run | None]:
    """The spec of a file (or of standard input, `-`), or the resolved one of a run, and the run.

    A run's spec has what FLUXRUN_SET said when the run began. Raises SpecError, MissingFile, NoSuchRun.
    """
    if which == "-" or _is_text(Path(which)):
        return load(which, overrides), None
    run = find(runs, which, "config and no run", near_spec)
    return load(str(run.folder / "resolved.yaml"), overrides, surrounding=False), run


def _is_text(path: Path) -> bool:
    """Whether a file is there that can be read; also a pipe, as in `fluxrun show <(...)`."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a name that is too long
        return False
