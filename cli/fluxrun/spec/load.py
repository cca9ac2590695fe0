"""A spec from a file or standard input, with overrides on top.

the file that is extended  <  the file  <  FLUXRUN_SET (one KEY=VALUE a line)  <  --set
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flux_core.errors import MissingFile
from fluxrun.spec.check import check
from fluxrun.spec.compose import compose
from fluxrun.spec.expand import expand, override
from fluxrun.spec.part import to_plain
from fluxrun.spec.problems import Problems
from fluxrun.spec.read import MAX_BYTES, decode, read
from fluxrun.spec.scalars import scalar
from fluxrun.spec.schema.root import NAME, Spec
from fluxrun.spec.surrounding import surrounding_overrides
from fluxrun.spec.text import Place
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Loaded:
    """A checked spec with all that is needed to report on it and to keep it."""

    spec: Spec
    tree: Node
    text: bytes  # the file, byte for byte
    origin: str  # its path, or "-"
    overrides: tuple[str, ...]  # of FLUXRUN_SET, then of --set
    bases: tuple[tuple[str, bytes], ...] = ()  # the files that it extends, real paths with their bytes


def load(config: str, overrides: Sequence[str] = (), name: str | None = None, *, surrounding: bool = True) -> Loaded:
    """Read, expand, override and check. Raises SpecError with every problem, MissingFile without a file.

    Without `surrounding` nothing is asked of FLUXRUN_SET: the spec of a run has what it said then.
    """
    data, shown, directory, stem = _bytes(config)
    problems = Problems()
    tree = expand(read(decode(data, shown, directory, problems), problems))
    bases: list[tuple[str, bytes]] = []
    tree = compose(tree, problems, () if config == "-" else (os.path.realpath(config),), bases)
    tree = expand(tree)  # once more: a net that the other file declares may be used here
    named = [
        (f"FLUXRUN_SET #{number}", text)
        for number, text in enumerate(surrounding_overrides() if surrounding else (), 1)
    ]
    named += [(f"--set #{number}", text) for number, text in enumerate(overrides, 1)]
    for order, (origin, text) in enumerate(named, 1):
        tree = override(tree, text, origin, order, problems)
    if isinstance(tree, Mapping):
        tree = _named(tree, name, stem, len(named) + 1)
    spec = check(tree, problems)
    problems.raise_if_any()
    assert spec is not None, "a check without a problem gives a spec"
    return Loaded(spec, tree, data, config, tuple(text for _, text in named), tuple(bases))


def to_data(spec: Spec) -> dict[str, Any]:
    """The spec in long form with every default: what `resolved.yaml` holds."""
    plain = to_plain(spec)
    ((source, arguments),) = plain["data"].items()
    found = {**plain, "data": {"source": source, **arguments}}
    return found if spec.nets else {name: value for name, value in found.items() if name != "nets"}


def to_yaml(spec: Spec) -> str:
    """The spec in long form as YAML 1.2 that reads back as the same spec."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    Dumper.add_representer(float, lambda dumper, x: dumper.represent_scalar("tag:yaml.org,2002:float", _float(x)))
    Dumper.add_representer(str, _text)
    return yaml.dump(to_data(spec), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)


def _float(x: float) -> str:
    text = repr(x)
    return (
        text if "." in text or "e" not in text else text.replace("e", ".0e")
    )  # 1e-08: PyYAML's own readers want a dot


def _text(dumper: Any, value: str) -> Any:
    """Quote what either version of YAML, 1.1 or 1.2, would read as something else than text; lines stay lines."""
    style = "|" if "\n" in value else None if isinstance(scalar(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _bytes(config: str) -> tuple[bytes, str, Path, str]:
    """The text, its name in messages, the directory of its relative paths, and the default of `name`."""
    if config == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>", Path(), "stdin"
    path = Path(config)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise MissingFile("this is a folder, not a spec", file=path, hint="name a file in it") from None
    except FileNotFoundError:
        raise MissingFile("there is no such file", file=config, hint=near_spec(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MissingFile(f"cannot be read: {reason}", file=config) from None
    return data, config, path.parent, path.stem


def near_spec(path: Path) -> str | None:
    """The hint that names a spec like this one: of the same name in a folder beside it, else of a similar name."""
    from fluxrun.spec.problems import near

    try:
        beside = sorted(path.parent.iterdir())[:1000]
    except (OSError, ValueError):
        return f"the directory {str(path.parent)!r} is not there either"
    specs = [other.name for other in beside if other.suffix in SUFFIXES and os.path.exists(other)]
    folders = [other for other in beside if not other.name.startswith(".") and os.path.isdir(other)]
    names = [path.name] if path.suffix in SUFFIXES else [path.name + suffix for suffix in SUFFIXES]
    same = [str(spec) for folder in folders for name in names if os.path.isfile(spec := folder / name)]
    return f"did you mean {same[0]!r}?" if same else near(path.name, specs)


def _named(tree: Mapping, name: str | None, stem: str, order: int) -> Mapping:
    """The tree with a name: the command's, else its own, else one made from the file's."""
    from fluxrun.spec.text import Source

    if name is not None:
        place = Source("--name", name, order=order, one_line=True)
        at = Place(place, 0, 0, len(name))
        return tree.with_entry("name", Entry(at, Scalar(name, at)))
    if "name" in tree.entries:
        return tree
    made = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip(".-")[:100]
    value = made if NAME.fullmatch(made) else "run"
    return tree.with_entry("name", Entry(tree.place, Scalar(value, tree.place)))
