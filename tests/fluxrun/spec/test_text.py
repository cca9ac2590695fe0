"""Carets stand under the characters that they mean, whatever the line holds."""

import unicodedata

import pytest

from fluxrun.spec.text import Place, Source, visible, width


def columns(line: str) -> list[tuple[int, str]]:
    """Each character with the terminal column in which it starts, counting tabs as stops of 8."""
    at, found = 0, []
    for c in line:
        found.append((at, c))
        if c == "\t":
            at += 8 - at % 8
        elif unicodedata.category(c) not in ("Mn", "Me"):
            at += 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return found


def pointed_at(picture: list[str]) -> str:
    """The characters of the first line under which the second has carets."""
    carets = {at for at, c in columns(picture[1]) if c == "^"}
    return "".join(c for at, c in columns(picture[0]) if at in carets)


@pytest.mark.parametrize(
    "line",
    [
        "  learning_rat: 1",
        "\tlearning_rat: 1",
        "a: 1\t\tlearning_rat: 1",
        "数据: {learning_rat: 1}",
        "e\u0301te\u0301: {learning_rat: 1}",
        "Ｗide\tand 数据 learning_rat",
        "x" * 300 + " learning_rat: 1",
        "数" * 300 + " learning_rat: 1",
    ],
)
def test_the_carets_are_under_the_key(line):
    column = line.index("learning_rat")
    picture = Place(Source("f", line), 0, column, column + 12).picture()
    assert pointed_at(picture) == "learning_rat"


def test_a_shifted_caret_would_be_seen():
    picture = Place(Source("f", "数据: learning_rat"), 0, 4, 16).picture()
    picture[1] = picture[1].replace(" ^", "^", 1)
    assert pointed_at(picture) != "learning_rat"


def test_nothing_that_a_terminal_would_act_on_is_shown():
    hostile = "\x1b]0;x\x07 \x9b31m \u202e \u2066 \x7f \x00"
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in visible(hostile))
    picture = Place(Source("f", "key: " + hostile), 0, 5, 6).picture()
    assert "\x1b" not in "".join(picture)


def test_a_place_beyond_the_text_is_drawn_all_the_same():
    assert Place(Source("f", "a"), 7, 90, 99).picture() == ["    8 |", "      | ^"]


def test_width_counts_terminal_columns():
    assert [width("abc"), width("数据"), width("e\u0301"), width("")] == [3, 4, 1, 0]
