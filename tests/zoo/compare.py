"""A network of the zoo and its original with the same weights: how far apart they are, each way of looking a number."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

import nnspec
from nnspec import ir
from nnspec.backends import onnx as onnx_backend
from nnspec.compiler_input import compile_input, read_input

from .network import Case, Inputs, Network, tensors

_STATISTICS = ("running_mean", "running_var")
_FLOOR = 1e-2
"""A gradient is compared relative to its largest element, or to this share of the largest of all where that is more."""
State = dict[str, Tensor]
_SEED = 6
_SAMPLE = 5_000
"""As many elements of a parameter say what distribution it comes from."""


@dataclass(frozen=True)
class Pair:
    """Both modules of a case, in eval mode, ours with the original's weights."""

    network: Network
    case: Case

    @property
    def theirs(self) -> nn.Module:
        """The original, with weights that leave nothing at zero or one."""
        return self._theirs[0]

    @property
    def ours(self) -> nn.Module:
        """The spec's module; that the original's state dict loads strictly is what makes it."""
        return self._ours[0]

    @cached_property
    def _theirs(self) -> tuple[nn.Module, State]:
        """The original, and a sample of what it started from."""
        torch.manual_seed(0)
        module = self.case.original()
        start = _sample(module)
        _unsettle(module)
        return module.eval(), self.network.renamed(start)

    @cached_property
    def _ours(self) -> tuple[nn.Module, State]:
        torch.manual_seed(1)
        module = nnspec.load(self.network.path, **self.case.hyperparameters)
        start = _sample(module)
        module.load_state_dict(self.network.renamed(self.theirs.state_dict()), strict=True)
        return module.eval(), start

    @property
    def starts(self) -> tuple[State, State]:
        """Samples of fresh parameters: of ours, and of the original's."""
        return self._ours[1], self._theirs[1]

    @cached_property
    def program(self) -> ir.Program:
        """What the spec compiles to."""
        return compile_input(read_input(self.network.path), overrides=dict(self.case.hyperparameters)).program

    def trials(self) -> Iterator[tuple[str, Inputs]]:
        """Inputs of every size and batch size, each with its title."""
        torch.manual_seed(2)
        for size in self.case.sizes:
            for batch in self.case.batches:
                yield f"batch {batch}, size {size}", self.network.inputs(batch, *size)


def names(pair: Pair) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shapes of the parameters and of the saved buffers by name: ours, and the original's."""
    ours, theirs = pair.ours, pair.theirs
    return _shapes(ours.state_dict(), ours), pair.network.renamed(_shapes(theirs.state_dict(), theirs))


def starts(pair: Pair) -> dict[str, float]:
    """How far apart the distributions lie that fresh parameters come from; more than 1 is no chance."""
    ours, theirs = pair.starts
    return {name: _kolmogorov_smirnov(ours[name], theirs[name]) for name in theirs}


def outputs(pair: Pair) -> dict[str, float]:
    """In eval mode, the largest relative difference at each size."""
    found = {}
    for title, inputs in pair.trials():
        with torch.no_grad():
            found[title] = _apart(tensors(pair.ours(**inputs)), _original(pair, pair.theirs, inputs))
    return found


def gradients(pair: Pair) -> dict[str, float]:
    """In eval mode, the largest relative difference of any parameter's gradient at each size."""
    ours, theirs = _twin(pair.ours, pair), _twin(pair.theirs, pair)
    return {title: _step(pair, ours, theirs, _as(inputs, pair))[1] for title, inputs in pair.trials()}


def training(pair: Pair) -> dict[str, float]:
    """In training mode, the largest relative differences of outputs, gradients, and buffers afterwards."""
    ours, theirs = _twin(pair.ours, pair).train(), _twin(pair.theirs, pair).train()
    torch.manual_seed(3)
    inputs = pair.network.inputs(pair.case.train_batch, *pair.case.sizes[0])
    found = dict(zip(("outputs", "gradients"), _step(pair, ours, theirs, _as(inputs, pair)), strict=True))
    saved, wanted = ours.state_dict(), pair.network.renamed(theirs.state_dict())
    return found | {"buffers": max(_apart([saved[name]], [wanted[name]]) for name in wanted)}


def exported(pair: Pair) -> dict[str, float]:
    """One exported graph in ONNX Runtime: the largest relative difference to the original at each size.

    Of a network with optional inputs it is one for each choice of them that is tried.
    """
    state = {name: tensor.detach().numpy() for name, tensor in pair.ours.state_dict().items()}
    graphs: dict[frozenset[str], Any] = {}
    found = {}
    for title, inputs in pair.trials():
        given = frozenset(inputs).intersection(pair.program.main.optional)
        if given not in graphs:
            graphs[given] = _session(onnx_backend.build(pair.program, None, state, given=given))
        arrays = graphs[given]({name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.no_grad():
            wanted = _original(pair, pair.theirs, inputs)
        found[title] = _apart([torch.from_numpy(np.asarray(array)) for array in arrays], wanted)
    return found


def _unsettle(module: nn.Module) -> None:
    """Running statistics of a training, and noise on what starts constant: what has no effect cannot be compared."""
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name.endswith(_STATISTICS):
                buffer.copy_(torch.rand_like(buffer) + 0.5 if name.endswith("var") else torch.randn_like(buffer) * 0.1)
        for parameter in module.parameters():
            if parameter.numel() == 1 or bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(torch.randn_like(parameter) * 0.1)


def _sample(module: nn.Module) -> State:
    return {name: tensor.flatten()[:_SAMPLE].clone() for name, tensor in module.state_dict().items()}


def _kolmogorov_smirnov(one: Tensor, other: Tensor) -> float:
    """The statistic of the two-sample test, over what it exceeds once in ten million times."""
    samples = [tensor.double().sort().values for tensor in (one, other)]
    places = torch.cat(samples)
    below = [torch.searchsorted(sample, places, right=True) / len(sample) for sample in samples]
    limit = math.sqrt(math.log(2e7) / 2 * sum(1 / len(sample) for sample in samples))
    return float((below[0] - below[1]).abs().max()) / limit


def _shapes(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Any]:
    trained = {name for name, each in module.named_parameters(remove_duplicate=False) if each.requires_grad}
    return {name: (tuple(tensor.shape), tensor.dtype, name in trained) for name, tensor in state.items()}


def _original(pair: Pair, module: nn.Module, inputs: Inputs) -> list[Tensor]:
    return pair.network.outputs(pair.network.call(module, inputs))


def _twin(module: nn.Module, pair: Pair) -> nn.Module:
    return copy.deepcopy(module).to(pair.network.dtype)


def _as(inputs: Inputs, pair: Pair) -> Inputs:
    return {name: t.to(pair.network.dtype) if t.is_floating_point() else t for name, t in inputs.items()}


def _step(pair: Pair, ours: nn.Module, theirs: nn.Module, inputs: Inputs) -> tuple[float, float]:
    """Differences of outputs and of gradients."""
    torch.manual_seed(_SEED)
    got = tensors(ours(**inputs))
    torch.manual_seed(_SEED)  # what is random is the same, where it is drawn in the same order
    want = _original(pair, theirs, inputs)
    found, wanted = _gradients(got, ours), pair.network.renamed(_gradients(want, theirs))
    assert found.keys() == wanted.keys(), f"other parameters are used: {sorted(found.keys() ^ wanted.keys())[:6]}"
    floor = _FLOOR * max(float(gradient.abs().max()) for gradient in wanted.values())
    worst = max(_difference(found[name], gradient, floor) for name, gradient in wanted.items())
    return _apart([t.detach() for t in got], [t.detach() for t in want]), worst


def _gradients(results: Sequence[Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Of a scalar in which every element of every output has another weight."""
    generator = torch.Generator().manual_seed(4)
    terms = [
        (result * torch.randn(result.shape, generator=generator, dtype=result.dtype)).mean()
        for result in results
        if result.is_floating_point()
    ]
    module.zero_grad(set_to_none=True)
    torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]  # torch's own
    return {name: p.grad for name, p in module.named_parameters(remove_duplicate=False) if p.grad is not None}


def _apart(got: Sequence[Tensor], want: Sequence[Tensor]) -> float:
    assert len(got) == len(want), f"{len(got)} outputs, and {len(want)} of the original"
    return max(_difference(a, b) for a, b in zip(got, want, strict=True))


def _difference(got: Tensor, want: Tensor, floor: float = 0.0) -> float:
    """The largest difference relative to the largest magnitude; infinite for another shape or element type."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    if not want.is_floating_point():
        return 0.0 if torch.equal(got, want) else float("inf")
    gap, scale = (float(t.abs().max()) if t.numel() else 0.0 for t in (torch.where(got == want, 0, got - want), want))
    return 0.0 if gap == 0 else float("inf") if gap != gap else gap / max(scale, floor, 1e-30)


def _session(model: onnx.ModelProto) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda arrays: session.run(None, arrays)
