"""Convolutions that keep their weights in the processor's order are ordinary modules in all other respects."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.passes.pipeline import optimize

from .keeping import ALL

NET = """
model Net {
  input x: float[N, 3, H, W]
  output y = x -> conv: Conv2d(8, 3, bias=false) -> bn: BatchNorm2d -> ReLU -> Dropout -> head: Conv2d(2, 1)
}
"""


@pytest.fixture
def served() -> nn.Module:
    torch.manual_seed(0)
    return build(optimize(compile_text(NET).program, ALL).program)


def test_packed_weights_follow_the_weights(served: nn.Module) -> None:
    x = torch.randn(2, 3, 8, 8)
    before = served(x)
    state = {name: tensor * 2 for name, tensor in served.state_dict().items()}
    other = copy.deepcopy(served)
    other.load_state_dict(state)
    served.load_state_dict(state)
    assert not torch.allclose(served(x), before)
    assert torch.equal(served(x), other(x))
    served.load_state_dict(other.state_dict(), assign=True)
    assert torch.equal(served(x), other(x))


def test_a_packed_module_is_an_ordinary_one(served: nn.Module) -> None:
    x = torch.randn(2, 3, 8, 8)
    want = served(x)
    assert torch.equal(pickle.loads(pickle.dumps(served))(x), want)
    assert torch.equal(copy.deepcopy(served)(x), want)
    batch = torch.export.Dim("N", min=1, max=64)
    exported = torch.export.export(served, (x,), dynamic_shapes=({0: batch},)).module()
    torch.testing.assert_close(exported(x), want)
    torch.testing.assert_close(torch.compile(served, fullgraph=True, backend="eager")(x), want)
    torch.testing.assert_close(copy.deepcopy(served).double()(x.double()).float(), want)
    with torch.inference_mode():
        torch.testing.assert_close(served(x), want)


def test_gradients_flow_back_to_the_input_of_a_packed_module(served: nn.Module) -> None:
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    served(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).any())


def plain(served: nn.Module) -> nn.Module:
    """The same weights in torch's own classes."""
    convolutions = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1)
    for name, convolution in zip(("conv", "head"), convolutions, strict=True):
        packed = served.get_submodule(name)
        convolution.load_state_dict({each: getattr(packed, each) for each in ("weight", "bias")})
    return nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1]).requires_grad_(False)


def test_new_weights_at_an_old_address_are_new(served: nn.Module) -> None:
    """Memory is used again: weights that come and go between two calls may lie where the first ones did."""
    x = torch.randn(2, 3, 8, 8)
    for _ in range(30):
        served.load_state_dict({name: tensor.clone() for name, tensor in served.state_dict().items()}, assign=True)
        served(x)
        for _ in range(3):
            state = {name: torch.randn_like(tensor) for name, tensor in served.state_dict().items()}
            served.load_state_dict(state, assign=True)
            del state
        torch.testing.assert_close(served(x), plain(served)(x), rtol=1e-4, atol=1e-4)


def test_a_computed_weight_is_packed_as_it_is(served: nn.Module) -> None:
    class Times(nn.Module):
        factor = 1

        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight * self.factor

    x, times = torch.randn(2, 3, 8, 8), Times()
    nn.utils.parametrize.register_parametrization(served.get_submodule("conv"), "weight", times)
    for factor in range(1, 10):
        times.factor = factor
        torch.testing.assert_close(served(x), plain(served)(x), rtol=1e-4, atol=1e-4)


def test_what_is_packed_goes_when_a_module_moves(served: nn.Module) -> None:
    x = torch.randn(2, 3, 8, 8)
    served(x)
    convolution = served.get_submodule("conv")
    assert getattr(convolution, "packed") is not None  # noqa: B009 - mypy knows no such attribute
    served.double()
    assert getattr(convolution, "packed") is None  # noqa: B009


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch.func.jvp uses it
def test_transformations_see_a_packed_module_as_a_plain_one(served: nn.Module) -> None:
    x, along = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    other = plain(served)
    for got, want in zip(*(torch.func.jvp(each, (x,), (along,)) for each in (served, other)), strict=True):
        torch.testing.assert_close(got, want)
    forward_ad: Any = torch.autograd.forward_ad  # has no types
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, along)
        tangents = [forward_ad.unpack_dual(each(dual)).tangent for each in (served, other)]
        torch.testing.assert_close(*tangents)
    twice = {name: torch.stack([tensor, tensor * 2]) for name, tensor in served.state_dict().items()}
    both = torch.vmap(lambda state: torch.func.functional_call(served, state, (x,)))(twice)
    torch.testing.assert_close(both[0], other(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert served(x).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_packed_module_can_be_traced() -> None:
    text = "model M { input x: float[2, 3, 8, 8]\n output y = x -> Conv2d(4, 3) }"
    module = build(optimize(compile_text(text).program, ALL).program)
    x = torch.randn(2, 3, 8, 8)
    jit: Any = torch.jit  # has no types
    traced = jit.trace(module, x)
    assert "mkldnn" not in str(traced.inlined_graph)
    torch.testing.assert_close(traced(x), module(x))
