"""What is said about components: everything, and the truth."""

from pathlib import Path

import pytest

from fluxrun.render.components import as_markdown
from fluxrun.spec import describe
from fluxrun.spec.catalog import CATALOG, Row
from fluxrun.spec.describe import descriptions, docs, named, sections
from fluxrun.spec.part import Component, Positive, fields

PAGE = Path(__file__).parents[3] / "docs" / "components.md"
SCHEMAS = {schema for _, schema in sections()} | {row.schema for rows in CATALOG.values() for row in rows.values()}


def undocumented(schema):
    return [field for field in fields(schema) if not docs(schema).get(field, "").endswith(".")]


@pytest.mark.parametrize("schema", sorted(SCHEMAS, key=lambda s: s.__name__), ids=lambda s: s.__name__)
def test_every_field_has_a_sentence(schema):
    assert not undocumented(schema), "put one line in three quotes under the field"


def test_a_field_without_a_sentence_is_caught():
    class Bare(Component):
        """Bare."""

        told: Positive = 1.0
        """A number."""
        untold: Positive = 1.0

    assert undocumented(Bare) == ["untold"]


def test_every_component_says_what_it_is():
    silent = [(k, n) for k, rows in CATALOG.items() for n, row in rows.items() if not row.summary.endswith(".")]
    assert not silent
    shared = [
        (k, n)
        for k, rows in CATALOG.items()
        for n, r in rows.items()
        if r.summary == "A component that is only a name."
    ]
    assert not shared, "a row whose schema belongs to others needs a `doc`"


def test_the_page_of_the_documentation_is_up_to_date():
    assert PAGE.read_text() == as_markdown(descriptions()) + "\n", "fluxrun components --markdown > docs/components.md"


def test_a_new_row_is_described_at_once(monkeypatch):
    before = as_markdown(descriptions())
    rows = CATALOG["loss"]
    monkeypatch.setitem(rows, "mine", Row(rows["huber"].schema, "flux_core.layers.loss:huber", "Mine."))
    found, _ = named("mine")
    assert [(one.kind, one.doc, one.main) for one in found] == [("loss", "Mine.", "delta")]
    assert as_markdown(descriptions()) != before


def test_types_and_defaults():
    (adam,), _ = named("adam")
    shown = {a.name: (a.type, a.shown(), a.required) for a in adam.arguments}
    assert shown["beta1"] == ("number >= 0, < 1", "0.9", False)
    (affine,), _ = named("affine")
    shown = {a.name: (a.type, a.shown(), a.required) for a in affine.arguments}
    assert shown["out"][1:] == ("required", True)
    assert shown["init"] == ("initialiser", "glorot", False)
    (csv,), _ = named("csv")
    shown = {a.name: (a.type, a.shown()) for a in csv.arguments}
    assert shown["columns"] == ("map of names to numeric | categorical", "")
    assert shown["ignore"] == ("list of whole number or text", "[]")


def test_names_of_several_kinds_and_of_none():
    assert [one.kind for one in named("mae")[0]] == ["loss", "metric"]
    assert named("early_stp") == ([], "did you mean 'early_stop'?")


def test_words_for_what_has_none():
    assert describe.words({}) == "any value"
