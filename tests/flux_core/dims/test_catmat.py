"""Containers behave as lists of examples and never copy without need."""

import numpy as np
import pytest

from flux_core.dims import Batch, BatchSeq, CatMat, Seq, rawbatch, rebatch, rebatchseq
from flux_core.errors import ShapeError

ITEMS = [np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]]), np.array([[9, 10], [11, 12]])]


@pytest.mark.parametrize("kind", [CatMat, Batch, Seq, BatchSeq])
def test_a_container_is_a_list(kind: type[CatMat]) -> None:
    xs = kind(ITEMS)
    assert len(xs) == 3
    assert xs == ITEMS
    assert xs == tuple(ITEMS)
    assert xs != ITEMS[:2]
    assert xs != [*ITEMS[:2], ITEMS[0]]
    for got, want in zip(xs, ITEMS, strict=True):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(xs[-1], ITEMS[-1])
    assert type(xs[1:]) is kind
    assert xs[1:] == ITEMS[1:]
    with pytest.raises(IndexError):
        xs[3]


@pytest.mark.parametrize("kind", [CatMat, Batch, Seq, BatchSeq])
def test_wrapping_and_indexing_share_memory(kind: type[CatMat]) -> None:
    storage = np.stack(ITEMS)
    xs = kind.wrap(storage)
    assert rawbatch(xs) is storage
    assert np.shares_memory(rawbatch(xs[0]), storage)
    assert np.shares_memory(rawbatch(xs[1:]), storage)
    assert np.shares_memory(np.asarray(xs), storage)
    xs[1] = ITEMS[2]
    np.testing.assert_array_equal(storage[1], ITEMS[2])
    assert rawbatch(rebatch(storage)) is storage
    assert rawbatch(rebatchseq(storage)) is storage


def test_building_copies() -> None:
    item = np.array([1.0, 2.0])
    xs = Batch([item, item])
    item[0] = 9
    assert xs == [[1, 2], [1, 2]]


def test_a_batch_of_seqs_is_a_batchseq() -> None:
    seqs = [Seq([[1, 0], [0, 1], [0, 0]]), Seq([[0, 0], [1, 1], [1, 0]])]
    for xs in (Batch(seqs), Batch(iter(seqs)), rebatchseq(np.stack([seq.data for seq in seqs]))):
        assert type(xs) is BatchSeq
        assert isinstance(xs, Batch)
        assert xs.shape == (2, 3, 2)
        assert type(xs[0]) is Seq
        assert xs == seqs
        assert [type(x) for x in xs] == [Seq, Seq]


def test_lists_of_other_kinds_compare_by_content() -> None:
    assert Batch([[1, 2]]) == Seq([[1, 2]])
    assert Batch([[1, 2]]) == [[1.0, 2.0]]
    assert Batch([[1, 2]]) != "12"
    assert Batch([[1, 2]]) != [[1], [2]]


def test_the_common_dtype_is_kept() -> None:
    assert Batch([np.float32(1), np.float32(2)]).dtype == np.float32
    assert Batch([np.array([1]), np.array([0.5])]).dtype == np.float64
    assert Batch([np.array([1], np.int64)]).dtype == np.int64


def test_shapes_that_differ_are_named() -> None:
    with pytest.raises(ShapeError, match=r"item 2 has shape \(3,\), item 0 has \(2,\)") as caught:
        Batch([[1, 2], [3, 4], [5, 6, 7]])
    assert caught.value.shapes == ((2,), (3,))
    with pytest.raises(ShapeError, match="no items"):
        Seq([])
    with pytest.raises(ShapeError, match="BatchSeq has at least 2 axes"):
        rebatchseq(np.zeros(3))
    with pytest.raises(ShapeError, match="Batch has at least 1 axes"):
        rebatch(np.array(3))


def test_containers_are_not_hashable() -> None:
    with pytest.raises(TypeError):
        hash(Batch([1]))
