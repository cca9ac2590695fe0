"""The names that a user of the library sees: complete, sorted, each in its home, none loaded before it is used."""

import subprocess
import sys

import pytest

import flux_core


def test_names_are_sorted_and_unique():
    # capitals first, as the formatter has them
    assert sorted(set(flux_core.__all__), key=lambda name: (not name.isupper(), name)) == flux_core.__all__


@pytest.mark.parametrize("name", flux_core.__all__)
def test_name_can_be_imported(name):
    assert getattr(flux_core, name) is not None


def test_functions_are_not_hidden_by_packages():
    import flux_core.ir
    import flux_core.training  # importing a package binds its name in flux_core

    assert callable(flux_core.graph)
    assert callable(flux_core.train)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_of_the_sort"):
        _ = flux_core.nothing_of_the_sort


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, flux_core; print([m for m in ('numpy', 'numba', 'scipy', 'llvmlite') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
