"""One measurement of a peer: the same training in PyTorch or JAX.

    python -m benchmarks.peers --peer torch --work mlp --rounds 5 ──▶ {"rates": [...], ...}

    torch          eager                                 torch-compile  the whole step compiled
    jax            one compiled call for each step       jax-scan       one for each epoch, gathering inside

Everybody does the same work in each step: gather a shuffled minibatch from data in memory, forward, mean softmax
cross-entropy, backward, update; float32. A peer's shuffling is outside of the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.process import usable_cores
from benchmarks.workload import WORKLOADS, Workload, load

PEERS = {"torch": "torch", "torch-compile": "torch", "jax": "jax", "jax-scan": "jax"}  # peer -> package

Trainer = Callable[[NDArray[np.int64]], float]  # takes rows of minibatches, returns the last loss


def present() -> list[str]:
    """The peers that are installed."""
    return [peer for peer, package in PEERS.items() if find_spec(package) is not None]


def trainer(peer: str, work: Workload) -> Trainer:
    """The training of a workload by a peer."""
    if PEERS[peer] == "torch":
        from benchmarks.torch_peer import torch_trainer

        return torch_trainer(work, compiled=peer == "torch-compile", threads=usable_cores())
    from benchmarks.jax_peer import jax_trainer

    return jax_trainer(work, scan=peer == "jax-scan")


def measure(peer: str, work: Workload, rounds: int) -> dict[str, object]:
    """Rates of `rounds` rounds of whole epochs, after two epochs to warm up."""
    rng = np.random.default_rng(0)
    train = trainer(peer, work)
    warm = work.order(rng, 1)
    began = time.perf_counter()
    train(warm if peer == "jax-scan" else warm[:2])  # jax-scan compiles for the length of an epoch
    first = time.perf_counter() - began
    train(work.order(rng, 1))
    rates, loss = [], float("nan")
    for _ in range(rounds):
        order = work.order(rng, work.round_epochs)
        began = time.perf_counter()
        loss = train(order)
        rates.append(len(order) * work.per_step / (time.perf_counter() - began))
    return {"rates": rates, "first_epoch_s": first, "loss": loss}


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description="one measurement of a peer")
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--work", required=True)
    parser.add_argument("--workloads", type=Path, default=WORKLOADS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.peer, load(arguments.workloads)[arguments.work], arguments.rounds)))


if __name__ == "__main__":
    main()
