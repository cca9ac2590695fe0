"""configs/digits.yaml, written in PyTorch: the same data, splits, model, epochs, minibatches, metrics and results.

    digits.npz ──▶ split, standardise ──▶ 20 epochs: train, validate, keep the best ──▶ test the best ──▶ files

    python benchmarks/digits_torch.py FOLDER          prints one line of JSON

Written for speed where PyTorch gives a choice: minibatches are index tensors into data in memory, Adam is fused, the
sums of the metrics stay tensors until the end of the epoch.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from torch import nn

DATA = Path(__file__).parent.parent / "configs" / "data" / "digits.npz"
EPOCHS, BATCH, CLASSES = 20, 32, 10
PARTS = ("train", "valid", "test")
Split = tuple[Any, Any]  # x, y


def splits(seed: int = 0) -> dict[str, Split]:
    """0.8, 0.1 and 0.1 of every digit, standardised by the training split."""
    archive = np.load(DATA)
    x, y = archive["x"].astype(np.float32), archive["y"].astype(np.int64)
    rows = np.random.default_rng(seed).permutation(len(y))
    rows = rows[np.argsort(y[rows], kind="stable")]  # digit by digit: every tenth row is a tenth of every digit
    tenth = np.arange(len(y)) % 10
    taken = [rows[(tenth != 0) & (tenth != 5)], rows[tenth == 0], rows[tenth == 5]]
    mean, std = x[taken[0]].mean(0), x[taken[0]].std(0)
    x = (x - mean) / np.where(std > 0, std, 1)
    arrays = [(torch.from_numpy(x[rows]), torch.from_numpy(y[rows])) for rows in taken]
    return dict(zip(PARTS, arrays, strict=True))


class Sums:
    """Running means of loss and accuracy."""

    def __init__(self) -> None:
        self.loss, self.right, self.rows = torch.zeros(()), torch.zeros((), dtype=torch.int64), 0

    def add(self, loss: torch.Tensor, scores: torch.Tensor, y: torch.Tensor) -> None:
        """Count a minibatch."""
        self.loss += loss.detach() * len(y)
        self.right += (scores.detach().argmax(1) == y).sum()
        self.rows += len(y)

    def values(self) -> dict[str, float]:
        """The means."""
        return {"loss": self.loss.item() / self.rows, "accuracy": self.right.item() / self.rows}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, data: Split) -> dict[str, float]:
    """One epoch."""
    model.train()
    x, y = data
    sums = Sums()
    order: Any = torch.randperm(len(y))
    for rows in order.split(BATCH):
        scores = model(x[rows])
        loss: Any = F.cross_entropy(scores, y[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        sums.add(loss, scores, y[rows])
    return sums.values()


@torch.no_grad()
def evaluate(model: nn.Module, data: Split) -> dict[str, float]:
    """Loss and accuracy of a split."""
    model.eval()
    sums = Sums()
    for x, y in zip(data[0].split(BATCH), data[1].split(BATCH), strict=True):
        scores = model(x)
        sums.add(F.cross_entropy(scores, y), scores, y)
    return sums.values()


def main(folder: Path) -> None:
    """Train, keep metrics and checkpoints in `folder`, print the results."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more of them are slower on a model of this size
    data = splits()
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    best, best_loss = model.state_dict(), float("inf")
    with (folder / "metrics.jsonl").open("w") as metrics:
        for epoch in range(1, EPOCHS + 1):
            for part in ("train", "valid"):
                found = train(model, optimizer, data[part]) if part == "train" else evaluate(model, data[part])
                metrics.write(json.dumps({"epoch": epoch, "split": part, **found}) + "\n")
                metrics.flush()
            if found["loss"] < best_loss:
                best, best_loss = copy.deepcopy(model.state_dict()), found["loss"]
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, folder / "last.pt")
    torch.save({"model": best}, folder / "best.pt")
    model.load_state_dict(best)
    print(json.dumps({"examples": [len(data[part][1]) for part in PARTS], "test": evaluate(model, data["test"])}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
