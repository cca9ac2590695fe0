"""How a process starts: what the second training of a machine no longer needs."""

import json
import os
import subprocess
import sys

import pytest

CODE = """
import json, sys
from fluxrun.main import run
sys.argv = ["fluxrun", "train", sys.argv[1], "--quiet", "--max-steps", "3", *sys.argv[2:]]
try:
    run()
except SystemExit as end:
    assert not end.code, end.code
from flux_core.engine.store import default_store
print(json.dumps({"modules": sorted(sys.modules), "compiled": default_store().compiled}))
"""


def trained(folder, *arguments):
    """The modules of a process that trained, and how many kernels it compiled."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "FLUXRUN_CACHE": str(folder / "cache")},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def digits(configs):
    return str(configs / "digits.yaml")


def test_the_second_training_compiles_nothing_and_imports_no_compiler(folder, digits):
    first = trained(folder, digits)
    assert first["compiled"] > 5
    assert "numba" in first["modules"], "the first one needs it"
    second = trained(folder, digits)
    assert second["compiled"] == 0
    assert "numba" not in second["modules"]
    # other sizes, another depth and another batch need no other kernel
    changed = ["--set", "model=[{affine: 33}, relu, {affine: 21}, relu, {affine: 10}]", "--set", "data.batch_size=17"]
    third = trained(folder, digits, *changed)
    assert (third["compiled"], "numba" in third["modules"]) == (0, False)
    heavy = {"scipy.linalg", "scipy.special", "threadpoolctl", "rich", "asyncio", "numpy.ma", "numpy.random"}
    assert not heavy.intersection(second["modules"])
