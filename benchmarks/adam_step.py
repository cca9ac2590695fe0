"""One measurement of Adam over many parameters, with the gradients zeroed.

    per turn:  update, zero gradients      then      y *= a       over as many bytes

    python -m benchmarks.adam_step --side fluxrun --parameters 10000000 ──▶ {"adam": [seconds], "scale": [seconds]}

Adam reads and writes parameters, gradients and two slots: four arrays. `y` is as long as the four, so `y *= a` moves
the same bytes and says what memory allows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

ARRAYS = 4
FACTOR = np.float32(1.0 - 2.0**-20)
WARM = 3

Action = Callable[[], object]


def fluxrun_actions(n: int) -> tuple[Action, Action]:
    """The compiled update, and NumPy's scaling."""
    from flux_core.engine import fused_update
    from flux_core.engine.arena import aligned
    from flux_core.optim import OptState, adam

    optimizer = adam()
    update = fused_update(optimizer)
    x, g, y = aligned(n, np.float32), aligned(n, np.float32), aligned(ARRAYS * n, np.float32)
    rng = np.random.default_rng(0)
    rng.standard_normal(out=x, dtype=np.float32)
    rng.standard_normal(out=g, dtype=np.float32)
    y[:] = 1
    state = OptState({slot: aligned(n, np.float32) for slot in optimizer.slots})

    def step() -> None:
        nonlocal state
        state = update(state, x, g, learning_rate=0.001, decayed=n)

    return step, lambda: np.multiply(y, FACTOR, out=y)


def torch_actions(n: int) -> tuple[Action, Action]:
    """PyTorch's fused Adam with zeroing, and its scaling."""
    import torch

    x = torch.nn.Parameter(torch.randn(n))
    x.grad = torch.randn(n)
    y = torch.ones(ARRAYS * n)
    optimizer = torch.optim.Adam([x], lr=0.001, fused=True)

    def step() -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    return step, lambda: y.mul_(float(FACTOR))


SIDES = {"fluxrun": fluxrun_actions, "torch": torch_actions}


def measure(side: str, parameters: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each update and of each scaling, taken in turns."""
    step, scale = SIDES[side](parameters)
    found: dict[str, list[float]] = {"adam": [], "scale": []}
    for turn in range(WARM + rounds):
        for name, action in (("adam", step), ("scale", scale)):
            began = time.perf_counter()
            action()
            if turn >= WARM:
                found[name].append(time.perf_counter() - began)
    return found


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description="one measurement of Adam")
    parser.add_argument("--side", required=True, choices=SIDES)
    parser.add_argument("--parameters", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.side, arguments.parameters, arguments.rounds)))


if __name__ == "__main__":
    main()
