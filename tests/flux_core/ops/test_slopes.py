"""Every row's gradient, of first and second order, against central differences; declared absences as a golden file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flux_core.interpreter import interpret
from flux_core.ir import Graph, constant, input_node
from flux_core.ops import IDS, NO_GRADIENT, TABLE, Op, sum_, tanh
from flux_core.ops.op import Case, elementwise, same_as
from flux_core.passes import gradients

Arrays = list[np.ndarray]
GOLDEN = Path(__file__).with_name("absences.txt")
ROWS = [pytest.param(op, case, id=f"{op.name}-{i}") for op in TABLE.values() for i, case in enumerate(op.examples)]
SMOOTH = [row for row in ROWS if all(draw.kind != "extreme" for draw in row.values[1].operands)]


def draw(case: Case, dtype: Any = np.float64) -> Arrays:
    rng = np.random.default_rng(7)
    return [operand.array(rng, dtype) for operand in case.operands]


def bound(op: Op, case: Case) -> dict[str, Any]:
    return {**op.attrs, **case.attrs}


def differences(f: Callable[[Arrays], float], xs: Arrays, i: int, h: float = 1e-3) -> Any:
    """The slope of f in xs[i] by central differences at h and 2h: the error is of order h**4."""
    slope = np.zeros(xs[i].shape)
    for place in np.ndindex(slope.shape):
        moved = [x.copy() for x in xs]

        def at(step: float, place: Any = place, moved: Arrays = moved) -> float:
            moved[i][place] = xs[i][place] + step
            return f(moved)

        slope[place] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    return slope


def distance(got: Any, want: Any) -> float:
    assert got.shape == want.shape
    return float(np.max(np.abs(got - want), initial=0.0) / max(np.max(np.abs(want), initial=0.0), 1e-3))


def slope_errors(op: Op, case: Case) -> tuple[float, float]:
    """The relative errors of the op's first and second derivatives, the worst over its operands.

    The first is that of sum(dy * op(xs)); the second that of sum(v * dxs), in the operands and in dy.
    """
    rng = np.random.default_rng(11)
    xs = draw(case)
    nodes = [input_node(i) for i in range(len(xs))]
    value = op(*nodes, **case.attrs)
    xs.append(rng.standard_normal(op.shape(*(x.shape for x in xs), **bound(op, case))))
    nodes.append(input_node(len(nodes)))
    dy = nodes[-1]
    run = {"run": case.attrs["run"]} if "run" in case.attrs else {}
    floats = [i for i, x in enumerate(xs[:-1]) if x.dtype.kind == "f"]

    def error_of(scalar: Any, wrt: list[int], seed: Any) -> float:
        found = gradients(scalar, seed, [nodes[i] for i in wrt])
        slopes = [interpret(Graph(node, len(xs)), xs, **run) for node in found]
        total = Graph(scalar, len(xs))
        numeric = [differences(lambda moved: float(interpret(total, moved, **run)), xs, i) for i in wrt]
        return max((distance(a, b) for a, b in zip(slopes, numeric, strict=True)), default=0.0)

    first = error_of(sum_(value * dy), floats, constant(1.0))
    dxs = gradients(value, dy, [nodes[i] for i in floats])
    pulls = [constant(rng.standard_normal(xs[i].shape)) for i in floats]
    second: Any = sum_(dy * 0.0)
    for d, v in zip(dxs, pulls, strict=True):
        second = second + sum_(d * v)
    return first, error_of(second, [*floats, len(xs) - 1], constant(1.0))


@pytest.mark.parametrize(("op", "case"), SMOOTH)
def test_gradients_of_first_and_second_order(op: Op, case: Case) -> None:
    first, second = slope_errors(op, case)
    assert first <= 1e-6
    assert second <= 1e-6


def planted(op: Op, back: Callable[..., Any]) -> Op:
    wrong = object.__new__(Op)
    wrong.__dict__.update(vars(op))
    object.__setattr__(wrong, "back", back)
    return wrong


def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = planted(tanh, lambda d, y, x: (d * (1.0 - y),))
    monkeypatch.setitem(TABLE, "tanh", wrong)
    first, _ = slope_errors(wrong, tanh.examples[0])
    assert first > 1e-3


def test_a_wrong_second_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "detached", tanh)  # put aside again afterwards, with the row made below
    del TABLE["detached"]
    detached = Op(
        name="detached",
        forward=lambda x: +x,
        shape=same_as(0),
        back=lambda d, y, x: (NO_GRADIENT,),
        kernel=elementwise("x"),
        examples=[],
    )
    wrong = planted(tanh, lambda d, y, x: (d * (1.0 - detached(y * y)),))
    monkeypatch.setitem(TABLE, "tanh", wrong)
    first, second = slope_errors(wrong, tanh.examples[0])
    assert first <= 1e-6
    assert second > 1e-3


def test_absences_and_kernels_are_those_declared() -> None:
    lines = []
    for op in TABLE.values():
        case = op.examples[0]
        nodes = [input_node(i) for i in range(len(case.operands) + 2)]
        found = op.back(nodes[-1], nodes[-2], *nodes[:-2], **bound(op, case))
        absent = [str(i) for i, part in enumerate(found) if part is NO_GRADIENT]
        assert len(found) == len(case.operands)
        lines.append(" ".join([f"{op.name:<28}{op.kernel.kind:<12}", ",".join(absent)]).rstrip())
        for i in IDS.get(op.name, ()):
            assert str(i) in absent
    assert "\n".join(sorted(lines)) + "\n" == GOLDEN.read_text()
