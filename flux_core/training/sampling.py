"""Text from a model of text, symbol by symbol.

    prime ─▶ reader ─▶ scores ─▶ / temperature ─▶ top_k ─▶ shares ─▶ one symbol by chance ─▶ text
               ▲                                                            │
               └────────────────────────────────────────────────────────────┘

The chances are those of a seed: symbol i is decided by the random number of index i, so that the same seed gives the
same text, and the beginning of a longer text is the shorter one.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from flux_core.data.vocabulary import Vocabulary
from flux_core.errors import DataError
from flux_core.philox import Stream
from flux_core.training.loaded import Trained
from flux_core.training.reader import Reader

BLOCK = 1024  # random numbers that are drawn at once


def sample(
    trained: Trained,
    prime: str = "",
    *,
    length: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """sample(trained, "def ") => the text that follows, piece by piece: `length` symbols, or without end.

    At `temperature` 0 the most likely symbol is taken, at 1 each as often as the model says, above that the unlikely
    ones more often. With `top_k` only so many of the likeliest come into question. Bytes that are no UTF-8 become
    U+FFFD. Without a prime the text begins as behind the end of a line.

    Raises DataError for a model of something else than text and for a character in the prime that it has never seen,
    GraphError for one that reads from the end too, ValueError for a setting out of range.
    """
    symbols = sample_ids(trained, prime, length=length, temperature=temperature, top_k=top_k, seed=seed)
    return _pieces(vocabulary_of(trained), symbols)


def sample_ids(
    trained: Trained,
    prime: str = "",
    *,
    length: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Iterator[int]:
    """The ids of the symbols that `sample` makes a text of."""
    if not temperature >= 0:  # nan is neither
        raise ValueError(f"a temperature is 0 or more, not {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}, it must be at least 1")
    if length is not None and length < 0:
        raise ValueError(f"a length is 0 or more, not {length}")
    vocabulary = vocabulary_of(trained)
    ids = vocabulary.encode(prime) if prime else _line_end(vocabulary)
    return islice(_continued(Reader(trained.model), ids, temperature, top_k, seed), length)


def vocabulary_of(trained: Trained) -> Vocabulary:
    """The symbols of a model of text; raises DataError for any other."""
    found = trained.preprocessing.vocabulary
    if found is None:
        raise DataError("this model has not learnt from text", hint="it answers rows of data: `fluxrun predict`")
    return found


def shares_of(scores: NDArray[np.floating], temperature: float, top_k: int | None = None) -> NDArray[np.float64]:
    """The chance of every symbol from its score, (symbols,).

    >>> shares_of(np.log([1.0, 2.0, 5.0]), temperature=1.0).round(3).tolist()
    [0.125, 0.25, 0.625]
    >>> shares_of(np.log([1.0, 2.0, 5.0]), temperature=1.0, top_k=2).round(3).tolist()
    [0.0, 0.286, 0.714]
    >>> shares_of(np.log([1.0, 2.0, 5.0]), temperature=0.0).tolist()
    [0.0, 0.0, 1.0]
    """
    below = scores.astype(np.float64) - scores.max()
    order = np.argsort(-below, kind="stable")  # of equals the first
    most = 1 if temperature == 0 else top_k
    with np.errstate(over="ignore", under="ignore"):
        powers = np.exp(below / temperature) if temperature else np.ones_like(below)
    powers[order[most:] if most is not None else order[:0]] = 0.0
    return np.asarray(powers / powers.sum())


def _continued(
    reader: Reader, ids: NDArray[np.int64], temperature: float, top_k: int | None, seed: int
) -> Iterator[int]:
    chances = _chances(seed)
    while True:
        shares = shares_of(reader.read(ids)[-1], temperature, top_k)
        edges = np.cumsum(shares)
        symbol = int(np.searchsorted(edges, next(chances) * edges[-1], side="right"))
        yield symbol
        ids = np.array([symbol])


def _chances(seed: int) -> Iterator[float]:
    """Uniform numbers of [0, 1) with 53 bits: in 24 the least likely symbols would be lost."""
    stream = Stream.of(seed, "sample")
    for block in count():
        words = stream.bits(BLOCK, 2, step=block).astype(np.uint64)
        yield from (((words[:, 0] << np.uint64(21)) ^ (words[:, 1] >> np.uint64(11))) * 2.0**-53).tolist()


def _line_end(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The end of a line, or in texts without lines the first symbol."""
    has = vocabulary.unit == "byte" or "\n" in vocabulary.characters
    return vocabulary.encode("\n") if has else np.zeros(1, np.int64)


def _pieces(vocabulary: Vocabulary, symbols: Iterator[int]) -> Iterator[str]:
    if vocabulary.unit == "char":
        yield from (vocabulary.characters[symbol] for symbol in symbols)
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for symbol in symbols:
        if piece := decoder.decode(bytes([symbol])):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest
