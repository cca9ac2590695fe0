"""The names of operands against the kernels: what is called a place is used as one, and nothing else is."""

import ast

import pytest

from flux_core.engine.elementwise import elementwise_kernel
from flux_core.engine.kernel import KERNELS, Kernel
from flux_core.engine.lower import Instruction
from flux_core.engine.operands import OPERANDS, names, operands_text
from flux_core.engine.update import update_kernel
from flux_core.optim import OPTIMIZERS

LOOPS = {"steps", "walk", "shuffle"}  # called by Python, never by a tape


def kernels(text):
    """Every function of a file that is called with (arena, operands)."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args] == ["arena", "operands"]:
            yield node


WRITTEN = {f.name: f for path in sorted(KERNELS.glob("*.py")) for f in kernels(path.read_text())}


def number(term, known):
    """k of an expression that begins with operands[k], or with a name that stands for one."""
    while isinstance(term, ast.BinOp):
        term = term.left
    if isinstance(term, ast.Name):
        return known.get(term.id)
    if (
        isinstance(term, ast.Subscript)
        and ast.unparse(term.value) == "operands"
        and isinstance(term.slice, ast.Constant)
    ):
        return term.slice.value
    return None


def places_used(function):
    """The operands that are offsets in the arena: at(arena, operands[k] + ...) or arena[operands[k] + ...]."""
    found, known = set(), {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            targets, values = node.targets[0], node.value
            several = isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
            pairs = zip(targets.elts, values.elts, strict=True) if several else [(targets, values)]
            known |= {t.id: number(v, known) for t, v in pairs if isinstance(t, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "at" and ast.unparse(node.args[0]) == "arena":
            found.add(number(node.args[1], known))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "arena":
            found.add(number(node.slice, known))
    return found - {None}


def marks(row):
    """The mark of every operand of a row, one for each word."""
    for name in row:
        yield from [" "] * int(name.split(":")[1]) if ":" in name else [name[0]]


def test_every_written_kernel_has_a_row():
    assert set(OPERANDS) == set(WRITTEN) - LOOPS


@pytest.mark.parametrize("name", OPERANDS)
def test_places_are_what_the_kernel_uses_as_places(name):
    named = {i for i, mark in enumerate(marks(OPERANDS[name].split())) if mark in "@="}
    assert named == places_used(WRITTEN[name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_places_of_an_update(name):
    optimizer = OPTIMIZERS[name]()
    kernel = update_kernel(optimizer)
    (function,) = kernels(kernel.source)
    row = names(Instruction(kernel, (0,) * (5 + len(optimizer.slots)), "update"))
    assert len(row) == 5 + len(optimizer.slots)
    assert {i for i, mark in enumerate(marks(row)) if mark in "@="} == places_used(function)


def test_places_of_a_formula():
    kernel = elementwise_kernel("a0 * a1 + a2 - a3", "ifcs")
    (function,) = kernels(kernel.source)
    row = names(Instruction(kernel, (0,) * 12, "", "ifcs"))
    # the result is written through the pointer of the operand whose memory it takes over
    assert places_used(function) == {0, 1, 2, 3}
    assert row == ["@a0", "@a1", "@a2", "@a3", "@out", "rows", "columns", "strides:5"]


def test_text():
    kernel = Kernel.written("copy", "move")
    operands = (5, 7, *range(18))
    text = operands_text(Instruction(kernel, operands, "copy"), lambda at, whole: f"<{at}{'!' * whole}>")
    assert text == "x=<5> y=<7> sizes=0,1,2,3,4,5 from=6,7,8,9,10,11 to=12,13,14,15,16,17"
    whole = operands_text(
        Instruction(Kernel.written("squares_of_chunks", "norm"), (3, 4, 2, 5), ""),
        lambda at, whole: f"<{at}{'!' * whole}>",
    )
    assert whole == "g=<3!> size=4 chunk=2 sums=<5>"
    with pytest.raises(KeyError):
        names(Instruction(Kernel("unheard_of", ""), (), ""))
