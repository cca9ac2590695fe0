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
    spec = blocks("yaml")[0]
    assert yaml.safe_load(spec) == yaml.safe_load((ROOT / "configs" / "digits.yaml").read_text())


def test_the_python_runs():
    code = blocks("python")[0]
    scope = {}
    exec(compile(code, "README.md", "exec"), scope)
    assert scope["dx"].shape == (32, 784)
    assert scope["tlp"](scope["np"].ones((2, 10))).shape == (2, 15)


def test_the_net_is_the_one_in_configs():
    shown = yaml.safe_load(block_with("yaml", "nets:"))
    whole = yaml.safe_load((ROOT / "configs" / "minimal_gated_unit.yaml").read_text())
    assert shown == {"nets": whole["nets"], "model": whole["model"]}


@pytest.mark.parametrize("name", re.findall(r"configs/\w+\.yaml", README))
def test_the_examples_are_there(name):
    assert (ROOT / name).exists()


@pytest.fixture
def shell(tmp_path):
    """Run a script where the repository's configs are, with `fluxrun` on the path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "fluxrun").write_text(f'#!/bin/sh\nexec {sys.executable} -m fluxrun "$@"\n')
    (tools / "fluxrun").chmod(0o755)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    environ = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(Path.home())}

    def run(script):
        command = ["bash", "-euc", script]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)

    return run


def block_with(language, words):
    (found,) = [block for block in blocks(language) if words in block]
    return found


def test_the_session_in_a_terminal_runs(shell, tmp_path):
    done = shell(block_with("sh", "fluxrun init"))
    assert done.returncode == 0, done.stderr
    warning = block_with("text", "baseline to beat")
    assert warning in done.stderr
    predictions = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(predictions) == 151
    assert predictions[0].endswith("species,prediction,probability_setosa,probability_versicolor,probability_virginica")
    right = sum(row.split(",")[4] == row.split(",")[5] for row in predictions[1:])
    assert right >= 140


def test_the_loop_runs(shell, tmp_path):
    done = shell(block_with("sh", "for rate in"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").glob("iris-*"))) == 3
    assert done.stdout.count("finished") == 3


def steps():
    workflow = yaml.safe_load(block_with("yaml", "runs-on"))
    return workflow["jobs"]["train"]["steps"]


def test_the_workflow_runs(shell, tmp_path):
    scripts = [step["run"] for step in steps() if "run" in step]
    assert scripts[0].startswith("pip install")
    for script in scripts[1:]:
        done = shell(script)
        assert done.returncode == 0, done.stderr
    assert '"status": "finished"' in (tmp_path / "result.json").read_text()


def test_the_workflow_keeps_what_there_is():
    (kept,) = [step["with"] for step in steps() if "upload" in step.get("uses", "")]
    assert kept["path"].splitlines() == ["runs", "result.json"]
    cached = next(step["with"] for step in steps() if "cache" in step.get("uses", ""))
    python = next(step["with"]["python-version"] for step in steps() if "python" in step.get("uses", ""))
    assert cached["key"].startswith(cached["restore-keys"])
    assert python in cached["restore-keys"]


def test_the_workflow_fails_where_it_should(shell, tmp_path):
    check, train = [step["run"] for step in steps() if "run" in step][1:]
    (tmp_path / "broken.yaml").write_text("sed: 1\n" + (ROOT / "configs" / "iris.yaml").read_text())
    done = shell(check.replace("configs/iris.yaml", "broken.yaml absent.yaml"))
    assert done.returncode == 66
    assert [line.partition(",endC")[0] for line in done.stdout.splitlines()] == [
        "::error file=broken.yaml,line=1,col=1",
        "::error file=absent.yaml,line=1,col=1",
    ]
    assert shell(train.replace("0.95", "0.9999")).returncode == 4


def test_the_loaded_model_runs(shell, tmp_path, capsys):
    done = shell("fluxrun train configs/iris.yaml --quiet")
    exec(compile(block_with("python", "flux_core.load"), "README.md", "exec"), {"run": tmp_path / done.stdout.strip()})
    assert "'setosa' 'virginica'" in capsys.readouterr().out
