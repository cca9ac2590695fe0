"""Tiles: a large instruction as several that can run at the same time, cut in a way that sizes alone decide.

    gemm (1024, 1024, 128)   →   two products of half the rows each       stage 3, tiles 0 and 1
    relu (1024, 1024)        →   half the rows each: of what the same tile of the product wrote
    update of 10 M           →   four ranges

Because cuts that could change a bit do not depend on the number of threads, neither does any bit of the result.
Everything that has rows and columns is cut along the longer side of its result: there a cut of a product costs the
least, and what is done to the product afterwards, element by element, is cut like it, so that no thread waits for
another in between. Instructions behind which no thread could wait long enough to pay are not cut, and stay on
thread 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flux_core.engine.kernels.panels import NARROW, PANEL
from flux_core.engine.lower import Instruction

LINE = 16  # float32 numbers in a 64-byte line: cuts of columns and of flat arrays fall between lines
ROWS = 4  # cuts of rows fall where a product's inner loop, which does four at once, would end anyway
LEAST = 2.5e6  # operations of a tape from which it is cut at all: 15 microseconds
ELEMENT, UPDATED = 30.0, 80.0  # operations that work on an element, and its update, are counted as
PRODUCT = ((6e4, 2), (5e8, 4), (2e9, 8))  # operations from which a product is cut, and into how many
ELEMENTS = ((512, 2), (1e6, 4), (1e7, 8))  # the same for elements
UPDATE = ((3.2e4, 2), (1e6, 4), (1e7, 8))

# kernels that work row by row: how far each operand moves with a row, n for its length; then come rows and n
ROWWISE = {
    "cross_entropy": "n21",
    "cross_entropy_back": "1n2n",
    "log_softmax": "nn",
    "one_hot": "2n",
    "pick": "n21",
    "softmax": "nn",
    "unpick": "12n",
}


def tiled(instructions: Sequence[Instruction], threads: int = 2) -> list[list[Instruction]]:
    """Each instruction as its tiles, which write disjoint memory.

    For one thread alone only what a cut could change is cut: a BLAS sums in an order that depends on sizes.
    """
    pays = sum(map(_work, instructions)) >= LEAST
    return [
        [_flat(tile) for tile in (_tiles(whole) if pays and (threads > 1 or _by_blas(whole)) else [whole])]
        for whole in instructions
    ]


def _by_blas(instruction: Instruction) -> bool:
    """Whether a product is the BLAS' business."""
    if instruction.kernel.name != "gemm":
        return False
    transposed, ldb = instruction.operands[2], instruction.operands[9]
    return transposed == 1 or (transposed == 0 and not PANEL <= ldb <= NARROW)


def _work(instruction: Instruction) -> float:
    """Operations of the instructions that tapes spend their time with."""
    name, operands = instruction.kernel.name, instruction.operands
    if name == "gemm":
        _, _, _, m, n, k, *_ = operands
        return 2.0 * m * n * k
    if name == "elementwise":
        at = len(instruction.reads) + 1
        return ELEMENT * operands[at] * operands[at + 1]
    return UPDATED * operands[-2] if name.startswith("update_") else 0.0


def _tiles(instruction: Instruction) -> list[Instruction]:
    name = instruction.kernel.name
    if name == "gemm":
        return _product(instruction)
    if name == "elementwise":
        return _elementwise(instruction)
    if name.startswith("update_"):
        return _update(instruction)
    if name in ROWWISE:
        return _rowwise(instruction)
    if name in ("reduce_sum", "reduce_max"):
        return _reduction(instruction)
    if name == "squares_of_chunks":
        return _chunks(instruction)
    return [instruction]


def _ranges(size: int, parts: int, grain: int) -> list[tuple[int, int]]:
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
            for s, e in _ranges(m, parts, ROWS)
        ]
    along = (1, ldb, k)[tb]  # from a column of B to the next; panels lie k rows apart
    return [
        replace(instruction, operands=(blas, ta, tb, m, e - s, k, a, lda, b + s * along, ldb, beta, c + s, ldc))
        for s, e in _ranges(n, parts, PANEL if tb == 2 else LINE)
    ]


def _elementwise(instruction: Instruction) -> list[Instruction]:
    _, rows, columns, _ = _parts_of(instruction)
    parts = _parts(rows * columns, ELEMENTS)
    by_rows = rows >= columns
    ranges = _ranges(rows, parts, ROWS) if by_rows else _ranges(columns, parts, LINE)
    return [_part(instruction, s, e, by_rows) for s, e in ranges]


def _parts_of(instruction: Instruction) -> tuple[Sequence[int], int, int, Sequence[int]]:
    """The places of an elementwise instruction, its rows and columns, and its strides."""
    count = len(instruction.reads) + 1
    operands = instruction.operands
    return operands[:count], operands[count], operands[count + 1], operands[count + 2 :]


def _part(instruction: Instruction, s: int, e: int, by_rows: bool) -> Instruction:
    """Some rows or columns of an elementwise instruction."""
    places, rows, columns, strides = _parts_of(instruction)
    moves = strides if by_rows else [int(how in "fi") for how in instruction.reads + "f"]
    begins = [place + s * move for place, move in zip(places, moves, strict=True)]
    return replace(instruction, operands=(*begins, *((e - s, columns) if by_rows else (rows, e - s)), *strides))


def _flat(tile: Instruction) -> Instruction:
    """A tile as one long row, which is quicker than many short ones, where nothing in it belongs to a row or column."""
    if tile.kernel.name != "elementwise":
        return tile
    places, rows, columns, strides = _parts_of(tile)
    if not all(
        how == "s" or (how != "c" and stride == columns) for stride, how in zip(strides, tile.reads + "f", strict=True)
    ):
        return tile
    return replace(tile, operands=(*places, 1, rows * columns, *(rows * stride for stride in strides)))


def _update(instruction: Instruction) -> list[Instruction]:
    *places, numbers, size, decayed = instruction.operands
    return [
        replace(instruction, operands=(*(p + s for p in places), numbers, e - s, min(max(decayed - s, 0), e - s)))
        for s, e in _ranges(size, _parts(size, UPDATE), LINE)
    ]


def _chunks(instruction: Instruction) -> list[Instruction]:
    g, size, chunk, sums = instruction.operands
    return [
        replace(instruction, operands=(g + s, e - s, chunk, sums + 2 * (s // chunk)))
        for s, e in _ranges(size, _parts(size, UPDATE), chunk)
    ]


def _rowwise(instruction: Instruction) -> list[Instruction]:
    *places, rows, n = instruction.operands
    moves = [n if how == "n" else int(how) for how in ROWWISE[instruction.kernel.name]]
    return [
        replace(instruction, operands=(*(p + s * by for p, by in zip(places, moves, strict=True)), e - s, n))
        for s, e in _ranges(rows, _parts(rows * n, ELEMENTS), ROWS)
    ]


def _reduction(instruction: Instruction) -> list[Instruction]:
    x, y, outer, n, inner, *divisor = instruction.operands
    return [
        replace(instruction, operands=(x + s * n * inner, y + s * inner, e - s, n, inner, *divisor))
        for s, e in _ranges(outer, _parts(outer * n * inner, ELEMENTS), ROWS)
    ]
