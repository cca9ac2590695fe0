"""Streams of examples to batches: values, order, reuse of buffers, what is dropped."""

import numpy as np
import pytest

from flux_core.dims import (
    Batch,
    Batched,
    BatchSeq,
    Seq,
    batches,
    batchone,
    chunk,
    onehot,
    rawbatch,
    sequences,
    stack,
    tobatch,
    unbatchone,
    unstack,
)


def test_batched_reuses_its_buffer_and_drops_the_rest() -> None:
    examples = [np.array([i, -i]) for i in range(7)]
    addresses, seen = set(), []
    for batch in Batched(examples, 3):
        assert type(batch) is Batch
        addresses.add(rawbatch(batch).__array_interface__["data"][0])
        seen.append(rawbatch(batch).copy())
    assert len(addresses) == 1
    np.testing.assert_array_equal(np.concatenate(seen), np.stack(examples[:6]))


def test_batched_pairs_get_a_buffer_each() -> None:
    pairs = [(np.full(2, float(i)), i) for i in range(4)]
    got = [(rawbatch(x).copy(), rawbatch(y).copy()) for x, y in Batched(iter(pairs), 2)]
    np.testing.assert_array_equal(got[1][0], [[2, 2], [3, 3]])
    np.testing.assert_array_equal(got[1][1], [2, 3])
    assert got[0][1].dtype == np.int64


def test_batched_sequences_are_batchseqs() -> None:
    (batch,) = Batched([Seq([1, 2]), Seq([3, 4])], 2)
    assert type(batch) is BatchSeq
    assert batch == [[1, 2], [3, 4]]


def test_batched_never_rounds_into_a_narrower_buffer() -> None:
    got = [rawbatch(batch).tolist() for batch in Batched([1, 2, 0.5, 0.25], 2)]
    assert got == [[1, 2], [0.5, 0.25]]


def test_batched_refuses_a_change_of_kind() -> None:
    with pytest.raises(ValueError, match="sequences at first"):
        list(Batched([Seq([1]), np.array([1])], 1))
    with pytest.raises(ValueError, match="at least 1"):
        Batched([1], 0)


def test_batchone_and_tobatch() -> None:
    x = np.arange(3)
    assert np.shares_memory(tobatch(x), x)
    assert tobatch(x).shape == (1, 3)
    xs = Batch([x, x])
    assert batchone(xs) is xs
    assert tobatch(xs) is rawbatch(xs)
    np.testing.assert_array_equal(unbatchone(batchone(x)), x)
    assert type(unbatchone(batchone(Seq([1, 2])))) is Seq
    with pytest.raises(ValueError, match="has 2"):
        unbatchone(xs)


def test_the_streams_of_a_text_model_continue_from_batch_to_batch() -> None:
    text = "abcdefghijklmnopqrstuvwxyz"
    alphabet = sorted(set(text))

    def coded(part: str) -> list[np.ndarray]:
        return [onehot(letter, alphabet) for letter in part]

    got = list(batches(*(sequences(coded(part), 3) for part in chunk(text, 2))))
    assert [batch.shape for batch in got] == [(2, 3, 26)] * 4
    assert all(type(batch) is BatchSeq for batch in got)
    row = ["".join(alphabet[step.argmax()] for batch in got for step in batch[i]) for i in range(2)]
    assert row == ["abcdefghijkl", "nopqrstuvwxy"]


def test_sequences_of_an_array_are_views() -> None:
    xs = np.arange(14).reshape(7, 2)
    got = list(sequences(xs, 3))
    assert all(np.shares_memory(rawbatch(seq), xs) for seq in got)
    assert [rawbatch(seq).tolist() for seq in got] == [xs[:3].tolist(), xs[3:6].tolist()]
    assert list(sequences(iter(xs), 3)) == got
    with pytest.raises(ValueError, match="at least 1"):
        list(sequences(xs, 0))


def test_chunk_cuts_anything_that_slices() -> None:
    assert chunk([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4]]
    assert [part.tolist() for part in chunk(np.arange(6), 3)] == [[0, 1], [2, 3], [4, 5]]
    assert chunk(Batch([1, 2, 3]), 3) == [Batch([1]), Batch([2]), Batch([3])]
    for n in (0, 4):
        with pytest.raises(ValueError, match="cannot be cut"):
            chunk("abc", n)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_unstack_undoes_stack(axis: int) -> None:
    xs = tuple(np.arange(i, i + 6).reshape(2, 3) for i in range(4))
    whole = stack(xs, axis)
    assert whole.shape[axis] == 4
    back = unstack(whole, axis)
    assert isinstance(back, tuple)
    for got, want in zip(back, xs, strict=True):
        np.testing.assert_array_equal(got, want)
        assert np.shares_memory(got, whole)


def test_the_default_axis_is_the_one_of_steps() -> None:
    steps = (np.zeros((5, 2)), np.ones((5, 2)), np.full((5, 2), 2.0))
    assert stack(steps).shape == (5, 3, 2)
    np.testing.assert_array_equal(stack(steps)[:, 1], steps[1])
    np.testing.assert_array_equal(unstack(stack(steps))[2], steps[2])
