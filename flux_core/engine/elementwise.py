"""Elementwise kernels, generated from formulas.

    maximum(a0 + a1, 0)   with a0 full, a1 one row   →   for each row: for j: o[j] = maximum(a0[j] + a1[j], 0)

How an operand is read belongs to the kernel, its size does not: `f` an element for each, `c` one number for each row,
`s` one number. Every operand has a stride, by which its rows, or numbers, lie apart: 0 for a row that repeats, more
than the columns for a part of a wider array. An operand whose memory the result takes over is read and written
through one pointer (`i`), because a loop that sees two pointers into the same memory is not vectorised.
"""

from __future__ import annotations

import ast
from functools import cache

from flux_core.engine.kernel import Kernel

FUNCTIONS = (
    "absolute",
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "power",
    "sigmoid",
    "sign",
    "sqrt",
    "tanh",
)

TEMPLATE = """
from __future__ import annotations
from typing import Any
import numpy as np
from numba import carray
from flux_core.engine.kernels.pointers import at
from flux_core.engine.kernels.scalar import {functions}
f4 = np.float32

def elementwise(arena, operands):
    rows, columns = operands[{count}], operands[{count} + 1]
    {numbers}
    for i in range(rows):
        {views}
        for j in range(columns):
            {target}[j] = {formula}
"""


@cache
def elementwise_kernel(formula: str, reads: str) -> Kernel:
    """The kernel of a formula over a0, a1, ...; `reads` says how each operand is read, one letter for each.

    Its operands: the places of a0, a1, ..., of the result, then rows and columns, then the strides in the order of
    the places.
    """
    count = len(reads)
    numbers = [f"a{k} = arena[operands[{k}]]" for k, how in enumerate(reads) if how == "s"]
    begins = [f"operands[{k}] + i * operands[{count + 3 + k}]" for k in range(count + 1)]
    views = []
    for k, how in enumerate(reads):
        if how in "fi":
            views.append(f"v{k} = carray(at(arena, {begins[k]}), columns)")
        elif how == "c":
            views.append(f"a{k} = arena[{begins[k]}]")
    target = f"v{reads.index('i')}" if "i" in reads else "o"
    if target == "o":
        views.append(f"o = carray(at(arena, {begins[count]}), columns)")
    text = _Compilable({f"a{k}": f"v{k}[j]" for k, how in enumerate(reads) if how in "fi"})
    body = ast.unparse(text.visit(ast.parse(formula, mode="eval").body))
    used = sorted(name for name in FUNCTIONS if f"{name}(" in body)
    source = TEMPLATE.format(
        functions=", ".join(used) or "exp",
        count=count + 1,
        numbers="\n    ".join(numbers),
        views="\n        ".join(views),
        target=target,
        formula=body,
    )
    return Kernel("elementwise", source)


class _Compilable(ast.NodeTransformer):
    """A formula as the compiler needs it: operands as elements, numbers in float32, comparisons as 0 and 1."""

    def __init__(self, operands: dict[str, str]) -> None:
        self.operands = operands
        self.condition = False

    def visit_Name(self, name: ast.Name) -> ast.expr:  # the names that ast looks for
        return ast.parse(self.operands.get(name.id, name.id), mode="eval").body

    def visit_Constant(self, constant: ast.Constant) -> ast.expr:
        return ast.parse(f"f4({constant.value!r})", mode="eval").body

    def visit_Call(self, call: ast.Call) -> ast.expr:
        return ast.Call(call.func, [self.visit(argument) for argument in call.args], [])

    def visit_Compare(self, comparison: ast.Compare) -> ast.expr:
        found = ast.Compare(
            self.visit(comparison.left), comparison.ops, [self.visit(x) for x in comparison.comparators]
        )
        return ast.IfExp(found, *(ast.parse(f"f4({number})", mode="eval").body for number in (1, 0)))

    def visit_IfExp(self, choice: ast.IfExp) -> ast.expr:
        test = choice.test
        if isinstance(test, ast.Compare):  # the test itself stays a truth value
            test = ast.Compare(self.visit(test.left), test.ops, [self.visit(x) for x in test.comparators])
        return ast.IfExp(test, self.visit(choice.body), self.visit(choice.orelse))

    def visit_BinOp(self, operation: ast.BinOp) -> ast.expr:
        left, right = self.visit(operation.left), self.visit(operation.right)
        if isinstance(operation.op, ast.Pow):
            return ast.Call(ast.Name("power"), [left, right], [])
        return ast.BinOp(left, operation.op, right)
