"""Sizes as expressions: `4 * out`, `in + in.context`, `out // heads`.

`in` is a word of Python's: it is read as `_n`, and `in.context` as `_n_context`. These are as long, so that columns
stay, and are nobody else's, since no declared name starts with _.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping

from flux_core.layers.language.compiler import Compiler
from flux_core.layers.language.program import Context, Number, Value
from flux_core.layers.language.syntax import Text

INPUT = re.compile(r"\bin\b(\.(?=[A-Za-z]))?")
STAND_IN = re.compile(r"^_n(_|$)")

Size = Callable[[Mapping[str, Number], str], Number]


def compile_number(text: str, names: Iterable[str]) -> tuple[Size, set[str]]:
    """The value of a size as a function of names and of the place for errors; and the names that it reads.

    Raises FormulaError; the function raises GraphError where there is no such number.

    >>> size, reads = compile_number("4 * out + in", {"out", "in"})
    >>> size({"out": 8, "in": 3}, "here"), sorted(reads)
    (35, ['in', 'out'])
    """
    compiler = Compiler(Text(_spelled(text)), dict.fromkeys(map(_spelled, names), "argument"), shown=_shown)
    tree = compiler.text.parse("eval")
    assert isinstance(tree, ast.Expression)
    for part in ast.walk(tree.body):
        if isinstance(part, ast.expr) and not _is_known(part):
            compiler.fault(part, "a size is made of numbers, names and + - * / //", "such as 4 * out")
    compiler.raise_faults()
    build = compiler.expression(tree.body)
    compiler.raise_faults()

    def value(numbers: Mapping[str, Number], place: str) -> Number:
        known: dict[str, Value] = {_spelled(name): number for name, number in numbers.items()}
        found: Number = build(Context(known, place))
        return found

    return value, set(map(_shown, compiler.used))


def _is_known(part: ast.expr) -> bool:
    if isinstance(part, ast.BinOp):
        return isinstance(part.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.FloorDiv)
    return isinstance(part, ast.Name | ast.Constant | ast.UnaryOp)


def _spelled(text: str) -> str:
    return INPUT.sub(lambda found: "_n_" if found[1] else "_n", text)


def _shown(name: str) -> str:
    return STAND_IN.sub(lambda found: "in." if found[1] else "in", name)
