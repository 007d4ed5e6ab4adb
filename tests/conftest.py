"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes what the compiler emits now into tests/golden, to be read before it is committed."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected files in tests/golden")
