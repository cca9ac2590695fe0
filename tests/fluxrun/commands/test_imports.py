"""What a command imports, and so how long it takes to start."""

import json
import subprocess
import sys

import pytest

HEAVY = ("numpy", "pydantic", "rich", "yaml", "scipy", "numba", "llvmlite", "flux_core")


def imported(folder, *arguments):
    """The modules of a process that ran a command."""
    code = (
        "import sys, json\nfrom fluxrun.main import run\nsys.argv = ['fluxrun', *sys.argv[1:]]\n"
        "try:\n    run()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


COMMANDS = ["train", "resume", "check", "show", "graph", "ls", "compare", "diff", "rm", "warmup", "doctor"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(folder, arguments):
    modules = imported(folder, *arguments)
    assert not modules.intersection(HEAVY)
    assert "typer" in modules


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_only_what_typer_does(folder, command):
    assert not imported(folder, command, "--help").intersection(HEAVY).difference({"pydantic"})


LIGHT = (
    "check small.yaml",
    "check small.yaml --data",
    "show small.yaml",
    "schema",
    "components adam",
    "init --from table.csv --target kind",
    "ls",
    "ls --json",
)


@pytest.mark.parametrize("arguments", [line.split() for line in LIGHT], ids=LIGHT)
def test_light_commands_import_no_engine(folder, arguments):
    modules = imported(folder, *arguments)
    assert not modules.intersection(("numba", "llvmlite", "scipy.linalg", "rich"))
    assert not any(name.startswith("flux_core.engine") for name in modules)


@pytest.mark.parametrize("arguments", [["schema"], ["components"]])
def test_what_needs_no_data_needs_no_arrays(folder, arguments):
    assert "numpy" not in imported(folder, *arguments)


def test_ls_needs_no_arrays(folder):
    assert "numpy" not in imported(folder, "ls")


def test_a_training_into_a_pipe_draws_nothing(folder):
    assert "rich" not in imported(folder, "train", "small.yaml")
