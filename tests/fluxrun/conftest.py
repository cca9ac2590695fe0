"""A small csv spec in a folder of its own, and the command line in this process or in another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """\
name: small
seed: 3
data: {source: csv, path: table.csv, target: kind, batch_size: 8}
model: [{affine: 6}, tanh, {affine: classes}]
train: {epochs: 3, optimizer: {adam: 0.05}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The present directory, with small.yaml and its table.csv."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLUXRUN_RUNS", "FLUXRUN_SET", "FLUXRUN_THREADS", "CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    rows = [f"{i % 7},{(i * 5) % 11},{'ab'[i % 7 > 3]}" for i in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["x,y,kind", *rows]) + "\n")
    (tmp_path / "small.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def cli(folder):
    """Run `fluxrun` with arguments in this process: .exit_code, .stdout, .stderr."""
    from typer.testing import CliRunner

    from fluxrun.main import app

    return lambda *arguments, **options: CliRunner().invoke(app, [str(a) for a in arguments], **options)


@pytest.fixture
def process(folder):
    """Run `fluxrun` with arguments in a process of its own: .returncode, .stdout, .stderr."""

    def start(*arguments, **options):
        command = [sys.executable, "-m", "fluxrun", *map(str, arguments)]
        defaults = {"capture_output": True, "text": True, "timeout": 120, "env": dict(os.environ)}
        return subprocess.run(command, **{**defaults, **options})

    return start


@pytest.fixture
def configs():
    """The example configs."""
    return Path(__file__).parents[2] / "configs"
