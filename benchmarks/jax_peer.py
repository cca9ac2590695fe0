"""JAX's side of a workload.

(P, m, v, t), rows ──▶ value_and_grad(loss)(P, x[rows], y[rows]) ──▶ Adam or SGD by hand ──▶ (P, m, v, t)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Trainer
from benchmarks.workload import Workload

Forward = Callable[[Any, Any], Any]

rng = np.random.default_rng(1)


def normal(*shape: int) -> Any:
    """Small random numbers."""
    return jnp.asarray(0.05 * rng.standard_normal(shape, np.float32))


def affine(n_in: int, out: int) -> tuple[Any, Any]:
    """Weights and bias."""
    return normal(n_in, out), jnp.zeros(out)


def mlp(work: Workload) -> tuple[Any, Forward]:
    """Affine layers with relu between them."""

    def forward(P: Any, x: Any) -> Any:
        for w, b in P[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = P[-1]
        return x @ w + b

    return [affine(n_in, out) for n_in, out in pairwise(work.sizes)], forward


def lenet(work: Workload) -> tuple[Any, Forward]:
    """LeNet-5 with relu and max pooling, channels last, as XLA likes them on a CPU."""
    P = [
        *((normal(5, 5, 1, 6), jnp.zeros(6)), (normal(5, 5, 6, 16), jnp.zeros(16))),
        *(affine(400, 120), affine(120, 84), affine(84, work.classes)),
    ]

    def forward(P: Any, x: Any) -> Any:
        x = x.transpose(0, 2, 3, 1)
        for (w, b), padding in zip(P[:2], ("SAME", "VALID"), strict=True):
            x = jax.lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
            x = jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = x.reshape(x.shape[0], -1)
        for w, b in P[2:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = P[-1]
        return x @ w + b

    return P, forward


def recurrent(work: Workload) -> tuple[Any, Forward]:
    """LSTM or GRU layers; the products with the inputs are taken for all times at once, the first is a look-up."""
    H, gates = work.hidden, {"lstm": 4, "gru": 3}[work.kind]
    ins = [work.vocab] + [H] * (work.layers - 1)
    P = [(*affine(n_in, gates * H), *affine(H, gates * H)) for n_in in ins]

    def lstm(carry: Any, u: Any, wh: Any, bh: Any) -> Any:  # its bias is in u: bh would only add to it
        h, c = carry
        i, f, o, g = jnp.split(u + h @ wh, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(carry: Any, u: Any, wh: Any, bh: Any) -> Any:
        h, unused = carry
        z = h @ wh + bh
        r, q = jnp.split(jax.nn.sigmoid(u[:, : 2 * H] + z[:, : 2 * H]), 2, -1)
        n = jnp.tanh(u[:, 2 * H :] + r * z[:, 2 * H :])
        h = (1 - q) * n + q * h
        return (h, unused), h

    cell = lstm if work.kind == "lstm" else gru

    def forward(P: Any, ids: Any) -> Any:
        layers, (w, b) = P
        zero = jnp.zeros((ids.shape[0], H))
        h = None
        for wx, bx, wh, bh in layers:
            u = (wx[ids.T] if h is None else h @ wx) + bx  # (time, batch, gates * H)
            _, h = jax.lax.scan(partial(cell, wh=wh, bh=bh), (zero, zero), u)
        return (h @ w + b).transpose(1, 0, 2).reshape(-1, work.vocab)

    return (P, affine(H, work.vocab)), forward


def jax_trainer(work: Workload, *, scan: bool) -> Trainer:
    """A function that trains on the minibatches it is given: by steps, or by epochs with `scan`."""
    P, forward = (recurrent if work.recurrent else lenet if work.kind == "lenet" else mlp)(work)
    x, y = (jnp.asarray(a) for a in work.arrays())
    rate = work.learning_rate
    zeros = jax.tree.map(jnp.zeros_like, P)
    state = (P, zeros, jax.tree.map(jnp.zeros_like, P), jnp.zeros(()))

    def loss_of(P: Any, x: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(forward(P, x)), y.reshape(-1, 1), -1).mean()

    def step(state: Any, rows: Any) -> Any:
        P, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(P, x[rows], y[rows])
        if work.optimizer == "sgd":
            return (jax.tree.map(lambda p, d: p - rate * d, P, g), m, v, t), loss
        t = t + 1
        m = jax.tree.map(lambda a, d: 0.9 * a + 0.1 * d, m, g)
        v = jax.tree.map(lambda a, d: 0.999 * a + 0.001 * d * d, v, g)
        a, c = 1 - 0.9**t, 1 - 0.999**t
        P = jax.tree.map(lambda p, m, v: p - rate * (m / a) / (jnp.sqrt(v / c) + 1e-8), P, m, v)
        return (P, m, v, t), loss

    if scan:
        many = jax.jit(lambda state, order: jax.lax.scan(step, state, order), donate_argnums=0)
    else:
        one = jax.jit(step, donate_argnums=0)

    def train(order: NDArray[np.int64]) -> float:
        nonlocal state
        loss: Any = None
        if scan:
            for epoch in order.reshape(-1, work.batches, work.batch):
                state, losses = many(state, epoch)
                loss = losses[-1]
        else:
            for rows in order:
                state, loss = one(state, rows)
        return float(loss)

    return train
