"""What a record says about where it was made."""

import os
import socket
from importlib.metadata import version

from fluxrun.store.environment import PACKAGES, environment, process_alive, version_of


def test_versions_are_those_that_are_installed():
    import numpy  # noqa: F401  # one that is imported is asked itself

    assert {name: version_of(name) for name in PACKAGES} == {name: version(name) for name in PACKAGES}
    assert version_of("no-such-package") is None


def test_everything_is_known_here(tmp_path):
    found = environment(tmp_path)
    assert found["git"] is None
    assert found["cpu"]
    assert found["platform"].count("-") >= 2
    assert found["versions"]["python"].count(".") == 2


def test_whether_a_process_is_alive():
    here = socket.gethostname()
    assert [process_alive(here, number) for number in (os.getpid(), 2**22 + 1, 1 << 50)] == [True, False, False]
    assert process_alive("elsewhere", os.getpid()) is None
