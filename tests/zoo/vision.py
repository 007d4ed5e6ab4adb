"""The networks that torchvision has, and what they grew from.

Where the published network is too large to be tried in every test run, the quick case makes a smaller one with the same
classes: fewer or narrower layers, by torchvision's own arguments where it has them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .libraries import torchvision, vision
from .network import Case, Inputs, Network
from .originals import LeNet5

SMALL = ((64, 64), (75, 80))
FULL = ((224, 224), (160, 192))


def small_head(name: str, **arguments: Any) -> nn.Module:
    """AlexNet or VGG with 64 features where they have 4096, which start as those do."""
    module: nn.Module = vision(name, **arguments)()
    layers: Any = module.classifier
    linear = [at for at, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    for at, outputs, inputs in zip(linear, (64, 64, None), (None, 64, 64), strict=True):
        layers[at] = _cut(layers[at], outputs, inputs)
    return module


def _cut(layer: nn.Linear, outputs: int | None, inputs: int | None) -> nn.Linear:
    weight, bias = layer.weight[:outputs, :inputs], layer.bias[:outputs]
    cut = nn.Linear(weight.shape[1], weight.shape[0])
    cut.load_state_dict({"weight": weight, "bias": bias})
    return cut


def small_resnet50(**arguments: Any) -> nn.Module:
    """One block in each of the first two stages, and two in the others."""
    library = torchvision("torchvision.models.resnet")
    module: nn.Module = library.ResNet(library.Bottleneck, [1, 1, 2, 2], **arguments)
    return module


def small_deeplab() -> nn.Module:
    """On the small ResNet-50."""
    backbone = small_resnet50(replace_stride_with_dilation=[False, True, True])
    library = torchvision("torchvision.models.segmentation.deeplabv3")
    module: nn.Module = library._deeplabv3_resnet(backbone, 7, True)
    return module


def small_convnext() -> nn.Module:
    """Two stages of two blocks."""
    library = torchvision("torchvision.models.convnext")
    stages = [library.CNBlockConfig(16, 24, 2), library.CNBlockConfig(24, None, 2)]
    module: nn.Module = library.ConvNeXt(stages, 0.1, num_classes=7)
    return module


def digits(batch: int, side: int) -> Inputs:
    """Random grey images."""
    return {"image": torch.randn(batch, 1, side, side)}


def tv(name: str, *cases: Case, starts: bool = True, **more: Any) -> Network:
    """A network of torchvision."""
    return Network(name=name, cases=cases, needs="torchvision", starts=starts, **more)


NETWORKS: tuple[Network, ...] = (
    Network(
        name="lenet",
        inputs=digits,
        cases=(
            Case(original=LeNet5, sizes=((32,),)),
            Case(original=lambda: LeNet5(26, 28), hyperparameters={"classes": 26, "side": 28}, sizes=((28,),)),
        ),
    ),
    tv(
        "alexnet",
        Case(
            original=lambda: small_head("alexnet", num_classes=7),
            hyperparameters={"classes": 7, "hidden": 64},
            sizes=SMALL,
        ),
        Case(original=vision("alexnet"), sizes=FULL, batches=(1, 2), quick=False, train=False),
        starts=False,  # the bounds of torch's own start depend on how many features there are
    ),
    tv(
        "vgg11_bn",
        Case(
            original=lambda: small_head("vgg11_bn", num_classes=7),
            hyperparameters={"classes": 7, "hidden": 64},
            sizes=((32, 40), (57, 33)),
        ),
        Case(original=vision("vgg11_bn"), sizes=FULL, batches=(1, 2), quick=False, train=False),
        extra_code=["torchvision.models.vgg:make_layers"],
    ),
    tv(
        "resnet18",
        Case(
            original=vision("resnet18", num_classes=7),
            hyperparameters={"classes": 7},
            sizes=((32, 40), (57, 33)),
        ),
        Case(original=vision("resnet18"), sizes=FULL, batches=(1, 2), quick=False),
    ),
    tv(
        "resnet50",
        Case(
            original=lambda: small_resnet50(num_classes=7),
            hyperparameters={"depths": [1, 1, 2, 2], "classes": 7},
            sizes=((32, 40), (57, 33)),
        ),
        Case(original=vision("resnet50"), sizes=FULL, batches=(1, 2), quick=False),
    ),
    tv(
        "densenet121",
        Case(
            original=vision(
                "densenet.DenseNet", growth_rate=8, block_config=(2, 3, 2, 2), num_init_features=16, num_classes=7
            ),
            hyperparameters={"growth": 8, "depths": [2, 3, 2, 2], "width": 16, "classes": 7},
            sizes=SMALL,
        ),
        Case(original=vision("densenet121"), sizes=FULL, batches=(1, 2), quick=False),
    ),
    tv(
        "googlenet",
        Case(
            # The original draws for its auxiliary classifiers first: what is random would not be the same.
            original=vision("googlenet", num_classes=7, dropout=0, dropout_aux=0, init_weights=True),
            hyperparameters={"classes": 7, "dropout": 0, "dropout_aux": 0},
            sizes=SMALL,
        ),
        Case(original=vision("googlenet", init_weights=True), sizes=FULL, batches=(1, 2), quick=False, train=False),
    ),
    tv(
        "inception_v3",
        Case(
            original=vision("inception_v3", num_classes=7, init_weights=True),
            hyperparameters={"classes": 7},
            sizes=((107, 107), (96, 128)),
            train=False,
        ),
        Case(
            original=vision("inception_v3", num_classes=7, init_weights=False),
            hyperparameters={"classes": 7},
            sizes=((299, 299), (299, 310)),  # the auxiliary classifier needs as much
            batches=(1, 2),
            train_batch=2,
            quick=False,
        ),
        Case(
            original=vision("inception_v3", init_weights=False),
            sizes=((299, 299), (192, 224)),
            batches=(1, 2),
            quick=False,
            train=False,
        ),
    ),
    tv(
        "squeezenet1_1",
        Case(
            original=vision("squeezenet1_1", num_classes=7),
            hyperparameters={"classes": 7},
            sizes=SMALL,
        ),
        Case(original=vision("squeezenet1_1"), sizes=FULL, batches=(1, 2), quick=False, train=False),
    ),
    tv(
        "mobilenet_v2",
        Case(
            original=vision("mobilenet_v2", num_classes=7, width_mult=0.25),
            hyperparameters={"classes": 7, "width_mult": 0.25},
            sizes=SMALL,
        ),
        Case(original=vision("mobilenet_v2"), sizes=FULL, batches=(1, 2), quick=False, train=False),
    ),
    tv(
        "mobilenet_v3_small",
        Case(
            original=vision("mobilenet_v3_small", num_classes=7),
            hyperparameters={"classes": 7},
            sizes=SMALL,
        ),
        Case(original=vision("mobilenet_v3_small"), sizes=FULL, batches=(1, 2), quick=False, train=False),
    ),
    tv(
        "efficientnet_b0",
        Case(
            original=vision("efficientnet_b0", num_classes=7),
            hyperparameters={"classes": 7},
            sizes=SMALL,
        ),
        Case(original=vision("efficientnet_b0"), sizes=FULL, batches=(1, 2), quick=False, train=False),
    ),
    tv(
        "convnext_tiny",
        Case(
            original=small_convnext,
            hyperparameters={"depths": [2, 2], "widths": [16, 24], "classes": 7},
            sizes=SMALL,
        ),
        Case(original=vision("convnext_tiny"), sizes=FULL, batches=(1, 2), quick=False, train=False),
    ),
    tv(
        "vit_b_16",
        *(
            Case(
                original=vision(
                    "VisionTransformer",
                    image_size=size,
                    patch_size=8,
                    num_layers=2,
                    num_heads=3,
                    hidden_dim=24,
                    mlp_dim=40,
                    num_classes=7,
                    dropout=0.1,
                    attention_dropout=0.2,
                ),
                hyperparameters={
                    "image_size": size,
                    "patch": 8,
                    "depth": 2,
                    "heads": 3,
                    "width": 24,
                    "mlp": 40,
                    "classes": 7,
                    "dropout": 0.1,
                    "attention_dropout": 0.2,
                },
                sizes=((size, size),),
            )
            for size in (32, 48)
        ),
        Case(original=vision("vit_b_16"), sizes=((224, 224),), batches=(1, 2), quick=False),
        Case(
            original=vision("vit_b_16", image_size=160),
            hyperparameters={"image_size": 160},
            sizes=((160, 160),),
            batches=(1, 2),
            quick=False,
        ),
    ),
    tv(
        "swin_t",
        *(
            Case(
                original=vision(
                    "SwinTransformer",
                    patch_size=[4, 4],
                    embed_dim=12,
                    depths=[2, 2],
                    num_heads=[2, 3],
                    window_size=[window, window],
                    num_classes=7,
                    stochastic_depth_prob=0.2,
                ),
                hyperparameters={
                    "height": height,
                    "width": width,
                    "embed": 12,
                    "depths": [2, 2],
                    "heads": [2, 3],
                    "window": window,
                    "classes": 7,
                },
                sizes=((height, width),),
            )
            for height, width, window in ((48, 64, 4), (60, 44, 5))
        ),
        Case(original=vision("swin_t"), sizes=((224, 224),), batches=(1, 2), quick=False, train=False),
        Case(
            original=vision("swin_t"),
            hyperparameters={"height": 192, "width": 256},
            sizes=((192, 256),),
            batches=(1, 2),
            quick=False,
            train=False,
        ),
        extra_code=["torchvision.models.swin_transformer:shifted_window_attention"],
    ),
    tv(
        "deeplabv3_resnet50",
        Case(
            original=small_deeplab,
            hyperparameters={"depths": [1, 1, 2, 2], "classes": 7},
            sizes=((16, 24), (33, 17)),
        ),
        Case(
            original=vision("segmentation.deeplabv3_resnet50", weights_backbone=None, aux_loss=True),
            sizes=((224, 224), (120, 161)),
            batches=(1, 2),
            quick=False,
            train=False,
        ),
        dtype=torch.float32,  # dilated convolutions are many times slower in float64
    ),
)
