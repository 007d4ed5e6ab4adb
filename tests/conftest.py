"""Options of the test run."""

from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers share the cores: more threads than one in each would wait for each other. Torch reads it once.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes what the compiler emits now into tests/golden, to be read before it is committed."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected files in tests/golden")
