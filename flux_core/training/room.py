"""What a checkpoint tells of the data has to fit into its header, and that is known before the first step.

names of columns, their categories, means and deviations, names of classes ──JSON──▶ at most ROOM bytes
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flux_core.errors import DataError
from flux_core.training.checkpoint import HEADER_LIMIT

if TYPE_CHECKING:
    from flux_core.data import Dataset

ROOM = HEADER_LIMIT // 4 * 3  # about 70,000 columns; the rest is for the model and the names of its tensors


def told(dataset: Dataset) -> dict[str, Any]:
    """What a checkpoint tells of the data, as JSON."""
    return {
        "task": dataset.task,
        "classes": list(dataset.classes),
        "features": list(dataset.features),
        "preprocessing": dataset.preprocessing.to_json(),
    }


def require_room(dataset: Dataset) -> None:
    """Raise DataError where a checkpoint has no room for what it tells of the data; it names what takes the most."""
    size = _size(json.dumps(told(dataset)))  # a text within the JSON of the header
    if size <= ROOM:
        return
    preprocessing = dataset.preprocessing
    columns = {column.name: _size(column.to_json()) for column in preprocessing.columns}
    widest = max(preprocessing.columns, key=lambda column: columns[column.name], default=None)
    shares: list[tuple[int, str | None, str, str]] = [
        (_size(dataset.classes), None, f"the {len(dataset.classes):,} classes", "is the target a number?")
    ]
    if widest is not None:
        categories = f"its {len(widest.features):,} categories"
        shares += [
            (columns[widest.name], widest.name, categories, "put it into data.ignore"),
            (sum(columns.values()) // 2, None, f"the {len(columns):,} columns", "name fewer of them in data.features"),
        ]
    if preprocessing.inputs is not None:
        means = _size(preprocessing.inputs.to_json())
        shares.append((means, None, "the means and deviations of the inputs", "set data.standardize: false"))
    _, column, what, hint = max(shares, key=lambda share: share[0])
    raise DataError(
        f"{what} take too much room: a checkpoint would tell {size:,} bytes of the data, {ROOM:,} are the limit",
        column=column,
        hint=hint,
    )


def _size(value: Any) -> int:
    return len(json.dumps(value))
