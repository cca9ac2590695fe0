"""Memory of the states that go on from one minibatch to the next, where the tape reads and leaves them.

minibatch 0       minibatch 1                     first    1.0 before the first minibatch of an epoch, else 0.0
0 ─▶ steps ─▶ h ─▶ steps ─▶ h ─▶ ...              states   what the last minibatch left
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flux_core.engine.arena import LINE, aligned
from flux_core.passes import Type
from flux_core.passes.schedule import units


class Carry:
    """Memory of the states that go on from minibatch to minibatch, and of `first`, 1.0 where they begin anew."""

    def __init__(self, types: Sequence[Type]) -> None:
        self.first = aligned(LINE, np.float32)
        self.states = [aligned(units(kind), np.float32).reshape(kind.shape) for kind in types]

    def begin(self, first: bool) -> None:
        """Go on, or begin anew."""
        self.first[0] = first
        for state in self.states:
            if first:
                state[...] = 0
