"""Data files that change while they are trained on; in processes of their own, which a missing page would kill."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from pathlib import Path
import numpy as np
from flux_core.data import NpySource, chunks
from flux_core.errors import DataError
from flux_core.layers import Affine, Chain, initialise
from flux_core.optim import sgd
from flux_core.training import EpochEnded, Fit, Plan

chunks.LARGE = 0
engine, what = sys.argv[1:]
path = Path("x.npy")
np.save(path, np.random.default_rng(0).random((4000, 32), np.float32))
np.save("y.npy", np.arange(4000) % 2)
data = NpySource(path, "y.npy").load(seed=0)
fit = Fit(initialise(Chain(Affine(2)), (1, 32), seed=0), data, Plan("cross_entropy", sgd(0.1), epochs=3, engine=engine))
try:
    for event in fit:
        if isinstance(event, EpochEnded) and event.epoch == 1:
            if what == "cut":
                os.truncate(path, 4096)
            elif what == "removed":
                path.unlink()
            elif what == "replaced":
                np.save("short.npy", np.zeros(3))
                os.replace("short.npy", path)
    print(event.status, event.epochs)
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("engine", ["tape", "reference"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("cut", "x.npy: the file was cut off while it was in use: it had 512,128 bytes, now 4,096"),
        ("removed", "finished 3"),
        ("replaced", "finished 3"),
    ],
)
def test_a_file_that_changes(tmp_path, monkeypatch, engine, what, said):
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", SCRIPT, engine, what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")
