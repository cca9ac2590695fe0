"""What a formula may call, and how its operators are named among the ops.

    tanh(x)        softmax(x, axis=-1)        elu(x, alpha=0.5)        operands first, attributes by name

Numbers alone stay numbers, so that sizes, slices and attributes may be computed: z[:, out : 2 * out].
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flux_core.errors import GraphError
from flux_core.ops import BROADCASTS, TABLE

Fail = Callable[[str], GraphError]

OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Pow: "power",
    ast.MatMult: "matmul",
}
COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}


@dataclass(frozen=True)
class Kind:
    """What an attribute may be: a number within bounds, whole or not, several of them, or a flag."""

    words: str
    whole: bool = True
    many: bool = False
    flag: bool = False
    least: float = -(2.0**31)
    below: float = 2.0**31

    def checked(self, value: Any, fail: Fail) -> Any:
        """The value itself; raises what `fail` gives where it is another kind of thing."""
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            sound = type(number) is int if self.whole else isinstance(number, int | float)
            if not sound or not self.least <= number < self.below:
                shown = number if isinstance(number, int | float) else "an array"
                raise fail(f"expected {self.words}, not {shown}")
        return value


NUMBER = Kind("a number", whole=False)
AXIS = Kind("an axis, or several, such as -1 or (1, 2)", many=True, least=-32, below=32)
ONE_AXIS = Kind("an axis, such as -1", least=-32, below=32)
SIZE = Kind("a size from 1 to 1,000,000", least=1, below=1_000_001)
SIZES = Kind("sizes such as (4, 8), of which one may be -1", many=True, least=-1, below=1_000_001)
RATE = Kind("a rate from 0 to below 1", whole=False, least=0, below=1)
FLAG = Kind("True or False", flag=True)


@dataclass(frozen=True)
class Function:
    """An op as a formula calls it; `fixed` attributes are not the formula's to choose."""

    op: str
    attributes: Mapping[str, Kind] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operands(self) -> int | None:
        """How many values it takes; None for one or more."""
        return 1 if self.op == "dropout" else TABLE[self.op].operands

    def wrong_operands(self, name: str, count: int) -> str | None:
        """What is wrong with this number of operands, if anything."""
        wanted = self.operands
        if count == wanted or (wanted is None and count):
            return None
        words = "one value or more" if wanted is None else "one value" if wanted == 1 else f"{wanted} values"
        return f"{name} takes {words}, not {count}"

    def example(self, name: str) -> str:
        """How it is called."""
        values = "a, b" if self.operands is None else ", ".join("abc"[: self.operands]) if self.operands != 1 else "x"
        given = [f"{name}={EXAMPLES[name]}" for name in sorted(self.required)]
        return f"such as {name}({', '.join([values, *given])})"


EXAMPLES = {"axis": "-1", "axes": "(0, 2, 1)", "n": "10", "rate": "0.5", "shape": "(2, -1)"}


def _plain(*names: str) -> dict[str, Function]:
    return {name: Function(name) for name in names}


_REDUCE = {"axis": AXIS, "keepdims": FLAG}
_NEEDS_AXIS = frozenset({"axis"})  # without one the whole minibatch would be one number, which is hardly ever meant

FUNCTIONS: Mapping[str, Function] = {
    **_plain("exp", "log", "sqrt", "sign", "erf", "maximum", "minimum", "where"),
    **_plain("tanh", "sigmoid", "relu", "gelu", "silu", "softplus", "gather", "pick", "flatten"),
    "abs": Function("absolute"),
    "elu": Function("elu", {"alpha": NUMBER}),
    "leaky_relu": Function("leaky_relu", {"slope": NUMBER}),
    "softmax": Function("softmax", {"axis": ONE_AXIS}),
    "log_softmax": Function("log_softmax", {"axis": ONE_AXIS}),
    "sum": Function("sum", _REDUCE, _NEEDS_AXIS),
    "mean": Function("mean", _REDUCE, _NEEDS_AXIS),
    "max": Function("max", _REDUCE, _NEEDS_AXIS),
    "concat": Function("concat", {"axis": ONE_AXIS}),
    "reshape": Function("reshape", {"shape": SIZES}, frozenset({"shape"}), {"keep": 1}),
    "transpose": Function("transpose", {"axes": Kind(AXIS.words, many=True, least=-32, below=32)}, frozenset({"axes"})),
    "one_hot": Function("one_hot", {"n": SIZE}, frozenset({"n"})),
    "dropout": Function("dropout", {"rate": RATE}, frozenset({"rate"})),
}

NUMERIC = frozenset({*BROADCASTS, "floor_divide", "negative", "absolute", "exp", "log", "sqrt", "sign", "tanh"})


def on_numbers(op: str, values: list[Any], fail: Fail) -> int | float:
    """The result of an op on numbers; whole numbers stay whole under + - * // and negation.

    Raises what `fail` gives where there is no such number.
    """
    result: int | float
    try:
        match op, values:
            case "add", [a, b]:
                result = a + b
            case "subtract", [a, b]:
                result = a - b
            case "multiply", [a, b]:
                result = a * b
            case "floor_divide", [a, b]:
                result = a // b
            case "negative", [a]:
                result = -a
            case "power", [a, b]:
                result = math.pow(a, b)
            case "divide", [a, b]:
                result = a / b
            case _:
                import numpy as np

                with np.errstate(all="ignore"):
                    result = float(TABLE[op].forward(*(np.float64(value) for value in values)))
    except (ZeroDivisionError, OverflowError, ValueError):
        raise fail("this comes to no number") from None
    if not abs(result) < 2**53:  # NaN too
        raise fail("this comes to no number, or to one beyond 2**53")
    return result
