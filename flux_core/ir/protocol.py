"""What a model may offer. A model is anything that runs; it may define `graph`, `back`, `update`, and is then asked."""

from __future__ import annotations

from typing import Any

from flux_core.ir.node import Graph


def has_own(model: Any, method: str) -> bool:
    """Whether a model's class defines a protocol method itself, in its own code."""
    return callable(getattr(type(model), method, None))


def graph(model: Any) -> Graph | None:
    """graph(m) => Graph | None: the model as a graph, if it has one."""
    if isinstance(model, Graph):
        return model
    return model.graph() if has_own(model, "graph") else None
