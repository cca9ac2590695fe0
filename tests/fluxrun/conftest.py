"""A small csv spec in a folder of its own, and the command line in this process or in another."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONTROL = re.compile("\x1b\\[([0-9;?]*)([A-Za-z])")
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


@pytest.fixture
def screen():
    """What is on the screen behind all that was written to a terminal."""

    def seen(written):
        """What is on the screen behind all of it: the lines, after every move of the cursor."""
        lines, row, column, at = [""], 0, 0, 0
        while at < len(written):
            control = CONTROL.match(written, at)
            if control:
                count = int(control[1] or 1) if control[1].isdigit() or not control[1] else 0
                match control[2]:
                    case "A":
                        row = max(0, row - count)
                    case "K":
                        lines[row] = "" if control[1] == "2" else lines[row][:column]
                    case "m" | "h" | "l":
                        pass
                    case other:
                        pytest.fail(f"a control sequence that this screen does not know: {other}")
                at = control.end()
                continue
            match written[at]:
                case "\r":
                    column = 0
                case "\n":
                    row += 1
                    lines += [""] * (row + 1 - len(lines))
                case character:
                    assert character.isprintable()
                    lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
                    column += 1
            at += 1
        return "\n".join(line.rstrip() for line in lines)

    return seen
