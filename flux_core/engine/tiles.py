"""Tiles: a large instruction as several that can run at the same time, cut in a way that its sizes alone decide.

    gemm (1024, 1024, 128)   →   two products of half the rows each       stage 3, tiles 0 and 1
    update of 10 M           →   four ranges

Because the cuts do not depend on the number of threads, neither does any bit of the result. A product is cut along
the longer side of its result, where a cut costs the least; small instructions are not cut, and stay on thread 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flux_core.engine.lower import Instruction

GRAIN = 16  # float32 numbers in a 64-byte line: cuts fall between lines
PRODUCT = ((1e6, 2), (5e8, 4), (2e9, 8))  # operations from which a product is cut, and into how many
ELEMENTS = ((3.2e4, 2), (1e6, 4), (1e7, 8))  # the same for elements
ROWWISE = frozenset({"softmax", "log_softmax"})


def tiles(instruction: Instruction) -> list[Instruction]:
    """The instruction as tiles that write disjoint memory."""
    name = instruction.kernel.name
    if name == "gemm":
        return _product(instruction)
    if name == "elementwise":
        return _elementwise(instruction)
    if name.startswith("update_"):
        return _update(instruction)
    if name in ROWWISE:
        return _rows(instruction)
    return [instruction]


def _ranges(size: int, parts: int, grain: int = GRAIN) -> list[tuple[int, int]]:
    """`size` in at most `parts` ranges that begin at multiples of `grain`."""
    step = max(grain, -(-size // (parts * grain)) * grain)
    return [(begin, min(begin + step, size)) for begin in range(0, size, step)]


def _parts(work: float, table: Sequence[tuple[float, int]]) -> int:
    return max((parts for least, parts in table if work >= least), default=1)


def _product(instruction: Instruction) -> list[Instruction]:
    blas, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = instruction.operands
    parts = _parts(2.0 * m * n * k, PRODUCT)
    if parts == 1:
        return [instruction]
    if m >= n:
        return [
            replace(
                instruction,
                operands=(blas, ta, tb, e - s, n, k, a + s * (1 if ta else lda), lda, b, ldb, beta, c + s * ldc, ldc),
            )
            for s, e in _ranges(m, parts)
        ]
    return [
        replace(
            instruction,
            operands=(blas, ta, tb, m, e - s, k, a, lda, b + s * (ldb if tb else 1), ldb, beta, c + s, ldc),
        )
        for s, e in _ranges(n, parts)
    ]


def _elementwise(instruction: Instruction) -> list[Instruction]:
    *places, rows, columns = instruction.operands
    parts = _parts(rows * columns, ELEMENTS)
    if parts == 1:
        return [instruction]
    # one letter for each operand, and the result is like a full one
    reads = [*instruction.reads, "f"]
    if rows == 1:
        moves = {"f": 1, "i": 1, "r": 1, "c": 0, "s": 0}
        return [
            replace(
                instruction, operands=(*(p + s * moves[how] for p, how in zip(places, reads, strict=True)), 1, e - s)
            )
            for s, e in _ranges(columns, parts)
        ]
    moves = {"f": columns, "i": columns, "r": 0, "c": 1, "s": 0}
    return [
        replace(
            instruction, operands=(*(p + s * moves[how] for p, how in zip(places, reads, strict=True)), e - s, columns)
        )
        for s, e in _ranges(rows, parts, 1)
    ]


def _update(instruction: Instruction) -> list[Instruction]:
    *places, numbers, size, decayed = instruction.operands
    parts = _parts(size, ELEMENTS)
    return [
        replace(instruction, operands=(*(p + s for p in places), numbers, e - s, min(max(decayed - s, 0), e - s)))
        for s, e in _ranges(size, parts)
    ]


def _rows(instruction: Instruction) -> list[Instruction]:
    source, target, rows, n = instruction.operands
    return [
        replace(instruction, operands=(source + s * n, target + s * n, e - s, n))
        for s, e in _ranges(rows, _parts(rows * n, ELEMENTS), 1)
    ]
