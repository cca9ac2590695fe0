"""Parts of arrays as views: what only names a part of another value, or fills one, needs no memory of its own.

x[1:]           a whole block        begins later in the memory of x
z[:, 64:128]    some columns         rows lie apart as in z: read so by elementwise kernels
concat(a, b)    columns side by side a and b, if elementwise kernels give them, are written where they belong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from math import prod
from typing import Any, NamedTuple

import numpy as np

from flux_core.ir import Node
from flux_core.ops import SHAPE_ONLY
from flux_core.passes.infer import Type, TypeTree
from flux_core.passes.legalise import reads_of

# ops that give another view of the memory of their first operand
VIEWS = frozenset({"reshape", "reshape_like", "flatten", "expect", "expect_like"})


class Columns(NamedTuple):
    """Some columns of the value of `whole`: they begin `shift` numbers behind it, and rows lie `lead` apart."""

    whole: Node
    shift: int
    lead: int


def reads(node: Node) -> tuple[Node, ...]:
    """The operands whose values an op reads; of the others it needs only the shape."""
    shape_only = SHAPE_ONLY.get(node.op, frozenset())
    return tuple(x for i, x in enumerate(node.inputs) if i not in shape_only)


def part_of(shape: tuple[int, ...], index: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Where the part of an array that `index` names begins, its sizes and its strides, in elements.

    >>> part_of((4, 3), (slice(1, None),))
    (3, (3, 3), (3, 1))
    """
    whole = np.lib.stride_tricks.as_strided(np.zeros(1, np.int8), shape, dense(shape))
    part = whole[index]
    begin = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return begin, part.shape, part.strides


def columns_named(shape: tuple[int, ...], index: Any) -> tuple[int, int] | None:
    """The first and behind the last of the neighbouring columns of all rows that `index` names, if it names such.

    >>> columns_named((4, 6), (Ellipsis, slice(2, 5))), columns_named((4, 6), (slice(None), slice(None, None, -1)))
    ((2, 5), None)
    """
    if not prod(shape):
        return None
    begin, sizes, strides = part_of(shape, index)
    if len(sizes) != len(shape) or sizes[:-1] != shape[:-1] or strides != dense(shape):
        return None
    return begin, begin + sizes[-1]


def is_view(node: Node, types: Mapping[Node, TypeTree]) -> bool:
    """Whether a node's value lies as it is, without gaps, in the memory of its first operand."""
    if node.op in VIEWS:
        return True
    whole = types[node.inputs[0]] if node.op == "slice" else None
    if not isinstance(whole, Type) or not prod(whole.shape):
        return False
    _, sizes, strides = part_of(whole.shape, node.attrs["index"])
    return bool(prod(sizes)) and all(n == 1 or a == b for n, a, b in zip(sizes, strides, dense(sizes), strict=True))


def begin_of(view: Node, types: Mapping[Node, TypeTree]) -> int:
    """Where a view begins in what it views, in float32 numbers."""
    whole = types[view.inputs[0]]
    if view.op != "slice" or not isinstance(whole, Type):
        return 0
    return part_of(whole.shape, view.attrs["index"])[0] * (1 if whole.kind == "float" else 2)


def columns_of(order: Sequence[Node], types: Mapping[Node, TypeTree], fixed: Set[Node]) -> dict[Node, Columns]:
    """The values among `order` that lie as columns in the memory of others; those in `fixed` lie where they must."""
    readers: dict[Node, list[Node]] = {}
    for node in order:
        for x in reads(node):
            readers.setdefault(x, []).append(node)
    found: dict[Node, Columns] = {}
    for node in order:
        if node.op == "concat":
            found |= _filled(node, readers, types, fixed)
    for node in order:
        if node.op == "slice" and node not in fixed and node.inputs[0] not in found and not is_view(node, types):
            part = _sliced(node, types)
            if part is not None and all(_takes_columns(reader, node, types) for reader in readers.get(node, ())):
                found[node] = part
    return found


def _sliced(node: Node, types: Mapping[Node, TypeTree]) -> Columns | None:
    """Neighbouring columns of all rows, if that is what a slice names."""
    whole = types[node.inputs[0]]
    if not isinstance(whole, Type) or whole.kind != "float":
        return None
    named = columns_named(whole.shape, node.attrs["index"])
    return None if named is None else Columns(node.inputs[0], named[0], whole.shape[-1])


def _filled(
    node: Node, readers: Mapping[Node, list[Node]], types: Mapping[Node, TypeTree], fixed: Set[Node]
) -> dict[Node, Columns]:
    """The operands of a concatenation of columns that can be computed where they belong."""
    whole = _shape(node, types)
    if node.attrs["axis"] % len(whole) != len(whole) - 1:
        return {}
    found: dict[Node, Columns] = {}
    shift = 0
    for x in node.inputs:
        mine = x.op == "fused" and x not in fixed and node.inputs.count(x) == 1 and _by_columns(x, types)
        others = [reader for reader in readers[x] if reader is not node]
        if mine and all(_takes_columns(reader, x, types) for reader in others):
            found[x] = Columns(node, shift, whole[-1])
        shift += _shape(x, types)[-1]
    return found


def _takes_columns(reader: Node, x: Node, types: Mapping[Node, TypeTree]) -> bool:
    """Whether an op can read an operand whose rows lie apart."""
    return reader.op == "fused" and _shape(reader, types) == _shape(x, types) and _by_columns(reader, types)


def _by_columns(node: Node, types: Mapping[Node, TypeTree]) -> bool:
    """Whether an elementwise kernel works on rows that are those of the last axis."""
    shape = _shape(node, types)
    _, columns = reads_of([_shape(x, types) for x in node.inputs], shape)
    return len(shape) > 0 and columns in (None, shape[-1])


def _shape(node: Node, types: Mapping[Node, TypeTree]) -> tuple[int, ...]:
    found = types[node]
    assert isinstance(found, Type)
    return found.shape


def dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The distance of neighbours along each axis, in elements."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))
