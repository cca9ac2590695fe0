"""What Python can say and a formula cannot: for each construct, why not and what to write instead."""

from __future__ import annotations

import ast
from collections.abc import Mapping

REFUSED: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.Attribute: ("a dot reaches into Python objects, which a formula has none of", "functions stand alone: tanh(x)"),
    ast.BoolOp: ("'and' and 'or' are not allowed", "comparisons give 0 or 1: multiply them, or take maximum(a, b)"),
    ast.IfExp: ("'if' is not allowed", "write where(condition, a, b)"),
    ast.Lambda: ("lambda is not allowed", "declare a net of its own and call it by name"),
    ast.NamedExpr: ("':=' is not allowed", "write the assignment on a line of its own"),
    ast.ListComp: ("a comprehension is not allowed", "write the terms out, or work on whole arrays"),
    ast.SetComp: ("a comprehension is not allowed", "write the terms out, or work on whole arrays"),
    ast.DictComp: ("a comprehension is not allowed", "write the terms out, or work on whole arrays"),
    ast.GeneratorExp: ("a comprehension is not allowed", "write the terms out, or work on whole arrays"),
    ast.JoinedStr: ("text is not allowed", "a formula has numbers and names"),
    ast.List: ("a list is not allowed here", "join values with concat(a, b)"),
    ast.Tuple: ("a tuple is not allowed here", "several values stand behind return, or join them with concat(a, b)"),
    ast.Set: ("a set is not allowed", "join values with concat(a, b)"),
    ast.Dict: ("a map is not allowed", "join values with concat(a, b)"),
    ast.Starred: ("'*' before a value is not allowed", "write the values one by one"),
    ast.Await: ("await is not allowed", "a formula only computes"),
    ast.Yield: ("yield is not allowed", "the last line is 'return value'"),
    ast.YieldFrom: ("yield is not allowed", "the last line is 'return value'"),
    ast.Slice: ("a slice stands in brackets behind a value", "such as x[:, 0:4]"),
    ast.Import: ("import is not allowed", "the functions of a formula are known by their names"),
    ast.ImportFrom: ("import is not allowed", "the functions of a formula are known by their names"),
    ast.For: ("loops are not allowed", "a state goes from step to step: h[-1]"),
    ast.While: ("loops are not allowed", "a state goes from step to step: h[-1]"),
    ast.If: ("'if' is not allowed", "write where(condition, a, b)"),
    ast.FunctionDef: ("def is not allowed", "declare a net of its own and call it by name"),
    ast.ClassDef: ("class is not allowed", "declare a net of its own and call it by name"),
    ast.AugAssign: ("an assignment is written with '=' alone", "such as y = y + x"),
    ast.AnnAssign: ("a name has no type here", "such as y = x"),
    ast.Expr: ("this value goes nowhere", "give it a name, 'y = ...', or return it"),
    ast.Pass: ("pass is not allowed", "remove it"),
}
OTHERWISE = ("this is not allowed in a formula", "lines are 'name = expression', the last is 'return expression'")
