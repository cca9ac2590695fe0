"""docs/json.md and what there is: the answer of every command and the files of a run, key by key and type by type."""

import inspect
import json
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from fluxrun import exits, main
from fluxrun.jobs import warmup
from fluxrun.jobs.request import Listener, Request
from fluxrun.jobs.resume import starting
from fluxrun.jobs.train import train

PAGE = (Path(__file__).parents[3] / "docs" / "json.md").read_text()
SPEC = """\
name: small
data: {source: csv, path: table.csv, target: kind, batch_size: 8}
model: [{affine: 6}, tanh, {affine: classes}]
train: {epochs: 3, optimizer: {adam: 0.05}}
"""
TEXT = """\
data: {source: text, path: table.csv, steps: 12, batch_size: 4, split: {train: 1.0}}
model: [{embedding: 4}, {affine: vocab}]
train: {loss: cross_entropy, epochs: 1}
"""
ANSWERS = {
    "`train`, `resume`": [
        "train small.yaml -q --if-missing",
        "train small.yaml -q --if-missing --expect 'train.loss<0'",
        "train small.yaml -q --name short --max-steps 2",
        "train small.yaml -q --name slow --max-time 0.000001s",
        "resume small -q --runs kept",
    ],
    "`train --dry-run`": ["train small.yaml -q --dry-run"],
    "`check`": [
        "check small.yaml",
        "check small.yaml --data --format json",
        "check small.yaml --set sed=1 --set train.epoch=1",
        "check small.yaml --set model.2.affine.n_in=7",
        "check small.yaml --set data.path=none.csv",
        "check small.yaml --set data.columns.x=categorical --set data.target=y --set data.task=classification",
        "check small.yaml --set data.path=torn.csv",
        "check small.yaml --set data.path=none.csv --data",
        "check small.yaml none.yaml letters.yaml",
    ],
    "`show`": ["show small.yaml", "show small --runs kept", "show small.yaml --set data.path=none.csv"],
    "`init`": [
        "init --from table.csv --target kind -o first.yaml",
        "init --from table.csv --target y -o second.yaml",
    ],
    "`evaluate`": ["evaluate small --runs kept", "evaluate small table.csv --runs kept"],
    "`predict`": ["predict small table.csv --runs kept", "predict letters table.csv --runs kept"],
    "`predict -o FILE`": ["predict small table.csv --runs kept -o out.csv"],
    "`sample`": ["sample letters --runs kept --length 3", "sample letters --runs kept --length 3 --top-k 2"],
    "`ls`": ["ls --runs kept", "ls --runs none"],
    "`compare`": ["compare --runs kept", "compare --runs none"],
    "`diff`": ["diff small letters --runs kept"],
    "`rm`": ["rm gone --runs other -y", "rm --where 'epochs==9' --runs other"],
    "`components`": ["components", "components adam"],
    "`warmup`": ["warmup"],
    "`doctor`": ["doctor"],
}
CODES = (
    exits.OK,
    exits.USAGE,
    exits.EXPECTATION,
    exits.BAD_DATA,
    exits.NO_INPUT,
    exits.OUT_OF_TIME,
)  # of those that answer


def parts():
    """The page by its headings."""
    found = re.split(r"^#{2,3} (.+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def table(title):
    """The keys under a heading with their types."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", parts()[title], re.MULTILINE))


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


KINDS = {
    "text": lambda value: isinstance(value, str),
    "number": is_number,
    "whole number": lambda value: is_number(value) and isinstance(value, int),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "objects": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "any value": lambda value: True,
    "metrics": lambda value: (
        isinstance(value, dict)
        and all(re.fullmatch(r"(train|valid|test|data)\.\w+", name) for name in value)
        and all(one is None or is_number(one) for one in value.values())
    ),
}


def fits(value, words):
    """Whether a value is of a type as the page words it."""
    if " or " in words:
        return any(fits(value, one) for one in words.split(" or "))
    if words.startswith("list of "):
        return isinstance(value, list) and all(fits(item, words[8:]) for item in value)
    if words.startswith("map of "):
        return isinstance(value, dict) and all(fits(item, words[7:]) for item in value.values())
    return KINDS[words](value)


def hold(answer, rows, parent=""):
    """Assert that an object has the keys of the table, all and no others, of their types; every key that was met."""
    known = {key.rpartition(".")[2]: key for key in rows if key.rpartition(".")[0] == parent}
    assert set(answer) == set(known), parent
    met = set(known.values())
    for name, value in answer.items():
        key = known[name]
        assert fits(value, rows[key]), f"{key} is no {rows[key]}: {value!r}"
        if "object" in rows[key] and value is not None:
            items, inside = (value, f"{key}[]") if isinstance(value, list) else ([value], key)
            met.update(*(hold(item, rows, inside) for item in items))
    return met


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """The command line where there are kept/small, which went on after a signal, kept/letters, and other/gone."""
    folder = tmp_path_factory.mktemp("answers")
    rows = [f"{i % 7},{(i * 5) % 11},{'ab'[i % 7 > 3]}" for i in range(60)]
    (folder / "table.csv").write_text("\n".join(["x,y,kind", *rows]) + "\n")
    (folder / "torn.csv").write_text("\n".join(["x,y,kind", *rows, "1,oops,a"]) + "\n")
    (folder / "small.yaml").write_text(SPEC)
    (folder / "letters.yaml").write_text(TEXT)
    few = dict(list(warmup.known_kernels().items())[:3])
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1, "blas"):
        patch.chdir(folder)
        for name in ("FLUXRUN_RUNS", "FLUXRUN_SET", "FLUXRUN_THREADS"):
            patch.delenv(name, raising=False)
        patch.setenv("OPENBLAS_CORETYPE", "Haswell")  # what `doctor` has to tell; BLAS is loaded already
        patch.setattr(warmup, "known_kernels", lambda: few)

        def run(line):
            return CliRunner().invoke(main.app, shlex.split(line))

        with starting(Request("small.yaml", runs=Path("kept"))) as prepared:
            stopped = train(prepared, Listener(), SimpleNamespace(caught=signal.SIGTERM, name="SIGTERM"))
        assert stopped.status == "interrupted"
        stopped.run.rename("kept/small")
        for line in ("resume small --runs kept -q", "train letters.yaml -q"):
            assert run(line).exit_code == 0
        next(Path("runs").iterdir()).rename("kept/letters")
        shutil.copytree("kept/small", "other/gone")
        yield run


@pytest.mark.parametrize("title", ANSWERS)
def test_an_answer_has_the_keys_that_the_page_says(cli, title):
    rows, met = table(title), set()
    for line in ANSWERS[title]:
        done = cli(f"{line}{'' if '--format' in line else ' --json'}")
        assert done.exit_code in CODES, done.stderr
        assert done.stdout.count("\n") == 1
        answer = json.loads(done.stdout)
        assert next(iter(answer.items())) == ("version", 1)
        met |= hold(answer, rows)
    assert met == set(rows), "no answer here has what the page says"
    for example in re.findall(r"```json\n(.*?)```", parts()[title], re.DOTALL):
        hold(json.loads(example), rows)


def test_every_command_that_answers_is_on_the_page():
    answering = {module.__name__.rpartition(".")[2] for module, function in main.COMMANDS
                 if "as_json" in inspect.signature(function).parameters}  # fmt: skip
    assert answering == {line.split()[0] for lines in ANSWERS.values() for line in lines}
    without = {module.__name__.rpartition(".")[2] for module, _ in main.COMMANDS} - answering
    assert without == {"graph", "schema"}
    assert all(f"`{name}`" in PAGE.partition("have no `--json`")[0] for name in without)


def test_the_record_of_a_run(cli):
    rows = table("`run.json`")
    records = [json.loads(Path(f"kept/{name}/run.json").read_text()) for name in ("small", "letters")]
    assert set().union(*(hold(record, rows) for record in records)) == set(rows)
    assert all(next(iter(record.items())) == ("version", 1) for record in records)


def test_the_lines_of_a_run(cli):
    rows = table("`metrics.jsonl`")
    final = json.loads(Path("kept/small/run.json").read_text())["final"]
    lines = [json.loads(line) for line in Path("kept/small/metrics.jsonl").read_text().splitlines()]
    assert {line["split"] for line in lines} == {"train", "valid", "test"}
    for line in lines:
        metrics = {name.partition(".")[2] for name in final if name.startswith(line["split"])}
        more = {"learning_rate"} if line["split"] == "train" else set()
        assert set(line) == {*rows, *metrics, *more}
        assert all(fits(line[key], words) for key, words in rows.items())


def test_the_events_of_a_run(cli):
    said = {event: set(re.findall("`([^`]+)`", keys)) for event, keys in table("`events.jsonl`").items()}
    lines = [json.loads(line) for line in Path("kept/small/events.jsonl").read_text().splitlines()]
    assert {line["event"] for line in lines} == set(said)
    assert all(set(line) == {"time", "event", *said[line["event"]]} for line in lines)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("train none.yaml", exits.NO_INPUT),
        ("train small.yaml --set sed=1", exits.USAGE),
        ("train small.yaml --expect 'valid.los<1'", exits.USAGE),
        ("resume none", exits.NO_INPUT),
        ("check small.yaml --format github", exits.USAGE),
        ("check small.yaml --format text", exits.USAGE),
        ("show none", exits.NO_INPUT),
        ("init --from table.csv --target kind -o -", exits.USAGE),
        ("init --from table.csv --target kind -o small.yaml", exits.CANNOT_CREATE),
        ("evaluate small torn.csv --runs kept", exits.BAD_DATA),
        ("evaluate small table.csv --split test --runs kept", exits.USAGE),
        ("predict small torn.csv --runs kept", exits.BAD_DATA),
        ("predict small table.csv -o out.txt --runs kept", exits.USAGE),
        ("predict small table.csv -o no/out.csv --runs kept", exits.CANNOT_CREATE),
        ("sample small --runs kept", exits.USAGE),
        ("ls --csv", exits.USAGE),
        ("compare --csv", exits.USAGE),
        ("diff small none --runs kept", exits.NO_INPUT),
        ("rm small --runs kept", exits.USAGE),
        ("components none", exits.USAGE),
        ("components --markdown", exits.USAGE),
    ],
)
def test_a_failure_says_nothing_on_stdout(cli, line, code):
    done = cli(f"{line} --json")
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert "error: " in done.stderr


def test_predictions_are_those_of_the_table(cli):
    found = json.loads(cli("predict small table.csv --runs kept --json").stdout)
    header, *rows = (line.split(",") for line in cli("predict small table.csv --runs kept").stdout.splitlines())
    assert header == [*found["columns"], "prediction", *(f"probability_{name}" for name in found["classes"])]
    assert [list(row) for row in zip(*found["columns"].values(), found["prediction"], strict=True)] == [
        row[:4] for row in rows
    ]
    assert [[f"{p:.6g}" for p in shares] for shares in found["probability"]] == [row[4:] for row in rows]
    assert found["rows"] == len(rows) == 60


def test_what_is_not_removed_is_not_named(cli, monkeypatch):
    terminal = SimpleNamespace(isatty=lambda: True, readline=lambda: "n\n")
    monkeypatch.setattr("fluxrun.commands.rm.sys", SimpleNamespace(stdin=terminal, stderr=sys.stderr))
    done = cli("rm small --runs kept --json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"version": 1, "removed": []})
    assert done.stderr.endswith("nothing was removed\n")
    assert Path("kept/small/run.json").exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"a": 1, "b": [{"c": None}], "d": {}}, "d"),
        ({"a": 1}, "b"),
        ({"a": 1, "b": [{}]}, "c"),
        ({"a": 1.5, "b": []}, "a is no whole number: 1.5"),
        ({"a": True, "b": []}, "a is no whole number: True"),
        ({"a": 1, "b": [{"c": [1, "2"]}]}, "b\\[\\].c is no list of number or null"),
    ],
)
def test_a_difference_is_found(answer, said):
    rows = {"a": "whole number", "b": "list of objects", "b[].c": "list of number or null"}
    assert hold({"a": 1, "b": [{"c": [1, 2.5]}, {"c": None}]}, rows) == set(rows)
    with pytest.raises(AssertionError, match=said):
        hold(answer, rows)
