"""Where the kernel store is kept: the order of places, whom they must belong to, and what their name depends on."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from flux_core.caches.folder import candidates, is_ours
from flux_core.engine import folder
from flux_core.engine.folder import FolderWarning, folder_name, store_folder

passed_over = pytest.mark.filterwarnings("ignore::flux_core.engine.folder.FolderWarning")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An environment in which every candidate lies in a folder of its own."""
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return [
        tmp_path / "chosen",
        tmp_path / "xdg" / "fluxrun",
        tmp_path / "home" / ".cache" / "fluxrun",
        tmp_path / "tmp" / f"fluxrun-{os.geteuid()}",
    ]


def test_the_order_of_places(places):
    assert list(candidates()) == places


def test_variables_that_are_empty_or_relative_do_not_count(places, monkeypatch):
    monkeypatch.setenv("FLUXRUN_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert list(candidates()) == places[2:]


def test_the_first_place_is_made_private(places):
    found = store_folder()
    assert found == places[0] / folder_name()
    assert found.stat().st_mode & 0o777 == 0o700
    assert not places[1].exists()
    assert store_folder() == found


def block(place):
    """Put a file where a folder is wanted: no folder can be made there, not even by root."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    place.write_bytes(b"")


@passed_over
def test_places_that_cannot_be_made_are_passed_over(places):
    for place, following in zip(places, [*places[1:], None], strict=True):
        block(place)
        assert store_folder() == (following and following / folder_name())


def test_a_user_without_a_home_gets_a_temporary_folder(places, monkeypatch):
    def nobody():
        raise RuntimeError("no home")

    monkeypatch.delenv("FLUXRUN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    assert store_folder() == places[3] / folder_name()


@passed_over
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_passed_over(places, mode):
    places[0].mkdir()
    places[0].chmod(mode)
    assert store_folder() == places[1] / folder_name()
    assert os.listdir(places[0]) == []


def test_a_folder_of_somebody_else_is_passed_over(places, monkeypatch):
    found = store_folder()
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert not is_ours(found)
    assert store_folder() is None


@passed_over
def test_a_link_is_not_followed(places, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    places[0].symlink_to(tmp_path / "elsewhere")
    assert store_folder() == places[1] / folder_name()


@passed_over
def test_a_folder_that_cannot_be_written_to_counts_only_with_kernels_in_it(places, monkeypatch):
    found = store_folder()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: places[0] not in Path(path).parents and real(path, mode))
    assert store_folder() == places[1] / folder_name()
    (found / "index.json").write_text("{}")
    assert store_folder() == found


def test_a_folder_that_was_asked_for_in_vain_is_told(places, monkeypatch):
    block(places[0])
    with pytest.warns(FolderWarning, match="FLUXRUN_CACHE cannot be used") as warned:
        found = store_folder()
    (words,) = [str(one.message) for one in warned]
    assert str(places[0]) in words
    assert words.endswith(f"kernels are kept in {found}")
    block(places[1])
    monkeypatch.delenv("FLUXRUN_CACHE")
    assert store_folder() == places[2] / folder_name(), "nobody asked for the first of the others"


@pytest.mark.parametrize("what", ["numba", "numpy", "llvmlite", "cpu", "features", "source", "setting"])
def test_the_name_changes_with_everything_that_changes_the_code(monkeypatch, what):
    import importlib.metadata

    import llvmlite
    import llvmlite.binding as llvm
    import numpy as np

    name = folder_name()
    assert folder_name() == name
    changes = {
        "numba": lambda: monkeypatch.setattr(importlib.metadata, "version", lambda package: "0.0"),
        "numpy": lambda: monkeypatch.setattr(np, "__version__", "0.0"),
        "llvmlite": lambda: monkeypatch.setattr(llvmlite, "__version__", "0.0"),
        "cpu": lambda: monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "i386"),
        "features": lambda: monkeypatch.setattr(llvm, "get_host_cpu_features", dict_of_features),
        "source": lambda: monkeypatch.setattr(folder, "sources", lambda: iter(["changed"])),
        "setting": lambda: monkeypatch.setenv("NUMBA_OPT", "1"),
    }
    changes[what]()
    assert folder_name() != name


def dict_of_features():
    from llvmlite.binding.targets import FeatureMap

    return FeatureMap()


def test_the_sources_are_those_that_reach_the_compiler():
    texts = list(folder.sources())
    assert any("def sum_of_squares(" in text for text in texts)
    assert any("def _at(" in text for text in texts)
