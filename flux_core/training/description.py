"""The model in a checkpoint: its graph, and what goes in and comes out, so that it runs without what built it.

    {"graph": {...}, "inputs": {"shape": [4], "dtype": "float32", "lengths": false}, "loss": "cross_entropy"}

The loss says what the outputs mean: scores of classes, one score, or numbers. With `lengths`, inputs are sequences that
are padded behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from flux_core.errors import CheckpointError, GraphError
from flux_core.ir import Graph, Param
from flux_core.passes import Type, infer_types, laid_out
from flux_core.passes.portable import from_plain, to_plain

LIMIT = 1 << 21  # characters, some ten thousand layers: half of the room that a header has beside the data's names
SCORES = {"cross_entropy": "scores", "binary_cross_entropy": "score"}  # what a model under a loss gives, else numbers

Meaning = Literal["scores", "score", "numbers"]


@dataclass(frozen=True)
class Description:
    """A model of one input: a graph over its Params, the shape and dtype of one example, what its outputs mean."""

    graph: Graph
    shape: tuple[int, ...]
    dtype: Literal["float32", "int64"]
    outputs: Meaning
    lengths: bool = False

    def input_type(self, rows: int) -> Type:
        """The type of so many examples."""
        return Type((rows, *self.shape), "int" if self.dtype == "int64" else "float")

    @property
    def stepwise(self) -> bool:
        """Whether there is an answer for each step of a padded sequence, and not one for each sequence."""
        return self.lengths and len(self.output.shape) == 3

    @property
    def output(self) -> Type:
        """The type of what it gives for one example."""
        found = infer_types(self.graph, [self.input_type(1)])[self.graph.output]
        assert isinstance(found, Type), "a loss takes one array"
        return found


def described(
    model: Any, params: Mapping[str, Param], x: NDArray[Any], loss: str, *, lengths: bool = False
) -> dict[str, Any] | None:
    """A model of inputs such as `x` as JSON; None for one that is no value, or too long a text."""
    whole = laid_out(model)
    try:
        graph = None if whole is None else to_plain(whole, {id(p): name for name, p in params.items()})
    except GraphError:  # it runs code: whoever wants it again must have that code
        return None
    if graph is None or len(json.dumps(graph)) > LIMIT:
        return None
    kind = "int64" if x.dtype.kind == "i" else "float32"
    inputs = {"shape": list(x.shape[1:]), "dtype": kind, "lengths": lengths}
    return {"graph": graph, "inputs": inputs, "loss": loss}


def description_of(meta: Mapping[str, Any], params: Mapping[str, Param]) -> Description:
    """The model that a checkpoint describes, over these Params. Raises CheckpointError."""
    data = meta.get("model")
    if data is None:
        raise CheckpointError(
            "the checkpoint does not hold its model, only its weights: the model runs code of its own, or is very long"
        )
    try:
        graph = from_plain(data["graph"], params)
        shape, dtype, loss = data["inputs"]["shape"], data["inputs"]["dtype"], data["loss"]
        lengths = data["inputs"].get("lengths", False)
        if graph.arity != 1 or dtype not in ("float32", "int64") or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError("this is no model of one input")
        if type(lengths) is not bool:
            raise ValueError("its inputs have lengths or not")
        found = Description(graph, tuple(shape), dtype, SCORES.get(loss, "numbers"), lengths)  # type: ignore[arg-type]  # checked above
        _ = found.output  # attributes that do not fit their ops show here
        return found
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError, GraphError) as error:
        raise CheckpointError(f"the model in the checkpoint is damaged: {error}") from None
