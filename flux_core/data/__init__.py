"""Data sources, splits and preprocessing.

    CsvSource | NpzSource | NpySource | IdxSource | SyntheticSource ──load(seed=...)──▶ Dataset

A source's constructor arguments are the keys of `data` in a spec, with the same names and defaults.
"""

from flux_core.data.csv import CsvSource
from flux_core.data.dataset import Dataset, Examples, Peek, Source, Task
from flux_core.data.idx import IdxSource
from flux_core.data.npy import NpySource
from flux_core.data.npz import NpzSource
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.scale import Scale
from flux_core.data.synthetic import SyntheticSource

__all__ = [
    "CsvSource",
    "Dataset",
    "Examples",
    "IdxSource",
    "NpySource",
    "NpzSource",
    "Peek",
    "Preprocessing",
    "Scale",
    "Source",
    "SyntheticSource",
    "Task",
]
