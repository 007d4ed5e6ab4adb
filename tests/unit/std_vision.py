"""Blocks of `std` for images, and the modules of torchvision that they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..zoo import originals_shapes
from ..zoo.libraries import torchvision
from ..zoo.network import Case, Inputs
from .std_block import Block

_IMAGE = ("x: float[N, 8, H, W]",)


def _maps(batch: int, *size: int) -> Inputs:
    return {"x": torch.randn(batch, *(size if len(size) == 3 else (8, *size)))}


def _vision(name: str, text: str, original: Callable[[], nn.Module], **options: Any) -> Block:
    """A block over maps of eight channels."""
    case = Case(original=original, sizes=options.pop("sizes", ((9, 8), (12, 15))))
    usual: dict[str, Any] = {"inputs": _maps, "needs": "torchvision", "declared": _IMAGE}
    return Block(name=name, text=f"x -> b: {text}", cases=(case,), **usual | options)


def made(module: str, name: str, /, *given: Any, **named: Any) -> Callable[[], nn.Module]:
    """Makes a module of torchvision, when called."""
    return lambda: getattr(torchvision(f"torchvision.{module}"), name)(*given, **named)


def _groups(channels: int) -> nn.Module:
    return nn.GroupNorm(2, channels)


def _residual(kind: str, width: int, outside: int, stride: int, *rest: Any, norm: Any = nn.BatchNorm2d) -> nn.Module:
    """A block of torchvision's ResNet that changes the number of channels."""
    shortcut = nn.Sequential(nn.Conv2d(8, outside, 1, stride, bias=False), norm(outside))
    return made("models.resnet", kind, 8, width, stride, shortcut, *rest, norm_layer=norm)()


def _stage() -> nn.Module:
    resnet = torchvision("torchvision.models.resnet")
    found: nn.Module = resnet.ResNet(resnet.Bottleneck, [1, 3, 1, 1]).layer2
    return found


def _mbconv(*settings: Any) -> nn.Module:
    library = torchvision("torchvision.models.efficientnet")
    found: nn.Module = library.MBConv(library.MBConvConfig(*settings, 1, 1.0, 1.0), 0.0, nn.BatchNorm2d)
    return found


def _mobile3(*settings: Any) -> nn.Module:
    library = torchvision("torchvision.models.mobilenetv3")
    found: nn.Module = library.InvertedResidual(library.InvertedResidualConfig(*settings), nn.BatchNorm2d)
    return found


class Patches(nn.Module):
    """timm's `PatchEmbed` without a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(8, 16, 3, stride=3)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens."""
        y: Tensor = self.proj(x)
        return y.flatten(2).transpose(1, 2)


def _unet(name: str) -> Callable[[], nn.Module]:
    return partial(getattr(originals_shapes, name), 8, 12)


def _tokens(batch: int, *size: int) -> Inputs:
    return {"x": torch.randn(batch, *size, 16)}


def _levels(batch: int, *size: int) -> Inputs:
    height, width = size
    return {"x": torch.randn(batch, 8, height // 2, width // 2), "skip": torch.randn(batch, 4, height, width)}


def _conv() -> nn.Module:
    return made("models.inception", "BasicConv2d", 8, 6, kernel_size=3, stride=2, padding=(1, 0))()


def _up() -> nn.Module:
    module = _unet("Up")()
    module.conv = _unet("DoubleConv")()
    return module


class Grown(nn.Module):
    """A dense layer with its input beside what it computes."""

    def __init__(self) -> None:
        super().__init__()
        layer = made("models.densenet", "_DenseLayer", 8, 4, 2, 0.0)()
        for name, child in layer.named_children():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Tensor:
        """All channels."""
        y = x
        for norm, conv in (("norm1", "conv1"), ("norm2", "conv2")):
            y = self.get_submodule(conv)(F.relu(self.get_submodule(norm)(y)))
        return torch.cat([x, y], 1)


_INCEPTION = "models.inception"
_SWIN = "models.swin_transformer"
_LAST = {"declared": ("x: float[N, 8, 9, 8]",), "inputs": lambda n, *_: {"x": torch.randn(n, 8, 9, 8)}, "sizes": ((),)}
_PADDED = "WindowAttention(2, window=4, shift=2)"

VISION = (
    _vision("LayerNorm2d", "LayerNorm2d", made("models.convnext", "LayerNorm2d", 8, eps=1e-6)),
    _vision("BasicBlock", "BasicBlock(8)", made("models.resnet", "BasicBlock", 8, 8)),
    _vision(
        "BasicBlock",
        "BasicBlock(12, stride=2, norm=GroupNorm(2))",
        partial(_residual, "BasicBlock", 12, 12, 2, norm=_groups),
    ),
    _vision(
        "Bottleneck",
        "Bottleneck(4, stride=2)",
        partial(_residual, "Bottleneck", 4, 16, 2),
    ),
    _vision(
        "Bottleneck",
        "Bottleneck(4, dilation=2, inner=8, groups=4)",
        partial(_residual, "Bottleneck", 4, 16, 1, 4, 32, 2),
    ),
    _vision(
        "ResidualStage",
        "ResidualStage(Bottleneck, 128, depth=3, stride=2)",
        _stage,
        declared=("x: float[N, 256, H, W]",),
        sizes=((256, 4, 5), (256, 3, 2)),
    ),
    _vision("ConvNeXtBlock", "ConvNeXtBlock", made("models.convnext", "CNBlock", 8, 1e-6, 0.0)),
    _vision(
        "ConvNeXtDownsampling",
        "ConvNeXtDownsampling(16)",
        lambda: nn.Sequential(made("models.convnext", "LayerNorm2d", 8, eps=1e-6)(), nn.Conv2d(8, 16, 2, 2)),
    ),
    _vision(
        "ConvNorm",
        "ConvNorm(16, 5, stride=2, groups=4, act=ReLU6)",
        made("ops.misc", "Conv2dNormActivation", 8, 16, 5, 2, groups=4, activation_layer=nn.ReLU6),
    ),
    _vision(
        "ConvNorm",
        "ConvNorm(16, dilation=2, act=Identity)",
        made("ops.misc", "Conv2dNormActivation", 8, 16, 3, dilation=2, activation_layer=nn.Identity),
    ),
    _vision("SqueezeExcitation", "SqueezeExcitation(4)", made("ops.misc", "SqueezeExcitation", 8, 2)),
    _vision(
        "SqueezeExcitation",
        "SqueezeExcitation(squeeze=3, act=SiLU, gate=Hardsigmoid)",
        made("ops.misc", "SqueezeExcitation", 8, 3, nn.SiLU, nn.Hardsigmoid),
    ),
    _vision("InvertedResidual", "InvertedResidual(8)", made("models.mobilenetv2", "InvertedResidual", 8, 8, 1, 6)),
    _vision(
        "InvertedResidual",
        "InvertedResidual(12, expand=1, stride=2)",
        made("models.mobilenetv2", "InvertedResidual", 8, 12, 2, 1),
    ),
    _vision("MBConv", "MBConv(8, kernel=5)", partial(_mbconv, 6, 5, 1, 8, 8)),
    _vision("MBConv", "MBConv(16, expand=1, stride=2)", partial(_mbconv, 1, 3, 2, 8, 16)),
    _vision(
        "MBConv",
        "MBConv(8, 24 / 8, act=Hardswish, attention=none)",
        partial(_mobile3, 8, 3, 24, 8, False, "HS", 1, 1, 1.0),
    ),
    _vision("DenseLayer", "DenseLayer(4, bottleneck=2)", Grown),
    _vision("DenseBlock", "DenseBlock(3, 4)", made("models.densenet", "_DenseBlock", 3, 8, 4, 4, 0.0)),
    _vision("Transition", "Transition", made("models.densenet", "_Transition", 8, 4)),
    _vision("BasicConv2d", "BasicConv2d(6, 3, 2, (1, 0))", _conv),
    _vision("Inception", "Inception(3, 4, 5, 2, 3, 6)", made("models.googlenet", "Inception", 8, 3, 4, 5, 2, 3, 6)),
    _vision("InceptionA", "InceptionA(3)", made(_INCEPTION, "InceptionA", 8, 3)),
    _vision("InceptionB", "InceptionB", made(_INCEPTION, "InceptionB", 8)),
    _vision("InceptionC", "InceptionC(6)", made(_INCEPTION, "InceptionC", 8, 6)),
    _vision("InceptionD", "InceptionD", made(_INCEPTION, "InceptionD", 8)),
    _vision("InceptionE", "InceptionE", made(_INCEPTION, "InceptionE", 8)),
    _vision("DoubleConv", "DoubleConv(12)", _unet("DoubleConv"), needs="torch"),
    _vision("Down", "Down(12)", _unet("Down"), needs="torch"),
    Block(
        name="Up",
        declared=("x: float[N, 8, 4, 5]", "skip: float[N, 4, 9, 10]"),
        text="(x, skip) -> b: Up(12)",
        inputs=_levels,
        cases=(Case(original=_up, sizes=((9, 10),)),),
    ),
    _vision("PatchEmbedding", "PatchEmbedding(16, patch=3)", Patches, needs="torch"),
    _vision("WindowAttention", _PADDED, made(_SWIN, "ShiftedWindowAttention", 8, [4, 4], [2, 2], 2), **_LAST),
    _vision(
        "SwinBlock",
        "SwinBlock(2, window=3, shift=1)",
        made(_SWIN, "SwinTransformerBlock", 8, 2, [3, 3], [1, 1]),
        **_LAST,
    ),
    _vision(
        "PatchMerging",
        "PatchMerging",
        made(_SWIN, "PatchMerging", 8),
        declared=("x: float[N, 9, 8, 8]",),
        sizes=((9, 8, 8),),
    ),
    _vision(
        "VisionLayer",
        "VisionLayer(4, hidden=32)",
        made("models.vision_transformer", "EncoderBlock", 4, 16, 32, 0.0, 0.0),
        declared=("x: float[N, T, 16]",),
        inputs=_tokens,
        sizes=((5,), (8,)),
    ),
    _vision(
        "VisionEncoder",
        "VisionEncoder(depth=2, heads=4, hidden=32)",
        made("models.vision_transformer", "Encoder", 7, 2, 4, 16, 32, 0.0, 0.0),
        declared=("x: float[N, 7, 16]",),
        inputs=_tokens,
        sizes=((7,),),
    ),
)
