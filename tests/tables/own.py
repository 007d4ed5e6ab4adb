"""Samples of our own, for the classes of `torch.nn` that `module_db` lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .judge import Sample, seed
from .modules import Call, remembering, sample


class Ints(NamedTuple):
    """Whole numbers from 0 to below a bound, of a shape."""

    below: int
    shape: tuple[int, ...]


class Kinds(NamedTuple):
    """Cases of a class: what it is made from, and the shapes that it is fed."""

    made: Call
    fed: Sequence[Any]
    modes: tuple[bool, ...] = (False,)


def make(*args: Any, **kwargs: Any) -> Call:
    """Arguments of a constructor."""
    return Call(args, kwargs)


_BOTH = (False, True)
_BATCH, _IMAGE, _LINE = (2, 6), (2, 4, 6, 8), (3, 4, 7)
_PLAIN = (_BATCH, _IMAGE, (), (5,))


def _dropouts(*shapes: tuple[int, ...]) -> list[Kinds]:
    made = (make(), make(0.2), make(p=0.0), make(p=1.0))
    return [Kinds(each, (shape,), _BOTH) for each in made for shape in shapes]


def _each(made: Sequence[Call], *fed: Sequence[Any], modes: tuple[bool, ...] = (False,)) -> list[Kinds]:
    """Every way to make it with every way to feed it."""
    return [Kinds(one, inputs, modes) for one in made for inputs in fed]


_UPSAMPLED = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "linear": (1,), "bilinear": (2,), "trilinear": (3,)}


def _upsamples() -> list[Kinds]:
    cases = []
    for mode, ranks in {**_UPSAMPLED, "bicubic": (2,)}.items():
        for rank in ranks:
            shape = (2, 3, *(5, 4, 3)[:rank])
            corners = (None,) if mode.startswith("nearest") else (None, False, True)
            sizes: list[dict[str, Any]] = [{"size": 7}, {"size": (7, 3, 6)[:rank]}, {"scale_factor": 2}]
            sizes += [{"scale_factor": (2.0, 3.0, 1.0)[:rank]}, {"scale_factor": 1.5}]
            cases += [
                Kinds(make(mode=mode, align_corners=corner, **size), (shape,)) for corner in corners for size in sizes
            ]
    return cases


_TRIPLET = ((4, 8), (4, 8), (4, 8))


def _unpools(rank: int) -> list[Kinds]:
    """Largest values and where they stood."""
    pool = getattr(F, f"max_pool{rank}d")
    generator = torch.Generator().manual_seed(rank)
    fitting = ((make(2), (6, 4, 8)), (make(2, 2), (6, 4, 8)), (make(3, 2), (7, 5, 9)), (make(3, 2, 1), (7, 5, 9)))
    return [
        Kinds(made, pool(torch.rand(shape, generator=generator), *made.args, return_indices=True))
        for made, size in fitting
        for shape in ((2, 3, *size[:rank]), (3, *size[:rank]))
    ]


def _folds() -> list[Kinds]:
    """As many blocks as fit."""
    fitted = (
        (make((4, 5), (2, 2)), 12),
        (make((4, 5), 2, padding=1, stride=2), 9),
        (make((6, 7), (2, 2), dilation=2, stride=(2, 3)), 4),
    )
    return [Kinds(made, (shape,)) for made, blocks in fitted for shape in ((2, 12, blocks), (12, blocks))]


def _decoders() -> list[Kinds]:
    """A layer that is copied, and whether a sequence comes first."""
    found = []
    for options in ({}, {"norm_first": True, "batch_first": True}, {"activation": "gelu", "bias": False}):
        with remembering():
            layer = nn.TransformerDecoderLayer(4, 2, 8, 0.0, **options)
        several = ((2, 3, 4), (2, 5, 4)) if "batch_first" in options else ((3, 2, 4), (5, 2, 4))
        found += _each([make(layer, 2)], several, ((3, 4), (5, 4)), modes=_BOTH)
    return found


@cache
def cases() -> dict[str, list[Kinds]]:
    """What each class is made from and fed."""
    with torch.random.fork_rng(devices=()):
        return {**_CASES, "TransformerDecoder": _decoders()}


_CASES: dict[str, list[Kinds]] = {
    "AdaptiveLogSoftmaxWithLoss": _each(
        [make(16, 20, [5, 12]), make(16, 20, [4], div_value=2.0), make(16, 20, [5, 12], head_bias=True)],
        ((6, 16), Ints(20, (6,))),
        ((16,), Ints(20, ())),
    ),
    "AlphaDropout": _dropouts(*_PLAIN),
    "ChannelShuffle": _each([make(2), make(1), make(4)], ((2, 4, 5),), (_IMAGE,), ((1, 8, 2, 3, 4),)),
    "CosineSimilarity": _each(
        [make(), make(dim=-1), make(0, eps=0.5)],
        (_BATCH, _BATCH),
        (_IMAGE, _IMAGE),
        (_BATCH, (1, 6)),
        ((3, 1, 6), _BATCH),
    ),
    "Dropout": _dropouts(*_PLAIN),
    "Dropout1d": _dropouts((2, 4, 6), (4, 6)),
    "Dropout2d": _dropouts(_IMAGE),
    "Dropout3d": _dropouts((2, 4, 3, 4, 5), (4, 3, 4, 5)),
    "EmbeddingBag": [
        *_each(
            [make(10, 3), make(10, 3, mode="sum"), make(10, 3, mode="max"), make(10, 3, padding_idx=2)],
            (Ints(10, (4, 5)),),
            (Ints(10, (1, 1)),),
        ),
        Kinds(make(10, 3, mode="sum", include_last_offset=False), (Ints(10, (7,)), torch.tensor([0, 2, 2, 5]))),
        Kinds(make(10, 3, mode="mean", include_last_offset=True), (Ints(10, (7,)), torch.tensor([0, 2, 5, 7]))),
    ],
    "FeatureAlphaDropout": _dropouts(_BATCH, _IMAGE, (2, 4, 6)),
    "Flatten": _each([make(), make(0), make(0, -1), make(1, 2), make(-2, -1)], ((2, 3, 4),), (_IMAGE,)),
    "Fold": _folds(),
    "Hardsigmoid": _each([make(), make(inplace=True)], *((shape,) for shape in _PLAIN)),
    "Identity": _each([make(), make(54)], *((shape,) for shape in _PLAIN)),
    "MaxUnpool1d": _unpools(1),
    "MaxUnpool2d": _unpools(2),
    "MaxUnpool3d": _unpools(3),
    "PairwiseDistance": _each(
        [make(), make(p=1.0), make(p=3.0, eps=1e-3), make(keepdim=True), make(p=float("inf"))],
        (_BATCH, _BATCH),
        ((6,), (6,)),
        (_BATCH, (6,)),
        ((3, 2, 6), (1, 2, 6)),
    ),
    "PixelShuffle": _each([make(1), make(2)], (_IMAGE,), ((4, 3, 3),), ((2, 3, 8, 1, 2),)),
    "PixelUnshuffle": _each([make(1), make(2)], (_IMAGE,), ((3, 4, 6),), ((2, 3, 2, 4, 2),)),
    "RReLU": _each([make(), make(0.1, 0.2), make(lower=0.3, upper=0.3)], *((s,) for s in _PLAIN), modes=_BOTH),
    "TripletMarginLoss": _each(
        [make(), make(margin=0.5, p=1.0), make(swap=True), make(reduction="sum"), make(reduction="none", eps=1e-3)],
        _TRIPLET,
        ((8,), (8,), (8,)),
    ),
    "TripletMarginWithDistanceLoss": _each(
        [make(), make(margin=0.5), make(swap=True), make(reduction="sum"), make(reduction="none")], _TRIPLET
    ),
    "Unflatten": _each([make(1, (2, 3)), make(-1, [3, 2]), make(1, (-1, 2)), make(0, (1, 2))], (_BATCH,), ((2, 6),)),
    "Unfold": _each(
        [make(2), make((2, 3), dilation=2), make(3, padding=1), make((2, 3), stride=(2, 1), padding=(0, 1))],
        (_IMAGE,),
        ((4, 6, 8),),
    ),
    "Upsample": _upsamples(),
    "UpsamplingBilinear2d": _each([make(size=7), make((3, 9)), make(scale_factor=2)], (_IMAGE,)),
    "UpsamplingNearest2d": _each([make(size=7), make((3, 9)), make(scale_factor=2)], (_IMAGE,)),
}


def samples(name: str) -> Iterator[Sample]:
    """The samples of a class."""
    for kind in cases().get(name, ()):
        seed()
        for training in kind.modes:
            yield sample(name, kind.made, Call([_tensor(each) for each in kind.fed], {}), training)


def _tensor(given: Any) -> torch.Tensor:
    if isinstance(given, torch.Tensor):
        return given
    if isinstance(given, Ints):
        return torch.randint(given.below, given.shape)
    return torch.randn(given)
