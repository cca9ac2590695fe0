"""Data sources, splits and preprocessing.

    CsvSource | NpzSource | NpySource | IdxSource | SyntheticSource   ┐
    TextSource | WindowsSource                                        ┴──load(seed=...)──▶ Dataset

A source's constructor arguments are the keys of `data` in a spec, with the same names and defaults. Sources are
imported when they are first used: a training needs one of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flux_core.data.dataset import Dataset, Examples, Peek, Source, Task
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.scale import Scale
from flux_core.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from flux_core.data.csv import CsvSource
    from flux_core.data.idx import IdxSource
    from flux_core.data.npy import NpySource
    from flux_core.data.npz import NpzSource
    from flux_core.data.synthetic import SyntheticSource
    from flux_core.data.text import TextSource
    from flux_core.data.windows import WindowsSource

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
    "TextSource",
    "Vocabulary",
    "WindowsSource",
]

_HOMES = {
    "CsvSource": "flux_core.data.csv",
    "IdxSource": "flux_core.data.idx",
    "NpySource": "flux_core.data.npy",
    "NpzSource": "flux_core.data.npz",
    "SyntheticSource": "flux_core.data.synthetic",
    "TextSource": "flux_core.data.text",
    "WindowsSource": "flux_core.data.windows",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next look-up finds it without this function
    return value
