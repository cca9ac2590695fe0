"""ls, compare, diff, rm: what they print, in every form, and what they leave alone."""

import csv
import io
import json
import os
import pty
import shlex
import socket
import subprocess
import sys
import time

import pytest

from fluxrun import exits
from fluxrun.commands import compare, diff, ls, resume, rm
from fluxrun.store.hold import held

HASH = "0123456789abcdef" * 4


def put(folder, name, rate, loss, status="finished", **values):
    """A run's record without a training."""
    spec = {"name": "a", "seed": 0, "train.optimizer": "adam", "train.optimizer.adam.learning_rate": rate}
    spec |= {"model.0.affine.out": 4, "model.2.affine.out": 2, "train.loss": "mse"}
    record = {
        "version": 1,
        "name": "a",
        "status": status,
        "created": f"2026-01-01T00:00:{int(loss * 100):02}.000Z",
        "pid": 1,
        "host": "elsewhere",
        "hash": HASH,
        "seconds": 1.5,
        "epochs": 2,
        "steps": 20,
        "best_epoch": 1,
        "best": {"train.loss": loss / 2, "valid.loss": loss, "valid.accuracy": 1 - loss},
        "final": {"train.loss": loss / 2, "valid.loss": loss},
        "data": [{"path": "/a.csv", "sha256": HASH}],
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "spec": spec,
        **values,
    }
    (folder / name / "checkpoints").mkdir(parents=True)
    (folder / name / "run.json").write_text(json.dumps(record))


@pytest.fixture
def three(folder):
    put(folder / "runs", "a-1", 0.1, 0.3)
    put(folder / "runs", "a-2", 0.01, 0.2)
    put(folder / "runs", "a-3", 0.001, 0.5, status="failed", best=None, final={})
    return folder / "runs"


def table(text):
    return [line.split() for line in text.splitlines()]


def names(done):
    assert done.exit_code == 0, done.stderr
    return [row[0] for row in table(done.stdout)[1:]]


def test_ls_chooses_and_sorts(cli, three):
    assert names(cli("ls")) == ["a-2", "a-1", "a-3"]  # by their start
    assert names(cli("ls", "--where", "learning_rate<0.05 and status==finished")) == ["a-2"]
    assert names(cli("ls", "--where", "learning_rate<0.05", "--where", "status==finished")) == ["a-2"]
    assert names(cli("ls", "--sort", "valid.loss")) == ["a-2", "a-1", "a-3"]
    assert names(cli("ls", "--sort", "valid.accuracy")) == ["a-2", "a-1", "a-3"]  # larger is better, nothing comes last
    assert names(cli("ls", "--sort", "-valid.loss")) == ["a-1", "a-2", "a-3"]
    assert names(cli("ls", "--sort", "learning_rate")) == ["a-3", "a-2", "a-1"]
    assert names(cli("ls", "--sort", "-learning_rate", "--top", 1)) == ["a-1"]
    assert names(cli("ls", "--top", 2)) == ["a-1", "a-3"]  # the newest
    assert names(cli("ls", "--sort", "status")) == ["a-3", "a-2", "a-1"]


def test_ls_shows_what_runs_were_chosen_by(cli, three):
    lines = table(cli("ls", "--sort", "learning_rate", "--where", "0.affine.out==4".replace("0.", "model.0.")).stdout)
    assert lines[0] == ["run", "status", "epochs", "time", "model.0.affine.out", "learning_rate", "valid.loss",
                        "valid.accuracy"]  # fmt: skip
    assert lines[1] == ["a-3", "failed", "2", "1.5", "s", "4", "0.001", "-", "-"]
    assert lines[2] == ["a-2", "finished", "2", "1.5", "s", "4", "0.01", "0.2000", "0.8000"]
    assert table(cli("ls", "--sort", "train.loss").stdout)[0][-3:] == ["train.loss", "valid.loss", "valid.accuracy"]


def test_ls_leaves_out_the_last_metrics_on_a_narrow_terminal(cli, three, monkeypatch):
    monkeypatch.setattr("fluxrun.render.stream.width", lambda stream: 40)
    done = cli("ls")
    assert table(done.stdout)[0] == ["run", "status", "epochs", "time", "valid.loss"]
    assert done.stderr == "left out: valid.accuracy; --csv and --json have all\n"
    monkeypatch.setattr("fluxrun.render.stream.width", lambda stream: 39)
    done = cli("ls", "--where", "status==finished")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["run", "a-2", "a-1"],
        ["status", "finished", "finished"],
        ["epochs", "2", "2"],
        ["time", "1.5", "s", "1.5", "s"],
        ["valid.loss", "0.2000", "0.3000"],
        ["valid.accuracy", "0.8000", "0.7000"],
    ], "as compare does it"
    assert done.stderr == ""


def test_ls_for_programs(cli, three):
    found = json.loads(cli("ls", "--json", "--sort", "valid.loss", "--top", 1).stdout)
    assert (found["version"], [run["run"] for run in found["runs"]]) == (1, ["runs/a-2"])
    text = cli("ls", "--csv", "--sort", "learning_rate").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["run"] for row in rows] == ["runs/a-3", "runs/a-2", "runs/a-1"]
    assert (rows[1]["valid.loss"], rows[1]["learning_rate"], rows[1]["steps"]) == ("0.2", "0.01", "20")
    assert rows[0]["valid.loss"] == ""
    both = cli("ls", "--csv", "--json")
    assert (both.exit_code, "--json and --csv exclude each other" in both.stderr) == (exits.USAGE, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"best": 3}, {"final": "x"}, {"spec": [1]}, {"data": "q"}, {"data": [1]}, {"created": 5}, {"epochs": "many"},
        {"seconds": "long"}, {"status": 7}, {"hash": 1}, {"versions": 3}, {"resumed": 4}, {"overrides": 2},
        {"pid": None}, {"exact": "yes"}, {"asked": []}, {"host": 1}, {"format": "1"}, {"cpu": {}}, {"steps": []},
        {"final": {"loss": "low"}}, {"best": {"loss": 10**400}}, {"epochs": 1e999}, {"reason": {}}, {"resumed": [1]},
        {"pid": 1 << 60}, {"final": {"loss": 1e999}}, {"final": {"loss": float("nan")}},
    ],
)  # fmt: skip
def test_a_record_of_another_shape_is_no_run(cli, three, wrong):
    put(three, "a-4", 0.1, 0.1, **wrong)
    assert names(cli("ls")) == ["a-2", "a-1", "a-3"]
    for command in (["compare"], ["diff", "a-1", "a-4"], ["show", "a-4"], ["resume", "a-4"], ["evaluate", "a-4"]):
        done = cli(*command)
        assert done.exit_code == (0 if command == ["compare"] else exits.NO_INPUT), done.stderr


def test_a_metric_may_be_as_large_as_numbers_are(cli, three):
    put(three, "a-4", 0.1, 0.9, best={"valid.loss": 709.5, "valid.perplexity": 1.7e308})
    assert names(cli("ls", "--sort", "-valid.perplexity")) == ["a-4", "a-2", "a-1", "a-3"]
    assert "1.70e+308" in cli("ls").stdout
    assert json.loads(cli("ls", "--json", "--where", "perplexity > 1e300").stdout)["runs"][0]["run"] == "runs/a-4"
    for command in (["compare"], ["compare", "--csv"], ["diff", "a-1", "a-4"], ["rm", "best:valid.perplexity", "-y"]):
        assert cli(*command).exit_code == 0
    assert not (three / "a-4").exists()


def test_a_check_that_looks_at_nothing_is_caught(cli, three, monkeypatch):
    monkeypatch.setattr("fluxrun.store.listing.KINDS", {})
    with pytest.raises(AssertionError):
        test_a_record_of_another_shape_is_no_run(cli, three, {"best": 3})


def test_ls_of_nothing(cli, three):
    done = cli("ls", "--where", "seed==7")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no runs in runs meet the condition\n")
    done = cli("ls", "--runs", "none", "--where", "anything<3", "--sort", "anything")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no runs in none: there is no such folder\n")


COMMANDS = ("ls", "compare", "rm --where seed==0", "diff last last", "show last", "evaluate last", "resume last")


@pytest.mark.parametrize("command", COMMANDS)
def test_runs_that_are_in_no_folder(cli, folder, command):
    (folder / "link").symlink_to("nowhere")
    for name in ("table.csv", "link"):
        done = cli(*command.split(), "--runs", name)
        assert (done.exit_code, done.stdout) == (exits.NO_INPUT, "")
        assert done.stderr == f"error: {name}: this is no folder; --runs names one that holds runs\n"
    done = cli(*command.split(), "--runs", "")
    assert (done.exit_code, "the name of a folder is expected" in done.stderr) == (exits.USAGE, True)


def test_an_empty_variable_is_none(cli, three):
    assert "runs/" in cli("ls", "--csv", env={"FLUXRUN_RUNS": ""}).stdout


def test_a_word_is_a_text_whatever_runs_there_are(cli, three):
    done = cli("ls", "--where", "name==zzz")
    assert (done.exit_code, done.stderr) == (0, "no runs in runs meet the condition\n")
    done = cli("rm", "--where", "status==finised", "-y")
    note = "note: no run has 'finised' as its status; did you mean 'finished'?\n"
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", note + "no runs in runs meet the condition\n")


WRONG = [
    (["ls", "--where", "seeed<1"], exits.USAGE, "did you mean 'seed'?"),
    (["ls", "--where", "out<1"], exits.USAGE, "write one of: model.0.affine.out, model.2.affine.out"),
    (["ls", "--sort", "valid.los"], exits.USAGE, "--sort 'valid.los': no run has a value 'valid.los'; did you mean"),
    (["ls", "--top", "0"], exits.USAGE, "--top"),
    (["compare", "a-1", "a-9"], exits.NO_INPUT, "did you mean 'a-3'?"),
    (["ls", "--where", "status=finished"], exits.USAGE, "write =="),
    (["diff", "a-1"], exits.USAGE, "Missing argument 'RUN'"),
    (["diff", "a-1", "b"], exits.NO_INPUT, "no run in runs is called 'b'"),
    (["rm"], exits.USAGE, "name runs, or choose them by --where"),
    (["ls", "--sort", ""], exits.USAGE, "--sort '': no run has a value ''"),
    (["rm", "--where", "seed==0", "--where", "", "-y"], exits.USAGE, "this is no condition"),
    (["rm", "a-1"], exits.USAGE, "asks only on a terminal; --yes"),
    (["rm", "a-1", "b", "--yes"], exits.NO_INPUT, "no run in runs is called 'b'"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), WRONG)
def test_what_goes_wrong(cli, three, arguments, code, words):
    done = cli(*arguments)
    assert words in done.stderr, done.stderr
    assert (done.exit_code, done.stdout) == (code, "")
    assert len(list(three.iterdir())) == 3


def test_compare_shows_what_differs(cli, three):
    lines = table(cli("compare", "--sort", "valid.loss").stdout)
    assert lines == [
        ["run", "status", "learning_rate", "train.loss", "valid.loss", "valid.accuracy"],
        ["a-2", "finished", "0.01", "0.1000", "0.2000", "0.8000"],
        ["a-1", "finished", "0.1", "0.1500", "0.3000", "0.7000"],
        ["a-3", "failed", "0.001", "-", "-", "-"],
    ]
    assert names(cli("compare", "a-3", "a-1")) == ["a-3", "a-1"]
    assert names(cli("compare", "best:valid.loss", "last", "a-2", "runs/a-1")) == ["a-2", "a-3", "a-1"]
    assert names(cli("compare", "a-3", "a-1", "--where", "status==finished")) == ["a-1"]
    found = json.loads(cli("compare", "--json", "a-1", "a-3").stdout)
    assert found == {
        "version": 1,
        "runs": [
            {
                "run": "runs/a-1",
                "status": "finished",
                "spec": {"train.optimizer.adam.learning_rate": 0.1},
                "metrics": {"train.loss": 0.15, "valid.loss": 0.3, "valid.accuracy": 0.7},
            },
            {
                "run": "runs/a-3",
                "status": "failed",
                "spec": {"train.optimizer.adam.learning_rate": 0.001},
                "metrics": {"train.loss": None, "valid.loss": None, "valid.accuracy": None},
            },
        ],
    }
    rows = list(csv.reader(io.StringIO(cli("compare", "--csv", "a-1").stdout)))
    metrics = ["train.loss", "valid.loss", "valid.accuracy"]
    assert rows == [["run", "status", *metrics], ["runs/a-1", "finished", "0.15", "0.3", "0.7"]]
    assert cli("compare", "--runs", "none").stderr == "no runs in none: there is no such folder\n"


ADAM = {"train.optimizer": "adam", "train.optimizer.adam.beta1": 0.9, "train.optimizer.adam.weight_decay": 0.0}
SGD = {"train.optimizer": "sgd", "train.optimizer.sgd.weight_decay": 0.0}
FOLLOWING = [
    # one name for arguments of two components; what only one of them has, or what is equal, follows from it
    ([ADAM | {"train.optimizer.adam.learning_rate": 0.1}, SGD | {"train.optimizer.sgd.learning_rate": 0.2}],
     {"optimizer": ["adam", "sgd"], "learning_rate": ["0.1", "0.2"]}, 3),
    ([ADAM | {"train.optimizer.adam.learning_rate": 0.1}, SGD | {"train.optimizer.sgd.learning_rate": 0.1}],
     {"optimizer": ["adam", "sgd"]}, 5),
    # an argument that differs among those who have it
    ([ADAM, ADAM | {"train.optimizer.adam.beta1": 0.8}, SGD],
     {"optimizer": ["adam", "adam", "sgd"], "beta1": ["0.9", "0.8", "-"]}, 2),
    # the same name elsewhere, so that the place has to be told
    ([{"model.0": "affine", "model.0.affine.out": 4, "model.2.affine.out": 2},
      {"model.0": "lstm", "model.0.lstm.out": 5, "model.2.affine.out": 3}],
     {"model.0": ["affine", "lstm"], "model.0.out": ["4", "5"], "model.2.affine.out": ["2", "3"]}, 0),
    # arguments of a source stand beside its name
    ([{"data.source": "csv", "data.header": True, "data.target": "y"}, {"data.source": "npz", "data.target": "z"}],
     {"source": ["csv", "npz"], "target": ["y", "z"]}, 1),
    # null is as good as nothing, unless the other component has a value
    ([{"train.clip_norm": None, "seed": 1}, {"seed": 2}], {"seed": ["1", "2"]}, 0),
    ([ADAM | {"train.optimizer.adam.nesterov": None}, SGD | {"train.optimizer.sgd.nesterov": True}],
     {"optimizer": ["adam", "sgd"], "nesterov": ["-", "true"]}, 3),
    # no component tells it
    ([{"train.epochs": 3}, {}], {"train.epochs": ["3", "-"]}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("specs", "rows", "left_out"), FOLLOWING)
def test_compare_leaves_out_what_follows(cli, folder, specs, rows, left_out):
    for i, spec in enumerate(specs):
        put(folder / "runs", f"b-{i}", 0.1, 0.1 + i / 10, spec=spec, best={"train.loss": 1.0}, final={})
    done = cli("compare")
    lines = table(done.stdout)
    columns = {name: [line[i] for line in lines[1:]] for i, name in enumerate(lines[0])}
    assert columns == {
        "run": [f"b-{i}" for i in range(len(specs))],
        "status": ["finished"] * len(specs),
        **rows,
        "train.loss": ["1.0000"] * len(specs),
    }
    told = f"left out: {left_out} value" in done.stderr
    assert told == (left_out > 0), done.stderr
    different = {path for spec in specs for path in spec if any(other.get(path) != spec[path] for other in specs)}
    assert {*json.loads(cli("compare", "--json").stdout)["runs"][0]["spec"]} == different, "--json has all"


def test_on_a_narrow_terminal_each_run_is_a_column(cli, three, monkeypatch):
    monkeypatch.setattr("fluxrun.render.stream.width", lambda stream: 52)
    assert table(cli("compare", "a-1", "a-2", "a-3").stdout) == [
        ["run", "a-1", "a-2", "a-3"],
        ["status", "finished", "finished", "failed"],
        ["learning_rate", "0.1", "0.01", "0.001"],
        ["train.loss", "0.1500", "0.1000", "-"],
        ["valid.loss", "0.3000", "0.2000", "-"],
        ["valid.accuracy", "0.7000", "0.8000", "-"],
    ]
    monkeypatch.setattr("fluxrun.render.stream.width", lambda stream: 39)
    text = cli("compare", "a-1", "a-2", "a-3").stdout
    assert max(map(len, text.splitlines())) <= 39
    assert table(text)[:2] == [["run", "a-1", "a-2"], ["status", "finished", "finished"]]
    assert table(text)[6:] == [[], ["run", "a-3"], ["status", "failed"], ["learning_rate", "0.001"]]


def test_on_a_narrow_terminal_two_runs_are_a_and_b(cli, three, monkeypatch):
    put(three, "b-1", 0.1, 0.4, data=[{"path": "/b.csv", "sha256": "f" * 64}])
    monkeypatch.setattr("fluxrun.render.stream.width", lambda stream: 60)
    text = cli("diff", "a-1", "b-1").stdout
    assert max(map(len, text.splitlines())) <= 60
    lines = table(text)
    assert lines[:4] == [["a:", "a-1"], ["b:", "b-1"], ["spec:", "no", "difference"], ["data", "a", "b"]]
    assert lines[4] == ["file", "0", f"…{HASH[-24:]}", f"…{'f' * 24}"]
    assert ["valid.loss", "0.3000", "0.4000"] in lines
    assert table(cli("diff", "a-1", "a-2").stdout)[0] == ["spec", "a-1", "a-2"], "short enough"


def test_compare_tells_a_loss_from_a_metric_of_its_name(cli, three):
    put(three, "a-4", 0.1, 0.6, spec={"train.loss": "mae"})
    assert table(cli("compare", "a-1", "a-4").stdout)[0].count("spec.train.loss") == 1
    assert cli("compare", "a-1", "a-4", "--csv").stdout.splitlines()[0].split(",").count("spec.train.loss") == 1


def test_a_text_is_no_formula_in_a_table(cli, three):
    put(three, "a-5", 0.1, 0.7, reason="=cmd()", spec={"name": "@x", "seed": -3, "model.0": "+1"})
    rows = list(csv.DictReader(io.StringIO(cli("compare", "--csv").stdout)))
    (row,) = (row for row in rows if row["run"] == "runs/a-5")
    assert (row["model.0"], row["seed"]) == ("'+1", "-3")
    assert "'=cmd()" in cli("ls", "--csv").stdout


def test_diff_names_every_difference(cli, three):
    put(three, "b-1", 0.1, 0.4, data=[{"path": "/b.csv", "sha256": "f" * 64}], versions={"python": "3.12.1"})
    text = cli("diff", "a-1", "b-1").stdout
    assert "spec: no difference" in text
    assert ["file", "0", HASH, "f" * 64] in table(text)
    assert ["python", "3.11.7", "3.12.1"] in table(text)
    assert ["numpy", "2.4.6", "-"] in table(text)
    assert ["valid.loss", "0.3000", "0.4000"] in table(text)
    found = json.loads(cli("diff", "a-1", "a-3", "--json").stdout)
    assert found == {
        "version": 1,
        "runs": ["runs/a-1", "runs/a-3"],
        "spec": {"train.optimizer.adam.learning_rate": [0.1, 0.001]},
        "data": {},
        "versions": {},
        "metrics": {"train.loss": [0.15, None], "valid.loss": [0.3, None], "valid.accuracy": [0.7, None]},
    }


def test_diff_takes_null_for_nothing(cli, three):
    for name, spec in (("b-1", {"seed": 1, "train.clip_norm": None}), ("b-2", {"seed": 1})):
        put(three, name, 0.1, 0.4, spec=spec, engine=None)
    found = json.loads(cli("diff", "b-1", "b-2", "--json").stdout)
    assert (found["spec"], found["versions"]) == ({}, {})


def test_diff_of_trainings(cli, folder):
    cli("train", "small.yaml", "-q")
    cli("train", "small.yaml", "-q", "--set", "train.optimizer.sgd.learning_rate=0.1", "--set", "train.epochs=2")
    found = json.loads(cli("diff", "last", "best:train.loss", "--json").stdout)
    assert set(found["spec"]) == {
        "train.epochs",
        "train.optimizer",
        *(f"train.optimizer.adam.{name}" for name in ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay")),
        *(f"train.optimizer.sgd.{name}" for name in ("learning_rate", "weight_decay")),
    }
    assert found["spec"]["train.epochs"] == [2, 3]
    assert (found["data"], found["versions"]) == ({}, {})


def test_rm_removes_what_is_named_or_meant(cli, three):
    done = cli("rm", "a-1", "--yes")
    assert (done.exit_code, done.stdout) == (0, "runs/a-1\n")
    assert cli("rm", "--where", "status==failed", "--where", "status==finished", "-y").stdout == "", "all must hold"
    done = cli("rm", "--where", "status==failed", "-y")
    assert (done.exit_code, done.stdout) == (0, "runs/a-3\n")
    assert [path.name for path in three.iterdir()] == ["a-2"]
    done = cli("rm", "--where", "status==failed", "-y")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no runs in runs meet the condition\n")


def test_rm_leaves_a_running_run_and_all_others(cli, three):
    put(three, "a-9", 0.1, 0.9, status="running", pid=os.getpid(), host=socket.gethostname())
    with held(three / "a-9"):
        done = cli("rm", "a-1", "a-9", "--yes")
    assert (done.exit_code, "is going on elsewhere" in done.stderr, done.stdout) == (exits.CANNOT_CREATE, True, "")
    (three / "link").symlink_to(three / "a-1")
    done = cli("rm", "link", "--yes")
    assert (done.exit_code, "is a link to a run" in done.stderr) == (exits.USAGE, True)
    assert len(list(three.iterdir())) == 5
    assert cli("rm", "a-9", "--yes").exit_code == 0, "that its process number is taken again says nothing"


def test_rm_from_a_folder_that_is_gone(cli, three, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli("rm", "a-1", "--runs", three, "--yes").exit_code == 0
    assert not (three / "a-1").exists()


@pytest.mark.parametrize(("inside", "which"), [("", "."), ("checkpoints", ".."), ("checkpoints", "a-1"), ("", "a-1")])
def test_rm_leaves_the_folder_that_one_stands_in(cli, three, monkeypatch, inside, which):
    monkeypatch.chdir(three / "a-1" / inside)
    done = cli("rm", which, "--runs", three, "--yes")
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert done.stderr == f"error: {three}/a-1 holds the present directory; leave it first: cd {three}\n"
    assert cli("rm", "../a-2" if not inside else "../../a-2", "--yes").exit_code == 0
    assert sorted(path.name for path in three.iterdir()) == ["a-1", "a-3"]


def test_a_run_may_be_the_present_directory(cli, three, monkeypatch):
    monkeypatch.chdir(three / "a-1")
    assert names(cli("compare", ".", "../a-2")) == ["a-1", "a-2"]
    monkeypatch.chdir(three / "a-1" / "checkpoints")
    assert names(cli("compare", "..", "../../a-2")) == ["a-1", "a-2"]


def test_rm_that_was_broken_off_leaves_no_half_run(cli, three, monkeypatch):
    monkeypatch.setattr(
        "fluxrun.jobs.remove.shutil.rmtree", lambda *a, **k: (_ for _ in ()).throw(OSError(5, "broken"))
    )
    assert cli("rm", "a-1", "--yes").exit_code == exits.IO_ERROR
    monkeypatch.undo()
    monkeypatch.chdir(three.parent)
    assert names(cli("ls")) == ["a-2", "a-3"]
    assert (three / ".fluxrun-removed-a-1" / "run.json").exists()
    (three / ".trash-of-mine").mkdir()
    cli("rm", "a-2", "--yes")
    assert sorted(path.name for path in three.iterdir()) == [".trash-of-mine", "a-3"]


@pytest.mark.parametrize(("answer", "left"), [("n\n", 3), ("\n", 3), ("y\n", 2)])
def test_rm_asks_on_a_terminal(three, answer, left):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "fluxrun", "rm", "a-1"]
    process = subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(slave)
    os.write(master, answer.encode())
    stdout, stderr = process.communicate(timeout=60)
    os.close(master)
    assert "remove 1 run? [y/N]" in stderr
    assert len(list(three.iterdir())) == left
    assert process.returncode == 0
    assert stdout == ("runs/a-1\n" if left == 2 else "")


def test_nobody_reads_the_rest(folder):
    for i in range(300):
        put(folder / "runs", f"run-{i}", 0.1, 0.3)
    for command in ("ls", "ls --csv", "ls --json", "compare", "diff run-1 run-2"):
        line = f"{sys.executable} -m fluxrun {command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
        assert done.stdout.strip() in ("0", "141")


def test_two_thousand_runs_are_no_burden(folder, process):
    for i in range(2000):
        put(folder / "runs", f"run-{i:04}", 1 / (i + 1), 0.3, spec={f"train.k{j}": i * j for j in range(60)})
    started = time.perf_counter()
    process("--version")
    alone = time.perf_counter() - started
    for command in (["ls", "--where", "k3 > 100", "--sort", "k7"], ["compare"], ["diff", "run-0001", "last"]):
        started = time.perf_counter()
        done = process(*command)
        assert done.returncode == 0, done.stderr
        assert time.perf_counter() - started < 10 * (1 + alone), "a hundred times slower than it should be"


@pytest.mark.parametrize("module", [ls, compare, diff, rm, resume])
def test_the_examples_of_every_help_page_run(cli, folder, module):
    cli("train", "small.yaml", "-q", "--set", "train.epochs=1")
    cli("train", "small.yaml", "-q", "--set", "train.epochs=1", "--set", "seed=9")
    lines = [line.strip() for line in module.EXAMPLES.splitlines() if line.startswith("  fluxrun ")]
    assert len(lines) == 2
    shown = cli(lines[0].split()[1], "--help").stdout
    for line in lines:
        assert line in shown
        assert cli(*shlex.split(line)[1:]).exit_code == 0


LIGHT = [
    ["ls", "--where", "learning_rate<1", "--sort", "valid.loss", "--csv"],
    ["compare"],
    ["diff", "a-1", "a-2"],
    ["rm", "a-1", "-y"],
]


@pytest.mark.parametrize("arguments", LIGHT)
def test_nothing_heavy_is_imported(three, arguments):
    code = (
        "import sys, json\nfrom fluxrun.main import run\nsys.argv = ['fluxrun', *sys.argv[1:]]\n"
        "try:\n    run()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stderr.splitlines()[-1])
    assert not {"numpy", "yaml", "rich", "numba", "scipy", "flux_core.engine", "flux_core.training"}.intersection(
        modules
    )
