"""A step run along sequences: (batch, steps, ...) -> (batch, steps, ...).

    x (batch, steps, f) ──▶ (steps, batch, f) ── scan of the step ──▶ (steps, batch, g) ──▶ (batch, steps, g)
                                    ▲
                    initial states, the same for each row

Any model of single steps will do: a net with states, a chain of them, a Formula, a flipped one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import Graph, Node, as_node, input_node, pack, scan, values_of
from flux_core.layers.base import Layer
from flux_core.layers.building import build_model, is_built
from flux_core.layers.init import Draw
from flux_core.ops import per_row, transpose
from flux_core.passes import Type, TypeTree, laid_out, shape_tree, step_form
from flux_core.passes.atomise import name_of

TURNED = (1, 0)  # batch and steps change places


class Recurrence(Layer):
    """Recurrence(model): the model at each step of a sequence, from its first; `reverse`: from its last.

    Sequences that are `time_major` are (steps, batch, ...). A model of several inputs takes as many sequences of one
    length, one with a tuple of outputs gives as many.

    >>> import numpy as np
    >>> from flux_core.model import State, net
    >>> @net
    ... class Sum:
    ...     total: State
    ...     def forward(self, x):
    ...         self.total = self.total[-1] + x
    ...         return self.total
    >>> Recurrence(Sum(1))(np.ones((1, 3, 1)))[0, :, 0]
    array([1., 2., 3.])
    """

    def __init__(self, model: Any, *, reverse: bool = False, time_major: bool = False) -> None:
        self.model = model
        self.reverse, self.time_major = reverse, time_major

    @property
    def built(self) -> bool:
        """Whether the step has its Params."""
        return is_built(self.model)

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Build the step for sequences of this type, or for a tuple of the types of several."""
        build_model(self.model, [self._one_step(part) for part in ((x,) if isinstance(x, Type) else x)], draw)

    def graph(self) -> Graph:
        """The scan, laid anew where the step changed; raises GraphError for a step that has no graph."""
        if self.built:
            whole = laid_out(self.model)
            if whole is None:
                raise GraphError(f"{name_of(self.model)} has no graph that could be run along a sequence")
            if whole is not getattr(self, "_whole", None):
                self._whole = whole  # forgets what was laid before
        return super().graph()

    def lay(self) -> Graph:
        """Transposed, scanned, transposed back."""
        form, arity = step_form(self._whole), self._whole.arity
        if not arity:
            raise GraphError(f"{name_of(self.model)} takes no input: there is no sequence to run it along")
        xs = [self._turned(input_node(i)) for i in range(arity)]
        outputs = _leaves(form.output)
        initial = [per_row(h.default, xs[0], axis=1) for h in form.hidden]
        run = scan(form.graph(*outputs), initial, xs, reverse=self.reverse != form.backwards)
        ys = iter([self._turned(values_of(run, i)) for i in range(len(outputs))])
        return Graph(_nested(form.output, ys), arity)

    def _turned(self, x: Node) -> Node:
        return x if self.time_major else as_node(transpose(x, axes=TURNED))

    def _one_step(self, x: TypeTree) -> Type:
        """The type of one step; raises ShapeError for what is no sequence."""
        if not isinstance(x, Type) or len(x.shape) < 2:
            shape = shape_tree(x)
            raise ShapeError(f"a recurrent layer takes sequences (batch, steps, ...), not {shape}", shapes=(shape,))
        return Type((x.shape[1 if self.time_major else 0], *x.shape[2:]), x.kind)

    def __repr__(self) -> str:
        marks = "".join(f", {name}=True" for name in ("reverse", "time_major") if getattr(self, name))
        return f"Recurrence({self.model!r}{marks})"


def _leaves(value: Node) -> list[Node]:
    """The arrays of a nest of tuples, one by one."""
    return [leaf for part in value.inputs for leaf in _leaves(part)] if value.op == "tuple" else [value]


def _nested(like: Node, leaves: Iterator[Node]) -> Node:
    """Arrays in the nest that `like` is."""
    return pack(*(_nested(part, leaves) for part in like.inputs)) if like.op == "tuple" else next(leaves)
