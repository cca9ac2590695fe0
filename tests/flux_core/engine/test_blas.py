"""The BLAS behind the tape runs on one thread, however the process was started."""

import os
import subprocess
import sys

CODE = """
from threadpoolctl import threadpool_info
from flux_core.engine.blas import sgemm_address
assert sgemm_address() > 0
found = [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas" and "scipy.libs" in i["filepath"]]
print(found)
"""


def test_one_thread_without_any_setting():
    env = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[1]"
