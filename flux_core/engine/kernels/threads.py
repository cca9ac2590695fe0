"""A barrier for threads that are all in machine code: count arrivals, and wait for the last to open the gate.

    word 0   how many have arrived, over all rounds
    word 8   how many rounds are over (on another cache line: waiting is reading it)

Waiting spins for about 20 microseconds and then offers the core to others: the peer that is waited for may need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from flux_core.engine.kernels.pointers import at, ints

types: Any = import_module("numba.types")
SPINS = 4000  # reads of a word that sits in the nearest cache, 5 ns each


def _add_one(typing: Any, pointer: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", arguments[0], ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(ints), generate


def _load(typing: Any, pointer: Any) -> Any:
    return types.int64(ints), lambda context, builder, signature, arguments: builder.load_atomic(
        arguments[0], "acquire", 8
    )


def _offer_core(typing: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module, name = builder.module, "sched_yield"
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(ir.IntType(32), []), name)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


add_one: Any = intrinsic(_add_one)
load: Any = intrinsic(_load)
offer_core: Any = intrinsic(_offer_core)


@njit(error_model="numpy", forceinline=True)
def meet(gate: Any, threads: Any, round_: Any) -> None:
    """Wait until `threads` threads have called this for the `round_`th time, counted from 1."""
    if add_one(gate) == threads * round_ - 1:
        add_one(at(gate, 8))
    else:
        spins = 0
        while load(at(gate, 8)) < round_:
            spins += 1
            if spins > SPINS:
                offer_core()
