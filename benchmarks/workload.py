"""A workload: a model, its data and how it is trained, as every side understands it.

    workloads.json ──▶ Workload ──▶ arrays() -> x, y         random, in memory
                                └─▶ order(rng, steps)        rows of each minibatch, shuffled every epoch

The targets are random too: the arithmetic is the same, and nobody can win by learning less.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORKLOADS = Path(__file__).parent / "workloads.json"
STREAMS_OF_BATCHES = 4  # minibatches in one epoch of a recurrent workload


@dataclass(frozen=True)
class Workload:
    """What is trained. `kind` is mlp (`sizes`), lenet (`image`, `classes`), lstm or gru (`vocab`, `hidden`, ...);
    `steps` are taken for one rate."""

    name: str
    kind: str
    batch: int
    optimizer: str
    learning_rate: float
    steps: int
    examples: int = 0
    sizes: tuple[int, ...] = ()
    image: tuple[int, ...] = ()
    classes: int = 0
    vocab: int = 0
    hidden: int = 0
    layers: int = 0
    steps_per_sequence: int = 0

    @property
    def recurrent(self) -> bool:
        """Whether it reads sequences of ids."""
        return self.kind in ("lstm", "gru")

    @property
    def rows(self) -> int:
        """Examples, or sequences, in the data."""
        return STREAMS_OF_BATCHES * self.batch if self.recurrent else self.examples

    @property
    def batches(self) -> int:
        """Minibatches in an epoch; the data are whole minibatches."""
        return self.rows // self.batch

    @property
    def per_step(self) -> int:
        """What a step counts for: examples, or tokens."""
        return self.batch * (self.steps_per_sequence if self.recurrent else 1)

    @property
    def unit(self) -> str:
        """The unit of its rates."""
        return "tokens/s" if self.recurrent else "examples/s"

    @property
    def round_epochs(self) -> int:
        """Epochs in one rate: the whole epochs in `steps`, at least one."""
        return max(1, self.steps // self.batches)

    @property
    def outputs(self) -> int:
        """Numbers that the model gives for an example."""
        return self.sizes[-1] if self.kind == "mlp" else self.vocab if self.recurrent else self.classes

    def arrays(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """x, float32 (rows, ...) or int64 (rows, time), and y, int64 (rows,) or (rows, time)."""
        rng = np.random.default_rng(0)
        if self.recurrent:
            shape = (self.rows, self.steps_per_sequence)
            return rng.integers(0, self.vocab, shape), rng.integers(0, self.vocab, shape)
        images = (self.rows, *(self.image or self.sizes[:1]))
        return rng.standard_normal(images, np.float32), rng.integers(0, self.outputs, self.rows)

    def order(self, rng: np.random.Generator, epochs: int) -> NDArray[np.int64]:
        """Rows of every minibatch of some epochs, int64 (steps, batch).

        >>> work = load()["mlp"]
        >>> work.order(np.random.default_rng(0), 3).shape
        (300, 64)
        """
        size = self.batches * self.batch
        shuffled = [rng.permutation(self.rows)[:size].reshape(self.batches, self.batch) for _ in range(epochs)]
        return np.concatenate(shuffled)


def load(file: Path = WORKLOADS) -> dict[str, Workload]:
    """The workloads of a file, by name; raises TypeError for a key that there is not."""
    entries = json.loads(file.read_text())
    return {name: Workload(name, **{k: _fixed(v) for k, v in entry.items()}) for name, entry in entries.items()}


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
