"""The config is the constructor: each schema has the arguments of what it makes, with the same defaults."""

import inspect

import pytest

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.expand import expand
from fluxrun.spec.part import Slot, fields
from fluxrun.spec.text import Source
from fluxrun.spec.tree import Scalar, plain

ROWS = [(kind, name) for kind, rows in CATALOG.items() for name in rows]
NOT_KEYS = {
    "loss": {"prediction", "target", "logits"},
    "initialiser": {"shape", "stream"},
    "metric": {"scale"},
}


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_the_maker_takes_these_arguments_with_these_defaults(kind, name):
    row = CATALOG[kind][name]
    maker = row.make()
    dealing = getattr(row.schema, "dealing", ())
    keys = {key: schema_default(row, key) for key in row.schema.model_fields if key not in dealing}
    if not (isinstance(maker, type) or inspect.isfunction(maker)):
        return  # an op is a layer as it is
    arguments = {
        p.name: p.default
        for p in inspect.signature(maker).parameters.values()
        if p.name not in NOT_KEYS.get(kind, set()) and p.kind is not p.VAR_POSITIONAL
    }
    if name == "reshape":
        return  # its shape is positional
    assert set(keys) == set(arguments)
    for key, value in keys.items():
        if (name, key) == ("plateau", "metric"):
            continue  # the data decide: without a valid split there is no valid.loss
        wanted = arguments[key]
        if wanted is inspect.Parameter.empty or value is inspect.Parameter.empty:
            continue
        assert value == (list(wanted) if isinstance(wanted, tuple) else wanted), key


def schema_default(row, key):
    inside = fields(row.schema)[key]
    if isinstance(inside, Slot) and inside.default:
        return inside.default
    info = row.schema.model_fields[key]
    return inspect.Parameter.empty if info.is_required() else info.get_default(call_default_factory=True)


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, n in ROWS if k != "source"])
def test_main_arguments_are_arguments(kind, name):
    main = CATALOG[kind][name].schema.main
    assert main is None or main in CATALOG[kind][name].schema.model_fields


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, n in ROWS if k != "source"])
def test_a_name_alone_is_a_component(kind, name):
    assert plain(expand(Scalar(name, Source("f", name).whole()), Slot(kind))) == {name: {}}
