"""One kernel store for all tests of the engine: each kernel is compiled once."""

import pytest

from flux_core.engine import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))
