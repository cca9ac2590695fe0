"""Random numbers without state: a number is a function of where it is used.

    key     = (seed, purpose, path)       one stream for each use: "shuffle", "init" of layer 0, "dropout" of layer 3
    counter = (step, row, element)        the place inside the stream

so that a resumed run, another number of threads or another order of work draws the same numbers, and
nothing has to be saved. The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011): ten rounds turn a 128-bit counter and a 64-bit key into four 32-bit words.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HIGH = np.uint64(32)
STRETCH = 2**16  # words of a shuffle that are drawn at once, a multiple of 4


def philox4x32(counter: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Encrypt counters: uint32 (..., 4) -> uint32 (..., 4).

    >>> words = philox4x32(np.zeros(4, np.uint32), (0, 0))
    >>> [f"{word:08x}" for word in words]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> HIGH) ^ c1 ^ np.uint64(k0),
            p1 & LOW,
            (p0 >> HIGH) ^ c3 ^ np.uint64(k1),
            p0 & LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


@dataclass(frozen=True)
class Stream:
    """One stream of random numbers, addressed by (step, row, element).

    >>> shuffle = Stream.of(seed=0, purpose="shuffle")
    >>> sorted(shuffle.permutation(step=3, n=5).tolist())
    [0, 1, 2, 3, 4]
    """

    key: tuple[int, int]

    @classmethod
    def of(cls, seed: int, purpose: str, path: str = "") -> Stream:
        """The stream of one use; the key is the start of SHA-256 over its name."""
        digest = hashlib.sha256(f"{seed}\0{purpose}\0{path}".encode()).digest()
        return cls((int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")))

    def bits(self, rows: int, elements: int, *, step: int = 0) -> NDArray[np.uint32]:
        """Random words, uint32 (rows, elements); element j is word j % 4 of block j // 4 of its row."""
        blocks = -(-elements // 4)
        counter = np.empty((rows, blocks, 4), np.uint32)
        counter[..., 0] = np.arange(blocks, dtype=np.uint32)
        counter[..., 1] = np.arange(rows, dtype=np.uint32)[:, None]
        counter[..., 2] = step & 0xFFFFFFFF
        counter[..., 3] = step >> 32
        return philox4x32(counter, self.key).reshape(rows, 4 * blocks)[:, :elements]

    def uniform(self, rows: int, elements: int, *, step: int = 0) -> NDArray[np.float32]:
        """Uniform numbers of [0, 1), float32 (rows, elements): the 24 high bits of each word."""
        return (self.bits(rows, elements, step=step) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)

    def normal(self, rows: int, elements: int, *, step: int = 0) -> NDArray[np.float64]:
        """Standard normal numbers, float64 (rows, elements), by the transform of Box and Muller (1958)."""
        words = self.bits(rows, 2 * elements, step=step).astype(np.float64)
        u, v = (words[:, :elements] + 1.0) * 2.0**-32, words[:, elements:] * 2.0**-32
        return np.asarray(np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * v))

    def permutation(self, n: int, *, step: int = 0) -> NDArray[np.int64]:
        """A random order of range(n), int64 (n,), by the shuffle of Fisher and Yates: word i picks the partner of i."""
        order = array("q", range(n))  # as fast as a list, in a fifth of its memory
        for start in range((n - 1) // STRETCH * STRETCH, -1, -STRETCH):
            end = min(start + STRETCH, n)
            words = self._row(start, end, step).astype(np.uint64)
            numbers: NDArray[np.uint64] = np.arange(start + 1, end + 1, dtype=np.uint64)
            partners = ((words * numbers) >> HIGH).tolist()
            for i, j in zip(range(end - 1, start - 1, -1), reversed(partners), strict=True):
                order[i], order[j] = order[j], order[i]
        return np.asarray(order, np.int64)

    def _row(self, start: int, end: int, step: int) -> NDArray[np.uint32]:
        """Words `start`, a multiple of 4, to `end` of row 0."""
        counter = np.zeros((-(-(end - start) // 4), 4), np.uint32)
        counter[:, 0] = np.arange(start // 4, start // 4 + len(counter), dtype=np.uint32)
        counter[:, 2] = step & 0xFFFFFFFF
        counter[:, 3] = step >> 32
        return philox4x32(counter, self.key).reshape(-1)[: end - start]
