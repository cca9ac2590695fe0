"""The examples of help pages run, in a folder with the example configs and a finished run."""

import re
import shlex

import pytest

from fluxrun.commands import check, components, evaluate, init, predict, sample, schema

MODULES = (schema, components, init, check, evaluate, predict, sample)
TEXT = ["--set", "data.limit=20000", "--set", "data.batch_size=2", "--max-steps", "1"]


def examples(module):
    lines = [line.strip() for line in module.EXAMPLES.splitlines() if line.startswith("  fluxrun ")]
    assert len(lines) == 2
    return lines


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_examples_run(cli, configs, folder, module):
    (folder / "configs").symlink_to(configs)
    if module in (evaluate, predict):
        assert cli("train", "configs/iris.yaml", "--quiet", "--set", "train.epochs=2").exit_code == 0
    if module is sample:
        assert cli("train", "configs/char_rnn.yaml", "--quiet", *TEXT).exit_code == 0
    for line in examples(module):
        command = re.split(" [>|] ", line)[0]  # what is behind is the shell's
        arguments = shlex.split(command)[1:]
        page = cli(arguments[0], "--help")
        assert page.exit_code == 0
        assert line in page.stdout
        done = cli(*arguments)
        assert done.exit_code == 0, done.stderr
        assert done.stdout or done.stderr
