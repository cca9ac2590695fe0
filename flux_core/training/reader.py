"""A model that reads on: its states stay from call to call, so that a text can come in pieces of any length.

    read("The qu") ─▶ 6 rows of scores ─┐ states
    read("i")      ─▶ 1 row  of scores ◀┘─┐ states           the same rows as of the whole text at once
    read("ck")     ─▶ 2 rows of scores ◀──┘

A tape is made for each length of a piece; its kernels are the same for all lengths, so nothing is compiled for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flux_core.errors import GraphError, ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import topological
from flux_core.passes import Type, infer_types
from flux_core.passes.carry import carried
from flux_core.training.description import Description

WINDOW = 256  # symbols that are read at once; the memory of a tape grows with them


class Reader:
    """A model of ids (batch, steps) that gives scores (batch, steps, symbols), as a reader of one text.

    Raises GraphError for a model whose scores do not follow from what was read before: one that reads from the end
    too, mixes the steps of a window, or reads windows of one length only.
    """

    def __init__(self, model: Description) -> None:
        for node in topological(model.graph.output):
            if node.op == "scan" and node.attrs["reverse"]:
                raise GraphError(
                    "it reads a text from its end too, so it cannot tell what comes next", path=str(node.origin)
                )
        self.graph, initial = carried(model.graph)
        types = self._types(model)
        self.symbols: int = types[model.graph.output].shape[-1]
        self._shapes = [kind.shape for kind in (types[h] for h in initial)]
        self._functions: dict[int, Any] = {}
        self._begin()
        self._require_no_foresight()

    def read(self, ids: ArrayLike) -> NDArray[np.float32]:
        """The scores of what comes behind each of some ids, (n,) -> (n, symbols)."""
        return np.concatenate(list(self.pieces(ids)))

    def pieces(self, ids: ArrayLike) -> Iterator[NDArray[np.float32]]:
        """The same, some symbols after the others as they are asked for."""
        ids = np.asarray(ids, np.int64)
        return (self._window(ids[i : i + WINDOW]) for i in range(0, len(ids), WINDOW))

    def _begin(self) -> None:
        """Read the next piece as the first."""
        self._first = np.float32(1.0)
        self._states: list[Any] = [np.zeros(shape, np.float32) for shape in self._shapes]

    def _require_no_foresight(self) -> None:
        """Read three symbols at once and in pieces: what is said of each must be the same."""
        probe = np.arange(3) % self.symbols
        whole = self._window(probe)
        self._begin()
        pieces = np.concatenate([self._window(probe[:1]), self._window(probe[1:])])
        self._begin()
        if not np.allclose(whole, pieces, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(whole).max()))):
            raise GraphError("its scores of a symbol depend on how many follow, so it cannot tell what comes next")

    def _window(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        carry = (self._first, *self._states) if self._states else ()
        scores, states = self._function(len(ids))(ids[None], *carry)
        self._first, self._states = np.float32(0.0), list(states)
        return np.asarray(scores[0])

    def _function(self, steps: int) -> Any:
        if steps not in self._functions:
            self._functions[steps] = self._made(steps)
        return self._functions[steps]

    def _made(self, steps: int) -> Any:
        from flux_core.engine.compiled import Compiled
        from flux_core.engine.lower import CannotLowerError

        states = [Type(state.shape) for state in self._states]
        types = [Type((1, steps), "int"), *((Type(()), *states) if states else ())]
        try:
            return Compiled(self.graph, types)
        except CannotLowerError:
            return lambda *inputs: interpret(self.graph, inputs)

    @staticmethod
    def _types(model: Description) -> dict[Any, Any]:
        """The types of all nodes for a single step."""
        try:
            types = infer_types(model.graph, [Type((1, 1), "int")])
        except ShapeError as error:
            raise _whole(model, str(error)) from None
        found = types[model.graph.output]
        if not isinstance(found, Type) or len(found.shape) != 3 or found.shape[:2] != (1, 1):
            raise _whole(model, f"of one symbol it makes {found}")
        return dict(types)


def _whole(model: Description, why: str) -> GraphError:
    (steps,) = model.shape
    return GraphError(f"it reads {steps} symbols as a whole, it cannot go on symbol by symbol: {why}")
