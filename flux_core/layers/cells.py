"""Recurrent steps. Each is one product of the input and one of the state with all its gates side by side.

    z = x W + h[-1] U + b                 W (in, gates · n), U (n, gates · n), b (gates · n,)
        │  sigmoid  │ tanh │              the gates with a sigmoid are neighbours

A step maps (batch, in) to (batch, n) and keeps states. `unroll(LSTM(8, 16), steps)` lays steps side by side,
`Recurrence(LSTM(8, 16))` runs them along sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flux_core.ir import Node
from flux_core.layers.formula import Formula, Start, Weight
from flux_core.layers.init import Draw, Init, default_draws
from flux_core.model.scope import Scope
from flux_core.ops import relu, sigmoid, tanh
from flux_core.passes import Type, TypeTree

ACTIVATIONS = {"tanh": tanh, "relu": relu}


class Cell(Formula):
    """A step of `out` values with its weights; `Cell(n_in, out)` draws them, `Cell(out)` waits for its input.

    `init` is for W, `recurrent_init` for U, `bias_init` for b; `trainable_state` trains the states' initial values.
    """

    gates: ClassVar[int] = 1
    products: ClassVar[Mapping[str, int]] = {"U": 1}  # matrices that meet the state, and how many gates each is for
    biases: ClassVar[Mapping[str, int]] = {"b": 1}
    keeps: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        *sizes: int,
        out: int | None = None,
        trainable_state: bool = False,
        init: Init = "glorot",
        recurrent_init: Init = "orthogonal",
        bias_init: Init = "zeros",
    ) -> None:
        name = type(self).__name__
        given = [*sizes] + ([out] if out is not None else [])
        if not 1 <= len(given) <= 2:
            raise TypeError(f"{name} takes (n_out), (n_in, n_out), out=")
        if min(given) < 1:
            raise ValueError(f"sizes are 1 or more, not {given}")
        n = given[-1]
        weights = {"W": Weight(("in", self.gates * n), init)}
        weights |= {name: Weight((n, gates * n), recurrent_init) for name, gates in self.products.items()}
        weights |= {name: Weight((gates * n,), bias_init) for name, gates in self.biases.items()}
        states = {state: Start((n,), trainable=trainable_state) for state in self.keeps}
        super().__init__(self.step, weights, states, label=name)
        self.out = n
        if len(given) == 2:
            self.build(Type((1, given[0])), default_draws())

    def step(self, s: Scope, x: Node) -> Any:
        """The equations."""
        raise NotImplementedError

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({self.out})" if self.held is None else f"{name}({len(self.held['W'])}, {self.out})"


class Recurrent(Cell):
    """Recurrent(n_in, n_out): h = tanh(x W + h[-1] U + b); `activation` "relu" instead of "tanh" (Elman 1990).

    >>> Recurrent(3, 4).U
    Param(4, 4)
    """

    def __init__(self, *sizes: int, activation: str = "tanh", **arguments: Any) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"an activation is one of {', '.join(ACTIVATIONS)}, not {activation!r}")
        self.activation = activation
        super().__init__(*sizes, **arguments)

    def step(self, s: Scope, x: Node) -> Any:
        """One product each, and an activation."""
        s.h = ACTIVATIONS[self.activation](x @ s.W + s.h[-1] @ s.U + s.b)
        return s.h


class GatedRecurrent(Cell):
    """GatedRecurrent(n_in, n_out): reset before the product (Cho et al. 2014); gates r, z, then the candidate c.

        r, z = σ(x W + h[-1] U + b)      c = tanh(x W + (r h[-1]) V + b)      h = (1 - z) c + z h[-1]

    >>> cell = GatedRecurrent(3, 4)
    >>> cell.W, cell.U, cell.V, cell.b
    (Param(3, 12), Param(4, 8), Param(4, 4), Param(12))
    """

    gates = 3
    products: ClassVar = {"U": 2, "V": 1}
    biases: ClassVar = {"b": 3}

    def step(self, s: Scope, x: Node) -> Any:
        """The gates, the candidate, and the state between the two."""
        n, h = self.out, s.h[-1]
        u = x @ s.W + s.b
        gates = sigmoid(u[..., : 2 * n] + h @ s.U)
        candidate = tanh(u[..., 2 * n :] + (gates[..., :n] * h) @ s.V)
        s.h = candidate + gates[..., n:] * (h - candidate)
        return s.h


class GRU(Cell):
    """GRU(n_in, n_out): reset after the product, as in cuDNN; gates r, z, then the candidate c, with a bias d inside.

        r, z = σ(x W + h[-1] U + b)      c = tanh(x W + b + r (h[-1] U + d))      h = (1 - z) c + z h[-1]

    >>> cell = GRU(3, 4)
    >>> cell.W, cell.U, cell.b, cell.d
    (Param(3, 12), Param(4, 12), Param(12), Param(4))
    """

    gates = 3
    products: ClassVar = {"U": 3}
    biases: ClassVar = {"b": 3, "d": 1}

    def step(self, s: Scope, x: Node) -> Any:
        """The gates, the candidate, and the state between the two."""
        n, h = self.out, s.h[-1]
        u, v = x @ s.W + s.b, h @ s.U
        gates = sigmoid(u[..., : 2 * n] + v[..., : 2 * n])
        candidate = tanh(u[..., 2 * n :] + gates[..., :n] * (v[..., 2 * n :] + s.d))
        s.h = candidate + gates[..., n:] * (h - candidate)
        return s.h


class LSTM(Cell):
    """LSTM(n_in, n_out): gates i, f, o, then the candidate g (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

        i, f, o = σ(x W + h[-1] U + b)    g = tanh(x W + h[-1] U + b)    c = f c[-1] + i g    h = o tanh(c)

    `forget_bias` is added to the bias of f as it is drawn (Jozefowicz et al. 2015).

    >>> cell = LSTM(3, 4)
    >>> cell.W, cell.U, cell.b
    (Param(3, 16), Param(4, 16), Param(16))
    >>> cell.b.x[4:8].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    gates = 4
    products: ClassVar = {"U": 4}
    biases: ClassVar = {"b": 4}
    keeps = ("h", "c")

    def __init__(self, *sizes: int, forget_bias: float = 1.0, **arguments: Any) -> None:
        self.forget_bias = forget_bias
        super().__init__(*sizes, **arguments)

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Draw the weights, and move the forget gate."""
        super().build(x, draw)
        self.b.x[self.out : 2 * self.out] += self.forget_bias

    def step(self, s: Scope, x: Node) -> Any:
        """The gates, the new state, and what of it is shown."""
        n = self.out
        z = x @ s.W + s.h[-1] @ s.U + s.b
        gates, g = sigmoid(z[..., : 3 * n]), tanh(z[..., 3 * n :])
        s.c = gates[..., n : 2 * n] * s.c[-1] + gates[..., :n] * g
        s.h = gates[..., 2 * n :] * tanh(s.c)
        return s.h
