"""The optimiser step as one loop over the flat arena.

    for each element: read g ──▶ scale, clip, decay ──▶ rule ──▶ write x, slots, g = 0

The loop is generated from the optimiser's scalar rule, so there is one text for the meaning (NumPy) and for
the machine, and the two agree to the bit. It runs twice over its body: over the elements that weight decay
touches, and over those behind them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from math import inf, sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import Instruction
from flux_core.engine.store import Store, default_store
from flux_core.optim.optimizer import Optimizer, OptState
from flux_core.optim.rules import clip

Floats = NDArray[np.float32]

FLOAT = 4  # bytes
CHUNK = 4096  # numbers whose squares are summed at once
NORM = ("squares_of_chunks", "sum_of_squares")

TEMPLATE = """
from __future__ import annotations
from typing import Any
import numpy as np
from numba import carray, njit
from flux_core.engine.kernels.pointers import at

@njit(error_model="numpy")
{clip}

@njit(error_model="numpy")
{rule}

def {name}(arena, operands):
    size, decayed = operands[{place} + 1], operands[{place} + 2]
    numbers = carray(at(arena, operands[{place}]), {count})
    {numbers}
    # the elements that weight decay touches
    {decayed_arrays}
    for i in range(decayed):
        dx = clip(scale * g[i], limit)
        {results} = {step}({with_decay})
        {clear}
    # the elements behind them
    {spared_arrays}
    for i in range(size - decayed):
        dx = clip(scale * g[i], limit)
        {results} = {step}({without_decay})
        {clear}
"""


class Update(Protocol):
    """What `Optimizer.update` is, for float32 alone."""

    def __call__(
        self,
        state: OptState,
        x: Floats,
        g: Floats,
        *,
        learning_rate: float,
        scale: float = 1.0,
        clip_value: float | None = None,
        decayed: int,
    ) -> OptState:
        """Take one step in place; raises ValueError for arrays that the loop cannot work on."""


def fused_update(optimizer: Optimizer, store: Store | None = None) -> Update:
    """The compiled `optimizer.update`: the same arguments, the same bits, one pass over memory."""
    run = (store or default_store()).function(update_kernel(optimizer))

    def update(
        state: OptState,
        x: Floats,
        g: Floats,
        *,
        learning_rate: float,
        scale: float = 1.0,
        clip_value: float | None = None,
        decayed: int,
    ) -> OptState:
        arrays = [x, g, *(state.slots[slot] for slot in optimizer.slots)]
        for array in arrays:
            _check(array, x.size)
        if not 0 <= decayed <= x.size:
            raise ValueError(f"{decayed} decayed elements of {x.size}")
        step = state.step + 1
        limit = inf if clip_value is None else clip_value
        settings = (scale, limit, optimizer.decay(learning_rate))
        numbers = np.array([*settings, *optimizer.numbers(step, learning_rate)], np.float32)
        base = _address(x)
        places = [(_address(array) - base) // FLOAT for array in (*arrays, numbers)]
        operands = np.array([*places, x.size, decayed], np.int64)
        run(base, _address(operands))
        return OptState(state.slots, step)

    return update


def gradient_norm(g: Floats, store: Store | None = None) -> float:
    """√Σg² of a flat gradient, summed in float64; its bits depend on `g` alone."""
    _check(g, g.size)
    sums, base = np.zeros(1 + chunks(g.size)), _address(g)
    total, first = (_address(sums) - base) // FLOAT, (_address(sums[1:]) - base) // FLOAT
    for run, instruction in zip(_norm(store or default_store()), norm(0, g.size, first, total), strict=True):
        words = np.array(instruction.operands, np.int64)
        run(base, _address(words))
    return sqrt(sums[0])


def chunks(size: int) -> int:
    """How many chunks a gradient of that size has."""
    return -(-size // CHUNK)


def norm(g: int, size: int, sums: int, total: int) -> list[Instruction]:
    """The instructions for Σg², by the places of the gradient, of `chunks(size)` sums and of the result, float64."""
    by_chunk, added = (Kernel.written(name, "norm") for name in NORM)
    return [
        Instruction(by_chunk, (g, size, CHUNK, sums), by_chunk.name),
        Instruction(added, (sums, chunks(size), total), added.name),
    ]


@cache
def _norm(store: Store) -> list[Callable[[int, int], None]]:
    return [store.function(Kernel.written(name, "norm")) for name in NORM]


def update_kernel(optimizer: Optimizer, *, clear: bool = True) -> Kernel:
    """The kernel of a rule; its operands: x, g, the slots, the numbers (all offsets), size, decayed.

    The numbers are scale, clipping limit, decay and those of the rule. Without `clear` the gradient is left as it
    is, which saves a stream of writes where the next step overwrites it anyway.
    """
    rule = optimizer.rule
    arrays = ["x", "g", *rule.slots]
    rule_numbers = [f"number{i}" for i in range(len(rule.numbers(optimizer.hyper, 1, 1.0)))]
    numbers = ["scale", "limit", "decay", *rule_numbers]
    slots = [f"{slot}[i]" for slot in rule.slots]
    decayed = ["x[i] - decay * x[i]", "dx"] if rule.decoupled else ["x[i]", "dx + decay * x[i]"]

    def views(begin: str, size: str) -> str:
        places = [(name, f"at(arena, operands[{i}] + {begin})") for i, name in enumerate(arrays)]
        return "\n    ".join(f"{name} = carray({place}, {size})" for name, place in places)

    name = f"update_{optimizer.name}"
    text = TEMPLATE.format(
        clip=inspect.getsource(clip),
        rule=inspect.getsource(rule.step),
        step=rule.step.__name__,
        name=name,
        place=len(arrays),
        count=len(numbers),
        numbers="\n    ".join(f"{name} = numbers[{i}]" for i, name in enumerate(numbers)),
        decayed_arrays=views("0", "decayed"),
        spared_arrays=views("decayed", "size - decayed"),
        clear="g[i] = 0" if clear else "",
        results=", ".join(["x[i]", *slots]) if slots else "x[i],",
        with_decay=", ".join([*decayed, *slots, *rule_numbers]),
        without_decay=", ".join(["x[i]", "dx", *slots, *rule_numbers]),
    )
    return Kernel(name, text)


def _check(array: NDArray[np.float32], size: int) -> None:
    """Refuse what machine code would read or write wrongly."""
    if array.dtype != np.float32 or array.shape != (size,) or not array.flags.carray:
        raise ValueError(
            f"the compiled update works on contiguous, writable float32 arrays of shape ({size},), "
            f"not on {array.dtype} {array.shape}"
        )


def _address(array: NDArray[Any]) -> int:
    """Where an array begins; `array.ctypes.data` says the same and takes longer than a small update."""
    return int(array.__array_interface__["data"][0])
