"""check, show, ls, and the options of the program itself."""

import json

import pytest
from threadpoolctl import threadpool_limits

from fluxrun import exits
from fluxrun.commands import check, doctor, graph, show, train, warmup
from fluxrun.jobs.warmup import known_kernels

SPEC_LINE = "::{severity} file=small.yaml,line=3,col=27,endColumn=36::{what}: no such file: did you mean 'table.csv'?\n"
ABSENT = "::error file=absent.yaml,line=1,col=1,endColumn=1::there is no such file"


def test_check_says_ok(cli, folder):
    done = cli("check", "small.yaml")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "small.yaml: ok\n")


def test_check_says_when_shapes_were_not_checked(cli, folder):
    (folder / "table.csv").unlink()
    done = cli("check", "small.yaml")
    assert done.exit_code == 0
    assert done.stderr == "small.yaml: ok, but shapes were not checked: table.csv: no such file\n"


def test_check_of_data_that_are_not_there_stands_at_their_name(cli, folder):
    line = SPEC_LINE.format(severity="warning", what="shapes were not checked: tabel.csv")
    done = cli("check", "small.yaml", "absent.yaml", "--format", "github")
    assert (done.exit_code, done.stdout.splitlines()) == (exits.NO_INPUT, [ABSENT])
    (folder / "small.yaml").write_text((folder / "small.yaml").read_text().replace("table.csv", "tabel.csv"))
    done = cli("check", "small.yaml", "--format", "github")
    assert (done.exit_code, done.stdout) == (0, line)
    done = cli("check", "small.yaml", "--data", "--format", "github")
    assert (done.exit_code, done.stdout) == (exits.NO_INPUT, SPEC_LINE.format(severity="error", what="tabel.csv"))
    done = cli("check", "small.yaml", "--data")
    assert (done.exit_code, done.stdout) == (exits.NO_INPUT, "")
    assert done.stderr.startswith("error: tabel.csv: no such file")
    lines = cli("check", "small.yaml", "small.yaml", "--data").stderr.splitlines()
    assert lines == 2 * [*done.stderr.splitlines(), "small.yaml: 1 error"], "of several specs it is told which one"


EMPTY = [
    ["check", "small.yaml", ""],
    ["train", ""],
    ["evaluate", "last", ""],
    ["predict", "last", ""],
    ["init", "--from", "", "--target", "b"],
    ["init", "--from", "table.csv", "--target", "b", "-o", ""],
]


@pytest.mark.parametrize("arguments", EMPTY)
def test_an_empty_name_is_not_the_present_folder(cli, folder, arguments):
    done = cli(*arguments)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert done.stderr.splitlines()[-1].endswith("a name is expected, and this is an empty one")


def test_check_of_several_specs(cli, folder):
    (folder / "wrong.yaml").write_text("sed: 1\n" + (folder / "small.yaml").read_text())
    done = cli("check", "wrong.yaml", "small.yaml", "absent.yaml", "--set", "model.0.affine=0")
    assert done.exit_code == exits.NO_INPUT, "the highest"
    heads = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    assert [line.partition(": expected")[0] for line in heads] == [
        "wrong.yaml:1:1: error: unknown key 'sed' in the spec",
        "--set #1, column 16: error",
        "wrong.yaml: 2 errors",
        "--set #1, column 16: error",
        "small.yaml: 1 error",
        "error: absent.yaml: there is no such file",
        "absent.yaml: 1 error",
    ]
    found = json.loads(cli("check", "small.yaml", "wrong.yaml", "--format", "json").stdout)
    assert (found["ok"], [one["ok"] for one in found["specs"]]) == (False, [True, False])
    assert [problem["config"] for problem in found["problems"]] == ["wrong.yaml"]
    assert cli("check", "small.yaml", "wrong.yaml").exit_code == exits.USAGE


def test_check_reports_everything_in_three_forms(cli, folder):
    wrong = ["--set", "sed=1", "--set", "train.epochs=x"]
    text = cli("check", "small.yaml", *wrong)
    assert (text.exit_code, text.stdout) == (exits.USAGE, "")
    assert text.stderr.count("error:") == 2
    program = cli("check", "small.yaml", *wrong, "--format", "json")
    found = json.loads(program.stdout)
    assert (program.exit_code, found["ok"], len(found["problems"])) == (exits.USAGE, False, 2)
    github = cli("check", "small.yaml", *wrong, "--format", "github")
    assert github.exit_code == exits.USAGE
    assert [line[:28] for line in github.stdout.splitlines()] == [
        "::error::--set #1, column 1:",
        "::error::--set #2, column 14",
    ]


def test_check_of_data_that_cannot_be_read(cli, folder):
    (folder / "table.csv").write_text("x,y,kind\n1,2,a\n2,oops,b\n3,4,a\n4,5,b\n")
    done = cli("check", "small.yaml")
    assert done.exit_code == exits.BAD_DATA
    assert "table.csv:3: column 'y'" in done.stderr


def test_check_reads_stdin(cli, folder):
    done = cli("check", "-", input=(folder / "small.yaml").read_text().replace("epochs", "epoch"))
    assert done.exit_code == exits.USAGE
    assert "<stdin>:5:9: error: unknown key 'epoch' in train" in done.stderr


def test_show_has_every_default_and_every_layer(cli, folder):
    done = cli("show", "small.yaml")
    assert done.exit_code == 0
    assert "beta2: 0.999" in done.stdout
    assert [line.split() for line in done.stdout.splitlines()[-5:]] == [
        ["layer", "output", "parameters", "memory"],
        ["0", "Affine(2,", "6)", "6", "18", "264", "B"],
        ["1", "tanh", "6", "0", "192", "B"],
        ["2", "Affine(6,", "2)", "2", "14", "120", "B"],
        ["in", "all", "32", "576", "B"],
    ]
    layers = json.loads(cli("show", "small.yaml", "--json").stdout)["layers"]
    assert [layer["parameters"] for layer in layers] == [18, 0, 14]
    assert [layer["memory"] for layer in layers] == [4 * (18 + 8 * 6), 4 * 8 * 6, 4 * (14 + 8 * 2)]  # minibatches of 8


def test_what_show_prints_can_be_trained(cli, folder):
    (folder / "shown.yaml").write_text(cli("show", "small.yaml").stdout.partition("\n\n")[0])
    first, second = cli("train", "small.yaml").stdout.strip(), cli("train", "shown.yaml").stdout.strip()
    assert second == f"{first}-2"


def test_show_of_a_run(cli, folder):
    run = cli("train", "small.yaml", "--set", "train.epochs=1").stdout.strip()
    for which in (run, run.removeprefix("runs/"), "last", "best:valid.loss"):
        assert "epochs: 1" in cli("show", which).stdout
    done = cli("show", "smal")
    assert done.exit_code == exits.NO_INPUT
    assert "is called 'smal'" in done.stderr


def test_show_without_the_data(cli, folder):
    (folder / "table.csv").unlink()
    done = cli("show", "small.yaml")
    assert done.exit_code == 0
    assert done.stdout.endswith("shapes are not known: table.csv: no such file\n")


def test_ls(cli, folder):
    assert cli("ls").stderr == "no runs in runs: there is no such folder\n"
    run = cli("train", "small.yaml").stdout.strip().removeprefix("runs/")
    lines = cli("ls").stdout.splitlines()
    assert lines[0].split() == [
        "run",
        "status",
        "epochs",
        "time",
        *(f"{split}.{name}" for split in ("valid", "test") for name in ("loss", "accuracy")),
    ]
    assert lines[1].split()[:3] == [run, "finished", "3"]
    found = json.loads(cli("ls", "--json").stdout)
    assert found["version"] == 1
    assert found["runs"][0]["run"] == f"runs/{run}"


def test_ls_shows_no_control_characters(cli, folder):
    (folder / "runs" / "a\x1b]0;x\x07").mkdir(parents=True)
    (folder / "runs" / "a\x1b]0;x\x07" / "run.json").write_text('{"status": "fin\\u001bished", "pid": 1, "epochs": 1}')
    assert cli("ls").stdout.replace("\n", "").isprintable()


def test_the_version(cli):
    from importlib.metadata import version

    assert cli("--version").stdout == f"fluxrun {version('fluxrun')}\n"


@pytest.mark.parametrize("module", [train, check, show, graph, warmup, doctor])
def test_the_examples_of_every_help_page_run(cli, configs, monkeypatch, module):
    monkeypatch.chdir(configs.parent)
    lines = [line.strip() for line in module.EXAMPLES.splitlines() if line.startswith("  fluxrun ")]
    assert len(lines) == 2
    if module is warmup:  # takes half a minute
        kernels = dict(list(known_kernels().items())[:3])
        monkeypatch.setattr("fluxrun.jobs.warmup.known_kernels", lambda: kernels)
    assert all(line in cli(line.split()[1], "--help").stdout for line in lines)
    for line in lines:
        arguments = line.split()[1:]
        extra = ["--dry-run"] if arguments[0] == "train" else []
        with threadpool_limits(1, "blas"):  # as `run` does in a process of its own
            assert cli(*arguments, *extra).exit_code == 0
