"""The networks that neither torchvision nor transformers has: their originals are in `originals_*.py`, or timm's."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from .libraries import torchvision
from .network import Case, Inputs, Network
from .originals_generative import VAE, Discriminator, Generator, WaveNet
from .originals_shapes import PointNet, UNet
from .originals_text import GRULanguageModel, LSTMLanguageModel


def grey(batch: int, side: int) -> Inputs:
    """Random grey images with pixels between 0 and 1."""
    return {"image": torch.rand(batch, 1, side, side)}


def noise(batch: int, width: int) -> Inputs:
    """A generator's input."""
    return {"z": torch.randn(batch, width, 1, 1)}


def squares(batch: int, side: int) -> Inputs:
    """Random square images."""
    return {"image": torch.randn(batch, 3, side, side)}


def clouds(batch: int, count: int) -> Inputs:
    """Random points."""
    return {"points": torch.randn(batch, 3, count)}


def audio(batch: int, length: int) -> Inputs:
    """Random samples of 16 levels."""
    return {"samples": torch.randint(16, (batch, length))}


def lstm_text(batch: int, length: int, layers: int, width: int) -> Inputs:
    """Random words and a state."""
    state = {name: torch.randn(layers, batch, width) for name in ("h", "c")}
    return {"tokens": torch.randint(50, (length, batch)), **state}


def gru_text(batch: int, length: int, layers: int, width: int) -> Inputs:
    """Random words and a state."""
    return {"tokens": torch.randint(50, (length, batch)), "h": torch.randn(layers, batch, width)}


def mixer(**arguments: Any) -> nn.Module:
    """MLP-Mixer of timm."""
    torchvision()  # which timm imports
    found: nn.Module = importlib.import_module("timm.models.mlp_mixer").MlpMixer(**arguments)
    return found


SMALL_WAVENET = {"levels": 16, "residual": 6, "dilated": 5, "skipped": 8, "end": 7, "layers": 3, "stacks": 2}
SMALL_TEXT = {"vocab": 50, "width": 12, "layers": 2, "dropout": 0.0}
MIXER_B = {"embed_dim": 768, "num_blocks": 12}
SMALL_MIXER = {"patch_size": 8, "embed_dim": 24, "num_blocks": 2, "num_classes": 7}

NETWORKS: tuple[Network, ...] = (
    Network(
        name="unet",
        cases=(
            Case(original=lambda: UNet(width=4), hyperparameters={"width": 4}, sizes=((32, 48), (37, 50))),
            Case(original=UNet, sizes=((64, 48), (95, 70)), batches=(1, 2), quick=False),
        ),
    ),
    Network(
        name="vae",
        inputs=grey,
        cases=(
            Case(
                original=lambda: VAE(6, 9, 4),
                hyperparameters={"side": 6, "hidden": 9, "latent": 4},
                sizes=((6,),),
                train=False,
            ),
            Case(
                original=VAE,
                hyperparameters={"side": 28, "hidden": 400, "latent": 20},
                sizes=((28,),),
                train=False,
            ),
        ),
    ),
    Network(
        name="dcgan_generator",
        inputs=noise,
        cases=(
            Case(original=lambda: Generator(12, 4), hyperparameters={"noise": 12, "width": 4}, sizes=((12,),)),
            Case(original=lambda: Generator(7, 5), hyperparameters={"noise": 7, "width": 5}, sizes=((7,),)),
            Case(original=Generator, sizes=((100,),), quick=False),
            Case(original=lambda: Generator(50), hyperparameters={"noise": 50}, sizes=((50,),), quick=False),
        ),
    ),
    Network(
        name="dcgan_discriminator",
        cases=(
            Case(original=lambda: Discriminator(4), hyperparameters={"width": 4}, sizes=((64, 64), (70, 96))),
            Case(original=Discriminator, sizes=((64, 64), (96, 80)), quick=False),
        ),
    ),
    Network(
        name="mlp_mixer",
        inputs=squares,
        needs="timm",
        cases=(
            Case(
                original=lambda: mixer(img_size=32, **SMALL_MIXER),
                hyperparameters={"side": 32, "patch": 8, "width": 24, "depth": 2, "classes": 7},
                sizes=((32,),),
            ),
            Case(
                original=lambda: mixer(img_size=48, **SMALL_MIXER),
                hyperparameters={"side": 48, "patch": 8, "width": 24, "depth": 2, "classes": 7},
                sizes=((48,),),
            ),
            Case(original=lambda: mixer(**MIXER_B), sizes=((224,),), batches=(1, 2), quick=False),
            Case(
                original=lambda: mixer(img_size=160, **MIXER_B),
                hyperparameters={"side": 160},
                sizes=((160,),),
                batches=(1, 2),
                quick=False,
            ),
        ),
    ),
    Network(
        name="pointnet",
        inputs=clouds,
        cases=(
            Case(
                original=lambda: PointNet(7, dropout=0.0),
                hyperparameters={"classes": 7, "dropout": 0},
                sizes=((5,), (64,)),
            ),
            Case(original=PointNet, sizes=((1024,), (700,)), train=False, quick=False),
        ),
    ),
    Network(
        name="wavenet",
        inputs=audio,
        dtype=torch.float32,
        cases=(
            Case(original=lambda: WaveNet(**SMALL_WAVENET), hyperparameters=SMALL_WAVENET, sizes=((1,), (33,))),
            Case(original=WaveNet, sizes=((400,), (1100,)), quick=False),
        ),
    ),
    Network(
        name="lstm_lm",
        inputs=lstm_text,
        cases=(
            Case(
                original=lambda: LSTMLanguageModel(50, 12, 2, 0.0),
                hyperparameters=SMALL_TEXT,
                sizes=((1, 2, 12), (9, 2, 12)),
            ),
            Case(original=LSTMLanguageModel, sizes=((35, 2, 650), (7, 2, 650)), train=False, quick=False),
        ),
    ),
    Network(
        name="gru_lm",
        inputs=gru_text,
        cases=(
            Case(
                original=lambda: GRULanguageModel(50, 12, 2, 0.0),
                hyperparameters=SMALL_TEXT,
                sizes=((1, 2, 12), (9, 2, 12)),
            ),
            Case(original=GRULanguageModel, sizes=((35, 2, 200), (7, 2, 200)), train=False, quick=False),
        ),
    ),
)
