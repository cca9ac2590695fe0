"""--where 'learning_rate < 0.01 and status == finished': which runs are meant.

    text ──ast.parse──▶ and, or, not, == != < <= > >=, in, names, numbers, texts ──▶ a function of a run
                        └── anything else is an error at its place; nothing is ever evaluated as Python

A name is one that `Names` knows; a word that is none is text where the other side has it as a value. A run without the
value meets no comparison but `== null`.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fluxrun.spec.problems import Problem, SpecError, near
from fluxrun.spec.text import Place, Source
from fluxrun.store.listing import Run
from fluxrun.store.names import MISSING, STATUSES, Key, Names, UnknownName

Term = Callable[[Run], Any]
TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9][\w.]*|[A-Za-z_][\w.]*")
DOT = "\u00b7"  # may stand in a name of Python, so that `model.0.affine.out` is one
WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
ORDERS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
HINT = "write comparisons of names, numbers and 'texts', joined by and, or, not"


class Condition:
    """A condition on runs, read for the runs that there are: these decide what a name stands for."""

    def __init__(self, text: str, names: Names) -> None:
        """Raises SpecError at the place of what has no meaning."""
        text = re.sub(r"\s", " ", text.strip())
        self.names = names
        self.keys: list[Key] = []  # what it asks for, in the order of the text
        self.source = Source("--where", text, one_line=True)
        # the dots of a name, and nothing in quotes, become a letter: every character stays in its place
        dotted = TOKEN.sub(lambda m: m[0].replace(".", DOT) if m[0][0].isalpha() or m[0][0] == "_" else m[0], text)
        self.encoded = dotted.encode(errors="replace")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's opinion of a comparison by `is` is not asked for
                tree = ast.parse(self.encoded, mode="eval")
            self.holds: Callable[[Run], bool] = self._truth(tree.body)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            column = (getattr(error, "offset", None) or 1) - 1
            raise self._error(column, column + 1, "this is no condition", HINT) from None

    def _truth(self, node: ast.expr) -> Callable[[Run], bool]:
        match node:
            case ast.BoolOp(op=ast.And()):
                parts = [self._truth(value) for value in node.values]
                return lambda run: all(part(run) for part in parts)
            case ast.BoolOp():
                parts = [self._truth(value) for value in node.values]
                return lambda run: any(part(run) for part in parts)
            case ast.UnaryOp(op=ast.Not()):
                inner = self._truth(node.operand)
                return lambda run: not inner(run)
            case ast.Compare():
                return self._comparison(node)
            case ast.Name():
                return self._flag(node)
        raise self._refused(node, "here belongs a comparison")

    def _flag(self, node: ast.Name) -> Callable[[Run], bool]:
        """A name by itself, which has to be one of something that is true or false."""
        term = self._term(node)

        def holds(run: Run) -> bool:
            value = term(run)
            if not (isinstance(value, bool) or value is MISSING or value is None):
                raise self._refused(node, f"{node.id.replace(DOT, '.')} is {_kind(value)}: compare it with something")
            return value is True

        return holds

    def _comparison(self, node: ast.Compare) -> Callable[[Run], bool]:
        operands = [node.left, *node.comparators]
        links = []
        for left, kind, right in zip(operands, node.ops, operands[1:], strict=False):
            links.append(self._link(left, kind, right))
        return lambda run: all(link(run) for link in links)

    def _link(self, left: ast.expr, kind: ast.cmpop, right: ast.expr) -> Callable[[Run], bool]:
        """One comparison of two operands."""
        a, b = self._term(left, right), self._term(right, left)
        if isinstance(kind, ast.Eq | ast.NotEq):
            wanted = isinstance(kind, ast.Eq)
            return lambda run: _equal(a(run), b(run), wanted)
        if isinstance(kind, ast.In | ast.NotIn):
            wanted = isinstance(kind, ast.In)
            return lambda run: _inside(a(run), b(run), wanted)
        order = ORDERS.get(type(kind))
        if order is None:
            raise self._refused(right, "'is' compares nothing here")

        def ordered(run: Run) -> bool:
            x, y = a(run), b(run)
            if x is MISSING or y is MISSING or x is None or y is None:
                return False
            if isinstance(x, str) != isinstance(y, str) or isinstance(x, list | dict) or isinstance(y, list | dict):
                raise self._refused(right, f"{_kind(x)} and {_kind(y)} have no order", "compare like with like")
            return order(x, y)

        return ordered

    def _term(self, node: ast.expr, other: ast.expr | None = None) -> Term:
        """The value of an operand; `other` is the operand on the other side."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                return lambda run: value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                negative = -value
                return lambda run: negative
            case ast.Tuple() | ast.List():
                items = [self._term(item, other) for item in node.elts]
                return lambda run: [item(run) for item in items]
            case ast.Name():
                return self._name(node, other)
        raise self._refused(node, "here belongs a name, a number or a 'text'")

    def _name(self, node: ast.Name, other: ast.expr | None) -> Term:
        name = node.id.replace(DOT, ".")
        if name in WORDS:
            return lambda run: WORDS[name]
        if not self.names.runs:
            return lambda run: MISSING  # nothing to ask
        try:
            key = self.names.key(name)
        except UnknownName as error:
            if name in self._values(other):
                return lambda run: name
            hint = near(name, self._values(other)) or error.hint
            raise self._error(*self._columns(node), str(error), hint) from None
        self.keys.append(key)
        return key.of

    def _values(self, other: ast.expr | None) -> set[str]:
        """The texts that the other operand has in some run: what an unquoted word may be."""
        if not isinstance(other, ast.Name):
            return set()
        name = other.id.replace(DOT, ".")
        if name == "status":
            return set(STATUSES)
        try:
            key = self.names.key(name)
        except UnknownName:
            return set()
        return {value for run in self.names.runs if isinstance(value := key.of(run), str)}

    def _refused(self, node: ast.expr, message: str, hint: str = HINT) -> SpecError:
        return self._error(*self._columns(node), message, hint)

    def _columns(self, node: ast.expr) -> tuple[int, int]:
        """Where a node stands, in characters; ast counts bytes."""
        end = node.end_col_offset or node.col_offset + 1
        start = len(self.encoded[: node.col_offset].decode(errors="replace"))
        return start, max(start + 1, len(self.encoded[:end].decode(errors="replace")))

    def _error(self, start: int, end: int, message: str, hint: str) -> SpecError:
        return SpecError([Problem(Place(self.source, 0, start, end), message, hint)])


def matching(runs: Sequence[Run], text: str, names: Names) -> tuple[list[Run], list[Key]]:
    """The runs that meet a condition, and what it asks for. Raises SpecError."""
    condition = Condition(text, names)
    return [run for run in runs if condition.holds(run)], condition.keys


def _equal(a: Any, b: Any, wanted: bool) -> bool:
    if a is None or b is None:  # null is what is not there, or there as nothing
        return (a in (None, MISSING) and b in (None, MISSING)) == wanted
    return a is not MISSING and b is not MISSING and (a == b) == wanted


def _inside(item: Any, whole: Any, wanted: bool) -> bool:
    if item is MISSING or not isinstance(whole, list | str) or (isinstance(whole, str) and not isinstance(item, str)):
        return False
    return (item in whole) == wanted


def _kind(value: Any) -> str:
    match value:
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a map"
    return "a number"
