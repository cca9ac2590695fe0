"""Everything that can go wrong on purpose.

    FluxError
    ├── BackpropError      no way to run backwards through a model
    ├── GraphError         a graph that cannot mean anything: a cycle, a missing input, mixed dtypes
    │   ├── FormulaError   a formula that says nothing: every fault with its line and column
    │   └── ShapeError     sizes that do not fit, with the layer path and both shapes
    ├── DataError          a data file that cannot be used: file, row, column      (exit code 65)
    │   ├── MissingFile    a data file that is not there                          (exit code 66)
    │   └── SettingError   a setting that the data cannot meet: a window longer than the text (exit code 2)
    │       └── ColumnError  a column or array that the spec names and the file lacks
    ├── CheckpointError    a checkpoint that is damaged or belongs to another model (exit code 65)
    └── Diverged           the loss or a gradient is NaN or infinite               (exit code 3)

A message says what is wrong, where, and what to do next; the attributes carry the same facts for programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self


class FluxError(Exception):
    """The base of every error that fluxrun raises on purpose."""


class BackpropError(FluxError):
    """A model has no rule, no graph and no `back` of its own."""


class GraphError(FluxError):
    """A graph cannot be run or transformed; `path` is the layer path, `place` the spec path where known."""

    def __init__(self, message: str, *, path: str = "", place: str | None = None) -> None:
        self.reason = message
        self.path = path
        self.place = place
        super().__init__(f"in {path}: {message}" if path else message)

    def within(self, path: str, place: str | None = None) -> Self:
        """The same error as raised by the layer at `path` of a larger model; the innermost place wins."""
        whole = " -> ".join(part for part in (path, self.path) if part)
        return type(self)(self.reason, path=whole, place=self.place or place, **self._facts())

    def _facts(self) -> dict[str, Any]:
        return {}


class Span(NamedTuple):
    """Characters `column` to `end` (exclusive) of a line of a formula, all counted from 1."""

    line: int
    column: int
    end: int


class Fault(NamedTuple):
    """What is wrong in a formula, and the next step; `where` is the key of the net that it stands under (without a
    span it is the key itself that is wrong)."""

    message: str
    span: Span | None
    hint: str | None = None
    where: str = "forward"


class FormulaError(GraphError):
    """A formula cannot be understood; `faults` are all that is wrong with it, in order."""

    def __init__(self, faults: Sequence[Fault], *, name: str = "") -> None:
        self.faults = tuple(faults)
        lines = [
            fault.where
            + (f", line {fault.span.line}, column {fault.span.column}" if fault.span else "")
            + f": {fault.message}"
            + (f" ({fault.hint})" if fault.hint else "")
            for fault in self.faults
        ]
        super().__init__("\n".join(lines), path=name)

    def within(self, path: str, place: str | None = None) -> Self:
        """Itself: a formula is read before it is part of a model."""
        return self


class ShapeError(GraphError):
    """Sizes do not fit; `shapes` are those of the operands, batch axis first."""

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        place: str | None = None,
        shapes: Sequence[object] = (),
    ) -> None:
        self.shapes = tuple(shapes)
        super().__init__(message, path=path, place=place)

    def _facts(self) -> dict[str, Any]:
        return {"shapes": self.shapes}


class DataError(FluxError):
    """A data file cannot be used; `row` counts lines of the file from 1, `column` is a name or an index."""

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        row: int | None = None,
        column: str | int | None = None,
        hint: str | None = None,
    ) -> None:
        self.reason = message
        self.file = None if file is None else str(file)
        self.row = row
        self.column = column
        self.hint = hint
        place = ":".join(str(part) for part in (self.file, row) if part is not None)
        what = f"column {column!r}: {message}" if column is not None else message
        super().__init__(f"{place}: {what}" if place else what)


class MissingFile(DataError):
    """A data file does not exist or cannot be opened."""


class SettingError(DataError):
    """A setting and the data do not go together; `key` is its spec path below `data`, or a field of a plan."""

    def __init__(
        self,
        message: str,
        *,
        key: str,
        file: str | Path | None = None,
        row: int | None = None,
        column: str | int | None = None,
        hint: str | None = None,
    ) -> None:
        self.key = key
        super().__init__(message, file=file, row=row, column=column, hint=hint)


class ColumnError(SettingError):
    """A name in the spec is not in the file; `near` are the closest names."""

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        key: str = "target",
        near: Sequence[str] = (),
    ) -> None:
        self.near = tuple(near)
        super().__init__(message, file=file, key=key, hint=f"did you mean {near[0]!r}?" if near else None)


class CheckpointError(FluxError):
    """A checkpoint is damaged, incomplete or does not fit the model."""


class Diverged(FluxError):
    """Training produced a NaN or an infinity; `step` is the first step that did, counted from 1."""

    def __init__(self, step: int, what: str = "loss") -> None:
        self.step = step
        self.what = what
        super().__init__(f"diverged at step {step}: the {what} is not finite")
