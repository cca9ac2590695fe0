"""What the README shows is true: its spec, its Python, its commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_spec_is_the_one_in_configs():
    (spec,) = blocks("yaml")
    assert yaml.safe_load(spec) == yaml.safe_load((ROOT / "configs" / "digits.yaml").read_text())


def test_the_python_runs():
    (code,) = blocks("python")
    scope = {}
    exec(compile(code, "README.md", "exec"), scope)
    assert scope["dx"].shape == (32, 784)
    assert scope["tlp"](scope["np"].ones((2, 10))).shape == (2, 15)


@pytest.mark.parametrize("name", re.findall(r"configs/\w+\.yaml", README))
def test_the_examples_are_there(name):
    assert (ROOT / name).exists()


def test_the_loop_runs(tmp_path):
    loop = next(block for block in blocks("sh") if block.startswith("for "))
    script = tmp_path / "fluxrun"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m fluxrun "$@"\n')
    script.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", f"cd {ROOT}\n{loop}"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "FLUXRUN_RUNS": str(tmp_path / "runs"), "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").glob("iris-*"))) == 3
    assert done.stdout.count("finished") == 3
