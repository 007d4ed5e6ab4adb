"""PyTorch's tables, imported without what that does to others."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any


@cache
def tables() -> tuple[list[Any], list[Any]]:
    """`module_db` and `op_db`; raises `ImportError` where this torch comes without what they need."""
    from hypothesis import settings

    profile = settings.get_current_profile_name()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.testing._internal.common_methods_invocations import op_db as operators
            from torch.testing._internal.common_modules import module_db as modules
    finally:
        settings.load_profile(profile)  # torch loads one of its own, which would rule all tests of this process
    return modules, operators


def module_db() -> list[Any]:
    """Samples of modules."""
    return tables()[0]


def op_db() -> list[Any]:
    """Samples of functions."""
    return tables()[1]
