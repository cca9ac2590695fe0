"""Layers that may wait for their input size.

`Affine(128)` knows what it gives and not yet what it takes. `build(x, draw)` makes its Params once the shape of
its input is known, be it from the layer before it in a Chain or from the data.
"""

from __future__ import annotations

from typing import Any

from flux_core.errors import GraphError
from flux_core.ir import Graph
from flux_core.layers.init import Draw
from flux_core.model import Model
from flux_core.passes import TypeTree


class Layer(Model):
    """A model with a graph that is laid once, when the layer is built."""

    _graph: Graph | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """A field that is replaced is seen by the next call: the graph is laid anew."""
        object.__setattr__(self, "_graph", None)
        object.__setattr__(self, name, value)

    @property
    def built(self) -> bool:
        """Whether the layer has its Params."""
        return True

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Make the Params for inputs of this type (batch axis first)."""

    def expect(self, x: TypeTree) -> None:
        """Raise ShapeError for inputs that the layer's ops would take and misunderstand."""

    def lay(self) -> Graph:
        """The layer's graph."""
        raise NotImplementedError

    def graph(self) -> Graph:
        """The layer as a graph; raises GraphError while it waits for its input size."""
        if not self.built:
            raise GraphError(
                f"{self!r} does not know its input size yet: put Input(size) in front of it in a Chain, "
                f"give it both sizes, or call initialise(model, shape)"
            )
        if self._graph is None:
            self._graph = self.lay()
        return self._graph
