"""A workload as fluxrun trains it: a spec and a file of data in a folder.

    Workload ──RECIPES[kind]──▶ model ──▶ FOLDER/NAME.yaml, FOLDER/NAME.npz or NAME.txt ──▶ fluxrun train

A kind without a recipe is one that fluxrun has no layers for yet; a recipe is all that has to be added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import Workload


def mlp(work: Workload) -> list[Any]:
    """Affine layers with relu between them."""
    layers: list[Any] = []
    for size in work.sizes[1:]:
        layers += [{"affine": size}, "relu"]
    return layers[:-1]


def recurrent(work: Workload) -> list[Any]:
    """One-hot ids, recurrent layers one above the other, a score for each symbol."""
    return [{"onehot": work.vocab}, {work.kind: {"out": work.hidden, "layers": work.layers}}, {"affine": work.vocab}]


RECIPES: Mapping[str, Callable[[Workload], list[Any]]] = {"mlp": mlp, "lstm": recurrent, "gru": recurrent}
FIRST_SYMBOL = 0x100  # letters from here on: none of them ends a line


def trainable(work: Workload) -> bool:
    """Whether fluxrun has the layers."""
    return work.kind in RECIPES


def write_spec(work: Workload, folder: Path, epochs: int) -> Path:
    """Write the data and the spec; metrics are left out, because the peers measure none."""
    spec = {
        "name": work.name,
        "data": {
            **(_text if work.recurrent else _rows)(work, folder),
            "split": {"train": 1.0},
            "batch_size": work.batch,
        },
        "model": RECIPES[work.kind](work),
        "train": {
            "loss": "cross_entropy",
            "optimizer": {work.optimizer: {"learning_rate": work.learning_rate}},
            "epochs": epochs,
            "metrics": [],
        },
    }
    file = folder / f"{work.name}.yaml"
    file.write_text(json.dumps(spec, indent=1))  # JSON is YAML
    return file


def _rows(work: Workload, folder: Path) -> dict[str, Any]:
    """Examples in an .npz file."""
    x, y = work.arrays()
    np.savez(folder / f"{work.name}.npz", x=x, y=y)
    return {"source": "npz", "path": f"{work.name}.npz", "target": "y", "standardize": False}


def _text(work: Workload, folder: Path) -> dict[str, Any]:
    """Random letters, one for each id: as many windows as the peers have sequences, each begun anew, shuffled."""
    ids = work.arrays()[0].reshape(-1)
    ids[: work.vocab] = np.arange(work.vocab)  # every symbol is there
    letters = "".join(chr(FIRST_SYMBOL + i) for i in [*ids.tolist(), 0])  # behind the last one comes a target
    (folder / f"{work.name}.txt").write_text(letters, encoding="utf-8")
    steps = {"steps": work.steps_per_sequence, "carry_state": False}
    return {"source": "text", "path": f"{work.name}.txt", **steps}
