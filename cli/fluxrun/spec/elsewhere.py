"""Where a key belongs that stands in the wrong place: `learning_rate` under train, or `--set lr=0.1`.

lr ──other tools' names──▶ learning_rate ──every place of the schema that this spec has──▶ train.optimizer.adam
"""

from __future__ import annotations

from collections.abc import Iterator

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.expand import ROOT, expand, source_schema
from fluxrun.spec.part import Component, Inside, Section, Slot, fields
from fluxrun.spec.problems import ALIASES
from fluxrun.spec.text import Place, Source
from fluxrun.spec.tree import Mapping, Node, Scalar

NOWHERE = Place(Source("", ""), 0, 0, 0)
MOST = 3  # places that are named


def elsewhere(name: str, tree: Node | None) -> str | None:
    """The hint that names the places where this spec may have such a key, if they are few.

    >>> from fluxrun.spec.read import read_text
    >>> elsewhere("lr", expand(read_text("train: {optimizer: sgd}")))
    "did you mean 'train.optimizer.sgd.learning_rate'?"
    """
    wanted = {name, ALIASES.get(name.lower(), name)}
    found = [path for path in every_key(tree) if path.rpartition(".")[2] in wanted]
    if not 0 < len(found) <= MOST:
        return None
    return f"did you mean {' or '.join(map(repr, found))}?"


def every_key(tree: Node | None) -> Iterator[str]:
    """Every key that a spec with this tree may have, by its whole path; None is an empty one."""
    yield from _places(ROOT, tree, "")


def _places(inside: Inside, node: Node | None, path: str) -> Iterator[str]:
    """Every key that may stand below a node, or below nothing, by its whole path; lists and nets have none."""
    match inside:
        case Section():
            yield from _keys(inside.schema, node, path)
        case Slot(kind="source"):
            if isinstance(node, Mapping) and (schema := source_schema(node)):
                yield from _keys(schema, node, path)
        case Slot(many=False):
            if node is None and inside.default:
                node = expand(Scalar(inside.default, NOWHERE), inside)
            if isinstance(node, Mapping) and len(node.entries) == 1:
                ((name, entry),) = node.entries.items()
                yield f"{path}.{name}"
                if row := CATALOG[inside.kind].get(name):
                    yield from _keys(row.schema, entry.node, f"{path}.{name}")


def _keys(schema: type[Component], node: Node | None, path: str) -> Iterator[str]:
    entries = node.entries if isinstance(node, Mapping) else {}
    for name, inside in fields(schema).items():
        whole = f"{path}.{name}".lstrip(".")
        yield whole
        yield from _places(inside, entries[name].node if name in entries else None, whole)
