"""Where the real market data are; tests that need them skip, with the reason, where they are absent."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("GPI_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared(name: str) -> Path:
    """The path of a real data file; skips the test where it is absent."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"real data absent: {path}")
    return path


def reference(name: str) -> Path:
    """The path of a file of reference values; skips the test where it is absent."""
    path = SHARED / "reference" / name
    if not path.exists():
        pytest.skip(f"reference values absent: {path}")
    return path
