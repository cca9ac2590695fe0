"""The attention encoder-decoder of the original: delayed values through sub-models, a tuple that is iterated over.

tokens ── encoder, both directions ──▶ annotations ── decoder, attends to all of them at every step ──▶ tokens
(Bahdanau, Cho and Bengio 2014)
"""

import numpy as np
import pytest

from flux_core.errors import GraphError
from flux_core.ir import Param
from flux_core.layers import LSTM, Affine, Chain
from flux_core.model import Model, State, back, flip, net, parameters, runmodel, stateless, unroll, unroll1
from flux_core.ops import concat, exp, softmax

BATCH, STEPS, ALPHABET, HIDDEN = 3, 5, 7, 4


@net
class Encoder(Model):
    ahead: Model
    behind: Model

    def forward(self, token):
        return concat(self.ahead(token), self.behind(token))


@net
class Decoder(Model):
    align: Model
    recur: Model
    to_alphabet: Model
    y: State
    state: State

    def forward(self, tokens):
        energies = [exp(self.align(concat(token, self.state[-1]))) for token in tokens]
        context = sum(energy * token for energy, token in zip(energies, tokens, strict=True)) / sum(energies)
        states = self.recur((self.y[-1], self.state[-1]), context)[0]
        self.y, self.state = states[0], states[1]
        return softmax(self.to_alphabet(self.y))


def wide(model):
    """All weights as they are, in float64, and not as small as they are drawn."""
    for p in parameters(model).values():
        p.x = p.x.astype(np.float64) * 1.5
        p.dx = np.zeros_like(p.x)
    return model


@pytest.fixture
def parts():
    ahead, behind = wide(LSTM(ALPHABET, HIDDEN // 2)), wide(LSTM(ALPHABET, HIDDEN // 2))
    align, recur, out = wide(Affine(2 * HIDDEN, 1)), wide(LSTM(HIDDEN, HIDDEN)), wide(Affine(HIDDEN, ALPHABET))
    start = Param(np.linspace(-0.5, 0.5, HIDDEN), np.zeros(HIDDEN))
    return ahead, behind, align, recur, out, start


def whole(parts):
    ahead, behind, align, recur, out, start = parts
    encoder = Encoder(ahead, flip(behind))
    decoder = Decoder(align, unroll1(recur).model, out, HIDDEN, start)
    repeated = net(lambda annotations: (annotations,) * STEPS)
    return Chain(unroll(encoder, STEPS), repeated, unroll(decoder, STEPS))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(cell, h, c, x):
    i, f, o, g = np.split(x @ cell.W.x + h @ cell.U.x + cell.b.x, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def by_hand(parts, tokens):
    ahead, behind, align, recur, out, start = parts
    found = []
    for cell, order in ((ahead, tokens), (behind, tokens[::-1])):
        h = c = np.zeros((BATCH, HIDDEN // 2))
        hs = []
        for x in order:
            h, c = lstm(cell, h, c, x)
            hs.append(h)
        found.append(hs)
    annotations = [np.concatenate(pair, -1) for pair in zip(found[0], found[1][::-1], strict=True)]
    h, c = np.zeros((BATCH, HIDDEN)), np.tile(start.x, (BATCH, 1))
    ys = []
    for _ in tokens:
        energies = [np.exp(np.concatenate([a, c], -1) @ align.W.x + align.b.x) for a in annotations]
        context = sum(e * a for e, a in zip(energies, annotations, strict=True)) / sum(energies)
        h, c = lstm(recur, h, c, context)
        z = np.exp(h @ out.W.x + out.b.x)
        ys.append(z / z.sum(-1, keepdims=True))
    return ys


def tokens():
    return tuple(np.random.default_rng(5).standard_normal((STEPS, BATCH, ALPHABET)))


def test_values_are_those_of_the_equations(parts):
    model, xs = whole(parts), tokens()
    want = by_hand(parts, xs)
    np.testing.assert_allclose(np.stack(model(xs)), np.stack(want), rtol=1e-9, atol=1e-12)
    forgetful = Chain(*(stateless(part) for part in model))
    np.testing.assert_allclose(np.stack(forgetful(xs)), np.stack(want), rtol=1e-9, atol=1e-12)
    # the second sentence goes on from the first; without its states it begins anew
    assert np.abs(np.stack(model(xs)) - np.stack(want)).max() > 1e-3
    np.testing.assert_allclose(np.stack(forgetful(xs)), np.stack(want), rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_small_steps(parts):
    model, xs = whole(parts), tokens()
    dys = tuple(np.random.default_rng(6).standard_normal((STEPS, BATCH, ALPHABET)))
    runmodel(model, xs)
    dxs = back(model, dys, xs)

    def loss(xs):
        return sum((dy * y).sum() for dy, y in zip(dys, by_hand(parts, xs), strict=True))

    def slope(array, place, small=1e-6):
        kept = array[place]
        array[place] = kept + small
        above = loss(xs)
        array[place] = kept - small
        below = loss(xs)
        array[place] = kept
        return (above - below) / (2 * small)

    for place in [(0, 2), (2, 6)]:
        for t in range(STEPS):
            assert dxs[t][place] == pytest.approx(slope(xs[t], place), rel=1e-5, abs=1e-8)
    named = parameters(model)
    held = [p for part in parts[:-1] for p in parameters(part).values()]
    assert {id(p) for p in (*held, parts[-1])} == {id(p) for p in named.values()}
    for name, p in named.items():
        for place in {(0,) * p.x.ndim, tuple(n - 1 for n in p.shape), tuple(n // 2 for n in p.shape)}:
            assert p.dx[place] == pytest.approx(slope(p.x, place), rel=1e-5, abs=1e-8), name


def test_the_length_of_the_tuple_is_that_of_the_sequence(parts):
    _, _, align, recur, out, start = parts
    decoder = Decoder(align, unroll1(recur).model, out, HIDDEN, start)
    with pytest.raises(GraphError, match="the length of this tuple is not known while tracing"):
        decoder.graph()
    annotations = tuple(np.random.default_rng(1).standard_normal((3, BATCH, HIDDEN)))
    for steps in (2, 3):  # one model, traced for each length
        ys = unroll(decoder, steps)((annotations[:steps],) * steps)
        assert len(ys) == steps
        assert np.isfinite(ys).all()
    with pytest.raises(GraphError, match="element 2 of a tuple of 2"):
        unroll(decoder, 3)((annotations[:2],) * 3)
