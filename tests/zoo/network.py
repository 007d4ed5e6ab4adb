"""What the tests know about a network of the zoo: the spec, how its original is made, and what is fed to both.

To add a network:

1. Write `examples/zoo/NAME.nns`. Parameters have the names and shapes of the original's state dict.
2. Add a `Network("NAME", ...)` to the table of its family: `vision.py` (torchvision), `language.py` (transformers) or
   `others.py`. An original that no library has is a module in `originals.py`, written as its paper's code is.
3. Give it cases. A `Case` makes the original and says which hyperparameters give the same network in the spec. Some are
   `quick`: small, a second or two each, and run by every test run. The others, with the spec's defaults, wait behind
   `-m slow` and may take a minute. Between them they have two sizes and two batch sizes, batch 1 among them.
4. `pytest tests/zoo -k NAME`, with `-m ''` for all its cases; `python -m bench zoo` prints the table of all networks.

Of each case it is then tested that the original's state dict loads strictly; that outputs, gradients and (unless
`train=False`) a step in training mode are those of the original at every size; that one exported graph gives the same
in ONNX Runtime; that the spec is no longer than the original's code; and, where `starts` is said, that parameters start
from the distributions that the original's do.

What is random in training is drawn from the same seed on both sides, and is the same where it is drawn in the same
order. Where it is not, make the case without (`dropout=0` on both sides), or say `train=False`. A second look at what
is different in training is a case of its own.

Where the original's names cannot be said, `examples/zoo/NAME.keys.json` lies beside the spec: `{"reason": "why they
cannot", "keys": {"their.*.name": "our.*.name"}}`; a `*` stands for the same text on both sides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ZOO = Path(__file__).parent.parent.parent / "examples" / "zoo"

Inputs = dict[str, Tensor]
"""Tensors by the names of the spec's inputs, in their order."""

Size = tuple[int, ...]
"""Whatever the network's `inputs` makes its tensors from: height and width, a length, ..."""


def tensors(result: Any) -> list[Tensor]:
    """The tensors of a tensor, a tuple, a dict or a dataclass-like output, in order; what is None is left out."""
    if result is None:
        return []
    if isinstance(result, Tensor):
        return [result]
    parts = result.values() if isinstance(result, Mapping) else result
    return [tensor for part in parts for tensor in tensors(part)]


def positional(original: nn.Module, inputs: Inputs) -> Any:
    """Call an original as most are called."""
    return original(*inputs.values())


def images(batch: int, *size: int) -> Inputs:
    """Random colour images for an input `image`."""
    return {"image": torch.randn(batch, 3, *size)}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to make a network twice, and the inputs to try it with."""

    original: Callable[[], nn.Module]
    """Makes the original with random weights."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """What makes the spec the same network."""
    sizes: Sequence[Size] = ((),)
    """Each is tried with each batch size."""
    batches: Sequence[int] = (1, 3)
    quick: bool = True
    """Whether every test run tries it."""
    train: bool = True
    """Whether the training mode is compared."""
    train_batch: int = 4
    """The batch of the step in training mode, at the first size."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A spec, its original and the cases to compare them in."""

    name: str
    """That of the spec's file."""
    cases: Sequence[Case]
    inputs: Callable[..., Inputs] = images
    """From a batch size and the numbers of a size."""
    call: Callable[[nn.Module, Inputs], Any] = positional
    """How the original takes the inputs."""
    outputs: Callable[[Any], list[Tensor]] = tensors
    """What the original returns as a list of tensors in the order of the spec's outputs."""
    needs: str = "torch"
    """The package that the original comes from."""
    dtype: torch.dtype = torch.float64
    """In which gradients and the step of training are compared: the wider, the sharper. float32 for originals that
    insist on it."""
    starts: bool = False
    """Whether fresh parameters come from the original's distributions, which is compared in the quick cases."""
    extra_code: Sequence[str] = ()
    """Functions and classes, besides those of the original's modules, that say what the spec says: `module:name`."""
    left_out: Sequence[str] = ()
    """Names of classes of the original's modules whose code says nothing that the spec does."""

    @property
    def path(self) -> Path:
        """The spec's file."""
        return ZOO / f"{self.name}.nns"

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The original's state under the spec's names: the same, unless there is a key map."""
        file = ZOO / f"{self.name}.keys.json"
        keys = json.loads(file.read_text(encoding="utf-8"))["keys"] if file.exists() else {}
        patterns = [(re.compile(re.escape(old).replace(r"\*", "(.*)")), new) for old, new in keys.items()]
        return {_renamed(name, patterns): tensor for name, tensor in state.items()}


def _renamed(name: str, patterns: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, new in patterns:
        match = pattern.fullmatch(name)
        if match:
            texts = (*match.groups(), "")
            return "".join(part + text for part, text in zip(new.split("*"), texts, strict=True))
    return name
