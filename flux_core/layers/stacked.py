"""Recurrent layers as a spec names them: (batch, steps, f) -> (batch, steps, out), of one layer of cells or several.

    x ─ turn ─▶ time-major ─▶ cells 0 ─ dropout ─▶ cells 1 ─ turn ─▶ y
                              │ ──▶ │              both directions side by side, if bidirectional
                              └ ◀── ┘

Between the layers sequences stay time-major. `recurrent`, `gru` and `lstm` make such layers; the steps themselves
(`Recurrent`, `GatedRecurrent`, `GRU`, `LSTM`) are cells, to be unrolled or run along sequences by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from flux_core.errors import ShapeError
from flux_core.ir import Graph, Step, call, input_node
from flux_core.layers.base import Layer
from flux_core.layers.cells import GRU, LSTM, Cell, GatedRecurrent, Recurrent
from flux_core.layers.init import Draw, Init
from flux_core.layers.recurrence import TURNED, Recurrence
from flux_core.ops import concat, dropout, transpose
from flux_core.passes import Type, TypeTree, shape_tree


class Stacked(Layer):
    """Cells in layers, each fed with all steps of the one before; made by `recurrent`, `gru` and `lstm`.

    `runs` are the layers from below, each with the directions that it runs in. Dropout is between layers only.
    """

    def __init__(
        self,
        label: str,
        cell: type[Cell],
        out: int,
        arguments: Mapping[str, Any],
        *,
        layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        if layers < 1:
            raise ValueError(f"{label} has 1 layer or more, not {layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"a dropout rate lies in [0, 1), not at {dropout}")
        self.__name__ = label
        self.out, self.dropout = out, dropout
        directions = (False, True) if bidirectional else (False,)
        self.runs = tuple(
            tuple(Recurrence(cell(out=out, **arguments), reverse=reverse, time_major=True) for reverse in directions)
            for _ in range(layers)
        )

    @property
    def built(self) -> bool:
        """Whether all cells have their Params."""
        return all(run.built for layer in self.runs for run in layer)

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Draw the weights of all cells for sequences (batch, steps, features)."""
        if not isinstance(x, Type) or len(x.shape) != 3 or x.kind == "int":
            shape = shape_tree(x)
            ids = isinstance(x, Type) and x.kind == "int"
            hint = "ids become vectors in an embedding" if ids else "rows become sequences when they are reshaped"
            raise ShapeError(
                f"{self.__name__} takes sequences of vectors (batch, steps, features), not {shape}; {hint}",
                shapes=(shape,),
            )
        batch, steps, features = x.shape
        for i, layer in enumerate(self.runs):
            for run in layer:
                path = self._step(i, run).name
                run.build(
                    Type((steps, batch, features)),
                    lambda name, shape, init, path=path: draw(f"{path}.{name}", shape, init),  # type: ignore[misc]  # mypy cannot infer a default
                )
            features = self.out * len(layer)

    def lay(self) -> Graph:
        """All layers over time-major sequences."""
        x = transpose(input_node(0), axes=TURNED)
        for i, layer in enumerate(self.runs):
            x = dropout(x, self.dropout) if i and self.dropout else x
            ys = [call(run, x, step=self._step(i, run)) for run in layer]
            x = concat(*ys) if len(ys) > 1 else ys[0]
        return Graph(transpose(x, axes=TURNED), 1)

    def _step(self, i: int, run: Recurrence) -> Step:
        return Step(f"{i}_reverse" if run.reverse else str(i), "Recurrence")

    def __repr__(self) -> str:
        marks = {
            "layers": len(self.runs) if len(self.runs) > 1 else None,
            "bidirectional": len(self.runs[0]) > 1 or None,
            "dropout": self.dropout or None,
        }
        return f"{self.__name__}({', '.join([str(self.out), *(f'{k}={v}' for k, v in marks.items() if v)])})"


def recurrent(
    out: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    activation: Literal["tanh", "relu"] = "tanh",
    trainable_state: bool = False,
    init: Init = "glorot",
    recurrent_init: Init = "orthogonal",
    bias_init: Init = "zeros",
) -> Stacked:
    """recurrent(out): h = tanh(x W + h[-1] U + b) along sequences, (batch, steps, f) -> (batch, steps, out).

    Bidirectional layers give 2·out values, forwards and then backwards.

    >>> recurrent(8, layers=2)
    recurrent(8, layers=2)
    """
    arguments = {
        "activation": activation,
        "trainable_state": trainable_state,
        "init": init,
        "recurrent_init": recurrent_init,
        "bias_init": bias_init,
    }
    shape: dict[str, Any] = {"layers": layers, "bidirectional": bidirectional, "dropout": dropout}
    return Stacked("recurrent", Recurrent, out, arguments, **shape)


def gru(
    out: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    reset: Literal["after", "before"] = "after",
    trainable_state: bool = False,
    init: Init = "glorot",
    recurrent_init: Init = "orthogonal",
    bias_init: Init = "zeros",
) -> Stacked:
    """gru(out): gated recurrent units along sequences; `reset` after the product, as in cuDNN, or before, as in 2014.

    >>> gru(8, reset="before").runs[0][0].model
    GatedRecurrent(8)
    """
    if reset not in ("after", "before"):
        raise ValueError(f"reset is after or before the product, not {reset!r}")
    arguments = {
        "trainable_state": trainable_state,
        "init": init,
        "recurrent_init": recurrent_init,
        "bias_init": bias_init,
    }
    shape: dict[str, Any] = {"layers": layers, "bidirectional": bidirectional, "dropout": dropout}
    return Stacked("gru", GRU if reset == "after" else GatedRecurrent, out, arguments, **shape)


def lstm(
    out: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    forget_bias: float = 1.0,
    trainable_state: bool = False,
    init: Init = "glorot",
    recurrent_init: Init = "orthogonal",
    bias_init: Init = "zeros",
) -> Stacked:
    """lstm(out): long short-term memory along sequences, (batch, steps, f) -> (batch, steps, out).

    >>> lstm(8, bidirectional=True)
    lstm(8, bidirectional=True)
    """
    arguments = {
        "forget_bias": forget_bias,
        "trainable_state": trainable_state,
        "init": init,
        "recurrent_init": recurrent_init,
        "bias_init": bias_init,
    }
    shape: dict[str, Any] = {"layers": layers, "bidirectional": bidirectional, "dropout": dropout}
    return Stacked("lstm", LSTM, out, arguments, **shape)
