"""Between single examples and batches, and from streams of examples to batches.

    x ──batchone──▶ Batch of one ──tobatch──▶ array (1, ...)

    text ──chunk──▶ 50 parts ──sequences──▶ 50 streams of Seq ──batches──▶ BatchSeq, BatchSeq, ...

Chunk i's sequences are row i of every batch, so that a recurrent model can carry its state from one batch to
the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from flux_core.dims.catmat import Batch, BatchSeq, Seq, gather, rawbatch, rebatch, rebatchseq

T_co = TypeVar("T_co", covariant=True)


class Sliceable(Protocol[T_co]):
    """What `chunk` cuts: text, lists, arrays, containers."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> T_co: ...


def batchone(x: Any) -> Batch:
    """A batch of the one example `x`; a Batch is itself.

    >>> batchone([1, 2])
    Batch(1 x (2,) int64)
    >>> batchone(Seq([1, 2]))
    BatchSeq(1 x (2,) int64)
    """
    if isinstance(x, Batch):
        return x
    return rebatchseq(x.data[None]) if isinstance(x, Seq) else rebatch(np.asarray(x)[None])


def unbatchone(xs: Batch) -> Any:
    """The example of a batch of one; raises ValueError for any other length."""
    if len(xs) != 1:
        raise ValueError(f"a batch of one example is expected, this one has {len(xs)}")
    return xs[0]


def tobatch(x: Any) -> Any:
    """The array of a batch, with an example made a batch of one.

    >>> tobatch([1, 2]).shape, tobatch(Batch([[1, 2], [3, 4]])).shape
    ((1, 2), (2, 2))
    """
    return rawbatch(batchone(x))


class Batched:
    """Batches of `n` examples from an iterable, gathered into buffers that the next batch reuses.

    Examples are arrays, Seqs, or tuples of them (one buffer for each place). A rest of less than `n` is dropped.
    Copy a batch that is to be kept. It is an iterator: it runs once.

    >>> [rawbatch(batch).tolist() for batch in Batched(range(5), 2)]
    [[0, 1], [2, 3]]
    """

    def __init__(self, examples: Iterable[Any], n: int) -> None:
        if n < 1:
            raise ValueError(f"the batch size is {n}, it must be at least 1")
        self._examples = iter(examples)
        self._n = n
        self._buffers: dict[int, Batch] = {}

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        taken = list(islice(self._examples, self._n))
        if len(taken) < self._n:
            raise StopIteration
        if isinstance(taken[0], tuple):
            places = enumerate(zip(*taken, strict=True))
            return tuple(self._gather(place, column) for place, column in places)
        return self._gather(0, taken)

    def _gather(self, place: int, items: Sequence[Any]) -> Batch:
        if place not in self._buffers:
            self._buffers[place] = Batch(list(items))
            return self._buffers[place]
        buffer = self._buffers[place]
        if isinstance(buffer, BatchSeq) != isinstance(items[0], Seq):
            raise ValueError("the examples are sequences at first and something else later, or the reverse")
        # the first batch decides the dtype; a later one may need a wider one
        arrays = [np.asarray(rawbatch(item)) for item in items]
        wanted = np.result_type(buffer.dtype, *arrays)
        if arrays[0].shape != buffer.shape[1:] or wanted != buffer.dtype:
            self._buffers[place] = Batch(list(items))
        else:
            gather(arrays, out=buffer.data)
        return self._buffers[place]


def batches(*streams: Iterable[Any]) -> Iterator[Batch]:
    """Walk several streams in parallel: batch k holds the k-th item of each; ends with the shortest.

    >>> [rawbatch(batch).tolist() for batch in batches([1, 2, 3], [4, 5, 6])]
    [[1, 4], [2, 5], [3, 6]]
    """
    for items in zip(*streams, strict=False):
        yield Batch(items)


def sequences(xs: Iterable[Any], length: int) -> Iterator[Seq]:
    """Cut a stream into Seqs of `length` steps; a rest of less is dropped, slices of an array are not copied.

    >>> [rawbatch(seq).tolist() for seq in sequences([1, 2, 3, 4, 5], 2)]
    [[1, 2], [3, 4]]
    """
    if length < 1:
        raise ValueError(f"the length of a sequence is {length}, it must be at least 1")
    if isinstance(xs, np.ndarray):
        for start in range(0, len(xs) - length + 1, length):
            yield Seq.wrap(xs[start : start + length])
        return
    steps = iter(xs)
    while len(taken := list(islice(steps, length))) == length:
        yield Seq(taken)


def chunk(xs: Sliceable[T_co], n: int) -> list[T_co]:
    """Cut `xs` into `n` contiguous parts of equal length; a rest of less than `n` items is dropped.

    >>> chunk("foobarbaz!", 3)
    ['foo', 'bar', 'baz']
    """
    if not 1 <= n <= len(xs):
        raise ValueError(f"{len(xs)} items cannot be cut into {n} equal parts")
    size = len(xs) // n
    return [xs[i * size : (i + 1) * size] for i in range(n)]
