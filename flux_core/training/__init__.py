"""Training: the step, the loop that emits events, metrics, and the state that goes into a checkpoint."""

from flux_core.training.by_hand import train
from flux_core.training.events import (
    Compiling,
    Ended,
    EpochEnded,
    Event,
    Progress,
    Snapshot,
    Started,
    Tested,
    TrainState,
)
from flux_core.training.loaded import Trained, load
from flux_core.training.loop import Fit
from flux_core.training.metrics import METRICS
from flux_core.training.plan import EarlyStop, Plan
from flux_core.training.sampling import sample
from flux_core.training.stepper import Stepper

__all__ = [
    "METRICS",
    "Compiling",
    "EarlyStop",
    "Ended",
    "EpochEnded",
    "Event",
    "Fit",
    "Plan",
    "Progress",
    "Snapshot",
    "Started",
    "Stepper",
    "Tested",
    "TrainState",
    "Trained",
    "load",
    "sample",
    "train",
]
