"""Nets as layers: a declared net with its arguments becomes flux_core's, with sub-models that are made when its sizes
are known.

    {Gated: {out: 128}}  ──▶  Recurrence(Gated(128))    with states it runs along sequences (batch, steps, ...)
    {Mix: {}}            ──▶  Mix()                     without them it is a layer like any other

Inside a net with states everything is one step, its sub-models too.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fluxrun.spec.net_check import check_layer, definition, fill, net_models
from fluxrun.spec.nets import declared, net_rows
from fluxrun.spec.part import Part
from fluxrun.spec.problems import SpecError
from fluxrun.spec.resolve import Doubts
from fluxrun.spec.schema.nets import Net
from fluxrun.spec.tree import Mapping, Node

Number = int | float
Build = Callable[[Part, str, bool], Any]


@dataclass
class Nets:
    """The nets of a checked spec; `words` are the sizes that the data give, `build` makes any layer (of one step?)."""

    nets: AbstractMapping[str, Net]
    words: AbstractMapping[str, int | None]
    doubts: Doubts
    build: Build
    made: dict[tuple[str, bool], Any] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.nets

    def layer(self, name: str, arguments: AbstractMapping[str, Any], step: bool) -> Any:
        """The layer of a net with these arguments: along sequences, or of one `step` where it is part of one."""
        from flux_core.layers import Recurrence

        net = self.nets[name]
        inside = step or bool(net.state)
        if (name, inside) not in self.made:
            models = {key: partial(self._model, name, key, model, inside) for key, model in self._models(name)}
            self.made[name, inside] = definition(name, net, models, self.words)
        one = self.made[name, inside](**arguments)
        return Recurrence(one) if net.state and not step else one

    def _models(self, name: str) -> list[tuple[str, Node]]:
        node = dict(declared(self.doubts.tree))[name].node
        assert isinstance(node, Mapping)  # it has been checked
        return list(net_models(node))

    def _model(self, name: str, key: str, model: Node, step: bool, sizes: AbstractMapping[str, Number]) -> Any:
        """A sub-model with its sizes filled in. Raises SpecError where it cannot have them."""
        path = f"nets.{name}.models.{key}"
        before = len(self.doubts.problems.found)
        part = check_layer(fill(model, path, sizes, set()), path, self.doubts.problems, net_rows(self.doubts.tree))
        layer = None if part is None else self.build(part, path, step)
        if layer is None:
            raise SpecError(self.doubts.problems.found[before:])
        return layer
