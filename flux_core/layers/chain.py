"""Chain: each layer's output is the next layer's input.

    Chain(Input(784), Affine(128), relu, Affine(10), softmax)

Sizes of inputs are found by walking the chain with the shape of one example.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, overload

from flux_core.errors import GraphError
from flux_core.ir import Graph, Step, call, input_node
from flux_core.layers.affine import Affine
from flux_core.layers.base import Layer
from flux_core.layers.building import output_type
from flux_core.layers.init import Draw, default_draws, draws
from flux_core.layers.simple import Input
from flux_core.model import parameters
from flux_core.passes import Type, TypeTree, shape_tree, type_tree
from flux_core.passes.atomise import name_of


class Chain(Layer):
    """Chain(f, g, h): x -> h(g(f(x))). `places` are the layers' places in a spec, for error messages.

    >>> model = Chain(Input(4), Affine(3), Affine(2))
    >>> model[1], len(model), model[:-1]
    (Affine(4, 3), 3, Chain(Input(4), Affine(4, 3)))
    """

    def __init__(self, *layers: Any, places: Sequence[str | None] | None = None) -> None:
        self.layers = layers
        self.places = tuple(places) if places is not None else (None,) * len(layers)
        if len(self.places) != len(layers):
            raise ValueError(f"{len(layers)} layers, but {len(self.places)} places")
        with suppress(GraphError):  # a misfit is told by `infer` or the first call
            self._settle()

    @property
    def built(self) -> bool:
        """Whether every layer has its Params."""
        return all(layer.built for layer in self.layers if isinstance(layer, Layer))

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Build the layers that wait, each for what reaches it; raises ShapeError at the first misfit."""
        for i in range(len(self.layers)):
            x = self._through(i, x, draw)

    def graph(self) -> Graph:
        """The chain as a graph; raises ShapeError where declared sizes do not fit, which is why layers still wait."""
        if not self.built:
            self._settle()
        return super().graph()

    def lay(self) -> Graph:
        """The calls of all layers in a row."""
        x = input_node(0)
        for i, layer in enumerate(self.layers):
            x = call(layer, x, step=self._step(i), place=self.places[i])
        return Graph(x, 1)

    def _through(self, i: int, x: TypeTree, draw: Draw | None = None) -> TypeTree:
        """Build layer `i` for inputs of type `x`, if it waits for that, and return the type of its output."""
        layer, step, place = self.layers[i], self._step(i), self.places[i]
        try:
            if isinstance(layer, Layer):
                layer.expect(x)
            if isinstance(layer, Layer) and not layer.built:
                from_here = draw or default_draws()  # one turn for a layer that is built, none for the others
                layer.build(x, lambda name, shape, init: from_here(f"{i}.{name}", shape, init))
        except GraphError as misfit:
            raise misfit.within(f"{step.name}: {step.kind}", place) from None
        return output_type(call(layer, input_node(0), step=step, place=place), x)

    def _settle(self) -> None:
        """Build what can be built by now, from the first layer on that declares what it takes."""
        x: TypeTree | None = None
        for i, layer in enumerate(self.layers):
            x = _declared(layer) if x is None else x
            if x is not None:
                x = self._through(i, x)

    def _step(self, i: int) -> Step:
        return Step(str(i), name_of(self.layers[i]))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Chain: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Chain(*self.layers[index], places=self.places[index])
        return self.layers[index]

    def __add__(self, other: Chain) -> Chain:
        """This chain and then another; the layers are shared, not copied."""
        if not isinstance(other, Chain):
            return NotImplemented
        return Chain(*self.layers, *other.layers, places=(*self.places, *other.places))

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(label_of, self.layers))})"


def _declared(layer: Any) -> TypeTree | None:
    """The type of the input that a layer declares, for one example; None where it takes what it is given."""
    if isinstance(layer, Input):
        return Type((1, *layer.shape))
    if isinstance(layer, Affine) and layer.n_in is not None:
        return Type((1, layer.n_in))
    if isinstance(layer, Chain) and layer.layers:
        return _declared(layer.layers[0])
    return None


def initialise(model: Any, shape: Any, *, kind: str = "float", seed: int = 0) -> Any:
    """initialise(model, shape) => model, with every layer that waited for its input size built.

    `shape` has the batch axis first; the weights depend on the seed and the layers' paths. Raises ShapeError.
    """
    if isinstance(model, Layer) and not model.built:
        model.build(type_tree(shape, kind), draws(seed))
    return model


class LayerRow(NamedTuple):
    """One layer of a model as `layer_table` shows it."""

    path: str
    name: str
    place: str | None
    output: Any
    parameters: int


def layer_table(model: Any, shape: Any, *, kind: str = "float") -> list[LayerRow]:
    """The layers of a model with the shape that each gives (batch axis first) and how many numbers it trains.

    A Param that two layers share is counted in the first.
    """
    rows: list[LayerRow] = []
    counted: set[int] = set()
    _rows(model, type_tree(shape, kind), "", None, rows, counted)
    return rows


def _rows(model: Any, x: TypeTree, path: str, place: str | None, rows: list[LayerRow], counted: set[int]) -> TypeTree:
    if isinstance(model, Chain):
        for i, layer in enumerate(model.layers):
            x = _rows(layer, x, f"{path}.{i}".lstrip("."), model.places[i] or place, rows, counted)
        return x
    y = output_type(call(model, input_node(0)), x)
    fresh = {id(p): p.size for p in parameters(model).values() if id(p) not in counted}
    counted.update(fresh)
    rows.append(LayerRow(path, label_of(model), place, shape_tree(y), sum(fresh.values())))
    return y


def label_of(model: Any) -> str:
    """How a layer is shown: with its arguments if it is a Layer, else by its name."""
    return repr(model) if isinstance(model, Layer) else name_of(model)
