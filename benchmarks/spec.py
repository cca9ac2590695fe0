"""A workload as fluxrun trains it: a spec and an .npz file in a folder.

    Workload ──RECIPES[kind]──▶ model ──▶ FOLDER/NAME.yaml, FOLDER/NAME.npz ──▶ fluxrun train

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


RECIPES: Mapping[str, Callable[[Workload], list[Any]]] = {"mlp": mlp}


def trainable(work: Workload) -> bool:
    """Whether fluxrun has the layers."""
    return work.kind in RECIPES


def write_spec(work: Workload, folder: Path, epochs: int) -> Path:
    """Write the data and the spec; metrics are left out, because the peers measure none."""
    x, y = work.arrays()
    np.savez(folder / f"{work.name}.npz", x=x, y=y)
    spec = {
        "name": work.name,
        "data": {
            "source": "npz",
            "path": f"{work.name}.npz",
            "target": "y",
            "split": {"train": 1.0},
            "standardize": False,
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
