"""Training on arrays in files: what a process takes is the file as it is mapped, and little besides."""

import json
import subprocess
import sys

import numpy as np
import pytest
from numpy.lib.format import open_memmap

SPEC = """\
name: mapped
data: {source: npy, features: x.npy, labels: y.npy, batch_size: 64}
model: [{affine: 128}, relu, {affine: classes}]
train: {epochs: 1}
"""
MIB = 2**20
COLUMNS = 784
ARENA = 4 * 4 * (COLUMNS * 128 + 128 * 10 + 138)  # values, gradients and two slots, in bytes

# memory of its own is looked at all the time: the kernel keeps a peak only of all memory together
SCRIPT = """
import json, re, sys, threading, time
from pathlib import Path
from flux_core.caches import facts
from flux_core.data import chunks, decoded
from fluxrun.main import app

def status(key):
    return int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

def watch():
    while True:
        peak[0] = max(peak[0], status("RssAnon"))
        time.sleep(0.002)

arguments = json.loads(sys.argv[1])
facts.data_folder = decoded.data_folder = lambda: Path(arguments["cache"])
chunks.LARGE = arguments["large"]
peak = [0]
threading.Thread(target=watch, daemon=True).start()
code = app(["train", "mapped.yaml", "--quiet"], standalone_mode=False)
print(json.dumps({"code": code, "anonymous": peak[0], "all": status("VmHWM"), "numba": "numba" in sys.modules}))
"""


def made(folder, megabytes, dtype="float32"):
    """x.npy, y.npy and mapped.yaml; the bytes of x and y as they are trained on."""
    rows = megabytes * 10**6 // (4 * COLUMNS)
    x = open_memmap(folder / "x.npy", "w+", dtype, (rows, COLUMNS))
    rng, labels = np.random.default_rng(0), []
    for start in range(0, rows, 4096):
        part = rng.random((min(4096, rows - start), COLUMNS), np.float32)
        x[start : start + 4096] = part * 255 if dtype == "uint8" else part
        labels.append(part[:, :10].argmax(axis=1))
    x.flush()
    np.save(folder / "y.npy", np.concatenate(labels))
    (folder / "mapped.yaml").write_text(SPEC)
    (folder / "data").mkdir()
    return rows * (4 * COLUMNS + 8)


def trained(folder, large=64 * MIB):
    """What a training in a process of its own took; kernels are compiled before."""
    arguments = json.dumps({"cache": str(folder / "data"), "large": large})
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, arguments], capture_output=True, text=True, timeout=300, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        if not found["numba"]:
            return found
    raise AssertionError("kernels were compiled twice")


def within(found, dataset):
    """Whether a run stays inside of what is promised, and leaves the data in their file."""
    return found["all"] < dataset + ARENA + 200 * MIB and found["anonymous"] < 80 * MIB


@pytest.mark.parametrize("megabytes", [100, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_large_array_stays_in_its_file(folder, megabytes, dtype):
    dataset = made(folder, megabytes, dtype)
    found = trained(folder)
    assert found["code"] in (0, None)
    assert within(found, dataset), found
    assert len(list((folder / "data").glob("*.npy"))) == (dtype == "uint8")
    assert len(list((folder / "runs").iterdir())) >= 1


def test_an_array_that_is_copied_is_caught(folder):
    dataset = made(folder, 100)
    assert not within(trained(folder, large=2**60), dataset)
