"""The harness on a tiny workload, with fluxrun alone: its structure and its matrix products, no times."""

import ctypes
import dataclasses
import json
import os

import numpy as np
import pytest

from benchmarks import gemms, steps
from benchmarks.__main__ import main
from benchmarks.gemms import Gemm, Products
from benchmarks.process import PYTHON, UNSET, Failed, environment, run
from benchmarks.spec import RECIPES, write_spec
from benchmarks.steps import rows, windowed
from benchmarks.throughput import row
from benchmarks.workload import Workload, load

ENTRY = {
    "kind": "mlp",
    "sizes": [5, 8, 3],
    "batch": 4,
    "examples": 32,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "steps": 16,
}
LETTERS = {
    "kind": "lstm",
    "vocab": 7,
    "hidden": 6,
    "layers": 2,
    "steps_per_sequence": 5,
    "batch": 3,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "steps": 8,
}
NET = {**ENTRY, "kind": "net of another day"}

# forward, forward, dW of the last layer, dx of it, dW of the first: nobody asks for dx of the data
PRODUCTS = [
    Gemm(4, 8, 5, False, False),
    Gemm(4, 3, 8, False, False),
    Gemm(8, 3, 4, True, False),
    Gemm(4, 8, 3, False, True),
    Gemm(5, 8, 4, True, False),
]


# of two LSTM layers for 3 sequences of 5 letters: one-hot times W is a look-up, the rest for all steps at once where
# it does not wait for the step before
ALL = 3 * 5
RECURRENT_PRODUCTS = [
    Gemm(3, 24, 6, False, False, 5),  # h U of both layers, step by step
    Gemm(3, 24, 6, False, False, 5),
    Gemm(ALL, 24, 6, False, False),  # x W of the second layer, and the scores
    Gemm(ALL, 7, 6, False, False),
    Gemm(6, 7, ALL, True, False),  # their gradients
    Gemm(ALL, 6, 7, False, True),
    Gemm(3, 6, 24, False, True, 5),  # dz U' of both layers
    Gemm(3, 6, 24, False, True, 5),
    Gemm(6, 24, ALL, True, False),  # dU of both, dW and dx of the second
    Gemm(6, 24, ALL, True, False),
    Gemm(6, 24, ALL, True, False),
    Gemm(ALL, 6, 24, False, True),
]


def order_of(gemm):
    return (gemm.m, gemm.n, gemm.k, gemm.transpose_a, gemm.transpose_b, gemm.times)


@pytest.fixture
def workloads(tmp_path):
    file = tmp_path / "workloads.json"
    file.write_text(json.dumps({"small": ENTRY, "other": NET}))
    return file


def test_one_run_of_the_command(workloads, tmp_path, capsys):
    target = tmp_path / "numbers.json"
    options = ["--part", "throughput", "--peer", "none", "--threads", "1", "--quick"]
    main([*options, "--workloads", str(workloads), "--json", str(target)])

    found = json.loads(target.read_text())
    assert found["not_yet"] == ["other"]
    assert (found["repeats"], found["rounds"]) == (1, 2)
    (small,) = found["throughput"]
    assert small["failures"] == {}
    assert (small["work"], small["threads"], small["unit"]) == ("small", 1, "examples/s")
    assert list(small["rates"]) == ["fluxrun"]
    assert small["rates"]["fluxrun"]["n"] == 1
    assert small["rates"]["fluxrun"]["median"] > 0
    assert small["bound"]["median"] > 0
    assert small["of_bound"] == small["rates"]["fluxrun"]["median"] / small["bound"]["median"]
    assert (small["best_peer"], small["ratio"]) == (None, None)
    assert 0.5 < small["loss"]["fluxrun"] < 2.5  # random labels of three classes: log 3 = 1.1
    assert any("kernels" in kernel for kernel in small["blas"])
    assert sorted(order_of(Gemm(**gemm)) for gemm in small["gemms"]) == sorted(map(order_of, PRODUCTS))

    shown = capsys.readouterr().out
    assert "| small |     1 |" in shown
    assert "Not yet, for want of layers: other" in shown


def test_the_products_of_two_threads_are_those_of_one(workloads, tmp_path):
    spec = write_spec(load(workloads)["small"], tmp_path, epochs=1)
    products = Products(spec, threads=2)
    assert sorted(map(order_of, products.list)) == sorted(map(order_of, PRODUCTS))
    one, two = (step.tape.workspace.ctypes.data for step in products.steps)
    assert one != two
    assert products.seconds(rounds=1) > 0


def test_a_walk_over_the_products_computes_them(workloads, tmp_path):
    products = Products(write_spec(load(workloads)["small"], tmp_path, epochs=1))
    (step,) = products.steps
    step.tape.workspace[...] = np.random.default_rng(0).standard_normal(step.tape.workspace.size, np.float32)
    (walk,) = products._calls(2)
    walk()

    def array(place, rows, columns):
        memory = (ctypes.c_float * (rows * columns)).from_address(step.base.ctypes.data + 4 * place)
        return np.frombuffer(memory, np.float32).reshape(rows, columns)

    # nothing behind the last product writes to what it read
    last, operands = products.list[-1], products.instructions[-1].operands
    a = array(operands[6], *((last.k, last.m) if last.transpose_a else (last.m, last.k)))
    b = array(operands[8], *((last.n, last.k) if last.transpose_b else (last.k, last.n)))
    expected = (a.T if last.transpose_a else a) @ (b.T if last.transpose_b else b)
    np.testing.assert_allclose(array(operands[11], last.m, last.n), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def letters(tmp_path):
    return Workload(name="letters", **LETTERS)


def test_the_products_of_a_recurrent_workload(letters, tmp_path):
    products = Products(write_spec(letters, tmp_path, epochs=1))
    assert sorted(map(order_of, products.list)) == sorted(map(order_of, RECURRENT_PRODUCTS))
    assert products.seconds(rounds=1) > 0


@pytest.mark.parametrize("fault", [False, True])
def test_a_walk_goes_through_every_step_of_a_loop(letters, tmp_path, monkeypatch, fault):
    products = Products(write_spec(letters, tmp_path, epochs=1))
    (step,) = products.steps
    loop = next(one for one in products.instructions if hasattr(one, "steps"))
    memory = step.tape.workspace
    memory[...] = np.random.default_rng(0).standard_normal(memory.size, np.float32)

    def array(place, rows, columns):
        floats = (ctypes.c_float * (rows * columns)).from_address(step.base.ctypes.data + 4 * place)
        return np.frombuffer(floats, np.float32).reshape(rows, columns)

    (first,), (second,) = loop.first, loop.second
    # every step writes to the same place: what is left is that of the last
    last = [a + (loop.steps - 1) * (b - a) for a, b in zip(first.operands, second.operands, strict=True)]
    _, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc, *_ = last
    assert (ta, tb, lda, ldb, beta, ldc) == (0, 0, k, n, 0, n)
    expected = array(a, m, k) @ array(b, k, n)
    monkeypatch.setattr(gemms, "_products", lambda step: [dataclasses.replace(loop, steps=loop.steps - fault)])
    (walk,) = products._calls(1)
    walk()
    assert np.allclose(array(c, m, n), expected, rtol=1e-5, atol=1e-5) != fault


def test_the_letters_of_a_recurrent_workload(letters, tmp_path):
    write_spec(letters, tmp_path, epochs=1)
    text = (tmp_path / "letters.txt").read_text(encoding="utf-8")
    assert len(text) == letters.rows * 5 + 1 == 4 * 3 * 5 + 1
    assert len(set(text)) == 7


def test_the_part_of_windows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(steps, "WINDOWS", (4, 16))
    file, target = tmp_path / "workloads.json", tmp_path / "numbers.json"
    file.write_text(json.dumps({"small": ENTRY, "letters": LETTERS}))
    main(["--part", "steps", "--threads", "1", "--quick", "--workloads", str(file), "--json", str(target)])
    found = json.loads(target.read_text())["steps"]
    assert found["failures"] == {}
    assert [(row["work"], row["steps"]) for row in found["rows"]] == [("letters-4", 4), ("letters-16", 16)]
    assert (found["rows"][0]["of_first"], found["rows"][0]["bytes_of_first"]) == (1.0, 1.0)
    assert all(row["seconds"]["median"] > 0 and row["bytes"] > 0 for row in found["rows"])
    assert "| letters-16 |    16 |" in capsys.readouterr().out


def test_ratios_of_windows_are_taken_turn_by_turn(letters):
    def report(rate, size):
        return {"rates": [rate], "bound": {"workspace_bytes": size}}

    short, long = windowed(letters, 5), windowed(letters, 50)
    reports = {
        short.name: [report(10.0, 150), report(20.0, 150), report(90.0, 150)],
        long.name: [report(5.0, 3000), report(20.0, 3000), report(30.0, 3000)],
    }
    first, second = rows([short, long], reports)
    assert (first["of_first"], first["bytes"], first["bytes_of_first"]) == (1.0, 10.0, 1.0)
    assert (second["of_first"], second["bytes"], second["bytes_of_first"]) == (2.0, 20.0, 2.0)
    assert second["seconds"]["median"] == 1 / 20


def test_ratios_are_taken_turn_by_turn():
    def report(*rates, bound=None):
        own = {"bound": {"rate": bound, "gemms": []}, "whole": None, "blas": []} if bound else {}
        return {"rates": list(rates), "first_epoch_s": 1.0, "loss": 1.0, **own}

    mine = [report(1.0, 2.0, 9.0, bound=4.0), report(30.0, bound=40.0), report(300.0, bound=200.0)]
    reports = {"fluxrun": mine, "a": [report(1.0), report(10.0), report(100.0)], "b": [report(1.0), report(2.0)]}
    found = row(load()["mlp"], 2, reports, {"b": "out of memory"})
    assert found["rates"]["fluxrun"] == {"median": 30.0, "min": 2.0, "max": 300.0, "n": 3}
    assert (found["best_peer"], found["ratio"], found["of_bound"]) == ("a", 3.0, 0.75)
    assert found["failures"] == {"b": "out of memory"}


def test_the_environment_of_a_measured_process(monkeypatch):
    for name in UNSET:
        monkeypatch.setenv(name, "7")
    assert not set(UNSET) & set(environment(1))
    seen = "import os, json; print(json.dumps([sorted(os.sched_getaffinity(0)), os.environ['FLUXRUN_THREADS']]))"
    output = json.loads(run([PYTHON, "-c", seen], 1).output)
    assert output == [sorted(os.sched_getaffinity(0))[:1], "1"]


def test_a_process_that_fails_says_why():
    with pytest.raises(Failed, match="ZeroDivisionError"):
        run([PYTHON, "-c", "1 / 0"], 1)


def test_the_workloads_of_the_repository():
    works = load()
    assert {name for name, work in works.items() if work.kind in RECIPES} == set(works) - {"lenet"}
    for work in works.values():
        x, y = work.arrays()
        assert len(x) == len(y) == work.rows == work.batches * work.batch
        order = work.order(np.random.default_rng(0), 2)
        assert order.shape == (2 * work.batches, work.batch)
        assert sorted(order[: work.batches].ravel()) == list(range(work.rows))


def test_a_workload_knows_its_keys(tmp_path):
    file = tmp_path / "w.json"
    file.write_text(json.dumps({"small": {**ENTRY, "bacth": 3}}))
    with pytest.raises(TypeError, match="bacth"):
        load(file)
    assert Workload(name="small", **{**ENTRY, "sizes": (5, 8, 3)}).round_epochs == 2
