"""The kernel store: compiled once, loaded without Numba, and no fault of its files ever reaches the user."""

import ctypes
import errno
import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest

from flux_core import fsio
from flux_core.engine import Kernel, KernelError, Store, StoreWarning
from flux_core.engine.compiler import compile_function, compile_kernel, object_code

SCALE = """
from numba import carray
from flux_core.engine.kernels.pointers import at

def scale(arena, operands):
    x = carray(at(arena, operands[0]), operands[1])
    for i in range(x.size):
        x[i] *= {factor}
"""


def scale_by(factor):
    return Kernel("scale", SCALE.format(factor=factor))


def scaled(store, kernel):
    """What the kernel makes of 1, 2, 3: proof that an address works."""
    x, operands = np.arange(4, dtype=np.float32), np.array([1, 3])
    store.function(kernel)(x.ctypes.data, operands.ctypes.data)
    return x[1:].tolist()


@pytest.fixture
def folder(tmp_path):
    """A folder with one kernel in it, made by a process that is no more."""
    store = Store(tmp_path / "store")
    store.folder.mkdir()
    assert scaled(store, scale_by(2)) == [2, 4, 6]
    assert store.compiled == 1
    return store.folder


def test_the_second_store_compiles_nothing(folder):
    store = Store(folder)
    assert scaled(store, scale_by(2)) == [2, 4, 6]
    assert scaled(store, scale_by(2)) == [2, 4, 6]
    assert store.compiled == 0


def test_another_text_of_the_same_name_is_another_kernel(folder):
    store = Store(folder)
    assert scaled(store, scale_by(3)) == [3, 6, 9]
    assert scaled(store, scale_by(2)) == [2, 4, 6]
    assert store.compiled == 1


def test_several_at_once_in_the_order_asked(folder):
    store = Store(folder)
    addresses = store.load([scale_by(3), scale_by(2), scale_by(3)])
    assert addresses[0] == addresses[2] != addresses[1]
    assert [store.compiled, store.load([])] == [1, []]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(addresses[1])
    x, operands = np.ones(2, np.float32), np.array([0, 2])
    call(x.ctypes.data, operands.ctypes.data)
    assert x.tolist() == [2, 2]


def test_who_stops_between_two_kernels_has_kept_the_first_and_holds_nothing(folder):
    kernels = [scale_by(factor) for factor in (2, 3, 5)]
    store = Store(folder)
    loading = store.loading(kernels)
    assert [next(loading), store.compiled] == [(1, 2), 0]
    assert [next(loading), store.compiled] == [(2, 2), 1]
    other = Store(folder)
    assert (list(other.loading(kernels)), other.compiled) == ([(1, 1)], 1), "nobody waits for one that is paused"
    assert ([*loading], store.compiled) == ([], 1), "what others compiled meanwhile is taken from them"
    assert scaled(Store(folder), scale_by(3)) == [3, 6, 9]


def test_who_compiles_is_waited_for(folder, monkeypatch):
    monkeypatch.setattr("flux_core.engine.store.WAIT_SECONDS", 0)
    with fsio.locked(folder / "lock"):
        waiting = Store(folder).loading([scale_by(3), scale_by(5)])
        assert list(islice(waiting, 3)) == [(1, 2), (0, 2), (0, 2)]
    assert list(waiting) == [(2, 2)]
    assert scaled(Store(folder), scale_by(5)) == [5, 10, 15]


def test_compiling_without_a_lock_is_the_planted_fault(folder, monkeypatch):
    monkeypatch.setattr(Store, "_locks", lambda self, stack: True)
    with pytest.raises(AssertionError):
        test_who_compiles_is_waited_for(folder, monkeypatch)


def run(code, **environment):
    """Run Python code in a process of its own, warnings being errors; returns what it prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


STEP = """
import sys
import numpy as np
from flux_core.engine import default_store, fused_update, gradient_norm
from flux_core.optim import OPTIMIZERS
for name, make in OPTIMIZERS.items():
    optimizer, x, g = make(weight_decay=0.1), np.ones(40, np.float32), np.ones(40, np.float32)
    norm = gradient_norm(g)
    fused_update(optimizer)(optimizer.init(40), x, g, learning_rate=0.5, decayed=20)
    print(name, norm, x[0], x[39])
print(default_store().compiled, "numba" in sys.modules, file=sys.stderr if len(sys.argv) > 1 else sys.stdout)
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A folder in which a cold process left the kernels of every optimiser, and what it printed."""
    base = tmp_path_factory.mktemp("cache")
    printed = run(STEP, FLUXRUN_CACHE=str(base)).splitlines()
    assert printed[-1] == "8 True"
    return base, printed[:-1]


def test_a_warm_process_imports_no_numba_and_gets_the_same_numbers(warm):
    base, numbers = warm
    printed = run(STEP, FLUXRUN_CACHE=str(base)).splitlines()
    assert printed == [*numbers, "0 False"]


AFTERWARDS = """
import numba, numpy as np

@numba.njit
def fails(x):
    if x > 0:
        raise ValueError("told by Numba")
    return np.zeros(x + 3)

assert fails(0).shape == (3,)
try:
    fails(1)
except ValueError as error:
    print(error)
"""


def test_numba_still_works_in_a_process_that_loaded_kernels_without_it(warm):
    assert run(STEP + AFTERWARDS, FLUXRUN_CACHE=str(warm[0])).endswith("told by Numba\n")


def test_processes_started_at_once_compile_once(tmp_path):
    """Each compiles what the others have not: the counts add up to the number of kernels."""
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: run(STEP, FLUXRUN_CACHE=str(tmp_path)).splitlines(), range(6)))
    assert sum(int(lines[-1].split()[0]) for lines in runs) == 8
    assert len({tuple(lines[:-1]) for lines in runs}) == 1


def test_a_debugging_switch_of_numba_does_no_harm(tmp_path):
    assert run(STEP, FLUXRUN_CACHE=str(tmp_path), NUMBA_DISABLE_JIT="1").splitlines()[-1] == "8 True"


DAMAGES = {
    "object cut short": ("o", lambda content: content[:100]),
    "object empty": ("o", lambda content: b""),
    "object with a flipped bit": ("o", lambda content: content[:99] + bytes([content[99] ^ 1]) + content[100:]),
    "object gone": ("o", None),
    "index cut short": ("json", lambda content: content[:20]),
    "index empty": ("json", lambda content: b""),
    "index gone": ("json", None),
    "index of another shape": ("json", lambda content: b"[1, 2]"),
    "index of other entries": ("json", lambda content: b'{"KEY": 3}'),
    "index without a checksum": ("json", lambda content: b'{"KEY": {"symbol": "x"}}'),
    "index with numbers for names": ("json", lambda content: b'{"KEY": {"symbol": 1, "sha256": 2}}'),
    "index too deep": ("json", lambda content: b"[" * 100_000),
    "index of random bytes": ("json", lambda content: bytes(range(128, 256))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_mended_by_compiling_once(folder, damage):
    kind, change = DAMAGES[damage]
    kernel = scale_by(2)
    (path,) = folder.glob(f"*.{kind}")
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()).replace(b"KEY", kernel.key.encode()))
    mended, next_one = Store(folder), Store(folder)
    assert scaled(mended, kernel) == scaled(next_one, kernel) == [2, 4, 6]
    assert (mended.compiled, next_one.compiled) == (1, 0)


def test_a_checksum_that_fits_a_wrong_object_is_the_planted_fault(folder):
    """The check bites: an object that is swapped together with its checksum is believed."""
    other = compile_kernel(scale_by(5))
    kernel, index = scale_by(2), folder / "index.json"
    (folder / f"{kernel.key}.o").write_bytes(other.code)
    assert scaled(Store(folder), kernel) == [2, 4, 6]
    import hashlib

    (folder / f"{kernel.key}.o").write_bytes(other.code)
    entry = {"symbol": other.symbol, "sha256": hashlib.sha256(other.code).hexdigest()}
    index.write_text(json.dumps({kernel.key: entry}))
    assert scaled(Store(folder), kernel) == [5, 10, 15]


class FullDisk(fsio.Disk):
    """A disk whose N-th operation and all after it fail."""

    def __init__(self, n, code):
        self.left, self.code = n, code

    def __getattribute__(self, name):
        method = object.__getattribute__(self, name)
        if name not in ("open", "write", "sync", "replace", "sync_directory"):
            return method

        def operation(*arguments):
            self.left -= 1
            if self.left < 0:
                raise OSError(self.code, os.strerror(self.code))
            return method(*arguments)

        return operation


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_fills_up_costs_a_warning_and_no_more(folder, monkeypatch, code):
    kernel = scale_by(7)
    for n in range(11):  # opening the lock, five operations for the object, five for the index
        monkeypatch.setattr(fsio, "disk", FullDisk(n, code))
        store = Store(folder)
        with pytest.warns(StoreWarning, match=rf"cannot be kept in .*{os.strerror(code)}") as warned:
            assert scaled(store, kernel) == [7, 14, 21]
        assert len(warned) == 1
        assert store.compiled == 1
        monkeypatch.setattr(fsio, "disk", fsio.Disk())
        assert not list(folder.glob(".tmp-*"))
        if n < 10:
            (folder / f"{kernel.key}.o").unlink(missing_ok=True)
    store = Store(folder)  # with room again; the last failure had only left the folder's names unsynced
    assert scaled(store, kernel) == [7, 14, 21]
    assert store.compiled == 0


def test_no_folder_at_all_is_said_once():
    store = Store(None)
    with pytest.warns(StoreWarning, match=r"no folder .* FLUXRUN_CACHE") as warned:
        results = [scaled(store, scale_by(factor)) for factor in (2, 3)]
    assert results == [[2, 4, 6], [3, 6, 9]]
    assert len(warned) == 1


def test_a_read_only_store_that_holds_everything_is_silent(folder, monkeypatch):
    monkeypatch.setattr(fsio, "disk", FullDisk(0, errno.EROFS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scaled(Store(folder), scale_by(2)) == [2, 4, 6]


REFUSED = {
    "raises": "def bad(arena, operands):\n    if operands[0] > 3:\n        raise ValueError('no')\n",
    "allocates": (
        "import numpy as np\ndef bad(arena, operands):\n"
        "    x = np.empty(operands[0])\n    x[0] = 1\n    arena[0] = x.sum()\n"
    ),
    "prints": "def bad(arena, operands):\n    print(operands[0])\n",
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_kernel_that_could_crash_the_process_is_refused(tmp_path, why):
    store = Store(tmp_path)
    with pytest.raises(KernelError, match=r"'bad' may raise or allocate: it calls .*(numba|NRT|Py)"):
        store.load([Kernel("bad", REFUSED[why])])
    assert not list(tmp_path.glob("*.o"))


DIVIDE = """
from numba import njit

@njit
def helper(a, b):  # takes over its caller's rules of division
    return a // b

def divide(arena, operands):
    operands[0] = helper(operands[1], operands[2])
    arena[0] = arena[1] / arena[2]
"""


def test_division_by_zero_follows_numpy(tmp_path):
    arena, operands = np.float32([0, 1, 0]), np.array([0, 1, 0])
    Store(tmp_path).function(Kernel("divide", DIVIDE))(arena.ctypes.data, operands.ctypes.data)
    assert np.isinf(arena[0])


def test_numba_still_has_the_private_method_that_gives_object_code():
    """If this fails, Numba has changed: `object_code` in the compiler is the one place to look at."""
    code = object_code(compile_function(scale_by(2)))
    assert code.startswith((b"\x7fELF", b"\xcf\xfa\xed\xfe"))
    assert len(code) > 500
