"""An encoder and a decoder with attention, in Python: words are translated into words read backwards.

    letters ──▶ encoder, in both directions ──▶ annotations
                                                    │ weighted by how well they align with the decoder's state
                                                    ▼
                                decoder ──▶ letters of the translation, one after the other

The model of Bahdanau, Cho and Bengio (2014) as Flux was shown with it in 2017: states are delayed values, which go
through two models inside of others. `python configs/translation.py` trains it in about half a minute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import flux_core as fx
from flux_core.model import State
from flux_core.ops import concat, exp, reshape

ALPHABET = "abcdefgh"
LETTERS, LENGTH, HIDDEN = len(ALPHABET), 6, 32


@fx.net
class Encoder(fx.Model):
    """What a letter means in its place: from what came before it, and from what follows."""

    ahead: fx.Model
    behind: fx.Model

    def forward(self, letter):
        return concat(self.ahead(letter), self.behind(letter))


@fx.net
class Decoder(fx.Model):
    """The next letter, from the annotations that matter now and from the letter before it."""

    align: fx.Model
    recur: fx.Model
    scores: fx.Model
    y: State
    state: State

    def forward(self, annotations):
        energies = [exp(self.align(concat(a, self.state[-1]))) for a in annotations]
        context = sum(e * a for e, a in zip(energies, annotations, strict=True)) / sum(energies)
        y_and_state = self.recur((self.y[-1], self.state[-1]), context)[0]
        self.y, self.state = y_and_state[0], y_and_state[1]
        return self.scores(self.y)


@fx.net
class Translator(fx.Model):
    """One-hot letters (batch, LENGTH, LETTERS) to scores of letters, of the same shape."""

    encoder: fx.Model
    decoder: fx.Model

    def forward(self, x):
        annotations = self.encoder(tuple(x[:, i] for i in range(LENGTH)))
        ys = self.decoder((annotations,) * LENGTH)
        return concat(*(reshape(ys[i], (1, LETTERS), keep=1) for i in range(LENGTH)), axis=1)


def translator() -> fx.Model:
    """The model, unrolled over the letters of a word; every word begins from the initial states."""
    encoder = Encoder(fx.LSTM(LETTERS, HIDDEN // 2), fx.flip(fx.LSTM(LETTERS, HIDDEN // 2)))
    step = fx.unroll1(fx.LSTM(HIDDEN, HIDDEN)).model
    decoder = Decoder(fx.Affine(2 * HIDDEN, 1), step, fx.Affine(HIDDEN, LETTERS), HIDDEN, HIDDEN)
    return Translator(*(fx.stateless(fx.unroll(part, LENGTH)).model for part in (encoder, decoder)))


def words(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Random words, one-hot, and the letters of their translations."""
    ids = np.random.default_rng(seed).integers(0, LETTERS, (count, LENGTH))
    return np.eye(LETTERS, dtype=np.float32)[ids], np.ascontiguousarray(ids[:, ::-1])


def learn(steps: int) -> tuple[fx.Model, float]:
    """A model after so many minibatches of 50 words, and the share of letters that it gets right in new words."""
    model = translator()
    batches = [words(50, seed) for seed in range(1, steps + 1)]
    fx.train(model, batches, loss=fx.cross_entropy, optimizer=fx.adam(learning_rate=0.01))
    x, y = words(500, seed=0)
    return model, float(np.mean(model(x).argmax(-1) == y))


if __name__ == "__main__":
    model, right = learn(steps=1000)
    print(f"{right:.1%} of the letters of 500 new words are right")
    x, _ = words(5, seed=0)
    for word, translation in zip(x.argmax(-1), model(x).argmax(-1), strict=True):
        print(*("".join(ALPHABET[i] for i in ids) for ids in (word, translation)), sep=" -> ")
