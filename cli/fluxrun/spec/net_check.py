"""Nets against each other and against their own formulas: names, sizes, sub-models, circles.

nets.Gated.forward ──flux_core's compiler──▶ every fault, at its character of the file
nets.Gated.models.gate: {affine: 4 * out} ──sizes filled in──▶ {affine: {out: 256}} ──check──▶ a sound layer
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from typing import Any

from flux_core.errors import Fault, FormulaError, GraphError
from fluxrun.spec.block import within
from fluxrun.spec.catalog import CATALOG, Row
from fluxrun.spec.net_mend import Mended, mended
from fluxrun.spec.nets import declared, is_taken
from fluxrun.spec.part import MAX_SIZE, Part
from fluxrun.spec.problems import Problems
from fluxrun.spec.resolve import Doubts
from fluxrun.spec.schema.nets import NET, WORDS, Net
from fluxrun.spec.text import Place
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, Sequence

Number = int | float
UNKNOWN = 5040  # stands for a size that only data or a use of the net decides; all small numbers divide it
NAMES = "one has letters, digits and _, and starts with a capital letter, which no other layer does"


def check_nets(tree: Mapping, problems: Problems, rows: AbstractMapping[str, Row]) -> None:
    """Everything that is wrong with the nets of a tree beyond the types of their keys."""
    circles = set(_circles(tree))
    for name, entry in declared(tree):
        if not NET.fullmatch(name):
            problems.add(entry.key, f"{name!r} is no name of a net: {NAMES}", f"such as {_capital(name)!r}")
        elif name in circles:
            problems.add(entry.key, f"the net {name!r} contains itself", "a sub-model comes from outside")
        elif isinstance(entry.node, Mapping) and (found := mended(entry.node, rows)):
            _check_net(name, found, tree, problems, rows)


def _check_net(name: str, found: Mended, tree: Mapping, problems: Problems, rows: AbstractMapping[str, Row]) -> None:
    net, entry = found.net, dict(declared(tree))[name]
    assert isinstance(entry.node, Mapping)  # it was looked at before
    for key in (key for key in net.arguments if is_taken(key) and not key.startswith("_")):
        place = fault_place(entry, Fault("", None, where=f"arguments.{key}"))
        problems.add(place, f"no argument can be called {key!r}", "take another name")
    read: set[str] = set() if found.own_shapes else set(net.arguments)  # those of a lost shape may have read them
    sizes = known_sizes(net)
    for key, model in net_models(entry.node):
        path = f"nets.{name}.models.{key}"
        try:
            check_layer(fill(model, path, sizes, read, bound=True), path, problems, rows)
        except GraphError as error:  # such as a division by zero
            problems.add(Doubts(tree).place(error.place or path), error.reason)
    try:
        definition(name, net, dict.fromkeys(net.models, _nothing), dict.fromkeys(WORDS), read)
    except FormulaError as error:
        for fault in error.faults:
            if fault.where == "forward" and not found.own_formula:
                continue
            problems.add(fault_place(entry, fault), fault.message, fault.hint)


def _nothing(numbers: AbstractMapping[str, Number]) -> Any:
    """Stands for a sub-model while only names matter."""


def definition(
    name: str,
    net: Net,
    models: AbstractMapping[str, Callable[[AbstractMapping[str, Number]], Any]],
    words: AbstractMapping[str, int | None],
    read: set[str] | None = None,
) -> Any:
    """The net as flux_core declares it; its sub-models use the names of `read` (None: any). Raises FormulaError."""
    from flux_core.layers import declare
    from fluxrun.spec.fit import initialiser

    params = {key: {"shape": one.shape, "init": one.init and initialiser(one.init)} for key, one in net.params.items()}
    state = {
        key: {"shape": one.shape, "init": initialiser(one.init), "trainable": one.trainable}
        for key, one in net.state.items()
    }
    defaults = {key: words.get(value) if isinstance(value, str) else value for key, value in net.arguments.items()}
    return declare(
        name,
        forward=net.forward,
        arguments=defaults,
        params=params,
        state=state,
        inputs=net.inputs,
        models=models,
        words=words,
        place=f"nets.{name}",
        read=read,
    )


def known_sizes(net: Net) -> dict[str, Number]:
    """Every name that a size in a net may use, with its default or a stand-in."""
    names = [*WORDS, "in", *(f"in.{each}" for each in net.inputs)]
    given = {key: value for key, value in net.arguments.items() if isinstance(value, int | float)}
    return {**dict.fromkeys([*names, *net.arguments], UNKNOWN), **given}


def net_models(node: Mapping) -> Iterator[tuple[str, Node]]:
    """The sub-models of a net, as they stand in the tree."""
    entry = node.entries.get("models")
    if entry is not None and isinstance(entry.node, Mapping):
        yield from ((key, inner.node) for key, inner in entry.node.entries.items())


def check_layer(node: Node, path: str, problems: Problems, rows: AbstractMapping[str, Row]) -> Part | None:
    """The layer that a tree means, or None and a problem."""
    from fluxrun.spec.check import part

    found = part("layer", node, path, problems, rows)
    return found if isinstance(found, Part) else None


def fill(node: Node, path: str, sizes: AbstractMapping[str, Number], read: set[str], *, bound: bool = False) -> Node:
    """The tree at a path with a number for each text that is a size; `read` receives the names that they use.

    `bound` keeps whole numbers within the range of sizes: they come from stand-ins. Raises GraphError at a place.
    """
    match node:
        case Mapping():
            entries = {
                key: Entry(entry.key, fill(entry.node, f"{path}.{key}", sizes, read, bound=bound))
                for key, entry in node.entries.items()
            }
            return Mapping(entries, node.place)
        case Sequence():
            items = (fill(item, f"{path}.{i}", sizes, read, bound=bound) for i, item in enumerate(node.items))
            return Sequence(tuple(items), node.place)
        case Scalar(value=str(text)) if text not in WORDS:
            return _filled(node, text, path, sizes, read, bound)
    return node


def _filled(
    node: Scalar, text: str, path: str, sizes: AbstractMapping[str, Number], read: set[str], bound: bool
) -> Scalar:
    from flux_core.layers.language import compile_number

    try:
        size, names = compile_number(text, sizes)
    except FormulaError:  # an ordinary text, which the check knows what to say of
        return node
    if not names:
        return node
    read |= names
    value = size(sizes, path)
    if bound and type(value) is int:
        value = min(max(value, 1), MAX_SIZE)
    return Scalar(value, node.place)


def fault_place(net: Entry, fault: Fault) -> Place:
    """The characters of a net that a fault means; its key for what it does not say."""
    node, place = net.node, net.key
    for step in fault.where.split("."):
        if isinstance(node, Mapping) and step in node.entries:
            entry = node.entries[step]
            node, place = entry.node, entry.key
        elif isinstance(node, Sequence) and step.isdecimal() and int(step) < len(node.items):
            node = node.items[int(step)]
            place = node.place
    if isinstance(node, Scalar) and isinstance(node.value, str) and fault.span:
        return within(node.place, node.value, fault.span)
    return node.place if isinstance(node, Scalar) and fault.span else place


def _circles(tree: Mapping) -> Iterator[str]:
    """The nets that are among their own sub-models, however deep."""
    uses = {
        name: {used for _, model in net_models(e.node) if isinstance(model, Mapping) for used in model.entries}
        for name, e in declared(tree)
        if isinstance(e.node, Mapping)
    }
    for name in uses:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            for used in uses.get(waiting.pop(), ()):
                if used not in reached:
                    reached.add(used)
                    waiting.append(used)
        if name in reached:
            yield name


def _capital(name: str) -> str:
    found = "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))
    return found if NET.fullmatch(found) and found not in CATALOG["layer"] else "MyLayer"
