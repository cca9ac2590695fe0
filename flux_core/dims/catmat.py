"""Lists of equal-shaped arrays, stored as one array.

    CatMat([a, b, c])      a list of three arrays ...
      └── data (3, ...)    ... stacked along a new first axis

    Batch      examples that do not know of each other      data (batch, ...)
    Seq        the steps of one example, in order           data (steps, ...)
    BatchSeq   a Batch of Seq                                data (batch, steps, ...)

They index, iterate and compare as lists; `rawbatch` gives the array, `rebatch` and `rebatchseq` wrap one. Items
are views: writing to one writes to the container.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray

from flux_core.errors import ShapeError

Array = NDArray[Any]


class CatMat:
    """A list of equal-shaped arrays; `data` (items, ...) is their storage.

    >>> xs = CatMat([[1, 2, 3], [4, 5, 6]])
    >>> xs[1]
    array([4, 5, 6])
    >>> rawbatch(xs).shape
    (2, 3)
    >>> xs == [[1, 2, 3], [4, 5, 6]]
    True
    """

    data: Array
    axes: ClassVar[int] = 1  # the least number that the storage has

    def __init__(self, items: Iterable[Any]) -> None:
        """Copy `items` into one array of their common dtype; raises ShapeError if their shapes differ."""
        self._store(gather([rawbatch(item) for item in items]))

    @classmethod
    def wrap(cls, data: Array) -> Self:
        """The container whose storage is `data` itself, (items, ...)."""
        container = object.__new__(cls)
        container._store(data)
        return container

    def _store(self, data: Array) -> None:
        if data.ndim < self.axes:
            raise ShapeError(f"a {type(self).__name__} has at least {self.axes} axes", shapes=[data.shape])
        self.data = data

    def _item(self, data: Array) -> Any:
        return data

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the storage."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the storage."""
        return self.data.dtype

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self).wrap(self.data[index])
        return self._item(self.data[index])

    def __setitem__(self, index: int | slice, value: Any) -> None:
        self.data[index] = rawbatch(value)

    def __iter__(self) -> Iterator[Any]:
        return map(self._item, self.data)

    def __eq__(self, other: object) -> bool:
        """Equal as lists: as many items, each with the same shape and elements."""
        if isinstance(other, CatMat):
            return np.array_equal(self.data, other.data)
        if not isinstance(other, list | tuple | np.ndarray):
            return NotImplemented
        if len(self) != len(other):
            return False
        return all(np.array_equal(a, rawbatch(b)) for a, b in zip(self.data, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # its items may be written to

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.data, dtype, copy=copy)

    def __repr__(self) -> str:
        """Kind, number of items, what one is: `Batch(2 x (3,) int64)`."""
        return f"{type(self).__name__}({len(self)} x {self.data.shape[1:]} {self.data.dtype})"


class Seq(CatMat):
    """The steps of one example, `data` (steps, ...).

    >>> Seq([[0, 1], [1, 0]])
    Seq(2 x (2,) int64)
    """


class Batch(CatMat):
    """Examples that a model handles together, `data` (batch, ...); a Batch of Seqs is a BatchSeq.

    >>> Batch([[1.0, 2.0], [3.0, 4.0]])
    Batch(2 x (2,) float64)
    >>> Batch([Seq([1, 2, 3]), Seq([4, 5, 6])])
    BatchSeq(2 x (3,) int64)
    """

    def __init__(self, items: Iterable[Any]) -> None:
        items = list(items)
        super().__init__(items)
        if all(isinstance(item, Seq) for item in items):
            self.__class__ = BatchSeq  # decided by what the items are, which no constructor knows before


class BatchSeq(Batch):
    """A Batch of Seq, `data` (batch, steps, ...); its items are Seqs.

    >>> xs = rebatchseq(np.arange(6).reshape(2, 3))
    >>> xs[1], isinstance(xs, Batch)
    (Seq(3 x () int64), True)
    """

    axes = 2

    def _item(self, data: Array) -> Seq:
        return Seq.wrap(data)


def gather(items: list[Array], out: Array | None = None) -> Array:
    """Stack arrays along a new first axis; raises ShapeError, naming the first item that differs."""
    arrays = [np.asarray(item) for item in items]
    if not arrays:
        raise ShapeError("no items: their shape is not known; wrap an empty array with rebatch")
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ShapeError(
                f"item {i} has shape {array.shape}, item 0 has {arrays[0].shape}",
                shapes=[arrays[0].shape, array.shape],
            )
    return np.stack(arrays, out=out)


@overload
def rawbatch(xs: CatMat) -> Array: ...
@overload
def rawbatch(xs: Any) -> Any: ...
def rawbatch(xs: Any) -> Any:
    """The storage of a container, not copied; anything else is itself.

    >>> rawbatch(Batch([1, 2])), rawbatch(3)
    (array([1, 2]), 3)
    """
    return xs.data if isinstance(xs, CatMat) else xs


def rebatch(xs: Array) -> Batch:
    """The Batch whose storage is `xs` (batch, ...), not copied.

    >>> xs = np.zeros((2, 3))
    >>> rawbatch(rebatch(xs)) is xs
    True
    """
    return Batch.wrap(xs)


def rebatchseq(xs: Array) -> BatchSeq:
    """The BatchSeq whose storage is `xs` (batch, steps, ...), not copied."""
    return BatchSeq.wrap(xs)
