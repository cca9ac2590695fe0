"""The state that a run goes on from: the newest checkpoint that is whole.

last.safetensors   ─ damaged ─▶   the newest of the others   ─ all damaged ─▶   an error, never a silent new start
"""

from __future__ import annotations

from pathlib import Path

from flux_core.errors import CheckpointError
from flux_core.training import checkpoint
from flux_core.training.events import TrainState


def latest(folder: Path) -> tuple[TrainState | None, list[str]]:
    """The state, or None where none was ever saved, and what is worth saying about it. Raises CheckpointError."""
    files = sorted((folder / "checkpoints").glob("*.safetensors"))
    last = [path for path in files if path.stem == "last"]
    wrong: list[str] = []
    for group in (last, [path for path in files if path not in last]):
        found: list[tuple[int, Path, TrainState]] = []
        for path in group:
            try:
                tensors, meta = checkpoint.read(path)
                if "part" not in meta:
                    found.append((int(meta["position"]["step"]), path, TrainState(tensors, meta)))
            except CheckpointError as error:
                wrong.append(str(error))
            except (KeyError, TypeError, ValueError):
                wrong.append(f"{path}: this is no state of a training")
        if found:
            step, path, state = max(found, key=lambda entry: entry[:1])
            return state, [*wrong, *([f"going on from {path.name}, at step {step:,}"] if wrong else [])]
    if wrong:
        raise CheckpointError("; ".join(wrong) + "; no checkpoint is left to go on from")
    return None, ["no state was saved yet: the run begins anew"]
