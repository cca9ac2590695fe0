"""One op, one row: what it means, its shape rule, its gradient, how a tape may run it, and examples for the tests.

    sigmoid(array)  computes             sigmoid(node)  builds a node

The meaning is NumPy, in the dtype of its operands; the gradient is written in the ops themselves, so that it can
be differentiated, simplified and compiled like anything else. An op's attributes are the keyword-only arguments
of its `forward`. Un-broadcasting is not the gradient rules' business: `passes.grad` does it for all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flux_core.errors import ShapeError
from flux_core.ir import Node, as_node, state

Array = NDArray[Any]
Shape = tuple[int, ...]


class _NoGradient:
    """The declared absence of a gradient: the op is piecewise constant in this operand, or only reads its shape."""

    def __repr__(self) -> str:
        return "NO_GRADIENT"


NO_GRADIENT: Final = _NoGradient()


@dataclass(frozen=True)
class Kernel:
    """How a tape may run an op: element by element (with the formula of one element), as a reduction, as another
    view of the same memory, or as a whole."""

    kind: str
    formula: str | None = None


def elementwise(formula: str) -> Kernel:
    """Each element of the result depends on the same element of the operands, by this formula."""
    return Kernel("elementwise", formula)


REDUCTION: Final = Kernel("reduction")
VIEW: Final = Kernel("view")
WHOLE: Final = Kernel("whole")


@dataclass(frozen=True)
class Draw:
    """A test operand, made when a test asks for it: `kind` of numbers in `shape`."""

    kind: str
    shape: Shape
    limit: int = 0

    def array(self, rng: np.random.Generator, dtype: Any = np.float64) -> Array:
        """The operand: floats in `dtype`, ids in int64."""
        if self.kind == "ids":
            return rng.integers(0, self.limit, self.shape)
        if self.kind == "extreme":
            special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-30, 30.0, -30.0, 88.0, -88.0]
            return np.resize(np.array(special, dtype), self.shape)
        if self.kind == "positive":
            return rng.uniform(0.5, 2.0, self.shape).astype(dtype)
        # away from 0, where the kinks of abs and relu lie: central differences must not straddle them
        values = rng.standard_normal(self.shape)
        return np.asarray(values + np.copysign(0.1, values), dtype)


def normal(*shape: int) -> Draw:
    """Normal numbers, at least 0.1 away from zero."""
    return Draw("normal", shape)


def positive(*shape: int) -> Draw:
    """Numbers between 0.5 and 2."""
    return Draw("positive", shape)


def extreme(*shape: int) -> Draw:
    """Zeros of both signs, infinities, NaN and numbers near overflow; for values, not for gradients."""
    return Draw("extreme", shape)


def ids(*shape: int, limit: int) -> Draw:
    """Integers in [0, limit)."""
    return Draw("ids", shape, limit)


@dataclass(frozen=True)
class Case:
    """One example of an op: its operands and attributes."""

    operands: tuple[Draw, ...]
    attrs: dict[str, Any] = field(default_factory=dict)


def case(*operands: Draw, **attrs: Any) -> Case:
    """One example of an op."""
    return Case(operands, attrs)


@dataclass(frozen=True, repr=False)
class Op:
    """One row of the table of ops.

    forward:  arrays -> array; keyword-only arguments are the op's attributes
    shape:    shapes -> shape, or ShapeError naming both and the way out
    back:     (dy, y, *inputs) nodes -> one gradient node for each input, or NO_GRADIENT
    kernel:   how a tape may run it
    examples: operands for the tests
    """

    name: str
    forward: Callable[..., Any]
    shape: Callable[..., Shape]
    back: Callable[..., Sequence[Any]]
    kernel: Kernel
    examples: Sequence[Case]

    def __post_init__(self) -> None:
        if self.name in TABLE:
            raise ValueError(f"two ops are named {self.name!r}")
        signature = inspect.signature(self.forward).parameters.values()
        attrs = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
        many = any(p.kind is p.VAR_POSITIONAL for p in signature)
        operands = None if many else sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in signature)
        object.__setattr__(self, "operands", operands)
        object.__setattr__(self, "attrs", attrs)
        TABLE[self.name] = self

    # set from the signature of `forward`
    operands: int | None = field(init=False, default=None)
    attrs: dict[str, Any] = field(init=False, default_factory=dict)

    def __call__(self, *values: Any, **attrs: Any) -> Any:
        """Compute on arrays; build a node when any operand is a node.

        Attributes may follow the operands by position, in the order of `forward`.
        """
        operands, attrs = self._bind(values, attrs)
        if any(isinstance(value, Node) for value in operands):
            return Node(self.name, tuple(as_node(value) for value in operands), MappingProxyType(attrs))
        wide = any(getattr(state(value), "dtype", None) == np.float64 for value in operands)
        return self.forward(*(_array(value, wide) for value in operands), **attrs)

    def _bind(self, values: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        unknown = attrs.keys() - self.attrs.keys()
        if unknown:
            raise TypeError(f"{self.name} has no attribute {sorted(unknown)[0]!r}; it has {sorted(self.attrs)}")
        if self.operands is not None:
            extra = values[self.operands :]
            if len(values) < self.operands or len(extra) > len(self.attrs):
                raise TypeError(f"{self.name} takes {self.operands} operands, not {len(values)}")
            attrs = {**dict(zip(self.attrs, extra, strict=False)), **attrs}
            values = values[: self.operands]
        bound = {**self.attrs, **attrs}
        missing = [name for name, value in bound.items() if value is inspect.Parameter.empty]
        if missing:
            raise TypeError(f"{self.name} needs the attribute {missing[0]!r}")
        return values, bound

    def __reduce__(self) -> tuple[Any, ...]:
        """A row is itself wherever it is copied or unpickled."""
        return _row, (self.name,)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _row(name: str) -> Op:
    return TABLE[name]


TABLE: dict[str, Op] = {}


def _array(value: Any, wide: bool) -> Any:
    """The operand of a direct computation: a Param's array; a number or list takes the precision of the arrays."""
    value = state(value)
    if isinstance(value, np.ndarray | np.generic):
        return value
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 and not wide else array


# Shape rules


def same_as(operand: int) -> Callable[..., Shape]:
    """The result has the shape of one operand."""

    def rule(*shapes: Shape, **attrs: Any) -> Shape:
        return shapes[operand]

    return rule


def broadcast(*shapes: Shape, **attrs: Any) -> Shape:
    """The common shape of operands that are broadcast against each other, as in NumPy."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(str(shape) for shape in shapes)
        raise ShapeError(
            f"shapes {listed} do not broadcast: from the right, sizes must be equal or 1", shapes=shapes
        ) from None
