"""csv: what a table means, in values; and each way in which a file can be bad, with its place."""

import csv
import io
import subprocess
import sys
import tracemalloc
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_core.data import CsvSource, Dataset, Preprocessing, table
from flux_core.data.new import Gives
from flux_core.data.table import read_table
from flux_core.errors import ColumnError, DataError, MissingFile

ALL = {"train": 1.0}
RAW = {"split": ALL, "standardize": False}


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str | bytes, **arguments: object) -> Dataset:
        path = write(tmp_path / "t.csv", text)
        return CsvSource(path, **(RAW | arguments)).load(seed=0)

    return load


def test_numeric_and_categorical_columns(load) -> None:
    data = load("a,colour,y\n1,red,u\n2,blue,v\n3.5,red,u\n")
    assert data.features == ("a", "colour=blue", "colour=red")
    assert data.train.x.tolist() == [[1, 0, 1], [2, 1, 0], [3.5, 0, 1]]
    assert data.train.y.tolist() == [0, 1, 0]
    assert (data.task, data.classes) == ("classification", ("u", "v"))
    assert data.train.x.dtype == np.float32
    assert data.train.y.dtype == np.int64


def test_standardising_leaves_one_hot_columns_and_constants_alone(load) -> None:
    data = load("a,b,c,y\n1,7,u,10\n3,7,v,30\n", standardize=True)
    assert data.train.x.tolist() == [[-1, 0, 1, 0], [1, 0, 0, 1]]
    assert data.task == "regression"
    assert data.train.y.tolist() == [[-1], [1]]
    assert data.preprocessing.targets.restore(data.train.y).tolist() == [[10], [30]]


def test_blanks_quotes_and_line_ends(load) -> None:
    text = '\ufeffa , "b, c" ,y\r\n 1 ,"x, ""1""\nz" , u\r\n\r\n2,  p  ,v \r\n   \r\n'
    data = load(text)
    assert data.features == ("a", "b, c=p", 'b, c=x, "1"\nz')
    assert data.train.x.tolist() == [[1, 0, 1], [2, 1, 0]]
    assert data.classes == ("u", "v")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_and_no_last_one(load, end: str) -> None:
    assert load(end.join(["a,y", "1,u", "2,v"])).train.x.tolist() == [[1], [2]]


@pytest.mark.parametrize(("delimiter", "text"), [(";", "a;y\n1;u\n"), ("\t", "a\ty\n1\tu\n"), (" ", " a   y\n1  u\n")])
def test_delimiters(load, delimiter: str, text: str) -> None:
    assert load(text, delimiter=delimiter).features == ("a",)


def test_without_a_header(load) -> None:
    data = load("1,u,5\n2,v,6\n", header=False, target=1)
    assert data.features == ("c0", "c2")
    assert data.train.x.tolist() == [[1, 5], [2, 6]]
    assert load("1,u,5\n2,v,6\n", header=False, target="c1").classes == ("u", "v")
    assert load("1,u,5\n2,v,6\n", header=False, target=-2).classes == ("u", "v")


def test_choosing_columns(load) -> None:
    text = "a,b,c,y\n1,2,3,u\n4,5,6,v\n"
    assert load(text, ignore=["b"]).features == ("a", "c")
    assert load(text, ignore=[0, -2]).features == ("b",)
    chosen = load(text, features=["c", "a"])
    assert chosen.features == ("c", "a")
    assert chosen.train.x.tolist() == [[3, 1], [6, 4]]
    assert load(text, target="a").features == ("b", "c", "y=u", "y=v")


def test_columns_decide_the_kind(load) -> None:
    text = "zip,y\n10115,1\n20095,2\n"
    assert load(text, columns={"zip": "categorical"}).features == ("zip=10115", "zip=20095")
    data = load(text, columns={"y": "categorical"})
    assert (data.task, data.classes) == ("classification", ("1", "2"))
    with pytest.raises(DataError, match="'x' is not a number"):
        load("a,y\n1,u\nx,v\ny,v\n", columns={"a": "numeric"})


def test_the_loss_makes_numbers_to_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y\n1,10\n2,9\n3,10.0\n")
    data = CsvSource(path, **RAW).load(seed=0, task="classification")
    assert data.classes == ("9", "10")
    assert data.train.y.tolist() == [1, 0, 1]
    assert CsvSource(path, **RAW).load(seed=0).task == "regression"
    assert CsvSource(path, **RAW, task="regression").load(seed=0, task="classification").task == "regression"


def test_one_long_label_costs_what_it_is_long(load, tmp_path: Path) -> None:
    text = "x,y\n" + "1,b\n2,a\n" * 2000 + f"3,{'l' * 5000}\n"
    tracemalloc.start()
    data = load(text)
    new = CsvSource(tmp_path / "t.csv").read_answered(tmp_path / "t.csv", data.preprocessing, Gives(3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert new.train.y.tolist() == data.train.y.tolist()
    assert data.classes == ("a", "b", "l" * 5000)
    assert (data.train.y[:2].tolist(), data.train.y[-1]) == ([1, 0], 2)
    assert peak < 2**23  # not 4 bytes a character for each of the rows


def test_rows_without_a_target_are_dropped_and_counted(load) -> None:
    data = load("a,y\n1,u\n2,?\n3,\n4,v\n", target="y")
    assert data.train.x.tolist() == [[1], [4]]
    assert data.notes == ("t.csv: 2 rows without a target dropped",)


def test_a_header_that_is_data_is_noticed(load) -> None:
    assert "header looks like a row of data" in load("5.1,3.5,setosa\n4.9,3.0,other\n", target=2).notes[0]
    assert load("0,1,2\n4.9,3.0,other\n", target=2).notes == ()


def test_a_target_that_nothing_names_is_told(load) -> None:
    text = "price,note\n1.5,7\n2.5,8\n"
    assert load(text).notes[:1] == ("the target is 'note', the last column; data.target would name another",)
    assert load(text, target="note").notes == load(text, target=1).notes == ()


MISSING = "a,b,y\n1,u,0\n?,v,1\n2,NA,2\n6,v,3\n 3 ,v,4\n"


@pytest.mark.parametrize(("policy", "filled"), [("mean", 3.0), ("median", 2.5), ("mode", 1.0), ("indicator", 3.0)])
def test_missing_values(load, policy: str, filled: float) -> None:
    data = load(MISSING, on_missing=policy)
    column = dict(zip(data.features, data.train.x.T.tolist(), strict=True))
    assert column["a"] == [1, filled, 2, 6, 3]
    if policy == "indicator":
        assert column["a is missing"] == [0, 1, 0, 0, 0]
        assert column["b=v"] == [0, 1, 0, 1, 1]
        assert column["b is missing"] == [0, 0, 1, 0, 0]
    else:
        assert column["b=v"] == [0, 1, 1, 1, 1]
        assert list(column) == ["a", "b=u", "b=v"]


def test_indicators_stand_where_training_has_missing_cells(load) -> None:
    data = load("a,b,c,y\n1,u,?,0\n?,v,p,1\n2,v,q,0\n", on_missing="indicator")
    assert data.features == ("a", "a is missing", "b=u", "b=v", "c=p", "c=q", "c is missing")
    x, notes = data.preprocessing.encode({"a": [4], "b": ["?"], "c": ["?"]})
    assert (x.tolist(), notes) == ([[4, 0, 0, 1, 0, 0, 1]], ())


def test_a_missing_value_is_an_error_by_default(load) -> None:
    with pytest.raises(DataError, match=r"t.csv:3: column 'a': the value is missing") as caught:
        load(MISSING)
    assert (caught.value.row, caught.value.column) == (3, "a")
    assert "on_missing" in caught.value.hint


def test_other_marks(load) -> None:
    data = load("a,y\n-999,1\n4,2\n6,3\n", missing=["-999"], on_missing="mean")
    assert data.train.x.tolist() == [[5], [4], [6]]


def test_a_standardised_mean_is_zero(load) -> None:
    data = load("a,y\n1,1\n3,2\n?,3\n", on_missing="indicator", standardize=True)
    assert data.train.x.tolist() == [[-1, 0], [1, 0], [0, 1]]


def test_everything_is_fitted_on_the_training_file(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "a,b,y\n1,u,10\n3,v,30\n")
    test = write(tmp_path / "b.csv", "y,extra,b,a\n50,1,w,5\n20,2,u,2\n")
    data = CsvSource(train_path=train, test_path=test, target="y").load(seed=0)
    assert data.valid is None
    assert data.test.x.tolist() == [[3, 0, 0], [0, 1, 0]]
    assert data.test.y.tolist() == [[3], [0]]
    assert data.notes == (
        "column 'b': 1 row of the test split has a category that training never saw ('w'): encoded as zeros",
    )


def test_only_training_rows_are_fitted_in_one_file(tmp_path: Path) -> None:
    rows = [f"{i},k{i},{i * 10}" for i in range(20)]
    path = write(tmp_path / "t.csv", "\n".join(["a,b,y", *rows]))
    data = CsvSource(path).load(seed=1)
    scale = data.preprocessing.columns[0].scale
    raw = np.rint(scale.restore(data.train.x[:, 0]))
    np.testing.assert_allclose(scale.mean, raw.mean())
    np.testing.assert_allclose(scale.std, raw.std())
    assert data.features[1:] == tuple(sorted(f"b=k{int(i)}" for i in raw))
    np.testing.assert_array_equal(data.test.x[:, 1:], 0)
    np.testing.assert_allclose(data.preprocessing.targets.mean, raw.mean() * 10, rtol=1e-6)
    assert CsvSource(path).peek(seed=1).input_shape == data.train.x.shape[1:]


def test_encode_new_rows_by_name(load) -> None:
    data = load("a,b,y\n1,u,10\n3,v,30\n", standardize=True)
    again = Preprocessing.from_json(data.preprocessing.to_json())
    x, notes = again.encode({"b": ["v", "w", " u"], "y": [0, 0, 0], "a": [5, "1", " 3"]})
    assert x.tolist() == [[3, 0, 1], [-1, 0, 0], [1, 1, 0]]
    assert len(notes) == 1
    with pytest.raises(ColumnError, match="columns that are not here: 'a', 'b'"):
        again.encode({"c": [1]})
    with pytest.raises(DataError, match=r"column 'a': 'x' is not a number.*at index 1"):
        again.encode({"a": [1, "x"], "b": ["u", "u"]})
    with pytest.raises(DataError, match=r"^new\.csv:9: column 'a': 'x' is not a number"):
        again.encode({"a": [1, "x"], "b": ["u", "u"]}, file="new.csv", lines=np.array([7, 9]))
    x, _ = again.encode({"a": np.array([1.0, 5.0]), "b": np.array(["u", "v"])})
    assert x.tolist() == [[-1, 1, 0], [3, 0, 1]]
    with pytest.raises(DataError, match="differ in length"):
        again.encode({"a": [1, 2], "b": ["u"]})
    with pytest.raises(DataError, match=r"column 'a': the value is missing \(at index 0\)"):
        again.encode({"a": [None], "b": ["u"]})


BAD = {
    "text in a numeric column": ("a,y\n1,0\n2,0\nx1,0\n", 4, "a", "'x1' is not a number"),
    "text in a numeric target": ("a,y\n1,0\n2,0\n3,z\n", 4, "y", "'z' is not a number"),
    "nan that is no mark": ("a,y\n1,0\nnan,0\n2,0\n", 3, "a", "'nan' is not a finite number"),
    "infinity": ("a,y\n1,0\n-inf,0\n2,0\n", 3, "a", "'-inf' is not a finite number"),
    "a number beyond float64": ("a,y\n1,0\n2,0\n1e999,0\n", 4, "a", "'1e999' is not a finite number"),
    "a huge integer": ("a,y\n1,0\n2,0\n" + "9" * 50 + ",0\n", 4, "a", "too large for float32"),
    "a huge target": ("a,y\n1,0\n2,1e39\n", 3, "y", "is not a finite float32"),
    "an underscore": ("a,y\n1,0\n1_000,0\n2,0\n", 3, "a", "'1_000' is not a number"),
    "digits of another script": ("a,y\n1,0\n٣,0\n2,0\n", 3, "a", "is not a number"),
    "a short row": ("a,b,y\n1,2,0\n1,0\n", 3, None, "2 values, the header has 3"),
    "a long row": ("a,y\n1,0\n1,0,0\n", 3, None, "3 values, the header has 2"),
    "a row after quoted line breaks": ('a,y\n"p\nq\nr",0\n1,2,3\n', 5, None, "3 values"),
    "a cell after quoted line breaks": ('a,b,y\n1,"p\nq",0\n1,p,0\nx,p,0\n', 5, "a", "'x' is not"),
    "a NUL": (b"a,y\n1,0\n1\x00,0\n", 3, None, "NUL"),
    "bytes that are not UTF-8": ("\ufeffa,ä\n1,0\ntö,".encode() + b"\xe9\n", 3, 4, "byte 0xe9 is not UTF-8"),
    "UTF-16": ("a,y\n1,0\n".encode("utf-16"), None, None, "UTF-16"),
    "an empty file": ("", None, None, "is empty"),
    "a file of blank lines": ("\n\r\n\n", None, None, "is empty"),
    "a header and nothing else": ("a,b\n", None, None, "no rows"),
    "a name twice": ("a,b, a,y\n1,2,3,4\n", 1, None, "'a' stands over columns 1 and 3"),
    "an open quote": ('a,y\n1,0\n"2,0\n3,0\n', 3, None, "never ends"),
    "an open quote on the last row": ('a,y\n1,"0', 2, None, "never ends"),
    "no target at all": ("a,y\n1,?\n2,\n", None, "y", "no row has a value"),
    "nothing but the target": ("y\n1\n2\n", None, None, "no columns besides the target"),
    "a column without values": ("a,b,y\n1,?,0\n2,?,0\n", 2, "b", "missing"),
}


@pytest.mark.parametrize(("text", "row", "column", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_named_with_row_and_column(
    load, text: str | bytes, row: int | None, column: str | int | None, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(text)
    assert caught.value.file.endswith("t.csv")
    assert (caught.value.row, caught.value.column) == (row, column)


def test_a_bad_cell_and_what_makes_its_column_numeric(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\nred,0\n2,1\n")
    with pytest.raises(DataError, match=r"'red' is not a number, and data.columns makes this column numeric") as caught:
        CsvSource(tmp_path / "t.csv", columns={"a": "numeric"}).load(seed=0)
    assert (
        caught.value.hint == "correct the cell, add it to data.missing, or make the column categorical in data.columns"
    )
    (tmp_path / "u.csv").write_text("a,y\n1,0\n2,1\n")
    with pytest.raises(DataError, match="'red' is not a number, and in the training file this column is numeric"):
        CsvSource(train_path=tmp_path / "u.csv", test_path=tmp_path / "t.csv").load(seed=0)
    (tmp_path / "t.csv").write_text("a,y\nred,0\n2,1\n3,1\n")
    with pytest.raises(DataError, match="'red' is not a number, and most of this column is"):
        CsvSource(tmp_path / "t.csv").load(seed=0)


def test_the_bad_rows_above_would_pass_without_their_fault(load) -> None:
    assert len(load('a,b,y\n1,"p\nq",0\n1,p,0\n2,p,0\n').train) == 3


def test_a_column_without_values_cannot_be_filled(load) -> None:
    with pytest.raises(DataError, match="no value in the training split") as caught:
        load("a,b,y\n1,?,0\n2,?,0\n", on_missing="mean")
    assert caught.value.column == "b"


def test_a_bad_cell_of_another_file_is_named(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "a,y\n1,10\n3,30\n")
    test = write(tmp_path / "b.csv", "a,y\n1,10\nx,30\n")
    with pytest.raises(DataError, match=r"b\.csv:3: column 'a': 'x' is not a number"):
        CsvSource(train_path=train, test_path=test).load(seed=0)
    short = write(tmp_path / "c.csv", "b,y\n1,10\n")
    with pytest.raises(ColumnError, match="no column 'a'") as caught:
        CsvSource(train_path=train, valid_path=short).load(seed=0)
    assert caught.value.key == "valid_path"


@pytest.mark.parametrize(
    ("arguments", "key", "near"),
    [
        ({"target": "Speces"}, "target", ("species",)),
        ({"target": 3}, "target", ()),
        ({"target": -4}, "target", ()),
        ({"features": ["width", "lenght"]}, "features.1", ("length",)),
        ({"features": ["width", "species"]}, "features.1", ()),
        ({"ignore": ["WIDTH"]}, "ignore.0", ("width",)),
        ({"columns": {"widht": "numeric"}}, "columns.widht", ("width",)),
    ],
)
def test_a_column_that_is_not_there(load, arguments: dict[str, object], key: str, near: tuple[str, ...]) -> None:
    with pytest.raises(ColumnError) as caught:
        load("width,length,species\n1,2,u\n", **arguments)
    assert (caught.value.key, caught.value.near) == (key, near)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        CsvSource(tmp_path / "no.csv").load(seed=0)
    with pytest.raises(MissingFile, match="no such file") as caught:
        CsvSource(tmp_path / "none" / "no.csv").load(seed=0)
    assert "no folder" in caught.value.hint


def test_limits(load) -> None:
    with pytest.raises(DataError, match="the file would take"):
        load("a,y\n1,0\n", max_bytes=3)
    names = "".join(f"name{i},0\n" for i in range(500))
    with pytest.raises(DataError, match="the encoded table would take 1,000,000 bytes"):
        load("a,y\n" + names, max_bytes=10_000)


@pytest.mark.parametrize("arguments", [{"delimiter": ""}, {"delimiter": '"'}, {"features": ["a"], "ignore": ["b"]}])
def test_arguments_without_a_meaning(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"delimiter|not both"):
        CsvSource("a.csv", **arguments)


def test_too_few_rows_for_a_split_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y\n1,1.5\n2,2.5\n3,3.5\n")
    data = CsvSource(path, target="y").load(seed=0)
    assert (len(data.train), data.valid, data.test) == (3, None, None)
    assert data.notes == ("the valid split got none of 3 rows", "the test split got none of 3 rows")


def test_a_large_table_is_read(tmp_path: Path) -> None:
    rows = "\n".join(f"{i}, {i % 7}.5, k{i % 50}, word, {i % 2}" for i in range(30_000))
    path = write(tmp_path / "t.csv", "a,b,c,d,y\n" + rows)
    data = CsvSource(path).load(seed=0, task="classification")
    assert data.train.x.shape == (24_000, 53)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8).map(str.strip)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS.filter(bool), CELLS), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_any_text_survives_quoting(tmp_path_factory, rows: list[tuple[str, str]], delimiter: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = write(tmp_path_factory.mktemp("csv") / "t.csv", stream.getvalue())
    table = read_table(path, header=True, delimiter=delimiter, limit=10**6)
    assert list(zip(table.columns["a"], table.columns["b"], strict=True)) == rows
    text = path.read_bytes().decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert all(text[line - 1].startswith('"') for line in table.lines)


def test_a_cell_may_be_long_and_an_open_quote_is_named(load) -> None:
    long = "l" * 200_000
    assert load(f"a,b,y\n1,{long},0\n2,u,1\n").features == ("a", f"b={long}", "b=u")
    with pytest.raises(DataError, match=r"t\.csv:2: a quote that begins in this row never ends"):
        load(f'a,b,y\n1,"{long},0\n2,u,1\n')


def test_a_table_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.csv", "a,b\n" + "".join(f"{i}, {'' if i % 3 else 'x'} \n" for i in range(10)))
    for block in (1, 6, 20, 99):
        monkeypatch.setattr(table, "BLOCK", block)
        found = read_table(path, header=True, delimiter=",", limit=10**6)
        assert dict(found.columns) == {"a": [str(i) for i in range(10)], "b": ["" if i % 3 else "x" for i in range(10)]}
        assert found.lines.tolist() == list(range(2, 12))


def test_a_table_takes_a_small_multiple_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,c,d\n" + "".join(f"{i}.25,{i}.5,{i},word\n" for i in range(30_000)))
    tracemalloc.start()
    found = read_table(path, header=True, delimiter=",", limit=10**7)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert found.columns["c"][-1] == "29999"
    assert kept < 2 * path.stat().st_size  # strings of their own would take ten times the size of the file


def test_labels_of_two_files_are_of_one_kind(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "a,y\n1,u\n3,v\n")
    test = write(tmp_path / "b.csv", "a,y\n1,1\n2,u\n")
    assert CsvSource(train_path=train, test_path=test).load(seed=0).classes == ("1", "u", "v")


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y\n1,u\n3,v\n")
    code = (
        "import sys; from flux_core.data import CsvSource; CsvSource(sys.argv[1]).load(seed=0); "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert not {"numba", "scipy", "sklearn", "pandas", "yaml", "rich", "typer"} & set(done.stdout.split())


def test_every_wrong_name_at_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,x\n3,4,y\n")
    source = CsvSource(path, target="d", ignore=["b", "e", 5], columns={"a": "numeric", "f": "numeric"})
    assert [error.key for error in source.misnamed()] == ["target", "ignore.1", "ignore.2", "columns.f"]
    assert CsvSource(path, target="c").misnamed() == []
    assert [error.key for error in CsvSource(path, target="c", features=["a", "c"]).misnamed()] == ["features.1"]
    (tmp_path / "b.csv").write_text("b,d\n1,2\n")
    two = CsvSource(train_path=path, test_path=tmp_path / "b.csv", valid_path=path, target="c")
    assert [(error.key, error.reason[:22]) for error in two.misnamed()] == [
        ("test_path", "there is no column 'a'"),
        ("test_path", "there is no column 'c'"),
    ]


def test_many_wrong_names_are_few_errors(tmp_path, monkeypatch):
    """Near names cost a look at every name of the table, so that each of many would take minutes."""
    looked = []

    def near(*of, **more):
        looked.append(of)
        return get_close_matches(*of, **more)

    monkeypatch.setattr("flux_core.data.tables.get_close_matches", near)
    names = [f"c{i}" for i in range(20)]
    whole, some = tmp_path / "a.csv", tmp_path / "b.csv"
    for path, columns in ((whole, names), (some, names[8:])):
        path.write_text("\n".join(",".join(row) for row in (columns, ["1"] * len(columns), ["2"] * len(columns))))
    source = CsvSource(train_path=whole, test_path=some)
    with pytest.raises(ColumnError, match=r"b\.csv: there is no column 'c0', the columns are: 'c8'"):
        source.load(seed=0)
    assert len(looked) == 1
    *each, rest = source.misnamed()
    assert [error.reason[:24] for error in each] == [f"there is no column 'c{i}'," for i in range(5)]
    assert (rest.reason, rest.key, rest.hint) == ("the table lacks 3 more columns: 'c5', 'c6', 'c7'", "test_path", None)
    assert len(looked) == 6
    *each, rest = CsvSource(whole, features=["c1", *(f"x{i}" for i in range(11))], target="c3").misnamed()
    assert [error.key for error in each] == [f"features.{i}" for i in range(1, 6)]
    assert rest.reason == "the table lacks 6 more columns: 'x5', 'x6', 'x7', 'x8', 'x9', ..."
    assert rest.key == "features.6"
    *_, rest = CsvSource(whole, ignore=[f"x{i}" for i in range(6)]).misnamed()
    assert rest.reason == "the table lacks 1 more column: 'x5'"


@pytest.mark.parametrize(("cells", "name"), [({"a": [""], "b": ["u"]}, "a"), ({"a": [1], "b": [None]}, "b")])
def test_an_empty_cell_of_a_new_file_is_no_matter_of_the_spec(load, cells, name) -> None:
    data = load("a,b,y\n1,u,1\n2,v,2\n3,u,3\n", target="y")
    with pytest.raises(DataError, match=f"column '{name}': the value is missing") as caught:
        data.preprocessing.encode(cells)
    assert caught.value.hint.startswith("fill the cell, or train with data.on_missing")
