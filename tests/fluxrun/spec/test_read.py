"""YAML as a spec wants it: 1.2 scalars, places, and refusal of the rest, quickly."""

import time
from types import MappingProxyType

import pytest

from fluxrun.spec.problems import Problems, SpecError
from fluxrun.spec.read import MAX_BYTES, decode, read, read_text
from fluxrun.spec.text import Source
from fluxrun.spec.tree import plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-2.5e+3", -2500.0),
        ("1.10", 1.1),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("NaN", "NaN"),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("1e400", float("inf")),
        ("0b11", "0b11"),
        ("=", "="),
    ],
)
def test_scalars(text, value):
    got = plain(read_text(f"a: {text}"))["a"]
    assert got == value
    assert type(got) is type(value)


def test_nan_is_a_number_of_yaml():
    got = plain(read_text("a: .nan"))["a"]
    assert got != got


def test_every_key_and_value_knows_its_place():
    node = read_text("a:\n  bc: [1, xyz]\n  d: {e: 'f'}\n")
    inner = node.entries["a"].node
    assert str(inner.entries["bc"].key) == "<text>:2:3"
    xyz = inner.entries["bc"].node.items[1].place
    assert (xyz.row, xyz.column, xyz.end) == (1, 10, 13)
    f = inner.entries["d"].node.entries["e"].node.place
    assert (f.row, f.column, f.end) == (2, 9, 12)


def test_the_start_of_an_override_shifts_the_first_line_only():
    problems = Problems()
    source = Source("--set #1", "abc={x: 1,\n y: 2}", one_line=True)
    node = read(source, problems, start=4)
    assert node.entries["x"].key.column == 5
    assert node.entries["y"].key.column == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "here twice"),
        ("a: &x 1", "anchors"),
        ("a: *x", "aliases"),
        ("a: !!python/object/apply:os.system [ls]", "tags"),
        ("a: !x 1", "tags"),
        ("<<: {a: 1}", "merges"),
        ("? [1, 2]\n: 3", "a key must be a name"),
        ("a: 1\n---\nb: 2", "one document"),
        ("", "empty"),
        ("# nothing", "empty"),
        ("a: \x00", r"U\+0000"),
        ("a: \x1b[0m", r"U\+001B"),
        ("a: '", "the quote that starts here is not closed"),
        ("a:\n\t- b", "a tab may not stand here"),
        ("a: [1", "no valid YAML"),
        ("a: 1\n b: 2", "no valid YAML"),
        ("a: " + "9" * 5000, "too many digits"),
        ('a: "\\ud800"', "surrogate"),
    ],
)
def test_what_a_spec_has_no_use_for(text, message):
    with pytest.raises(SpecError, match=message):
        read_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "{" + "a, " * 300_000,
        "\n".join(f"k{i}: {i}" for i in range(60_000)),
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(f"b{i}: *a" for i in range(9)),
        "a: &x [*x]",
    ],
)
def test_hostile_texts_are_refused_quickly(text):
    start = time.perf_counter()
    with pytest.raises(SpecError):
        read_text(text)
    assert time.perf_counter() - start < 10  # a second or two here; an unbounded reader needs minutes


def test_fifty_levels_are_read_and_fifty_one_refused():
    read_text("[" * 50 + "]" * 50)
    with pytest.raises(SpecError, match="50 levels"):
        read_text("[" * 51 + "]" * 51)


def test_too_many_bytes(tmp_path):
    with pytest.raises(SpecError, match="1 MiB"):
        decode(b"#" * (MAX_BYTES + 1), "big", tmp_path, Problems())
    decode(b"#" * MAX_BYTES, "big", tmp_path, Problems())


def test_bytes_that_are_no_text_have_a_place(tmp_path):
    with pytest.raises(SpecError) as caught:
        decode("a: é\nb: ü".encode("latin-1"), "f.yaml", tmp_path, Problems())
    assert str(caught.value).startswith("f.yaml:1:4: error: byte 0xe9 is no UTF-8 text")


def test_a_byte_order_mark_is_no_content(tmp_path):
    problems = Problems()
    source = decode(b"\xef\xbb\xbfa: 1", "f.yaml", tmp_path, problems)
    node = read(source, problems)
    assert plain(node) == {"a": 1}
    assert node.entries["a"].key.column == 0


def test_line_ends_of_all_kinds_count_alike():
    node = read_text("a: 1\r\nb: 2\rc: 3\nd: 4")
    assert [entry.key.row for entry in node.entries.values()] == [0, 1, 2, 3]
    assert isinstance(node.entries, MappingProxyType)
