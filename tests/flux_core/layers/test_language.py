"""The language of formulas: it means what Python's grammar says, and refuses everything else at its place."""

import ast
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flux_core import FormulaError, GraphError, declare
from flux_core.errors import Span
from flux_core.interpreter import interpret
from flux_core.ir import Graph, input_node
from flux_core.layers.init import draws
from flux_core.layers.language import FUNCTIONS, Context, compile_forward, compile_number
from flux_core.layers.language import compiler as compiler_module
from flux_core.layers.language.functions import EXAMPLES
from flux_core.ops import TABLE
from flux_core.passes import Type

QUICK = settings(max_examples=200, deadline=None, derandomize=True)
X = np.array([[0.5, -1.25, 2.0], [3.0, 0.25, -0.5]])
Y = np.array([[1.5, 0.75, -2.0], [0.5, 2.5, -3.0]])


def value(text, *arrays, names=("x", "y")):
    """What a formula gives for arrays."""
    program = compile_forward(text, dict.fromkeys(names, "input"))
    nodes = [input_node(i) for i in range(len(arrays))]
    return interpret(Graph(program.run(Context(dict(zip(names, nodes, strict=False)), "f")), len(arrays)), arrays)


LEAVES = st.sampled_from(["x", "y", "2", "0.5", "3"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "<", ">=", "==", "!="]), inner).map(
            # a comparison is a number here, and a truth value, which has no minus, in NumPy
            lambda t: f"(1.0 * (({t[0]}) {t[1]} ({t[2]})))" if t[1] in ("<", ">=", "==", "!=") else " ".join(t)
        ),
        inner.map(lambda e: f"-({e})"),
        inner.map(lambda e: f"({e}) ** 2"),
        inner.map(lambda e: f"-{e}"),
    ),
    max_leaves=12,
)


def agrees(text):
    with np.errstate(all="ignore"):
        wanted = eval(text, {"__builtins__": {}, "x": X, "y": Y}) + 0 * X  # made from the pieces above
    try:
        ours = value(f"return 0 * x + ({text})", X, Y)
    except GraphError as error:  # of numbers alone, where they come to none
        return "comes to no number" in str(error)
    return np.allclose(ours, wanted, rtol=1e-12, atol=1e-12, equal_nan=True)


@QUICK
@given(EXPRESSIONS)
@example("x - y - 2")
@example("x / y / 2")
@example("-x ** 2")
@example("2 - 3 - x")
def test_operators_bind_as_in_python(text):
    with suppress(ZeroDivisionError):  # Python's own, of numbers
        assert agrees(text)


def test_a_wrong_operator_is_seen(monkeypatch):
    monkeypatch.setitem(compiler_module.OPERATORS, ast.Sub, "add")
    assert not agrees("x - y - 2")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_its_op(name):
    function = FUNCTIONS[name]
    if name == "dropout":
        np.testing.assert_array_equal(value("return dropout(x, rate=0.5)", X), X)  # identity outside training
        return
    ids = np.array([0, 1])
    operands = {
        "gather": [Y, ids], "pick": [X, ids], "one_hot": [ids], "log": [np.abs(X)], "sqrt": [np.abs(X)],
        "transpose": [np.stack([X, Y])],
    }.get(name) or [X, Y, X + Y][: function.operands or 2]  # fmt: skip
    names = ["a", "b", "c"][: len(operands)]
    given = {key: ast.literal_eval(EXAMPLES[key]) for key in function.required}
    if name == "reshape":
        given = {"shape": (3, 1)}
    shown = "".join(f", {key}={value!r}" for key, value in given.items())
    ours = value(f"return {name}({', '.join(names)}{shown})", *operands, names=names)
    wanted = TABLE[function.op](*operands, **function.fixed, **given)
    np.testing.assert_allclose(ours, wanted, rtol=1e-12)


def test_what_cannot_be_called_has_a_reason():
    """Ops that are no function of formulas: operators, what only gradients need, losses, and what reads shapes."""
    operators = {"add", "subtract", "multiply", "divide", "negative", "power", "matmul"}
    comparisons = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
    called = {function.op for function in FUNCTIONS.values()} | {"dropout_mask", "slice"}
    inside = {name for name in TABLE if any(part in name for part in ("_like", "_back", "_t", "_w", "un", "_part"))}
    rest = set(TABLE) - called - operators - comparisons - inside
    assert rest <= {"scatter", "softmax_cross_entropy", "expect", "per_row"}, "new ops: may formulas call them?"


@pytest.mark.parametrize(
    ("text", "wanted", "reads"),
    [
        ("4 * out + in", 35, ["out", "in"]),
        ("out // 3", 2, ["out"]),
        ("in.context - in", 7, ["in.context", "in"]),
        ("-(2 - out)", 6, ["out"]),
        ("out / 2", 4.0, ["out"]),
        ("+3", 3, []),
        ("in", 3, ["in"]),
    ],
)
def test_sizes(text, wanted, reads):
    names = {"out": 8, "in": 3, "in.context": 10}
    size, read = compile_number(text, names)
    found = size(names, "here")
    assert (found, type(found)) == (wanted, type(wanted))
    assert read == set(reads)


@pytest.mark.parametrize(
    ("text", "message", "span"),
    [
        ("4 * ou", "unknown name 'ou'", (1, 5, 7)),
        ("in.x", "unknown name 'in.x'", (1, 1, 5)),
        ("out ** 2", "a size is made of", (1, 1, 9)),
        ("out.real", "a size is made of", (1, 1, 9)),
        ("f(out)", "a size is made of", (1, 1, 7)),
        ("out if out else 1", "a size is made of", (1, 1, 18)),
        ("'3'", "text is not allowed", (1, 1, 4)),
        ("out +", "this cannot be read", None),
        ("", "this cannot be read", None),
        ("1 2", "this cannot be read", None),
        ("9" * 5000, "this cannot be read", None),
        ("99999999999999999", "too large", (1, 1, 18)),
    ],
)
def test_sizes_that_are_none(text, message, span):
    with pytest.raises(FormulaError, match=message) as error:
        compile_number(text, {"out"})
    assert span is None or error.value.faults[0].span == Span(*span)


@pytest.mark.parametrize("text", ["out // 0", "out / 0", "4503599627370497 * out"])
def test_sizes_that_come_to_nothing(text):
    size, _ = compile_number(text, {"out"})
    with pytest.raises(GraphError, match="no number") as error:
        size({"out": 4}, "nets.N.params.W.shape.0")
    assert error.value.place == f"nets.N.params.W.shape.0:1:1:{len(text) + 1}"


def test_columns_count_characters():
    with pytest.raises(FormulaError) as error:
        declare("Net", forward="    größe = x  # ü\n    return größe + ü\n")
    assert [fault.span for fault in error.value.faults] == [Span(2, 20, 21)]


PIECES = st.sampled_from(
    ["x", "y", "h[-1]", "h", "W", "f(x)", "tanh(", ")", "(", "[", "]", "{", "}", ",", ":", "=", "==", "@", "**", "//",
     "-", "~", "not ", "lambda: ", " if ", " else ", "for i in ", "import os", "\n", "\n  ", "\\\n", ";", "'", '"',
     "f'{x}'",
     "0", "1e999", "1j", "0x", "1_0", "...", "None", "True", "yield ", "await ", "return ", "axis=", "*", "**W", ":=",
     "%", "#", "\t", "\x00", "\u2028", "é", "𝒉", "\ud800", "\r", "\x0c", "return x", "h = x", "del x", "x.y", "x[0]",
     "match x:\n case _: pass", "type X = int", "b'", "'''", "[:, 0:1]", "[..., 1]", "(x, ", "a, b = "]
)  # fmt: skip
FORMULA = "f = sigmoid(x @ W + h[-1])\nh = (1 - f) * h[-1] + f * x[:, 0:3]\nreturn h, where(h > 0.5, h, -h)\n"


def points_into(fault, text):
    """Whether a fault lies in the text, or behind one of its lines."""
    if fault.where != "forward" or fault.span is None:
        return True
    line = [*text.split("\n"), ""][fault.span.line - 1]
    return 1 <= fault.span.column <= len(line) + 2 and fault.span.column < fault.span.end


def no_traceback(text):
    faults, place = (), None
    try:
        layer = declare("Net", forward=text, state={"h": ["in"]}, params={"W": ["in", "in"]})()
        layer.build(Type((1, 3)), draws(0))
    except FormulaError as error:
        faults = error.faults
    except GraphError as error:
        place = error.place
    assert all(points_into(fault, text) for fault in faults)
    assert place is None or place.startswith("Net.")


@settings(QUICK, max_examples=500)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_is_a_formula_or_a_fault(text):
    no_traceback(text)


@settings(QUICK, max_examples=500)
@given(at=st.integers(0, len(FORMULA)), cut=st.integers(0, 12), piece=st.one_of(PIECES, st.text(max_size=3)))
def test_a_sound_formula_with_a_change(at, cut, piece):
    no_traceback(FORMULA[:at] + piece + FORMULA[at + cut :])


@pytest.mark.parametrize(
    "text", ["x[0]", "x[5]", "x[1:0]", "x[0, 0, 0]", "x[..., ...]", "x[:, ::0]", "x[x]", "W[:, 9]"]
)
def test_strange_indices(text):
    no_traceback(f"h = {text} + h[-1] @ W\nreturn h")
