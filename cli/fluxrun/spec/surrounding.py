"""What the environment says about specs: FLUXRUN_SET, one KEY=VALUE a line, under every `--set`."""

from __future__ import annotations

import os


def surrounding_overrides() -> list[str]:
    """The overrides of FLUXRUN_SET."""
    return [line for line in os.environ.get("FLUXRUN_SET", "").splitlines() if line.strip()]
