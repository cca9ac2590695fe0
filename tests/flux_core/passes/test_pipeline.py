"""The pipeline and what is drawn of it."""

import numpy as np
import pytest

from flux_core.interpreter import interpret
from flux_core.ir import Graph, constant, input_node, pack, param
from flux_core.ops import Run, dropout, reshape
from flux_core.passes import Type
from flux_core.passes.drawing import memory_text, notes, schedule_text, type_text
from flux_core.passes.pipeline import PIPELINE, Work, stages

W = param(np.arange(12.0, dtype=np.float32).reshape(3, 4))
X = input_node(0)
Y = X @ W
GRAPH = Graph(pack(reshape(Y * 2.0 + 1.0, (-1,)), Y), 1)
TYPES = (Type((2, 3)),)


def done(graph=GRAPH, types=TYPES, **options):
    return dict(stages(Work(graph, types, **options)))


def test_every_stage_has_a_name_and_its_facts():
    found = done()
    assert list(found) == [name for name, _ in PIPELINE] == ["simplify", "fuse", "legalise", "schedule", "memory"]
    assert all(node in work.types for work in found.values() for node in [work.graph.output])
    assert [work.schedule is not None for work in found.values()] == [False, False, False, True, True]
    assert [bool(work.offsets) for work in found.values()] == [False] * 4 + [True]


def test_simplify_keeps_the_meaning_and_drops_masks_outside_training():
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    for a, b in zip(interpret(done()["simplify"].graph, (x,)), interpret(GRAPH, (x,)), strict=True):
        np.testing.assert_array_equal(a, b)
    dropped = Graph(dropout(input_node(0), rate=0.5), 1)
    ops = lambda work: {n.op for n in work.types}  # noqa: E731  # shorter than a function, used twice
    assert "dropout_mask" not in ops(done(dropped)["simplify"])
    assert "dropout_mask" in ops(done(dropped, run=Run(training=True, seed=0, step=0))["simplify"])


def test_what_is_placed_elsewhere_has_no_buffer():
    asked = []

    def placed(owners):
        asked.extend(owners)
        return owners[1:]

    found = done(placed=placed)["memory"]
    assert len(asked) == 2
    assert asked[1] not in found.offsets
    assert asked[0] in found.offsets


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Type((2, 3)), "2 x 3"), (Type(()), "number"), (Type((), "int"), "ids"), (Type((5,), "int"), "5 ids"),
     ((Type((2,)), (Type(()),)), "(2, (number))")],
)  # fmt: skip
def test_types(kind, text):
    assert type_text(kind) == text


def test_the_schedule_as_text():
    lines = schedule_text(done()["schedule"]).splitlines()
    columns = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines]
    assert columns == [
        ["%0 = input 0", "2 x 3", "6 numbers, start-%2"],
        ["%1 = param (3, 4)", "3 x 4", "the model's"],
        ["%2 = matmul %0 %1", "2 x 4", "8 numbers, %2-end"],
        ["%3 = constant 2", "number", "a constant's"],
        ["%4 = constant 1", "number", "a constant's"],
        ["%5 = fused[a0 * a1 + a2] %2 %3 %4", "2 x 4", "8 numbers, %5-end"],
        ["%6 = reshape[shape=(-1,), keep=0] %5", "8", "sees %5"],
        ["return %6 %2"],
    ]


def test_an_operand_that_dies_is_taken_over():
    text = schedule_text(done(Graph((X * 2.0) @ constant(np.eye(3, dtype=np.float32)) + 1.0, 1))["schedule"])
    assert "%6 = fused[a0 + a1] %4 %5" in text.splitlines()[-2]
    assert text.splitlines()[-2].endswith("takes over %4")


def test_the_memory_as_text():
    work = done()["memory"]
    header, *rows, last = memory_text(work).splitlines()
    assert header.split() == ["offset", "size", "life", "%0", "to", "%6"]
    charts = {row.split("%", 2)[-1].split(" = ")[1].split()[0].split("[")[0]: row for row in rows}
    assert "start-%2     ███····" in charts["input"]
    assert "%2-end       ··█████" in charts["matmul"]
    assert "%5-end       ·····██" in charts["fused"]
    assert work.size == 32
    assert last == "arena: 32 numbers, 128 bytes; the sum of its buffers: 22 (145% of it); at most 16 live at a time"


def test_long_schedules_have_charts_that_fit():
    y = X
    for _ in range(300):
        y = (y @ constant(np.eye(3, dtype=np.float32))) * 1.5
    lines = memory_text(done(Graph(y, 1))["memory"]).splitlines()
    assert max(len(line.split("%0 = ")[0]) for line in lines[:2]) < 120


def test_notes_of_every_stage():
    found = done()
    output = {name: notes(work)[work.graph.output.inputs[1]] for name, work in found.items()}
    assert output["simplify"] == "2 x 4"
    assert output["schedule"] == "%2, 2 x 4, lives %2-end"
    assert output["memory"] == "%2, 2 x 4, lives %2-end, at 16"
