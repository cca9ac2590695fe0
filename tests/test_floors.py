"""The house: a module imports only from floors below its own, and heavy packages stay where they belong."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"flux_core": ROOT / "flux_core", "fluxrun": ROOT / "cli" / "fluxrun"}

# from the ground up; names on one floor never import each other
FLOORS = {
    "flux_core": [
        {"errors", "fsio", "philox"},
        {"ir", "dims", "caches"},
        {"ops"},
        {"passes"},
        {"interpreter"},
        {"model"},
        {"layers", "optim", "data"},
        {"engine"},
        {"training"},
    ],
    "fluxrun": [{"spec"}, {"store"}, {"jobs"}, {"render", "exits"}, {"commands"}, {"main"}, {"__main__"}],
}

# package -> the only places that may import it
HOMES = {
    "numba": {"flux_core.engine"},
    "llvmlite": {"flux_core.engine"},
    "rich": {"fluxrun.render"},
    "typer": {"fluxrun.commands", "fluxrun.main"},
    "yaml": {"fluxrun.spec"},
    "pydantic": {"fluxrun.spec"},
    "safetensors": set(),
}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def imports(path: Path, module: str) -> Iterator[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            yield node.module or "", node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def floor_of(module: str) -> int | None:
    package, _, rest = module.partition(".")
    room = rest.split(".")[0]
    return next((i for i, rooms in enumerate(FLOORS.get(package, [])) if room in rooms), None)


def broken(module: str, imported: str) -> str | None:
    """What is wrong with one import, or None."""
    package, _, rest = module.partition(".")
    other, _, other_rest = imported.partition(".")
    for heavy, homes in HOMES.items():
        if other == heavy and not any(module == home or module.startswith(f"{home}.") for home in homes):
            return f"{heavy} is imported only in {sorted(homes)}"
    if other not in FLOORS or not rest:
        return None
    if package == "flux_core" and other == "fluxrun":
        return "flux_core knows nothing of the application"
    if package != other or not other_rest:
        return None
    if rest.split(".")[0] == other_rest.split(".")[0]:
        return None
    mine, its = floor_of(module), floor_of(imported)
    if its is None:  # a name of the package itself, such as __version__
        return None
    return None if mine is not None and its < mine else f"{imported} is not on a floor below"


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_go_down(module, path):
    found = [
        f"{module}:{line} imports {name}: {why}"
        for name, line in imports(path, module)
        if (why := broken(module, name))
    ]
    assert not found, "\n".join(found)


def test_every_module_has_a_floor():
    homeless = [m for m, _ in modules() if "." in m and floor_of(m) is None]
    assert not homeless


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("flux_core.ops.op", "flux_core.passes"),
        ("flux_core.data.csv", "flux_core.layers"),
        ("flux_core.model.net", "fluxrun.spec"),
        ("flux_core.training.loop", "numba"),
        ("fluxrun.spec.load", "fluxrun.jobs"),
        ("fluxrun.jobs.train", "rich.console"),
    ],
)
def test_a_planted_import_is_caught(module, imported):
    assert broken(module, imported)


def test_every_module_opens_with_its_picture():
    bare = [m for m, path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not bare


def test_dependencies_have_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    assert all(">=" in dependency for dependency in every)


def test_what_is_imported_is_declared():
    declared = {
        re.split("[>[]", line)[0]
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    known = {"yaml": "pyyaml", "pydantic_core": "pydantic-core"}
    imported = set()
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.partition(".")[0] for name in names}
    others = imported - set(sys.stdlib_module_names) - {"flux_core", "fluxrun", "_typeshed", ""}
    assert {known.get(name, name) for name in others} == declared
