"""The GEMM bound of a workload: how fast its steps would be if they were their matrix products alone.

    spec ──▶ the training step's tape ──▶ its gemm instructions, nothing else ──▶ seconds a step

The same sgemm, the same shapes and transposes, in the memory that the tape would use.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROUND_SECONDS = 0.05


@dataclass(frozen=True)
class Gemm:
    """C (m, n) = A (m, k) B (k, n), one or both of them stored transposed; in a loop `times` in a step."""

    m: int
    n: int
    k: int
    transpose_a: bool
    transpose_b: bool
    times: int = 1


class Products:
    """The matrix products of the training step of a spec, for one thread each of `threads`."""

    def __init__(self, spec: Path, threads: int = 1) -> None:
        from flux_core.engine.compiled import Compiled
        from flux_core.ops import Run
        from flux_core.passes import Type
        from flux_core.training.stepper import Stepper
        from fluxrun.jobs.request import Request
        from fluxrun.jobs.train import prepare

        built = prepare(Request(str(spec))).built
        plan, train = built.plan, built.dataset.train
        stepper = Stepper(built.model, plan.loss_function(), plan.optimizer)
        size = min(plan.batch_size, len(train))
        types = [Type((size, *a.shape[1:]), "int" if a.dtype.kind == "i" else "float") for a in (train.x, train.y)]
        run = Run(training=True, seed=plan.seed)
        self.steps = [Compiled(stepper.graph.step, types, run=run) for _ in range(threads)]
        self.instructions = _products(self.steps[0])
        self.list = [gemm for one in self.instructions for gemm in _gemms(one)]

    @property
    def workspace_bytes(self) -> int:
        """The memory of the activations of a step."""
        return int(self.steps[0].tape.workspace.nbytes)

    def seconds(self, rounds: int) -> float:
        """Seconds for the products of one step; with more threads, each does a step of its own in that time."""
        rng = np.random.default_rng(0)
        for step in self.steps:  # no zeros, no denormals
            step.tape.workspace[...] = rng.standard_normal(step.tape.workspace.size, np.float32)
        once = min(_timed(self._calls(1)) for _ in range(3))
        times = max(1, round(ROUND_SECONDS / once))
        calls = self._calls(times)
        _timed(calls)
        return median(_timed(calls) for _ in range(rounds)) / times

    def _calls(self, times: int) -> list[Callable[[], None]]:
        """For each thread, what it does: the products of `times` steps, in one call of machine code."""
        from flux_core.engine.kernel import Kernel
        from flux_core.engine.store import default_store
        from flux_core.engine.tape import WIDTH, encode, offset

        store, kernel = default_store(), Kernel.written("walk", "loop")
        walk = store.function(kernel)
        (address,) = store.load([kernel])

        def call(step: Any) -> Callable[[], None]:
            code = encode(_products(step), store, step.base)
            # a tape of walks over that tape
            steps = np.zeros((times, WIDTH), np.int64)
            steps[:, :4] = address, offset(code.rows, step.base), len(code.rows), WIDTH
            operands = np.array([offset(steps, step.base), *steps.shape], np.int64)

            def walks(named_by_address_only: Any = (code, steps)) -> None:
                walk(step.base.ctypes.data, operands.ctypes.data)

            return walks

        return [call(step) for step in self.steps]


def bound(spec: Path, per_step: int, threads: int, rounds: int) -> dict[str, Any]:
    """The rate that the matrix products alone allow on `threads` cores, and the list of them."""
    products = Products(spec, threads)
    rate = threads * per_step / products.seconds(rounds)
    gemms = [asdict(gemm) for gemm in products.list]
    return {"rate": rate, "gemms": gemms, "workspace_bytes": products.workspace_bytes}


def _products(step: Any) -> list[Any]:
    """The matrix products of a tape; of a loop a loop with nothing else."""
    from flux_core.engine.repeat import Repeated

    found: list[Any] = []
    for one in step.tape.instructions:
        if isinstance(one, Repeated):
            inside = replace(one, first=_only(one.first), second=_only(one.second))
            found += [inside] if inside.first else []
        else:
            found += _only([one])
    return found


def _only(instructions: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(i for i in instructions if i.kernel.name == "gemm")


def _gemms(one: Any) -> list[Gemm]:
    """The products of an instruction, or of a loop."""
    times, inside = getattr(one, "steps", 1), getattr(one, "first", (one,))
    return [_gemm(i.operands, times) for i in inside]


def _gemm(operands: Sequence[int], times: int) -> Gemm:
    _, ta, tb, m, n, k, *_ = operands
    return Gemm(m, n, k, bool(ta), tb == 1, times)


def _timed(calls: Sequence[Callable[[], None]]) -> float:
    """Seconds until every call, each in a thread of its own, is done."""
    workers = [threading.Thread(target=call) for call in calls[1:]]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    calls[0]()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began
