"""A curve in one line of text.

train.loss  █▆▄▃▂▂▁▁▁▁  1.4278 to 0.0162
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fluxrun.render.numbers import number

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """One character for each value, or for the mean of several where there are more than `width`.

    >>> sparkline([8, 4, 2, 1]), sparkline([1.0, math.nan, 1.0]), sparkline(range(100), 5)
    ('█▄▂▁', '▁ ▁', '▁▃▅▆█')
    """
    count = min(width, len(values))
    pieces = [values[i * len(values) // count : (i + 1) * len(values) // count] for i in range(count)]
    means = [math.fsum(piece) / len(piece) if all(map(math.isfinite, piece)) else math.nan for piece in pieces]
    finite = [mean for mean in means if math.isfinite(mean)]
    if not finite:
        return ""
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(BARS[int((mean - low) / span * 7 + 0.5)] if math.isfinite(mean) else " " for mean in means)


def sparklines(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """A line for each curve of at least two values, with its first and its last."""
    return [
        f"{name}  {sparkline(values)}  {number(values[0])} to {number(values[-1])}"
        for name, values in curves.items()
        if len(values) > 1
    ]
