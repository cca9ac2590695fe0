"""What memory an instruction touches: rectangles of float32 numbers, each read or written, told by its operands.

    gemm (64, 64, 784) of the left half of C (64, 128)

    A  ██████████  64 rows of 784, read      B  █████░░░░░  784 rows of 64, 128 apart, read
                                             C  █████░░░░░   64 rows of 64, 128 apart, written

A rectangle may be larger than what is touched, never smaller. A kernel that is not in the table touches everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flux_core.engine.kernels.panels import PANEL
from flux_core.engine.lower import Instruction

NUMBERS = 16  # what an update reads of its numbers: at most a line


class Range(NamedTuple):
    """`rows` times `columns` numbers from `base`, each row `stride` behind the one before."""

    base: int
    rows: int
    stride: int
    columns: int
    written: bool

    @property
    def end(self) -> int:
        """The first place behind it."""
        return self.base + (self.rows - 1) * self.stride + self.columns


EVERYTHING = Range(-(2**62), 1, 1, 2**63, True)


def overlap(a: Range, b: Range) -> bool:
    """Whether two rectangles share a number.

    >>> left, right = Range(0, 64, 128, 64, False), Range(64, 64, 128, 64, False)
    >>> overlap(left, right), overlap(left, Range(60, 64, 128, 64, False)), overlap(left, EVERYTHING)
    (False, True, True)
    """
    if a.end <= b.base or b.end <= a.base:
        return False
    if a.rows == b.rows == 1:
        return True
    if a.rows > 1 and b.rows > 1 and a.stride != b.stride:
        return any(overlap(Range(a.base + i * a.stride, 1, 1, a.columns, a.written), b) for i in range(a.rows))
    # a.base + i s + u = b.base + j s + v has a solution where some i - j lies between these
    s, d = a.stride if a.rows > 1 else b.stride, b.base - a.base
    return max(1 - b.rows, -((a.columns - 1 - d) // s)) <= min(a.rows - 1, (b.columns - 1 + d) // s)


def touched(tile: Instruction) -> list[Range]:
    """The memory that an instruction, or a tile of one, reads and writes."""
    name, operands = tile.kernel.name, tile.operands
    if name == "elementwise":
        found = _elementwise(tile)
    elif name.startswith("update_"):
        *arrays, numbers, size, _ = operands
        found = [_read(numbers, NUMBERS), *(_write(array, size) for array in arrays)]
    elif name in TOUCHES:
        found = TOUCHES[name](*operands)
    else:
        return [EVERYTHING]
    return [r for r in found if r.rows > 0 and r.columns > 0]


def _box(base: int, rows: int, columns: int, stride: int, written: bool = False) -> Range:
    """A rectangle; one without gaps is a single row."""
    if columns == stride:
        return Range(base, 1, 1, rows * columns, written)
    return Range(base, rows, stride, columns, written)


def _read(base: int, size: int) -> Range:
    return Range(base, 1, 1, size, False)


def _write(base: int, size: int) -> Range:
    """Memory that is written; it may be read as well."""
    return Range(base, 1, 1, size, True)


def _elementwise(tile: Instruction) -> list[Range]:
    count = len(tile.reads)
    places, out, rows, columns, strides = (
        tile.operands[:count],
        tile.operands[count],
        tile.operands[count + 1],
        tile.operands[count + 2],
        tile.operands[count + 3 :],
    )
    found = [_box(out, rows, columns, strides[-1], True)]
    for place, how, stride in zip(places, tile.reads, strides, strict=False):
        if how == "f":
            found.append(_box(place, rows, columns, stride) if stride else _read(place, columns))
        elif how != "i":  # that is where the result goes
            found.append(_read(place, {"c": rows, "s": 1}[how]))
    return found


def _gemm(*operands: int) -> list[Range]:
    _, ta, tb, m, n, k, a, lda, b, ldb, _, c, ldc = operands
    return [
        _box(a, k, m, lda) if ta else _box(a, m, k, lda),
        _panels(b, k, n) if tb == 2 else _box(b, n, k, ldb) if tb else _box(b, k, n, ldb),
        _box(c, m, n, ldc, True),
    ]


def _panels(b: int, k: int, n: int, written: bool = False) -> Range:
    """A packed matrix."""
    return Range(b, 1, 1, -(-n // PANEL) * PANEL * k, written)


def _pack(*operands: int) -> list[Range]:
    b, ldb, tb, k, n, target = operands
    return [_box(b, n, k, ldb) if tb else _box(b, k, n, ldb), _panels(target, k, n, True)]


def _copy(x: int, y: int, *axes: int) -> list[Range]:
    """From the lowest to the highest number of each side."""
    found = []
    for place, strides, written in ((x, axes[6:12], False), (y, axes[12:], True)):
        ways = [(size - 1) * stride for size, stride in zip(axes[:6], strides, strict=True)]
        low, high = sum(min(way, 0) for way in ways), sum(max(way, 0) for way in ways)
        found.append(Range(place + low, 1, 1, high - low + 1 if min(axes[:6]) else 0, written))
    return found


def _by_rows(x: int, y: int, rows: int, n: int) -> list[Range]:
    return [_read(x, rows * n), _write(y, rows * n)]


def _reduction(x: int, y: int, outer: int, n: int, inner: int, divisor: int = 1) -> list[Range]:
    return [_read(x, outer * n * inner), _write(y, outer * inner)]


def _counted(
    x: int, ids: int, sums: int, groups: int, most: int, lengths: int, each: int, n: int, k: int = 0
) -> list[Range]:
    size = groups * most * each
    return [_read(x, size * n), _read(ids, 2 * size), _read(lengths, 2 * groups), _write(sums, 2)]


def _measured(x: int, y: int, sums: int, groups: int, most: int, lengths: int, each: int) -> list[Range]:
    """Predictions and targets of one shape, and how many of them count."""
    size = groups * most * each
    return [_read(x, size), _read(y, size), _read(lengths, 2 * groups)]


# int64 and float64 numbers take the room of two
TOUCHES: dict[str, Callable[..., list[Range]]] = {
    "absolute_error": lambda x, y, sums, groups, most, lengths, each, scale: [
        *(*_measured(x, y, sums, groups, most, lengths, each), _read(scale, 2 * each), _write(sums, 2))
    ],
    "accuracy": _counted,
    "binary_accuracy": lambda x, y, *rows: [*_measured(x, y, *rows), _write(rows[0], 2)],
    "clip_scale": lambda norm, limit, scale: [_read(norm, 2), _read(limit, 1), _write(scale, 1)],
    "copy": _copy,
    "cross_entropy": lambda x, ids, y, rows, n: [_read(x, rows * n), _read(ids, 2 * rows), _write(y, rows)],
    "cross_entropy_back": lambda d, x, ids, y, rows, n: [
        *(_read(d, rows), _read(x, rows * n), _read(ids, 2 * rows), _write(y, rows * n))
    ],
    "dropout_mask": lambda y, rows, n, rate, step, *key: [_read(rate, 2), _read(step, 2), _write(y, rows * n)],
    "fill": lambda y, size, number: [_read(number, 1), _write(y, size)],
    "floats_of_ids": lambda ids, y, size: [_read(ids, 2 * size), _write(y, size)],
    "gather": lambda table, ids, y, count, n, rows: [
        *(_read(table, rows * n), _read(ids, 2 * count), _write(y, count * n))
    ],
    "gemm": _gemm,
    "pack": _pack,
    "log_softmax": _by_rows,
    "loss_sum": lambda loss, sums, groups, lengths: [_read(loss, 1), _read(lengths, 2 * groups), _write(sums, 4)],
    "one_hot": lambda ids, y, rows, n: [_read(ids, 2 * rows), _write(y, rows * n)],
    "pick": lambda x, ids, y, rows, n: [_read(x, rows * n), _read(ids, 2 * rows), _write(y, rows)],
    "reduce_max": _reduction,
    "reduce_sum": _reduction,
    "scatter": lambda x, ids, y, count, n, rows: [*(_read(x, count * n), _read(ids, 2 * count), _write(y, rows * n))],
    "softmax": _by_rows,
    "squared_error": lambda x, y, *rows: [*_measured(x, y, *rows), _write(rows[0], 6 * rows[-1])],
    "squares_of_chunks": lambda g, size, chunk, sums: [_read(g, size), _write(sums, 2 * -(-size // chunk))],
    "sum_of_squares": lambda sums, count, total: [_read(sums, 2 * count), _write(total, 2)],
    "top_k": _counted,
    "unpick": lambda d, ids, y, rows, n: [_read(d, rows), _read(ids, 2 * rows), _write(y, rows * n)],
}
