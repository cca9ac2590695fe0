"""The state that a run goes on from: the newest checkpoint that is whole.

last, best, step-00000120, step-00000110 ... ─▶ the one with the most steps of those that are whole
                                                none is whole ─▶ an error, never a silent new start

`best` may hold weights alone, of an epoch that others followed: then it can be read, but not gone on from.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from flux_core.errors import CheckpointError
from flux_core.training import checkpoint
from flux_core.training.events import TrainState

NUMBERED = re.compile(r"step-([0-9]+)\.safetensors")


class Found(NamedTuple):
    """A state and where it was found."""

    step: int
    path: Path
    state: TrainState


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The numbered checkpoints of a run by their steps, oldest first."""
    found = ((NUMBERED.fullmatch(path.name), path) for path in (folder / "checkpoints").glob("step-*"))
    return sorted((int(match[1]), path) for match, path in found if match)


def latest(folder: Path) -> tuple[TrainState | None, list[str]]:
    """The state, or None where none was ever saved, and what is worth saying about it. Raises CheckpointError."""
    wrong: list[str] = []
    found: Found | None = None
    for name in ("last", "best"):
        path = folder / "checkpoints" / f"{name}.safetensors"
        state = _whole(path, wrong) if path.exists() else None
        if state is not None and (found is None or state.step > found.step):
            found = state
    for step, path in reversed(numbered(folder)):
        if found is not None and step <= found.step:
            break  # what is older need not even be read
        found = _whole(path, wrong) or found
    if found is not None:
        return found.state, [*wrong, *([f"going on from {found.path.name}, at step {found.step:,}"] if wrong else [])]
    if wrong:
        raise CheckpointError("; ".join(wrong) + "; no checkpoint is left to go on from")
    return None, ["no state was saved yet: the run begins anew"]


def _whole(path: Path, wrong: list[str]) -> Found | None:
    """A checkpoint that can be gone on from; else None, and why not is added to `wrong`."""
    try:
        tensors, meta = checkpoint.read(path)
        if "part" in meta:
            return None
        return Found(int(meta["position"]["step"]), path, TrainState(tensors, meta))
    except CheckpointError as error:
        wrong.append(str(error))
    except (KeyError, TypeError, ValueError):
        wrong.append(f"{path}: this is no state of a training")
    return None
