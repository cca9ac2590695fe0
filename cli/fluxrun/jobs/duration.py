"""Lengths of time, as people write them: 90s, 10m, 1h30m, 5 min."""

from __future__ import annotations

import math
import re

from fluxrun.jobs.expect import UsageError

UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(min|[smhd])\s*")


def parse_duration(text: str) -> float:
    """Seconds; a bare number counts seconds. Raises UsageError.

    >>> parse_duration("1h30m"), parse_duration("2.5"), parse_duration("1 h 5 min")
    (5400.0, 2.5, 3900.0)
    """
    parts = list(PART.finditer(text))
    if parts and "".join(part[0] for part in parts) == text:
        return math.fsum(float(part[1]) * UNITS[part[2]] for part in parts)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise UsageError(f"--max-time {text!r}: write a length of time, such as 90s, 10m or 1h30m")
    return seconds


def show_duration(seconds: float) -> str:
    """A length of time in two units at most.

    >>> show_duration(3.14159), show_duration(75), show_duration(7260)
    ('3.1 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
