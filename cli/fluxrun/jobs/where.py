"""--where 'learning_rate < 0.01 and status == finished': which runs are meant.

    text ──ast.parse──▶ and, or, not, == != < <= > >=, in, names, numbers, texts ──▶ a function of a run
                        └── anything else is an error at its place; nothing is ever evaluated as Python

A name is one that `Names` knows. A word that a name is compared with by == or !=, or that stands in the list behind
`in`, is a text, whatever runs there are. A run without the value meets no comparison but `== null`.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fluxrun.spec.key import QUOTED
from fluxrun.spec.problems import Problem, SpecError, near
from fluxrun.spec.text import Place, Source
from fluxrun.store.listing import Run
from fluxrun.store.names import MISSING, STATUSES, Key, Names, UnknownName

Term = Callable[[Run], Any]
SINGLE = re.compile(r"'[^']*'|\"[^\"]*\"|[=!<>]=|(=)")
TOKEN = re.compile(rf"'[^']*'|\"[^\"]*\"|[0-9][\w.]*|([A-Za-z_](?:\w|\.(?:{QUOTED})?)*)")
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
        self.notes: list[str] = []  # what may be meant otherwise
        self.source = Source("--where", text, one_line=True)
        # in a name, and in no text, what is no letter becomes one: every character stays in its place
        dotted = TOKEN.sub(lambda found: _one_name(found[0]) if found[1] else found[0], text)
        self.encoded = dotted.encode(errors="replace")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's opinion of a comparison by `is` is not asked for
                tree = ast.parse(self.encoded, mode="eval")
            self.holds: Callable[[Run], bool] = self._truth(tree.body)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            if single := next((found for found in SINGLE.finditer(text) if found[1]), None):
                raise self._error(*single.span(), "'=' compares nothing", "write ==") from None
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
                raise self._refused(node, f"{self._text(node)} is {_kind(value)}: compare it with something")
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
        equal = isinstance(kind, ast.Eq | ast.NotEq)
        listed = isinstance(kind, ast.In | ast.NotIn) and not isinstance(right, ast.Name)
        a = self._term(left)
        b = self._term(right, left if isinstance(left, ast.Name) and (equal or listed) else None)
        if equal:
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

    def _term(self, node: ast.expr, of: ast.Name | None = None) -> Term:
        """The value of an operand; with `of`, a word is a text that this name may have."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                return lambda run: value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                negative = -value
                return lambda run: negative
            case ast.Tuple() | ast.List():
                items = [self._term(item, of) for item in node.elts]
                return lambda run: [item(run) for item in items]
            case ast.Name():
                return self._name(node) if of is None else self._word(node, of)
        raise self._refused(node, "here belongs a name, a number or a 'text'")

    def _name(self, node: ast.Name) -> Term:
        name = self._text(node)
        if name in WORDS:
            return lambda run: WORDS[name]
        if not self.names.runs:
            return lambda run: MISSING  # nothing to ask
        try:
            key = self.names.key(name)
        except UnknownName as error:
            raise self._error(*self._columns(node), str(error), error.hint) from None
        self.keys.append(key)
        return key.of

    def _word(self, node: ast.Name, of: ast.Name) -> Term:
        """A text without quotes; where no run has it there, a note says what may be meant."""
        text = self._text(node)
        if text in WORDS:
            return lambda run: WORDS[text]
        asked = self._text(of)
        values = self._values(asked)
        if self.names.runs and text not in values:
            meant = f"{text} is a text here, not the value of this name" if self._is_known(text) else near(text, values)
            if meant:
                self.notes.append(f"no run has {text!r} as its {asked}; {meant}")
        return lambda run: text

    def _values(self, name: str) -> set[str]:
        """The texts that a name stands for in some run."""
        if name == "status":
            return set(STATUSES)
        return {value for run in self.names.runs if isinstance(value := self.names.key(name).of(run), str)}

    def _is_known(self, name: str) -> bool:
        try:
            self.names.key(name)
        except UnknownName:
            return False
        return True

    def _text(self, node: ast.Name) -> str:
        """A name as it was written: Python takes some letters for others."""
        start, end = self._columns(node)
        return self.source.text[start:end]

    def _refused(self, node: ast.expr, message: str, hint: str = HINT) -> SpecError:
        return self._error(*self._columns(node), message, hint)

    def _columns(self, node: ast.expr) -> tuple[int, int]:
        """Where a node stands, in characters; ast counts bytes."""
        end = node.end_col_offset or node.col_offset + 1
        start = len(self.encoded[: node.col_offset].decode(errors="replace"))
        return start, max(start + 1, len(self.encoded[:end].decode(errors="replace")))

    def _error(self, start: int, end: int, message: str, hint: str) -> SpecError:
        return SpecError([Problem(Place(self.source, 0, start, end), message, hint)])


def matching(runs: Sequence[Run], condition: Condition) -> list[Run]:
    """The runs that meet a condition. Raises SpecError where what is compared has no order."""
    return [run for run in runs if condition.holds(run)]


def _one_name(path: str) -> str:
    """A path as one name of Python.

    >>> _one_name('columns."a b"')
    'columns··a·b·'
    """
    return "".join(letter if f"_{letter}".isidentifier() else DOT for letter in path)


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
