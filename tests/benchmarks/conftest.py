"""The benchmarks are not installed with the package: they are found at the top of the repository."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
