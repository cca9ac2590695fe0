"""components and schema on the command line."""

import json

import pytest

from fluxrun import exits


def test_all_components(cli):
    done = cli("components")
    assert done.exit_code == 0
    assert "  adam      Adam; weight decay is added to the gradient." in done.stdout.splitlines()
    assert all(len(line) <= 125 for line in done.stdout.splitlines())


def test_one_component(cli):
    done = cli("components", "dropout")
    assert done.stdout.splitlines() == [
        "dropout (layer): Zero a part of the values while training.",
        "  dropout: VALUE stands for dropout: {rate: VALUE}",
        "",
        "  argument  type              default",
        "  rate      number >= 0, < 1  0.5      Which part.",
    ]


def test_json_has_the_same(cli):
    found = json.loads(cli("components", "--json").stdout)
    assert found["version"] == 1
    assert {one["kind"] for one in found["components"]} >= {"section", "source", "layer", "loss", "metric"}
    one = json.loads(cli("components", "dropout", "--json").stdout)["components"]
    assert one == [row for row in found["components"] if row["name"] == "dropout"]
    assert one[0]["arguments"][0]["default"] == 0.5


@pytest.mark.parametrize(
    ("asked", "kind", "names"),
    [
        ("optimizer", "optimizer", {"sgd", "adam"}),
        ("schedule", "schedule", {"cosine"}),
        ("data", "source", {"csv", "npz"}),
        ("model", "layer", {"affine"}),
        ("metrics", "metric", {"mae"}),
    ],
)
def test_all_of_a_kind_or_of_a_key(cli, asked, kind, names):
    found = json.loads(cli("components", asked, "--json").stdout)["components"]
    assert {one["kind"] for one in found} == {kind}
    assert {one["name"] for one in found} >= names
    assert all(f"  {name}" in cli("components", asked).stdout for name in names)
    tables = cli("components", asked, "--markdown").stdout.splitlines()
    assert tables[0].startswith("## "), "the page's introduction is about all of them"
    assert all(any(f"| `{name}` |" in line or line == f"### {name}" for line in tables) for name in names)


def test_an_unknown_name(cli):
    done = cli("components", "dropot")
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert done.stderr == "error: no component is called 'dropot'; did you mean 'dropout'?\n"
    assert "did you mean 'layer'?" in cli("components", "layr").stderr
    assert "lists all" in cli("components", "zzzzz").stderr


def test_the_schema_is_one_json_object_and_an_editor_line_is_a_comment(cli, folder):
    done = cli("schema")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    text = (folder / "small.yaml").read_text()
    (folder / "small.yaml").write_text(f"# yaml-language-server: $schema=fluxrun.schema.json\n{text}")
    assert cli("check", "small.yaml").exit_code == 0
