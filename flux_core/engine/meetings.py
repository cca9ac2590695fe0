"""Where threads must meet: before a tile touches what a tile of another number has touched since they last met.

    gemm     C[:, :64] written by tile 0    C[:, 64:] by tile 1
    relu     C[:, :64] by tile 0            C[:, 64:] by tile 1        nobody waits
    ────────────────────────────────────────────────────────────────  meeting
    gemm     reads all of C in both

Tiles of the same number are run by the same thread, in order, for every number of threads; tiles of different
numbers may be run by different threads at any time between two meetings. Two reads do not matter to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flux_core.engine.lower import Instruction
from flux_core.engine.ranges import Range, overlap, touched


def meetings(stages: Sequence[Sequence[Instruction]]) -> list[bool]:
    """For each stage, a list of tiles that are numbered from 0, whether all threads meet before it."""
    if all(len(stage) == 1 for stage in stages):
        return [False] * len(stages)
    found = []
    since: list[list[Range]] = [[] for _ in range(max(map(len, stages)))]  # touched since the last meeting, by number
    for stage in stages:
        now = [touched(tile) for tile in stage]
        meet = any(
            clash(ranges, others)
            for number, ranges in enumerate(now)
            for other, others in enumerate(since)
            if number != other
        )
        found.append(meet)
        if meet:
            since = [[] for _ in since]
        for ranges, others in zip(now, since, strict=False):
            others += ranges
    return found


def clash(some: Iterable[Range], others: Sequence[Range]) -> bool:
    """Whether one of two tiles writes what the other touches."""
    return any((a.written or b.written) and overlap(a, b) for a in some for b in others)
