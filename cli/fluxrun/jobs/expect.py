"""--expect 'valid.accuracy>=0.9': a condition on a metric that decides the exit code."""

from __future__ import annotations

import errno
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flux_core.errors import FluxError
from fluxrun.spec.problems import listing, near

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(r"\s*([A-Za-z0-9_.]+)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")


class UsageError(FluxError):
    """An option has a value without a meaning."""


class CannotCreate(FluxError):
    """A file is there already, or cannot be made."""


@contextmanager
def creating(path: Path) -> Iterator[None]:
    """Where a file is written: raises CannotCreate if it cannot be made, OSError if the disk is full or broken."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise OSError(error.errno, error.strerror, str(path)) from None
        if error.errno == errno.ENOENT:
            raise CannotCreate(f"{path}: there is no folder {str(path.parent)!r}") from None
        raise CannotCreate(f"{path}: cannot be written: {error.strerror or error}") from None


@dataclass(frozen=True)
class Expectation:
    """A metric, a comparison, a number."""

    text: str
    metric: str
    comparison: str
    number: float

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """Read a condition; raises UsageError.

        >>> Expectation.parse("valid.accuracy >= 0.9").met({"valid.accuracy": 0.92})
        True
        """
        match = FORM.fullmatch(text)
        try:
            number = float(match[3]) if match else math.nan
        except ValueError:
            number = math.nan
        if match is None or math.isnan(number):
            raise UsageError(f"--expect {text!r}: write METRIC>=NUMBER, such as 'valid.accuracy>=0.9'")
        return cls(text, match[1], match[2], number)

    def require_known(self, names: Sequence[str]) -> None:
        """Raise UsageError if a run will not have the metric."""
        if self.metric not in names:
            hint = near(self.metric, names) or f"known: {listing(names)}"
            raise UsageError(f"--expect {self.text!r}: there will be no metric {self.metric!r}; {hint}")

    def met(self, values: Mapping[str, float]) -> bool:
        """Whether it holds; a metric that is missing or NaN meets nothing."""
        value = values.get(self.metric, math.nan)
        return not math.isnan(value) and OPERATORS[self.comparison](value, self.number)
