"""PyTorch's side of a workload.

rows ──▶ x[rows], y[rows] ──▶ model ──▶ cross_entropy ──▶ backward ──▶ fused optimiser step
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from numpy.typing import NDArray
from torch import nn

from benchmarks.peers import Trainer
from benchmarks.workload import Workload


class Recurrent(nn.Module):
    """One-hot ids, LSTM or GRU layers, a score for each symbol."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        kind = nn.LSTM if work.kind == "lstm" else nn.GRU
        self.vocab = work.vocab
        self.cell = kind(work.vocab, work.hidden, work.layers, batch_first=True)
        self.out = nn.Linear(work.hidden, work.vocab)

    def forward(self, ids: Any) -> Any:
        hidden, _ = self.cell(F.one_hot(ids, self.vocab).float())
        return self.out(hidden).reshape(-1, self.vocab)


def lenet() -> nn.Module:
    """LeNet-5 with relu and max pooling, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def mlp(sizes: tuple[int, ...]) -> nn.Module:
    """Linear layers with relu between them."""
    layers: list[nn.Module] = []
    for n_in, out in pairwise(sizes):
        layers += [nn.Linear(n_in, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def torch_trainer(work: Workload, *, compiled: bool, threads: int) -> Trainer:
    """A function that trains on the minibatches it is given."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Recurrent(work) if work.recurrent else lenet() if work.kind == "lenet" else mlp(work.sizes)
    rule: Any = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[work.optimizer]
    fused = {"fused": True} if work.optimizer == "adam" else {}  # SGD is no faster with it
    optimizer = rule(model.parameters(), lr=work.learning_rate, **fused)
    x, y = (torch.from_numpy(a) for a in work.arrays())

    def step(rows: Any) -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss: Any = F.cross_entropy(model(x[rows]), y[rows].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.detach()

    function = torch.compile(step) if compiled else step

    def train(order: NDArray[np.int64]) -> float:
        loss = None
        for rows in torch.from_numpy(order):
            loss = function(rows)
        return float(loss)  # type: ignore[arg-type]  # an order has rows

    return train
