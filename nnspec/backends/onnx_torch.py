"""Between torch and ONNX: weights of a live module as arrays, and the module as what ONNX Runtime is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.backends.onnx_graph import numpy_dtype

if TYPE_CHECKING:
    import torch
    from torch import nn

_BFLOAT16 = "bfloat16"
"""The one element type that numpy and torch do not hand each other."""


def arrays(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Tensors by name as arrays, without a copy where they are on the CPU."""
    return {name: _array(tensor) for name, tensor in state.items()}


def reference(module: nn.Module, input_names: Sequence[str]) -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    """The module in inference as a function of arrays by name: what `onnx_verify.verify` compares with."""
    import torch

    module.eval()

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        given = [_tensor(inputs[name]) if name in inputs else None for name in input_names]
        with torch.no_grad():
            return [_array(tensor) for tensor in _flat(module(*given))]

    return run


def _flat(outputs: Any) -> Iterator[torch.Tensor]:
    if isinstance(outputs, tuple | list):
        for part in outputs:
            yield from _flat(part)
    else:
        yield outputs


def _array(tensor: torch.Tensor) -> np.ndarray:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(numpy_dtype(_BFLOAT16))
    return tensor.numpy()


def _tensor(array: np.ndarray) -> torch.Tensor:
    import torch

    if array.dtype.name == _BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
