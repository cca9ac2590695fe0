"""init: a first spec that trains as it is and beats the baseline, for tables of many shapes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from fluxrun import exits
from fluxrun.jobs.starter import quoted
from fluxrun.spec.read import read_text
from fluxrun.spec.tree import plain

ADULT = Path(__file__).parents[4] / "shared" / "data" / "adult-train.csv"


def lines(*columns, separator=","):
    return "".join(separator.join(map(str, row)) + "\n" for row in zip(*columns, strict=True))


def headerless(folder):
    x, y = datasets.load_iris(return_X_y=True)
    (folder / "data.csv").write_text(lines(*x.T, [("setosa", "versicolor", "virginica")[i] for i in y]))
    return "-1"


def quoted_texts(folder):
    wine = datasets.load_wine()
    names = ";".join(f'"{name.replace("_", " ")}"' for name in wine.feature_names)
    kinds = [f'"cultivar; {"ABC"[i]}"' for i in wine.target]
    (folder / "data.csv").write_text(f'{names};"grown by"\n' + lines(*wine.data.T, kinds, separator=";"))
    return "grown by"


def missing_values(folder):
    cancer = datasets.load_breast_cancer()
    cells = cancer.data[:, :10].round(5).astype(str)
    rng = np.random.default_rng(0)
    cells[rng.random(cells.shape) < 0.05] = "?"
    cells[rng.random(cells.shape) < 0.02] = "null"
    people = [f"patient {i:04}" for i in range(len(cells))]
    header = ",".join([*(n.replace(" ", "_") for n in cancer.feature_names[:10]), "who", "hospital", "benign"])
    (folder / "data.csv").write_text(f"{header}\n" + lines(*cells.T, people, ["north"] * len(cells), cancer.target))
    return "benign"


def many_columns(folder):
    x, y = datasets.load_digits(return_X_y=True)
    header = ",".join([*(f"p{i}" for i in range(64)), "digit"])
    (folder / "data.csv").write_text(f"{header}\n" + lines(*x.astype(int).T, y))
    return "digit"


def numbers(folder):
    diabetes = datasets.load_diabetes(scaled=False)
    header = "\t".join(["no", *diabetes.feature_names, "progression"])
    count = np.arange(1, 443)
    (folder / "data.csv").write_text(f"{header}\n" + lines(count, *diabetes.data.T, diabetes.target, separator="\t"))
    return "progression"


def adult(folder):
    if not ADULT.exists():
        pytest.skip("the adult data set is not here")
    (folder / "data.csv").symlink_to(ADULT)
    return "c14"


TABLES = [headerless, quoted_texts, missing_values, many_columns, numbers, adult]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_it_trains_without_an_edit_and_beats_the_baseline(cli, folder, table):
    target = table(folder)
    done = cli("init", "--from", "data.csv", f"--target={target}")
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    checked = json.loads(cli("check", "data.yaml", "--data", "--format", "json").stdout)
    assert checked["ok"]
    kinds = [problem["message"] for problem in checked["problems"]]
    assert not [words for words in kinds if "name or number of a row" in words], "init leaves such columns out"
    beat = checked["baseline"]
    done = cli("train", "data.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    reached = json.loads(done.stdout)["best"][beat["metric"]]
    if beat["metric"] == "test.mae":
        assert reached < 0.9 * beat["value"]
    else:
        assert 1 - reached < 0.6 * (1 - beat["value"])
    if table is adult:
        assert reached > 0.84


def spec(cli, folder, target):
    done = cli("init", "--from", "data.csv", f"--target={target}", "-o", "-")
    assert done.exit_code == 0, done.stderr
    return plain(read_text(done.stdout)), done.stdout


def test_a_table_without_a_header(cli, folder):
    found, text = spec(cli, folder, headerless(folder))
    assert found["data"]["header"] is False
    assert found["data"]["target"] == "c4"
    assert "# 3 classes: 'setosa' 33%, 'versicolor' 33%, 'virginica' 33%" in text
    assert found["data"]["columns"] == {f"c{i}": "numeric" for i in range(4)}


@pytest.mark.parametrize(
    ("header", "named"), [(",a,b,y", ["a", "b"]), ("id,a,,y", ["a", "c2"]), ("id,2019,2020,y", ["2019", "2020"])]
)
def test_a_header_with_blanks_or_years(cli, folder, header, named):
    rows = [f"{i},{i * 5 % 7 / 2},{i * 3 % 11},{'uv'[i % 2]}\n" for i in range(60)]
    (folder / "data.csv").write_text(f"{header}\n{''.join(rows)}")
    found, text = spec(cli, folder, "-1")
    assert "header" not in found["data"]
    assert (found["data"]["target"], list(found["data"]["columns"])) == ("y", named)
    assert "# 2 classes: 'u' 50%, 'v' 50%" in text
    assert len(found["data"]["ignore"]) == 1, "the number of a row"
    (folder / "data.yaml").write_text(text)
    done = cli("train", "data.yaml", "--dry-run")
    assert (done.exit_code, "48 train" in done.stderr.replace(",", "")) == (0, True), done.stderr


def test_quotes_and_another_separator(cli, folder):
    found, _ = spec(cli, folder, quoted_texts(folder))
    assert (found["data"]["delimiter"], found["data"]["target"]) == (";", "grown by")
    assert "malic acid" in found["data"]["columns"]


def test_missing_values_and_useless_columns(cli, folder):
    found, text = spec(cli, folder, missing_values(folder))
    data = found["data"]
    assert data["missing"] == ["", "NA", "NaN", "?", "null"]
    assert data["on_missing"] == "indicator"
    assert data["ignore"] == ["who", "hospital"]
    assert data["task"] == "classification"
    assert "- who                         # a different text in almost every row: 569 in 569" in text
    assert "- hospital                    # the same value in every row, 'north'" in text


def test_columns_that_are_almost_empty_are_left_out(cli, folder):
    """A few values may all miss the training split, or stand in rows without a target: to train on it is an error."""
    rows = [[str(i % 7), *["0.5" if i == 9 * k or i == 400 + k else "" for k in range(20)]] for i in range(420)]
    rows = [[*row, "ab"[i % 2] if i < 400 else ""] for i, row in enumerate(rows)]
    late = ["", "1.5", "2.5"]
    header = ",".join(["x", *(f"s{k}" for k in range(20)), "late", "y"])
    body = [[*row[:-1], late[1 + i % 2] if i >= 400 else "", row[-1]] for i, row in enumerate(rows)]
    (folder / "data.csv").write_text(f"{header}\n" + lines(*zip(*body, strict=True)))
    found, text = spec(cli, folder, "y")
    assert found["data"]["columns"] == {"x": "numeric"}
    assert "400 rows" in text
    (folder / "data.yaml").write_text(json.dumps(found))
    assert cli("train", "data.yaml", "--dry-run").exit_code == 0


def test_a_regression(cli, folder):
    found, _ = spec(cli, folder, numbers(folder))
    assert found["data"]["task"] == "regression"
    assert found["data"]["delimiter"] == "\t"
    assert found["data"]["ignore"] == ["no"]
    assert found["model"][-1] == {"affine": 1}
    assert found["train"]["loss"] == "mse"


def test_classes_some_of_which_are_numbers(cli, folder):
    (folder / "data.csv").write_text("x,y\n" + "".join(f"{i % 7},{['1', '2', 'other'][i % 3]}\n" for i in range(60)))
    found, _ = spec(cli, folder, "y")
    assert found["data"]["columns"] == {"x": "numeric", "y": "categorical"}
    (folder / "data.yaml").write_text(json.dumps(found))
    assert "3 classes" in cli("train", "data.yaml", "--dry-run").stderr


def test_a_wide_table_does_not_list_every_column(cli, folder):
    many_columns(folder)
    text = (folder / "data.csv").read_text().splitlines()
    wide = [
        ",".join([line.rpartition(",")[0].replace("p", f"{k}p") for k in "ab"] + [line.rpartition(",")[2]])
        for line in text
    ]
    (folder / "data.csv").write_text("\n".join(wide) + "\n")
    found, _ = spec(cli, folder, "digit")
    assert "columns" not in found["data"]
    (folder / "data.yaml").write_text(json.dumps(found))
    assert cli("train", "data.yaml", "--dry-run").exit_code == 0


def test_the_schema_for_editors(cli, folder):
    done = cli("init", "--from", "table.csv", "--target", "kind")
    assert done.exit_code == 0
    first = (folder / "table.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=fluxrun.schema.json"
    schema = json.loads((folder / "fluxrun.schema.json").read_text())
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is part of the `test` extra")
    found = plain(read_text((folder / "table.yaml").read_text()))
    assert jsonschema.Draft202012Validator(schema).is_valid(found)
    assert not jsonschema.Draft202012Validator(schema).is_valid({**found, "sed": 1})


def test_every_line_has_a_reason(cli, folder):
    _, text = spec(cli, folder, missing_values(folder))
    silent = [line for line in text.splitlines() if "#" not in line]
    assert silent in (["data:", "train:"], ["data:", "  - relu", "train:"])


def test_nothing_is_overwritten(cli, folder):
    (folder / "table.yaml").write_text("mine")
    done = cli("init", "--from", "table.csv", "--target", "kind")
    assert done.exit_code == exits.CANNOT_CREATE
    assert "is there already" in done.stderr
    assert (folder / "table.yaml").read_text() == "mine"
    assert not (folder / "fluxrun.schema.json").exists()
    for place, said, code in [
        ("no/such/folder.yaml", "there is no folder 'no/such'", exits.CANNOT_CREATE),
        ("", "a name is expected", exits.USAGE),
    ]:
        done = cli("init", "--from", "table.csv", "--target", "kind", "-o", place)
        assert (done.exit_code, said in done.stderr) == (code, True), done.stderr


def test_a_pipe_is_no_table_to_come_back_to(cli, folder):
    os.mkfifo(folder / "pipe.csv")
    done = cli("init", "--from", "pipe.csv", "--target", "kind")
    assert done.exit_code == exits.NO_INPUT
    assert "save them as a file" in done.stderr
    done = cli("init", "--from", "-", "--target", "kind")
    assert (done.exit_code, "save it as a file" in done.stderr) == (exits.USAGE, True)


def test_paths_are_relative_to_the_spec(cli, folder):
    (folder / "specs").mkdir()
    assert cli("init", "--from", "table.csv", "--target", "kind", "-o", "specs/mine.yaml").exit_code == 0
    assert plain(read_text((folder / "specs" / "mine.yaml").read_text()))["data"]["path"] == "../table.csv"
    assert cli("check", "specs/mine.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("source", "target", "code", "said"),
    [
        ("none.csv", "kind", exits.NO_INPUT, "none.csv: no such file"),
        ("table.csv", "knd", exits.USAGE, "did you mean 'kind'?"),
        ("table.csv", "9", exits.USAGE, "there is no column 9"),
        ("short.csv", "y", exits.BAD_DATA, "9 rows with a value here are too few: take 10 at least"),
        ("flat.csv", "y", exits.BAD_DATA, "the same value in every row"),
        ("names.csv", "name", exits.BAD_DATA, "too many to be told apart"),
        ("alone.csv", "y", exits.BAD_DATA, "no column besides the target is worth learning from"),
    ],
)
def test_mistakes(cli, folder, source, target, code, said):
    (folder / "short.csv").write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(9)) + "1,\n")
    (folder / "flat.csv").write_text("x,y\n" + "1,2\n3,2\n" * 10)
    (folder / "names.csv").write_text("x,name\n" + "".join(f"{i % 3},name {i}\n" for i in range(50)))
    (folder / "alone.csv").write_text("x,y\n" + "".join(f"1,{i % 2}\n" for i in range(50)))
    done = cli("init", "--from", source, f"--target={target}", "-o", "new.yaml")
    assert done.exit_code == code
    assert said in done.stderr
    assert not (folder / "new.yaml").exists()


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "no",
        "1",
        "1e3",
        "~",
        "x: y",
        "- z",
        "#c",
        "'q'",
        '"d"',
        "\u00e9t\u00e9",
        "a,b",
        "[",
        "<<",
        "true",
        "a\tb",
    ],
)
def test_any_name_reads_back(name):
    assert plain(read_text(f"{{{quoted(name)}: [{quoted(name)}]}}")) == {name: [name]}


def test_a_column_with_a_strange_name(cli, folder):
    rows = "".join(f"{i % 7},{'ab'[i % 7 > 3]}\n" for i in range(60))
    (folder / "data.csv").write_text(f'"a: b # \x1b[31m",kind\n{rows}', encoding="utf-8")
    done = cli("init", "--from", "data.csv", "--target", "kind", "-o", "-")
    assert done.exit_code == 0
    assert done.stdout.replace("\n", "").isprintable()
    assert cli("check", "-", input=done.stdout).exit_code == 0
