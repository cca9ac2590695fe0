"""Compile ahead what trainings will need, so that none of them waits for a compiler.

    every kernel that is written    (flux_core.engine.kernels)
    every optimiser's loop
    the formulas of small models    each layer between affine layers, under each loss ──▶ fused elementwise kernels
                                    each recurrent layer between ids and scores       ──▶ gates, there and back

A kernel knows no sizes, so a model of three units has the kernels of one of three thousand. What is left for a
training to compile are formulas that a new combination of layers brings about.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flux_core.engine.kernel import Kernel
from flux_core.errors import ShapeError
from fluxrun.spec.catalog import CATALOG

ROWS, INPUTS, HIDDEN, OUTPUTS, STEPS = 8, 3, 5, 4, 6  # sizes that differ, so that none stands for another


@dataclass(frozen=True)
class Warmed:
    """What a warm-up found and did; `fault` says why the kernels could not be kept."""

    folder: Path | None
    compiled: int
    present: int
    fault: str | None


def warm_up(progress: Callable[[int, int], None]) -> Warmed:
    """Compile every kernel that is known ahead and missing; `progress` hears the number of each and their count."""
    from flux_core.engine.store import StoreWarning, default_store

    store = default_store()
    kernels = known_kernels()
    missing = store.missing(kernels.values())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        for number, kernel in enumerate(missing, 1):
            progress(number, len(missing))
            store.load([kernel])
            if caught:
                break  # the others could not be kept either
    fault = str(caught[0].message) if caught else None
    return Warmed(store.folder, store.compiled, len(kernels) - len(missing), fault)


def known_kernels() -> Mapping[str, Kernel]:
    """The kernels that can be known ahead, by key."""
    from flux_core.engine.ahead import written
    from flux_core.engine.update import update_kernel
    from flux_core.layers import Affine
    from flux_core.optim import OPTIMIZERS

    found = [*written(), *(update_kernel(make(), clear=c) for make in OPTIMIZERS.values() for c in (False, True))]
    for layers, loss, outputs in _models():
        found += _kernels(layers, loss, outputs, ROWS)
        if isinstance(layers[-1], Affine):  # the last minibatch of an epoch may be a single example
            found += _kernels(layers, loss, outputs, 1)
    for layers, per_step, carry in _sequence_models():
        found += _sequence_kernels(layers, per_step, carry)
    return {kernel.key: kernel for kernel in found}


def _sequence_models() -> Iterator[tuple[list[Any], bool, bool]]:
    """Layers from ids to scores, whether there are scores for each step, and whether states are carried on."""
    from flux_core.layers import Affine, Embedding, Last, OneHot, TimeMean, gru, lstm, recurrent

    makers: list[Callable[..., Any]] = [recurrent, partial(recurrent, activation="relu"), gru]
    makers += [partial(gru, reset="before"), lstm]
    for make in makers:
        for arguments in ({}, {"layers": 2, "dropout": 0.5}, {"bidirectional": True}, {"trainable_state": True}):
            for carry in (False, True):
                yield [OneHot(OUTPUTS), make(HIDDEN, **arguments), Affine(OUTPUTS)], True, carry
            for summary in (Last(), TimeMean()):
                first = Embedding(out=INPUTS, n=OUTPUTS)
                yield [first, make(HIDDEN, **arguments), summary, Affine(OUTPUTS)], False, False


def _sequence_kernels(layers: list[Any], per_step: bool, carry: bool) -> list[Kernel]:
    import numpy as np

    from flux_core.layers import Chain, initialise

    x = np.zeros((ROWS, STEPS), np.int64)
    model = initialise(Chain(*layers), x.shape, kind="int", seed=0)
    return _of_tapes(model, "cross_entropy", x, x if per_step else x[:, 0], carry)


def _models() -> Iterator[tuple[list[Any], str, int]]:
    """Layers, a loss, and how many outputs there are."""
    from flux_core.layers import Affine, Dropout

    losses = [("cross_entropy", OUTPUTS), ("binary_cross_entropy", 1)]
    losses += [(loss, outputs) for loss in ("mse", "mae", "huber") for outputs in (1, OUTPUTS)]
    for loss, outputs in losses:
        for bias in (True, False):
            yield [Affine(outputs, bias=bias)], loss, outputs
    for layer in _layers():
        for bias in (True, False):
            yield [Affine(HIDDEN, bias=bias), layer, Affine(OUTPUTS)], *losses[0]
            yield [Affine(HIDDEN, bias=bias), layer, Dropout(0.5), Affine(OUTPUTS)], *losses[0]
        yield [layer, Affine(OUTPUTS)], *losses[0]
        for loss, outputs in losses:
            yield [Affine(outputs), layer], loss, outputs


def _layers() -> Iterator[Any]:
    """Every layer of plain numbers that needs no size; one with an argument twice, as a factor of 1 is simplified."""
    from flux_core.layers import Affine, Chain, initialise

    for row in CATALOG["layer"].values():
        maker = row.make()
        if any(field.is_required() for field in row.schema.model_fields.values()):
            continue
        found = (
            [maker] if not isinstance(maker, type) else [maker()] if row.schema.main is None else [maker(), maker(0.3)]
        )
        for layer in found:
            try:
                initialise(Chain(layer, Affine(OUTPUTS)), (ROWS, INPUTS))
            except ShapeError:  # it takes sequences
                break
            yield layer


def _kernels(layers: list[Any], loss: str, outputs: int, rows: int) -> list[Kernel]:
    """The kernels of the tapes of a model, for training and for evaluation."""
    import numpy as np

    from flux_core.layers import Chain, initialise

    model = initialise(Chain(*layers), (rows, INPUTS), seed=0)
    x = np.zeros((rows, INPUTS), np.float32)
    y = np.zeros(rows, np.int64) if loss == "cross_entropy" else np.zeros((rows, outputs), np.float32)
    return _of_tapes(model, loss, x, y)


def _of_tapes(model: Any, loss: str, x: Any, y: Any, carry: bool = False) -> list[Kernel]:
    from flux_core.data import Examples
    from flux_core.engine.lower import CannotLowerError
    from flux_core.engine.tape import kernels_of
    from flux_core.optim import sgd
    from flux_core.training.on_tape import TapeEngine
    from flux_core.training.plan import Plan
    from flux_core.training.stepper import Stepper

    plan = Plan(loss=loss, optimizer=sgd(), batch_size=len(x))
    examples = Examples(x, y)
    try:
        engine = TapeEngine(Stepper(model, plan.loss_function(), plan.optimizer, carry=carry), plan, (), examples)
        tapes = [engine.assembly(examples, len(x), training) for training in (True, False)]
    except CannotLowerError:
        return []
    return [kernel for tape in tapes for kernel in kernels_of((*tape.before, *tape.after))]
