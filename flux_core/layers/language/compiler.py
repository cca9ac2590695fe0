"""The language of formulas: what a net declares in `forward`, and the sizes of its weights. Python's grammar is read
with `ast`; nothing of it is ever evaluated, imported or called by Python.

    h = tanh(x @ W + h[-1] @ U)  ──ast──▶  every name in its role, everything else refused  ──▶  Program

Allowed: assignments and one `return`; + - * / ** @, // of numbers, comparisons; numbers and names; the functions of
FUNCTIONS and sub-models, called by name; h[-1] of a state, slices of a value. All that is wrong is found at once, each
with its line and column.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

from flux_core.errors import Fault, FormulaError, Span
from flux_core.ir import Node, get, pack
from flux_core.layers.language.functions import COMPARISONS, FUNCTIONS, OPERATORS, Function
from flux_core.layers.language.program import (
    Build,
    Context,
    Program,
    Value,
    apply,
    apply_function,
    as_value,
    placed,
)
from flux_core.layers.language.refused import OTHERWISE, REFUSED
from flux_core.layers.language.syntax import START, Text, near

MAX_DELAY = 100

Role: TypeAlias = Literal["input", "param", "state", "argument", "model"]


def compile_forward(text: str, roles: Mapping[str, Role]) -> Program:
    """The program of a `forward`. Raises FormulaError with everything that is wrong with it."""
    return Compiler(Text.of_lines(text), roles).program()


class Compiler:
    """Turns syntax into functions from a Context to a value, and gathers what is wrong."""

    def __init__(self, text: Text, roles: Mapping[str, Role], shown: Callable[[str], str] = str) -> None:
        self.text, self.roles, self.shown = text, roles, shown
        self.faults: list[Fault] = []
        self.used: set[str] = set()
        self.delayed: set[str] = set()
        self.assigned: dict[str, Span] = {}
        self.locals: set[str] = set()
        self.unread: dict[str, Span] = {}  # where a name got the value that nothing has read yet

    def program(self) -> Program:
        tree = self.text.parse("exec")
        assert isinstance(tree, ast.Module)
        statements = [self.statement(s, last=s is tree.body[-1]) for s in tree.body]
        if not tree.body:
            self.faults.append(Fault("a formula has at least one line", START, "such as 'return x'"))
        elif not isinstance(tree.body[-1], ast.Return):
            self.fault(tree.body[-1], "the last line returns nothing", "end with 'return value'")
        self.raise_faults()
        for name, span in self.unread.items():
            if self.roles.get(name) != "state":  # the next step may read it
                self.faults.append(Fault(f"{name} is never used", span, "use it, or call it _"))
        self.raise_faults()
        returned = self.text.span(tree.body[-1])
        return Program(tuple(statements), frozenset(self.used), frozenset(self.delayed), self.assigned, returned)

    def fault(self, node: ast.expr | ast.stmt | ast.keyword, message: str, hint: str | None = None) -> Build:
        self.faults.append(Fault(message, self.text.span(node), hint))
        return _nothing

    def refuse(self, node: ast.expr | ast.stmt) -> Build:
        return self.fault(node, *REFUSED.get(type(node), OTHERWISE))

    def raise_faults(self) -> None:
        if self.faults:
            raise FormulaError(sorted(self.faults, key=lambda fault: fault.span or START))

    # Statements

    def statement(self, node: ast.stmt, *, last: bool) -> Build:
        match node:
            case ast.Return() if not last:
                return self.fault(node, "lines behind 'return' are never reached", "return stands on the last line")
            case ast.Return(value=None):
                return self.fault(node, "return what?", "such as 'return y'")
            case ast.Return(value=ast.Tuple(elts=[_, *_] as elements)):
                builds = [self.expression(element) for element in elements]
                return lambda c: pack(*(as_value(build(c)) for build in builds))
            case ast.Return(value=ast.expr() as value):
                one = self.expression(value)
                return lambda c: as_value(one(c))
            case ast.Assign(targets=[target]):
                return self.assignment(target, node.value)
            case ast.Assign():
                return self.fault(node, "one '=' a line", "write the assignments on lines of their own")
        return self.refuse(node)

    def assignment(self, target: ast.expr, value: ast.expr) -> Build:
        build = self.expression(value)
        if isinstance(target, ast.Tuple) and target.elts and all(isinstance(t, ast.Name) for t in target.elts):
            puts = [self.target(element) for element in target.elts]
            place = self.text.span(value)

            def unpack(c: Context) -> None:
                whole = as_value(build(c))
                c.unpacked.append((whole, len(puts), c.at(place)))
                for i, put in enumerate(puts):
                    put(c, placed(get(whole, i), c, place))

            return unpack
        put = self.target(target)
        return lambda c: put(c, build(c))

    def target(self, node: ast.expr) -> Callable[[Context, Value], None]:
        if not isinstance(node, ast.Name):
            self.fault(node, "only names are assigned", "such as y = ..., or a, b = ... for several values")
            return _no_target
        name, role = node.id, self.roles.get(node.id)
        if role == "state":
            self.assigned.setdefault(name, self.text.span(node))
        elif role is not None:
            self.fault(node, f"{name} is {_a(role)} already", "take another name")
        elif name in FUNCTIONS:
            self.fault(node, f"{name} is a function already", "take another name")
        else:
            self.locals.add(name)
        if name in self.unread:  # what leads nowhere would take its weights out of the model
            hint = "use its value before, or take another name"
            self.fault(node, f"{name} gets another value before it is used", hint)
        if not name.startswith("_"):
            self.unread[name] = self.text.span(node)

        def put(c: Context, value: Value) -> None:
            if role == "state":
                assert c.assign is not None  # a number has no statements
                value = as_value(value)
                c.assign(name, value)
            c.values[name] = value

        return put

    # Expressions

    def expression(self, node: ast.expr) -> Build:
        match node:
            case ast.Constant(value=bool() as flag):
                return self.fault(node, f"{flag} is not allowed here", "comparisons give 0 or 1")
            case ast.Constant(value=int() | float() as number) if abs(number) < 2**53:
                return lambda c: number
            case ast.Constant(value=int() | float()):
                return self.fault(node, "this number is too large", "numbers lie within 2**53")
            case ast.Constant(value=str() | bytes()):
                return self.fault(node, *REFUSED[ast.JoinedStr])
            case ast.Name():
                return self.name(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.operation(node, "negative", operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.expression(operand)
            case ast.UnaryOp(op=ast.Not()):
                return self.fault(node, "'not' is not allowed", "write 1 - a, or another comparison")
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
                return self.operation(node, OPERATORS[type(operator)], left, right)
            case ast.BinOp():
                return self.fault(node, "there is no such operator in a formula", "there are + - * / ** @")
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in COMPARISONS:
                return self.operation(node, COMPARISONS[type(operator)], left, right)
            case ast.Compare(ops=[_]):
                return self.fault(node, "there is no such comparison", "there are < <= > >= == !=")
            case ast.Compare():
                return self.fault(node, "one comparison at a time", "write (a < b) * (b < c)")
            case ast.Call():
                return self.call(node)
            case ast.Subscript():
                return self.subscript(node)
        return self.refuse(node)

    def name(self, node: ast.Name) -> Build:
        name, role = node.id, self.roles.get(node.id)
        shown = self.shown(name)
        if role is not None:
            self.used.add(name)
        self.unread.pop(name, None)
        if role == "model":
            return self.fault(node, f"{shown} is a sub-model: it is called with its inputs", f"such as {shown}(x)")
        if role == "state" and name not in self.assigned:
            return self.fault(
                node, f"the state {shown} has no value before it is assigned", f"its last one is {shown}[-1]"
            )
        if role is None and name not in self.locals:
            if name in FUNCTIONS:
                return self.fault(node, f"{name} is a function: it is called", f"such as {name}(x)")
            names = [each for each, its in self.roles.items() if its != "model"]
            known = map(self.shown, (*names, *self.locals))
            return self.fault(node, f"unknown name {shown!r}", near(shown, known))
        span = self.text.span(node)

        def value(c: Context) -> Value:
            if name not in c.values:  # a size that nothing gives: of an input without axes, of other data
                raise c.fail(span, f"{shown} is not known: neither the input nor the data say it")
            return c.values[name]

        return value

    def operation(self, node: ast.expr, op: str, *operands: ast.expr) -> Build:
        builds = [self.expression(operand) for operand in operands]
        return partial(apply, op, builds, {}, self.text.span(node))

    def call(self, node: ast.Call) -> Build:
        if not isinstance(node.func, ast.Name):
            return self.fault(node.func, "only functions and sub-models are called, by name", "such as tanh(x)")
        name, span = node.func.id, self.text.span(node)
        operands = [self.expression(operand) for operand in node.args]
        if self.roles.get(name) == "model":
            self.used.add(name)
            for keyword in node.keywords:
                self.fault(keyword, "a sub-model takes its inputs in order", f"such as {name}(x)")
            if not operands:
                self.fault(node, f"{name} is called without an input", f"such as {name}(x)")

            def enter(c: Context) -> Node:
                assert c.call is not None  # a number calls nothing
                return c.call(name, [as_value(operand(c)) for operand in operands], c.at(span))

            return enter
        function = FUNCTIONS.get(name)
        if function is None:
            if name in self.roles or name in self.locals:
                return self.fault(node.func, f"{name} is no function", "multiplication is written with *")
            models = [known for known, role in self.roles.items() if role == "model"]
            return self.fault(node.func, f"unknown function {name!r}", near(name, [*FUNCTIONS, *models]))
        if problem := function.wrong_operands(name, len(operands)):
            self.fault(node, problem, function.example(name))
        attributes: dict[str, Build] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                self.fault(keyword, "'**' before a value is not allowed", "write name=value")
            elif keyword.arg in attributes:
                self.fault(keyword, f"{keyword.arg} is given twice", function.example(name))
            else:
                attributes[keyword.arg] = self.attribute(keyword, name, function)
        for missing in function.required.difference(attributes):
            self.fault(node, f"{name} needs {missing}", function.example(name))
        return partial(apply_function, function, operands, attributes, span)

    def attribute(self, keyword: ast.keyword, name: str, function: Function) -> Build:
        """One `axis=-1` of a call."""
        assert keyword.arg is not None
        kind = function.attributes.get(keyword.arg)
        if kind is None:
            known = list(function.attributes)
            hint = near(keyword.arg, known) if known else function.example(name)
            return self.fault(keyword, f"{name} has no {keyword.arg!r}", hint)
        value, span = keyword.value, self.text.span(keyword.value)
        if kind.flag:
            if not isinstance(value, ast.Constant) or not isinstance(value.value, bool):
                return self.fault(value, f"{keyword.arg} is True or False")
            flag = value.value
            return lambda c: flag
        if isinstance(value, ast.Tuple) and kind.many:
            builds = [self.expression(element) for element in value.elts]
            return lambda c: kind.checked(tuple(build(c) for build in builds), partial(c.fail, span))
        build = self.expression(value)
        return lambda c: kind.checked(build(c), partial(c.fail, span))

    def subscript(self, node: ast.Subscript) -> Build:
        """h[-1] of a state; x[:, 0:4] or t[0] of a value."""
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=index) if self.roles.get(name) == "state" and not (
                isinstance(index, ast.Tuple | ast.Slice)
            ):
                return self.delay(node, name, index)
            case ast.Subscript(slice=ast.UnaryOp() as index):
                hint = "an array is cut along its axes, as in x[:, 0:4]"
                return self.fault(index, "only a state has earlier values", hint)
        build = self.expression(node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        builds = [self.index(part) for part in parts]
        span, single = self.text.span(node), isinstance(node.slice, ast.Constant)

        def cut(c: Context) -> Node:
            value = build(c)
            if not isinstance(value, Node):
                raise c.fail(span, "a number has no parts")
            index = tuple(part(c) for part in builds)
            if single:
                return placed(get(value, index[0]), c, span)
            return placed(value[index], c, span)

        return cut

    def delay(self, node: ast.Subscript, name: str, index: ast.expr) -> Build:
        self.used.add(name)
        self.delayed.add(name)
        match index:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as n)) if type(n) is int and n > 0:
                if n > MAX_DELAY:
                    return self.fault(index, f"a delay is at most {MAX_DELAY} steps", f"such as {name}[-1]")

                def read(c: Context) -> Node:
                    assert c.delayed is not None  # a number reads no state
                    return c.delayed(name, -n)

                return read
            case ast.Constant(value=int()) | ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=0)):
                text = "the value that is being computed" if _constant(index) == 0 else "a value of a later step"
                return self.fault(index, f"{name}[{_constant(index)}] would be {text}", f"the last one is {name}[-1]")
        return self.fault(index, "a state is read with a whole number of steps back", f"such as {name}[-1]")

    def index(self, node: ast.expr) -> Build:
        match node:
            case ast.Constant(value=value) if value is Ellipsis:
                return lambda c: Ellipsis
            case ast.Slice(lower=lower, upper=upper, step=step):
                ends = [None if end is None else self.whole(end) for end in (lower, upper, step)]
                span = self.text.span(node) if lower or upper or step else START

                def cut(c: Context) -> slice:
                    found = [None if end is None else end(c) for end in ends]
                    if found[2] == 0:
                        raise c.fail(span, "a step of 0 leads nowhere")
                    return slice(*found)

                return cut
        return self.whole(node)

    def whole(self, node: ast.expr) -> Build:
        build, span = self.expression(node), self.text.span(node)

        def value(c: Context) -> int:
            number = build(c)
            if type(number) is not int:
                raise c.fail(span, f"an index is a whole number, not {_shown(number)}")
            return number

        return value


def _nothing(c: Context) -> Any:
    """Stands for what is wrong; a program with faults is never run."""


def _no_target(c: Context, value: Value) -> None:
    """The same, for what is assigned."""


def _constant(index: ast.expr) -> int:
    return index.value if isinstance(index, ast.Constant) and isinstance(index.value, int) else 0


def _shown(value: Any) -> str:
    return "an array" if isinstance(value, Node) else f"{value!r}"


def _a(role: Role) -> str:
    article = "an" if role[0] in "aeiou" else "a"
    return f"{article} {'sub-model' if role == 'model' else role}".replace("an sub", "a sub")
