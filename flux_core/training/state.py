"""The state of a training, as a value that goes into a checkpoint and comes back out to the bit.

    tensors   params/NAME   slots/SLOT/NAME   best/NAME   carried/NUMBER (states, in the middle of an epoch)
    meta      position (epoch, step, what early stopping and the schedule remember), the sums of a half-measured
              epoch, the schedule's resolved numbers, optimiser, seed, classes, features, fitted preprocessing

No random state is kept: every random number is a function of the seed and the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flux_core.errors import CheckpointError
from flux_core.optim import OptState
from flux_core.training.events import TrainState
from flux_core.training.room import told

if TYPE_CHECKING:
    from flux_core.data import Dataset
    from flux_core.optim import Schedule
    from flux_core.training.engine import Engine
    from flux_core.training.metrics import Meter
    from flux_core.training.plan import Plan

FORMAT = 1


@dataclass
class Tracker:
    """The best value of a metric so far, and the observations since."""

    best: float | None = None
    stalled: int = 0

    def observe(self, value: float, min_delta: float, higher_is_better: bool) -> bool:
        """Whether a value is better than the best by more than `min_delta`; one that is not finite never is."""
        gain = 0.0 if self.best is None else (value - self.best if higher_is_better else self.best - value)
        if isfinite(value) and (self.best is None or gain > min_delta):
            self.best, self.stalled = value, 0
            return True
        self.stalled += 1
        return False


@dataclass
class Position:
    """Where a training stands: epochs and steps behind it, and what it remembers of its metrics."""

    schedule: Mapping[str, Any]
    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    stopper: Tracker = field(default_factory=Tracker)
    leader: Tracker = field(default_factory=Tracker)
    best: dict[str, float] | None = None
    best_epoch: int | None = None
    final: dict[str, float] = field(default_factory=dict)
    reason: str | None = None


def copied(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Copies of arrays under names with a prefix."""
    return {f"{prefix}/{name}": array.copy() for name, array in arrays.items()}


def state_of(
    at: Position,
    engine: Engine,
    meter: Meter,
    best: Mapping[str, NDArray[Any]] | None,
    plan: Plan,
    dataset: Dataset,
    schedule: dict[str, Any],
    model: dict[str, Any] | None,
) -> TrainState:
    """Everything that `restore` needs, and what a later reader of the model does: `model` describes it."""
    arena = engine.arena
    tensors = copied(arena.views(arena.x), "params")
    for slot, flat in engine.state.slots.items():
        tensors |= copied(arena.views(flat), f"slots/{slot}")
    if at.step_in_epoch:  # an epoch begins with states of its own
        tensors |= {f"carried/{i}": states.copy() for i, states in enumerate(engine.carried)}
    if best is not None:
        tensors |= copied(best, "best")
    meta = {
        "train_format": FORMAT,
        "position": _plain(asdict(at)),
        "meter": meter.to_json(),
        "schedule": schedule,
        "optimizer": {"name": plan.optimizer.name, **plan.optimizer.hyper, "updates": engine.state.step},
        "seed": plan.seed,
        "batch_size": plan.batch_size,
        **told(dataset),
        "model": model,
    }
    return TrainState(tensors, meta)


def best_of(state: TrainState) -> TrainState | None:
    """The best weights of a state as a state of their own; None without.

    It is the state itself where no epoch before was better, else one that can be read but not gone on from.
    """
    best = {name: array for name, array in state.tensors.items() if name.startswith("best/")}
    at = state.meta["position"]
    if best and at["best_epoch"] == at["epoch"] and not at["step_in_epoch"]:
        return state
    params = {f"params/{name.removeprefix('best/')}": array for name, array in best.items()}
    return TrainState(params | best, {**state.meta, "part": "best"}) if best else None


def restore(
    state: TrainState,
    engine: Engine,
    meter: Meter,
    plan: Plan,
    resolved: dict[str, Any],
    schedule: Schedule,
    *,
    exact: bool = True,
) -> tuple[Position, dict[str, NDArray[Any]] | None]:
    """Put a kept state into a stepper and a meter; the position and the best weights come back.

    Raises CheckpointError where it belongs to another model or optimiser, or to another schedule unless not `exact`.
    """
    tensors, meta = state.tensors, state.meta
    if meta.get("train_format") != FORMAT:
        raise CheckpointError(f"the checkpoint has format {meta.get('train_format')}, this program reads {FORMAT}")
    if "part" in meta:
        raise CheckpointError("the checkpoint holds the best weights only, nothing to go on from")
    if meta["optimizer"]["name"] != plan.optimizer.name:
        raise CheckpointError(
            f"the checkpoint was made with {meta['optimizer']['name']}, the training uses {plan.optimizer.name}"
        )
    if exact and meta["schedule"] != resolved:
        raise CheckpointError("the checkpoint's learning-rate schedule is not the one of this training")
    arena = engine.arena
    _fill(arena.views(arena.x), tensors, "params")
    for slot, flat in engine.state.slots.items():
        _fill(arena.views(flat), tensors, f"slots/{slot}")
    engine.state = OptState(engine.state.slots, meta["optimizer"]["updates"])
    held = sum(name.startswith("carried/") for name in tensors)
    engine.carried = [tensors[f"carried/{i}"] for i in range(held)]
    meter.restore(meta["meter"])
    kept = dict(meta["position"])
    for name in ("stopper", "leader"):
        kept[name] = Tracker(**kept[name])
    for name in ("best", "final"):
        kept[name] = _numbers(kept[name], meter)
    if meta["schedule"]["name"] != resolved["name"]:
        kept["schedule"] = schedule.start()
    best = {name.removeprefix("best/"): array for name, array in tensors.items() if name.startswith("best/")}
    at = Position(**kept)
    stalled = plan.early_stop is not None and at.stopper.stalled > plan.early_stop.patience
    at.reason = "early_stop" if stalled else None  # the plan may have more patience now
    return at, best or None


def _fill(views: Mapping[str, NDArray[Any]], tensors: Mapping[str, NDArray[Any]], prefix: str) -> None:
    held = {name.removeprefix(f"{prefix}/") for name in tensors if name.startswith(f"{prefix}/")}
    if held != views.keys():
        missing, extra = sorted(views.keys() - held), sorted(held - views.keys())
        raise CheckpointError(f"the checkpoint is of another model: it lacks {missing}, and has {extra} in {prefix}")
    for name, view in views.items():
        tensor = tensors[f"{prefix}/{name}"]
        if tensor.shape != view.shape or tensor.dtype != view.dtype:
            raise CheckpointError(
                f"the checkpoint's {prefix}/{name} is {tensor.dtype} {tensor.shape}, the model's {view.shape}"
            )
        np.copyto(view, tensor)


def _plain(value: Any) -> Any:
    """Metrics as strict JSON, which has no NaN and no infinity: these become strings."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value


def _numbers(metrics: dict[str, Any] | None, meter: Meter) -> dict[str, float] | None:
    """Metrics as they went in, in the order in which a training tells them."""
    if metrics is None:
        return None
    order = [f"{split}.{name}" for split in ("train", "valid", "test") for name in meter.names]
    known = {name: place for place, name in enumerate(order)}
    return {name: float(metrics[name]) for name in sorted(metrics, key=lambda name: known.get(name, len(known)))}
