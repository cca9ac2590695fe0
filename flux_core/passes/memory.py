"""Memory: a place for every buffer in one arena, buffers of disjoint lives sharing room.

┌────────────────────────┐
│ a ▒▒▒▒▒▒▒▒             │ offset      Largest first, each at the lowest place that is free for its
│         c ▒▒▒▒▒▒▒▒▒▒▒▒ │             whole life (Pisarchyk and Lee, "Efficient memory management
│ b ▒▒▒▒▒▒▒▒▒▒▒▒▒        │             for deep neural net inference", 2020).
└──────────────────▶ time┘
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from flux_core.passes.schedule import Buffer

K = TypeVar("K", bound=Hashable)
LINE = 16  # float32 numbers in 64 bytes


def memory(buffers: Mapping[K, Buffer]) -> tuple[dict[K, int], int]:
    """An offset for every buffer, in float32 numbers and on 64-byte lines, and the size of the arena.

    >>> memory({"a": Buffer(16, 0, 1), "b": Buffer(16, 1, 2), "c": Buffer(16, 2, 3)})
    ({'a': 0, 'b': 16, 'c': 0}, 32)
    """
    offsets: dict[K, int] = {}
    sizes = {key: -(-buffer.size // LINE) * LINE for key, buffer in buffers.items()}
    for key in sorted(buffers, key=lambda key: -sizes[key]):
        mine = buffers[key]
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if mine.first <= buffers[other].last and buffers[other].first <= mine.last
        )
        place = 0
        for start, end in taken:
            if place + sizes[key] <= start:
                break
            place = max(place, end)
        offsets[key] = place
    total = max((offsets[key] + sizes[key] for key in offsets), default=0)
    return {key: offsets[key] for key in buffers}, total


def overlapping(buffers: Mapping[K, Buffer], offsets: Mapping[K, int]) -> list[tuple[K, K]]:
    """The pairs of buffers that live at the same time and share memory; a sound plan has none."""
    keys = list(buffers)
    return [
        (a, b)
        for i, a in enumerate(keys)
        for b in keys[i + 1 :]
        if buffers[a].first <= buffers[b].last
        and buffers[b].first <= buffers[a].last
        and offsets[a] < offsets[b] + buffers[b].size
        and offsets[b] < offsets[a] + buffers[a].size
        and buffers[a].size
        and buffers[b].size
    ]
