"""A kernel is a name and the source text of a function of that name.

    def NAME(arena, operands): ...        void(float32* arena, int64* operands)

`arena` is memory, `operands` say where in it to work: offsets counted in float32, sizes, flags. The text is
complete (it imports what it needs), so it can be hashed, compiled on one day and found again on another. It
is either a file of `kernels/` or generated; both are treated alike, and a warm process only reads the text,
which costs no Numba.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

KERNELS = Path(__file__).parent / "kernels"


@dataclass(frozen=True)
class Kernel:
    """A function to be compiled; `source` is Python text that defines `name`."""

    name: str
    source: str

    @cached_property
    def key(self) -> str:
        """The name in the store: the function's name and the start of the text's SHA-256.

        >>> Kernel("nothing", "def nothing(arena, operands): pass").key
        'nothing-daaf4fadedc73d48'
        """
        return f"{self.name}-{hashlib.sha256(self.source.encode()).hexdigest()[:16]}"

    @classmethod
    def written(cls, name: str, file: str) -> Kernel:
        """The kernel `name` of the file `file`.py in `kernels/`."""
        return cls(name, (KERNELS / f"{file}.py").read_text("utf-8"))
