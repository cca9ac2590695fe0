"""The text of a formula and its syntax: bounded in size and depth, and every part with its place in characters.

a = b + c                Assign
1   5   9                ├─ a   (line 1, columns 1 to 2)
                         └─ b + c   (line 1, columns 5 to 10)
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from flux_core.errors import Fault, FormulaError, Span

MAX_CHARACTERS = 20_000
MAX_PARTS = 5_000  # expressions, names and operators of one formula
MAX_DEPTH = 60  # of expressions within expressions: every level costs Python a few frames

# what Python or YAML would take for the end of a line, or nobody can see
STRANGE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")


class Text:
    """The text of a formula; `indent` columns were taken away in front of every line."""

    def __init__(self, text: str, indent: int = 0) -> None:
        self.text, self.lines, self.indent = text, text.split("\n"), indent

    @classmethod
    def of_lines(cls, text: str) -> Text:
        """Lines without the indentation that all of them have."""
        flush = textwrap.dedent(text)
        both = zip(text.split("\n"), flush.split("\n"), strict=True)
        return cls(flush, next((len(long) - len(short) for long, short in both if short.strip()), 0))

    def parse(self, mode: Literal["exec", "eval"]) -> ast.AST:
        """The syntax tree. Raises FormulaError where there is none, or one that is too large or too deep."""
        if len(self.text) > MAX_CHARACTERS:
            raise _stop(f"a formula may have {MAX_CHARACTERS:,} characters at most")
        if strange := STRANGE.search(self.text):
            line = self.text.count("\n", 0, strange.start()) + 1
            column = strange.start() - self.text.rfind("\n", 0, strange.start())
            message = f"character U+{ord(strange[0]):04X} may not stand in a formula"
            raise _stop(message, self._moved(Span(line, column, column + 1)))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Python thinks of escapes in texts, which are refused anyway
                tree = ast.parse(self.text, mode=mode)
        except SyntaxError as error:
            raise FormulaError([self._unreadable(error)]) from None
        except (RecursionError, MemoryError, ValueError):
            raise _stop("this is nested too deeply to be read", hint="name parts of it on lines of their own") from None
        self._limit(tree)
        return tree

    def _unreadable(self, error: SyntaxError) -> Fault:
        line = min(error.lineno or 1, len(self.lines))
        column = max(error.offset or 1, 1)
        behind = self.lines[line - 1][column - 1 :]
        column += len(behind) - len(behind.lstrip()) if behind.strip() else 0  # not at a blank
        end = (error.end_offset or 0) if error.end_lineno == error.lineno else 0
        return Fault(f"this cannot be read: {error.msg}", self._moved(Span(line, column, max(end, column + 1))))

    def _limit(self, tree: ast.AST) -> None:
        stack, parts = [(tree, 0)], 0
        while stack:
            node, depth = stack.pop()
            parts += 1
            if depth > MAX_DEPTH or parts > MAX_PARTS:
                what = f"deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"larger than {MAX_PARTS:,} parts"
                where = self.span(node) if isinstance(node, ast.expr | ast.stmt) else START
                raise _stop(f"this is {what}", where, "name parts of it on lines of their own")
            stack.extend((child, depth + 1) for child in ast.iter_child_nodes(node))

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> Span:
        """Where a part of the syntax stands, in characters; Python counts bytes."""
        line = self.lines[node.lineno - 1].encode()
        start = len(line[: node.col_offset].decode()) + 1
        if node.end_lineno != node.lineno or node.end_col_offset is None:
            return self._moved(Span(node.lineno, start, max(start + 1, len(line.decode().rstrip()) + 1)))
        return self._moved(Span(node.lineno, start, len(line[: node.end_col_offset].decode()) + 1))

    def _moved(self, span: Span) -> Span:
        return Span(span.line, span.column + self.indent, span.end + self.indent)


START = Span(1, 1, 2)


def _stop(message: str, span: Span = START, hint: str | None = None) -> FormulaError:
    return FormulaError([Fault(message, span, hint)])


def near(name: str, names: Iterable[str]) -> str:
    """The hint that names the closest known name, or all of them."""
    known = sorted(set(names))
    close = get_close_matches(name[:100], known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
