"""Characters of a text at their places in the file, however YAML writes the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_core.errors import Span
from fluxrun.spec.block import within
from fluxrun.spec.read import read_text
from fluxrun.spec.text import Place

STYLES = {
    "literal": "a:\n  forward: |\n    y = x  @ W\n\n    return y # last\n",
    "kept": "a:\n  forward: |+\n    y = x @ W\n    return y\n\n",
    "indented": "a:\n  forward: |2\n     y = x\n     return  y\n",
    "comment": "a:\n  forward: |  # a formula: two lines\n    y = x\n    # and a comment\n    return y\n",
    "folded": "a:\n  forward: >-\n    return x\n    + y\n",
    "plain": "a:\n  forward: return x\n    + y * z\n",
    "single": "a:\n  forward: 'return ''x'' +\n    y'\n",
    "double": 'a:\n  forward: "y = \\"x\\"\\n\\x72eturn\\ty\\\\ \\\n    + z\\u0041 \\U0001F600/\\/"\n',
    "flow": "a: {forward: return x + y, b: 1}\n",
    "wide": "a:\n  forward: |\n    数 = x\n    return 数 + é\n",
}


def scalar(text):
    return read_text(text).entries["a"].node.entries["forward"].node


def differing(text, find=within):
    """The characters of a text that are not found where they are, escapes aside."""
    node = scalar(text)
    wrong = []
    for row, line in enumerate(node.value.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if not character.isspace():
                place = find(node.place, node.value, Span(row, column, column + 1))
                shown = place.source.line(place.row)[place.column : place.end]
                if shown != character and not shown.startswith(("\\", "'")):
                    wrong.append((row, column, shown))
    return wrong


@pytest.mark.parametrize("style", STYLES)
def test_every_character_is_found(style):
    assert len(scalar(STYLES[style]).value) > 8
    assert differing(STYLES[style]) == []


@pytest.mark.parametrize("style", STYLES)
def test_a_place_beside_it_is_noticed(style):
    def beside(whole, value, span):
        place = within(whole, value, span)
        return Place(place.source, place.row, place.column + 1, place.end + 1)

    assert differing(STYLES[style], beside)


WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), min_size=1), min_size=1
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(WORDS)
def test_quoted_words(words):
    text = " ".join(words).strip()
    for quoted in ("'" + text.replace("'", "''") + "'", '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'):
        if "\u0085" not in text and "\ufeff" not in text and scalar(f"a:\n  forward: {quoted}\n").value == text:
            assert differing(f"a:\n  forward: {quoted}\n") == []


def test_spans():
    node = scalar(STYLES["literal"])
    for span, place, length in [
        (Span(1, 5, 11), "<text>:3:9", 6),  # x  @ W
        (Span(3, 1, 9), "<text>:5:5", 8),
        (Span(1, 11, 12), "<text>:3:15", 1),  # the end of the line
        (Span(1, 1, 2), "<text>:3:5", 1),
    ]:
        found = within(node.place, node.value, span)
        assert (str(found), found.end - found.column) == (place, length)


def test_what_is_not_as_in_the_file_has_the_place_of_the_whole(monkeypatch):
    monkeypatch.setenv("LOSS", "tanh")
    node = scalar("a:\n  forward: return ${env:LOSS}(x)\n")
    assert node.value == "return tanh(x)"
    assert str(within(node.place, node.value, Span(1, 1, 7))) == "<text>:2:12"
    assert within(node.place, node.value, Span(1, 13, 14)) == node.place


def test_an_override_is_one_line(tmp_path):
    from fluxrun.spec.load import load
    from fluxrun.spec.problems import SpecError

    (tmp_path / "a.yaml").write_text(
        "data: {source: synthetic, name: xor}\nmodel: [A]\nnets: {A: {forward: return x}}\n"
    )
    with pytest.raises(SpecError) as error:
        load(str(tmp_path / "a.yaml"), ("nets.A.forward=return x + q",))
    assert str(error.value.problems[0].place) == "--set #1, column 27"
