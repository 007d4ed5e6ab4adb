"""What a spec has for every class of `torch.nn`: a layer, a function, or nothing and the reason."""

from __future__ import annotations

import torch
from torch import nn

from nnspec import registry

LOSSES = {
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "CTCLoss": "ctc_loss",
    "CosineEmbeddingLoss": "cosine_embedding_loss",
    "CrossEntropyLoss": "cross_entropy",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "HingeEmbeddingLoss": "hinge_embedding_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
    "L1Loss": "l1_loss",
    "LinearCrossEntropyLoss": "linear_cross_entropy",
    "MSELoss": "mse_loss",
    "MarginRankingLoss": "margin_ranking_loss",
    "MultiLabelMarginLoss": "multilabel_margin_loss",
    "MultiLabelSoftMarginLoss": "multilabel_soft_margin_loss",
    "MultiMarginLoss": "multi_margin_loss",
    "NLLLoss": "nll_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "SoftMarginLoss": "soft_margin_loss",
    "TripletMarginLoss": "triplet_margin_loss",
    "TripletMarginWithDistanceLoss": "triplet_margin_with_distance_loss",
}
"""Losses are functions, and so are a few layers that have nothing to keep: class -> function."""

FUNCTIONS = {
    **LOSSES,
    "CosineSimilarity": "cosine_similarity",
    "PairwiseDistance": "pairwise_distance",
}
"""Classes that a spec may call as functions."""

_CONTAINER = "a container: chains, groups, lists and loops of the language take its place"
_BASE = "a base class of others"
_LAZY = "its sizes are inferred later: a spec infers the sizes of every layer before anything runs"

NOT_SAID = {
    "Container": _CONTAINER,
    "Module": _CONTAINER,
    "ModuleDict": _CONTAINER,
    "ModuleList": _CONTAINER,
    "ParameterDict": _CONTAINER,
    "ParameterList": _CONTAINER,
    "Sequential": _CONTAINER,
    "CrossMapLRN2d": "an older form of `LocalResponseNorm`",
    "DataParallel": "a way to run on several devices, not a layer",
    "LinearCrossEntropyLoss": "a layer and a loss in one, to save memory: `cross_entropy((x -> Linear(classes)), t)`",
    "NLLLoss2d": "a deprecated name of `NLLLoss`",
    "RNNBase": _BASE,
    "RNNCellBase": _BASE,
    "SyncBatchNorm": "statistics over several processes: how training is spread, not what the network computes",
}
"""Classes that no spec has, with the reason; `Lazy...` aside."""


def public_classes() -> dict[str, type[nn.Module]]:
    """Every public module class of `torch.nn` by name."""
    found = {name: getattr(torch.nn, name) for name in dir(torch.nn) if not name.startswith("_")}
    return {name: cls for name, cls in found.items() if isinstance(cls, type) and issubclass(cls, nn.Module)}


def said_as(name: str) -> str:
    """`layer`, or the name of a function; empty where a spec has neither."""
    if name in registry.index("layer"):
        return "layer"
    function = FUNCTIONS.get(name, "")
    return function if function in registry.index("function") else ""


def reason_against(name: str) -> str:
    """Why a spec has no such class; empty where none is known."""
    return _LAZY if name.startswith("Lazy") else NOT_SAID.get(name, "")
