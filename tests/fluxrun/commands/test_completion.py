"""What the shell gets when Tab is pressed, through the protocol that the installed script speaks."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest

from fluxrun.commands.completing import complete_component, complete_key, complete_run, complete_where
from fluxrun.spec.load import load

CODE = """
import sys
from fluxrun.main import run
sys.argv = ["fluxrun"]
try:
    run()
finally:
    heavy = {"numpy", "rich", "numba", "scipy", "flux_core.engine", "flux_core.training"}
    sys.stderr.write(str(sorted(heavy.intersection(sys.modules))))
"""


@pytest.fixture
def complete(folder):
    """The words that bash or zsh offers for a line; bash takes it apart at colons."""

    def offered(line, shell="bash", **more):
        words = line.replace(":", " : ").replace("=", " = ") if shell == "bash" else line
        environ = {**os.environ, "_FLUXRUN_COMPLETE": f"complete_{shell}", **more}
        if shell == "bash":
            parts = [*words.split(), *([""] if line.endswith(" ") else [])]
            environ |= {"COMP_WORDS": " ".join(parts), "COMP_CWORD": str(len(parts) - 1)}
        else:
            environ["_TYPER_COMPLETE_ARGS"] = line
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environ, cwd=folder)
        assert done.stderr == "[]", done.stderr
        return done.stdout.split() if shell == "bash" else done.stdout

    for name, metrics in (("digits-1", {"valid.loss": 0.1, "valid.r2": 1.0}), ("iris-2", {"test.loss": 0.2})):
        for runs in ("runs", "other"):
            (folder / runs / f"{name}{runs[:1]}").mkdir(parents=True)
            record = {"status": "finished", "best": metrics, "spec": {"train.epochs": 3, "train.optimizer": "adam"}}
            (folder / runs / f"{name}{runs[:1]}" / "run.json").write_text(json.dumps(record))
    return offered


def test_commands(complete):
    assert {"train", "resume", "ls", "compare", "diff", "rm"} <= set(complete("fluxrun "))
    assert complete("fluxrun comparr") == []
    assert complete("fluxrun res") == ["resume"]


@pytest.mark.parametrize("command", ["resume", "show", "graph", "evaluate", "compare other", "diff last", "rm"])
def test_names_of_runs(complete, command):
    assert complete(f"fluxrun {command} ") == ["last", "best:", "digits-1r", "iris-2r"]
    assert complete(f"fluxrun {command} dig") == ["digits-1r"]


def test_names_of_runs_in_another_folder(complete):
    assert complete("fluxrun rm --runs other dig") == ["digits-1o"]
    assert complete("fluxrun rm dig", FLUXRUN_RUNS="other") == ["digits-1o"]
    assert complete("fluxrun rm dig", FLUXRUN_RUNS="none") == []


def test_metrics_after_best(complete):
    assert complete("fluxrun show best:") == ["test.loss", "valid.loss", "valid.r2"]
    assert complete("fluxrun show best:valid.") == ["valid.loss", "valid.r2"]
    assert complete("fluxrun diff last best:t") == ["test.loss"]
    assert complete("fluxrun show best:t", FLUXRUN_RUNS="table.csv") == [], "no folder is no place for a traceback"
    words = complete("fluxrun show best:valid.", "zsh")
    assert "best\\\\:valid.loss" in words or "best:valid.loss" in words


def test_keys_of_a_spec(complete):
    assert complete("fluxrun train small.yaml --set train.optimizer") == [
        "train.optimizer=",
        *(f"train.optimizer.adam.{name}=" for name in ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay")),
    ]
    assert complete("fluxrun resume last --set train.e") == ["train.epochs=", "train.epochs=3"]
    assert complete("fluxrun resume nothing --set train.e") == []
    assert complete("fluxrun train none.yaml --set train.e") == []


def test_a_spec_with_errors_offers_nothing(complete, folder):
    (folder / "wrong.yaml").write_text("train: [")
    assert complete("fluxrun train wrong.yaml --set train.e") == []


def test_a_folder_that_cannot_be_looked_into_offers_nothing():
    class Context:
        params: ClassVar = {"runs": "n" * 300, "run": "n" * 300}
        args = ()

    for word in ("", "a", "best:"):
        assert complete_run(Context, word) == []
        assert complete_key(Context, word) == []


def test_runs_that_are_there_are_not_offered_again(complete):
    assert complete("fluxrun rm last digits-1r ") == ["best:", "iris-2r"]


def test_keys_before_the_spec_and_behind_others(complete):
    assert complete("fluxrun train --set train.ep") == ["train.epochs=", "train.epochs=20"]
    assert "train.optimizer.adam.beta1=" in complete("fluxrun train --set train.optimizer.adam.")
    size = ["data.batch_size=", "data.batch_size=8"]
    assert complete("fluxrun check small.yaml --set train.epochs=3 --set data.batch_s") == size
    assert complete("fluxrun train --set train.epochs=3 small.yaml --set data.batch_s") == size
    assert complete("fluxrun train small.yaml --set=data.batch_s") == size


def test_names_behind_the_key_of_a_component(complete):
    assert complete("fluxrun train small.yaml --set train.loss=m") == ["mse", "mae"]
    assert complete("fluxrun train small.yaml --set=train.loss=m") == ["mse", "mae"]
    assert {"adam", "sgd"} <= set(complete("fluxrun train --set train.optimizer="))
    assert complete("fluxrun train small.yaml --set model.0=aff") == ["affine"]
    assert complete("fluxrun train small.yaml --set train.ep=") == []
    assert "train.loss=mse" in complete("fluxrun train small.yaml --set train.loss=ms", "zsh")


def test_names_of_values(complete):
    assert complete("fluxrun ls --sort valid.") == ["valid.loss", "valid.r2"]
    assert complete("fluxrun ls --sort ep") == ["epochs"]
    assert complete("fluxrun rm --where stat") == ["status", "status==", "status!="]
    assert complete("fluxrun train small.yaml --expect test") == ["test.loss", "test.loss<=", "test.loss>="]


def test_components_and_columns(complete):
    assert complete("fluxrun components cos") == ["cosine"]
    assert complete("fluxrun init --from table.csv --target ") == ["x", "y", "kind"]
    assert complete("fluxrun init --target k") == []
    assert complete("fluxrun init --from table.csv --target k") == ["kind"]


def context(**params):
    return SimpleNamespace(params=params, args=())


def test_no_word_that_is_not_at_its_end_stands_alone(folder):
    small = context(config="small.yaml")
    assert complete_key(small, "model.0.affine.o") == [
        f"model.0.affine.out={value}" for value in ("", "classes", "vocab", "6")
    ]
    assert complete_key(small, "data.mis") == ["data.missing=", "data.missing=..."], (
        "a shell would take its quotes away"
    )
    assert complete_key(small, "data.pa") == ["data.path=", "data.path=..."], "a shell knows the files"
    assert complete_key(small, "data.path=") == []
    assert complete_key(small, "train.epochs=") == [f"train.epochs={load('small.yaml').spec.train.epochs}"]
    for which in ("small.yaml", None):
        for key in complete_key(context(config=which), ""):
            assert len(complete_key(context(config=which), key[:-1])) > 1, key


def test_best_is_open_for_a_metric(folder):
    assert complete_run(context(), "be") == []
    (folder / "runs" / "a").mkdir(parents=True)
    (folder / "runs" / "a" / "run.json").write_text(json.dumps({"status": "finished", "best": {"valid.loss": 0.1}}))
    assert complete_run(context(), "be") == ["best:", "best:valid.loss"]


def test_a_column_with_dots_as_the_shell_makes_it(folder):
    text = (folder / "small.yaml").read_text()
    columns = "columns: {gr.ade: categorical, 'in come': numeric, 'a\"b': numeric, x-y: numeric}"
    (folder / "dots.yaml").write_text(text.replace("data: {", f"data: {{{columns}, ", 1))
    spec = context(config="dots.yaml")
    assert complete_key(spec, "data.columns.") == ["data.columns.gr.ade=", "data.columns.x-y="]
    (word,) = complete_key(spec, "data.columns.gr.ade=n")
    assert load("dots.yaml", [word]).spec.data.arguments.columns["gr.ade"] == "numeric"


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        ("train.metrics=acc", ["[accuracy]"]),
        ("train.metrics.0=acc", ["accuracy"]),
        ("train.engine=", ["tape", "reference"]),
        ("model.0.affine.init=h", ["he"]),
        ("data.shuffle=", ["true", "false"]),
        ("data.source=np", ["npz", "npy"]),
        ("data=", []),
    ],
)
def test_values_of_the_schema(folder, begun, words):
    key = begun.partition("=")[0]
    begun = begun.replace("metrics=", "metrics=[")
    assert complete_key(context(config="small.yaml"), begun) == [f"{key}={word}" for word in words]


def test_a_name_that_never_stands_twice_in_a_run(folder):
    for name in ("adam", "adamw"):
        (folder / "runs" / name).mkdir(parents=True)
        spec = {f"train.optimizer.{name}.learning_rate": 0.1, "train.loss": "mse"}
        record = {"status": "finished", "best": {"train.loss": 0.1}, "spec": spec}
        (folder / "runs" / name / "run.json").write_text(json.dumps(record))
    assert complete_where(context(), "lea") == [f"learning_rate{end}" for end in ("", "==", "!=")]
    assert complete_where(context(), "spec.")[0] == "spec.train.loss"


def test_whatever_components_has_an_answer_for():
    from fluxrun.spec.describe import named

    assert complete_component(context(), "met") == ["metric", "metrics"]
    assert complete_component(context(), "trai") == ["train"]
    assert complete_component(context(), "opt") == ["optimizer"]
    for word in complete_component(context(), ""):
        assert named(word)[0], word
