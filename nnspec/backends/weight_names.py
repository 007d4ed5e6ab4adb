"""Names of weights in checkpoints of earlier days, and what they are called now."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import TypeVar

_T = TypeVar("_T")

_PARAMETRIZED = re.compile(r"((?:.*\.)?)parametrizations\.(\w+)\.(original[01]?|0\._[uv])")
_BEFORE = {"original0": "_g", "original1": "_v", "original": "_orig", "0._u": "_u", "0._v": "_v"}
"""What `torch.nn.utils.weight_norm` and `spectral_norm` called the parts of a weight."""


def with_current_names(state: Mapping[str, _T], own: Iterable[str], known: Container[str]) -> Mapping[str, _T]:
    """A checkpoint under the names that a module has now (`own`); what it holds by a `known` name stays."""
    renamed: dict[str, str] = {}
    for name in own:
        found = None if name in state else _PARAMETRIZED.fullmatch(name)
        if found is not None:
            before = found[1] + found[2] + _BEFORE[found[3]]
            if before in state and before not in known:
                renamed[before] = name
    return {renamed.get(name, name): tensor for name, tensor in state.items()} if renamed else state
