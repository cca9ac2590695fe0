"""Training: the step, the loop that emits events, metrics, and the state that goes into a checkpoint."""

from flux_core.train.events import (
    Ended,
    EpochEnded,
    Event,
    Progress,
    Snapshot,
    Started,
    Tested,
    TrainState,
)
from flux_core.train.loop import Fit
from flux_core.train.metrics import METRICS
from flux_core.train.plan import EarlyStop, Plan
from flux_core.train.stepper import Stepper
from flux_core.train.train import train

__all__ = [
    "METRICS",
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
    "train",
]
