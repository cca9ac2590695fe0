"""Reading on step by step is reading at once, and what is sampled follows from scores, settings and a seed."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import flux_core
from flux_core.data import Preprocessing
from flux_core.data.vocabulary import Vocabulary
from flux_core.engine.store import Store
from flux_core.errors import DataError, GraphError
from flux_core.interpreter import interpret
from flux_core.layers import (
    Affine,
    Chain,
    Dropout,
    Embedding,
    OneHot,
    Recurrence,
    Recurrent,
    Reshape,
    gru,
    initialise,
    lstm,
)
from flux_core.model import net
from flux_core.ops import flatten, mean
from flux_core.passes import Type, laid_out
from flux_core.training import reader
from flux_core.training.description import Description
from flux_core.training.loaded import Trained
from flux_core.training.reader import Reader
from flux_core.training.sampling import sample_ids, shares_of

LETTERS = "\nabcdé"
N = len(LETTERS)


MODELS = {
    "lstm": lambda: Chain(Embedding(n=N, out=4), lstm(8), Affine(N)),
    "two layers": lambda: Chain(OneHot(N), lstm(8, layers=2), Dropout(0.5), Affine(N)),
    "gru": lambda: Chain(OneHot(N), gru(8), Affine(N)),
    "trained start": lambda: Chain(OneHot(N), Recurrence(Recurrent(N, 8, trainable_state=True)), Affine(N)),
    "no state": lambda: Chain(Embedding(n=N, out=4), Affine(N)),
}


def described(model, steps=7):
    model = initialise(model, Type((1, steps), "int"), seed=0)
    rng = np.random.default_rng(0)
    for p in flux_core.parameters(model).values():  # far from zero: what is read long ago counts
        p.x[...] = rng.normal(0, 0.7, p.shape)
    return Description(laid_out(model), (steps,), "int64", "scores")


def trained(model=None, vocabulary=None):
    vocabulary = vocabulary or Vocabulary("char", LETTERS)
    return Trained(
        Path("run"),
        described(MODELS["gru"]() if model is None else model),
        Preprocessing(dtype="int64", vocabulary=vocabulary),
        "classification",
        vocabulary.names,
    )


def at_once(model, ids):
    return interpret(model.graph, (ids[None],))[0]


def in_pieces(model, ids, lengths):
    read = Reader(model).read
    cuts = list(itertools.accumulate(lengths))
    assert cuts[-1] == len(ids)
    return np.concatenate([read(ids[end - n : end]) for n, end in zip(lengths, cuts, strict=True)])


def probabilities(scores):
    return np.array([shares_of(row, 1.0) for row in scores])


IDS = np.random.default_rng(1).integers(0, N, 24)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("lengths", [[24], [1] * 24, [10, 1, 1, 5, 7]])
def test_pieces_are_the_whole(name, lengths):
    model = described(MODELS[name]())
    found, wanted = in_pieces(model, IDS, lengths), at_once(model, IDS)
    assert np.ptp(wanted, axis=0).max() > 0.1, "the text makes a difference"
    np.testing.assert_allclose(probabilities(found), probabilities(wanted), atol=1e-5)


def test_a_long_text_is_read_in_windows(monkeypatch):
    monkeypatch.setattr(reader, "WINDOW", 5)
    model = described(MODELS["lstm"]())
    np.testing.assert_allclose(in_pieces(model, IDS, [24]), at_once(model, IDS), atol=1e-5)


@pytest.mark.parametrize("fault", ["forgets", "begins anew"])
def test_a_planted_fault_is_caught(monkeypatch, fault):
    window = Reader._window

    def wrong(self, ids):
        if fault == "forgets":
            self._states = [np.zeros_like(state) for state in self._states]
        else:
            self._first = np.float32(1.0)
        return window(self, ids)

    monkeypatch.setattr(Reader, "_window", wrong)
    model = described(MODELS["trained start" if fault == "begins anew" else "lstm"]())
    with pytest.raises((AssertionError, GraphError)):  # a reader that is made so is refused
        np.testing.assert_allclose(
            probabilities(in_pieces(model, IDS, [1] * 24)), probabilities(at_once(model, IDS)), atol=1e-5
        )


def test_without_kernels_the_interpreter_reads(monkeypatch):
    from flux_core.engine import compiled
    from flux_core.engine.lower import CannotLowerError

    def refuse(*_):
        raise CannotLowerError("no")

    monkeypatch.setattr(compiled, "Compiled", refuse)
    model = described(MODELS["two layers"]())
    np.testing.assert_allclose(in_pieces(model, IDS, [3, 21]), at_once(model, IDS), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_length_needs_no_new_kernel(name, monkeypatch):
    asked, load = set(), Store.load

    def listening(self, kernels):
        kernels = list(kernels)
        asked.update(kernels)
        return load(self, kernels)

    monkeypatch.setattr(Store, "load", listening)
    read = Reader(described(MODELS[name]())).read
    read(IDS)
    first = set(asked)
    for length in (1, 2, 9, 13):
        read(IDS[:length])
    assert asked == first


def test_a_model_that_reads_from_the_end():
    model = described(Chain(OneHot(N), lstm(8, bidirectional=True), Affine(N)))
    with pytest.raises(GraphError, match="from its end too"):
        Reader(model)


def test_a_model_that_mixes_the_steps_of_a_window():
    mixed = net(lambda x: x + mean(x, axis=1, keepdims=True))
    with pytest.raises(GraphError, match="depend on how many follow"):
        Reader(described(Chain(OneHot(N), lstm(8), mixed, Affine(N))))


def test_a_model_of_whole_windows():
    model = described(Chain(OneHot(N), flatten, Affine(7 * N), Reshape(7, N)))
    with pytest.raises(GraphError, match="it reads 7 symbols as a whole"):
        Reader(model)


def test_shares_are_those_of_softmax():
    scores = np.array([1.0, -2.0, 0.5, 1.0], np.float32)
    powers = np.exp(scores.astype(np.float64))
    np.testing.assert_allclose(shares_of(scores, 1.0), powers / powers.sum(), rtol=1e-14)
    np.testing.assert_allclose(shares_of(scores, 0.5), powers**2 / (powers**2).sum(), rtol=1e-14)
    assert shares_of(scores, 0.0).tolist() == [1, 0, 0, 0], "of equals the first"
    assert shares_of(scores, 1e-300).tolist() == [0.5, 0, 0, 0.5]
    np.testing.assert_allclose(shares_of(scores, np.inf), 0.25)
    np.testing.assert_allclose(shares_of(scores, 1.0, 3), powers * [1, 0, 1, 1] / powers[[0, 2, 3]].sum())
    assert shares_of(scores, 1.0, 1).tolist() == [1, 0, 0, 0]
    assert shares_of(scores, 1.0, 9).tolist() == shares_of(scores, 1.0).tolist()
    assert shares_of(np.float32([3e38, -3e38]), 1.0).tolist() == [1, 0]


def test_symbols_come_as_often_as_their_shares():
    bigram = trained(MODELS["no state"]())
    symbols = np.fromiter(sample_ids(bigram, "a", length=6000), np.int64)
    shares = np.array([shares_of(row, 1.0) for row in at_once(bigram.model, np.arange(N))])
    before, after = symbols[:-1], symbols[1:]
    for symbol in range(N):
        drawn = np.bincount(after[before == symbol], minlength=N)
        expected = drawn.sum() * shares[symbol]
        assert (np.abs(drawn - expected) <= 5 * np.sqrt(expected + 1)).all(), symbol


def test_a_seed_is_a_text_and_the_beginning_of_longer_ones():
    model = trained()
    texts = ["".join(flux_core.sample(model, "ab", length=40, seed=seed)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert all(len(text) == 40 and set(text) <= set(LETTERS) for text in texts)
    assert "".join(flux_core.sample(model, "ab", length=15)) == texts[0][:15]
    endless = flux_core.sample(model, "ab")
    assert "".join(itertools.islice(endless, 40)) == texts[0]
    assert "".join(flux_core.sample(model, length=0)) == ""


def test_every_block_of_chances_has_numbers_of_its_own():
    from flux_core.training import sampling

    found = list(itertools.islice(sampling._chances(3), 2 * sampling.BLOCK))
    assert len(set(found)) == len(found)
    assert 0 <= min(found) < 0.01 < 0.99 < max(found) < 1
    assert any(value * 2**32 % 1 for value in found), "more than 32 bits"


def test_without_a_prime_it_goes_on_behind_a_line():
    model = trained()
    assert list(sample_ids(model, length=20)) == list(sample_ids(model, "\n", length=20))
    one_line = trained(vocabulary=Vocabulary("char", "abcdef"))
    assert list(sample_ids(one_line, length=20)) == list(sample_ids(one_line, "a", length=20))


def test_temperature_0_and_one_of_the_top_are_the_same_for_every_seed():
    model = trained()
    greedy = {tuple(sample_ids(model, "a", length=30, temperature=0, seed=seed)) for seed in range(3)}
    greedy |= {tuple(sample_ids(model, "a", length=30, top_k=1, seed=seed)) for seed in range(3)}
    (symbols,) = greedy
    ids = np.array([LETTERS.index("a"), *symbols])
    assert at_once(model.model, ids)[:-1].argmax(axis=-1).tolist() == list(symbols)


def test_bytes_that_are_no_text():
    from flux_core.training import sampling

    letters = list(b"a\xc3\xa9\xff\nz\xc3")  # the last one waits for a second byte that never comes
    assert "".join(sampling._pieces(Vocabulary("byte"), iter(letters))) == "aé\ufffd\nz\ufffd"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -1}, "temperature is 0 or more, not -1"),
        ({"temperature": float("nan")}, "temperature is 0 or more, not nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"length": -1}, "length is 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(settings, said):
    with pytest.raises(ValueError, match=said):
        flux_core.sample(trained(), "a", **settings)


def test_a_prime_that_it_cannot_read():
    with pytest.raises(DataError, match="never seen the character 'X'") as caught:
        flux_core.sample(trained(), "ab\ncaX")
    assert (caught.value.row, caught.value.column) == (2, 3)
    with pytest.raises(DataError, match="never seen the character '\\\\ud800'"):
        flux_core.sample(trained(), "\ud800")


def test_a_model_of_rows():
    rows = Trained(Path("run"), described(MODELS["gru"]()), Preprocessing(), "classification", ())
    with pytest.raises(DataError, match="has not learnt from text"):
        flux_core.sample(rows)
