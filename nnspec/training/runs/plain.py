"""Values as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from nnspec import ir


def plain(value: Any) -> Any:
    """A value as JSON has it: tensors as lists, numbers that JSON lacks as words."""
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, ir.Record):
        return plain({"name": value.name, **value.arguments})
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)  # inf and nan
    return value
