"""A model that is nothing but a graph."""

from __future__ import annotations

from flux_core.ir import Graph
from flux_core.model.model import Model


class Capacitor(Model):
    """An anonymous model: calling it interprets its graph.

    >>> from flux_core.ir import input_node
    >>> double = Capacitor(Graph(input_node(0) * 2.0, 1))
    >>> double([1.0, 2.0])
    array([2., 4.], dtype=float32)
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def graph(self) -> Graph:
        """The graph itself."""
        return self._graph

    def __repr__(self) -> str:
        return f"Capacitor({self._graph!r})"
