"""The random streams against the published test vectors, and their independence of order."""

import numpy as np
import pytest

from flux_core import philox
from flux_core.philox import Stream, philox4x32


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # Random123's known-answer tests of philox4x32-10
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_known_answers(counter, key, words):
    got = philox4x32(np.array(counter, np.uint32), key)
    assert " ".join(f"{word:08x}" for word in got) == words


def test_a_row_does_not_depend_on_the_rows_before_it():
    stream = Stream.of(1, "dropout", "0")
    np.testing.assert_array_equal(stream.bits(8, 7, step=5)[:3], stream.bits(3, 7, step=5))
    np.testing.assert_array_equal(stream.bits(8, 9, step=5)[:, :6], stream.bits(8, 6, step=5))


def test_streams_differ_by_seed_purpose_path_and_step():
    drawn = [
        Stream.of(0, "init", "0").bits(1, 4).tolist(),
        Stream.of(1, "init", "0").bits(1, 4).tolist(),
        Stream.of(0, "shuffle", "0").bits(1, 4).tolist(),
        Stream.of(0, "init", "1").bits(1, 4).tolist(),
        Stream.of(0, "init", "0").bits(1, 4, step=1).tolist(),
    ]
    assert len({str(words) for words in drawn}) == len(drawn)


def test_moments():
    stream = Stream.of(0, "test")
    uniform, normal = stream.uniform(100, 1000), stream.normal(100, 1000)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.005
    assert abs(normal.mean()) < 0.015
    assert abs(normal.std() - 1) < 0.01


def test_permutation_is_one_and_changes_with_the_step():
    stream = Stream.of(0, "shuffle")
    orders = [stream.permutation(100, step=epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(100))
    assert not np.array_equal(orders[0], orders[1])


def shuffled(stream, n, step):
    """The shuffle, written out."""
    words, order = stream.bits(1, n, step=step)[0].tolist(), list(range(n))
    for i in range(n - 1, 0, -1):
        j = words[i] * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def test_permutation_is_the_shuffle_of_its_words():
    """Fixed for ever: a resumed run must see the same order."""
    stream = Stream.of(0, "shuffle")
    assert stream.permutation(7, step=2).tolist() == shuffled(stream, 7, 2) == [6, 5, 3, 2, 1, 4, 0]


@pytest.mark.parametrize("n", [0, 1, 2, 5, 16, 17, 31, 32, 33, 100])
def test_permutation_by_stretches_of_words(n, monkeypatch):
    stream = Stream.of(3, "shuffle")
    for stretch in (4, 16, philox.STRETCH):
        monkeypatch.setattr(philox, "STRETCH", stretch)
        for step in (0, 2**32 + 5):
            order = stream.permutation(n, step=step)
            assert order.dtype == np.int64
            assert order.flags.writeable
            assert order.tolist() == shuffled(stream, n, step)
