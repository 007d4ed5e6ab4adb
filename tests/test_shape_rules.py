"""Every shape rule at random: with numbers it says what torch says, and with symbols what it says with numbers.

Torch is asked on its meta device, and on the CPU where that disagrees with the rule, as its shape functions know less
than its kernels.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from nnspec import registry

from .shapes.draws import Draw, draw
from .shapes.judge import Said, Shapes, ours, torchs
from .shapes.seeds import Call, seeds

CLASSES = [(kind, name) for kind in ("layer", "function") for name in sorted(registry.index(kind))]

UNPROVED = ("NNS405", "NNS410")
"""What a rule may say of symbols where it says nothing of numbers: that a size must be known, or proved."""

BY_VALUES = ("cov", "ctc_loss")
"""What torch refuses for the values that it is given, which no shape rule sees."""

NARROWER = {
    "corrcoef": "of one variable it is a number, of several a matrix",
    "cov": "of one variable it is a number, of several a matrix",
    "pad": "an amount that may be negative is not known to be cut off or put on",
}
"""Rules that demand of symbols what they do not demand of numbers, which let them give another answer."""

STRICT = 0.05
"""So many of the calls that torch takes may be refused, on purpose (see docs/design.md): broadcast losses, slices
beyond the end, floats rounded to integers, ranks that the documentation does not name."""


@pytest.mark.parametrize(("kind", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_a_rule_says_what_torch_says(kind: str, name: str) -> None:
    _try(kind, name, range(25))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_a_rule_says_what_torch_says_in_many_draws(kind: str, name: str) -> None:
    counted = _try(kind, name, range(1000, 1500))
    assert counted["same shapes"] >= 25, counted
    assert counted["stricter"] <= max(STRICT, _STRICTER.get(name, 0)) * counted["same shapes"], counted


_STRICTER = dict.fromkeys(
    ("hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"), 0.5
) | {"scaled_dot_product_attention": 0.15}
"""Losses, which torch broadcasts; scores, which it repeats for a larger mask, and one key for many values."""
_STRICTER |= dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), 0.25)
"""Whose output padding the meta device does not look at."""
_STRICTER |= dict.fromkeys(
    ("FeatureAlphaDropout", "feature_alpha_dropout", "MaxPool3d", "max_pool2d", "max_pool3d"), 0.2
)
"""Which torch has for whole numbers as well, in inference or for some ranks."""
_STRICTER |= dict.fromkeys(("fractional_max_pool2d", "fractional_max_pool3d"), 0.3)
"""Which take a size and a ratio in torch, and do not look at the ratio."""
_STRICTER |= {"stft": 0.25, "view_as_complex": 0.25}
"""Whose form in torch does not see all that torch's functions of these names refuse."""


def _try(kind: str, name: str, numbers: range) -> Counter[str]:
    """Draw calls of a class and judge them; how many there were of each kind."""
    counted: Counter[str] = Counter()
    for number in numbers:
        chance = Random(f"{name} {number}")
        drawn = draw(seeds(kind, name), chance)
        if drawn is None:
            continue
        said = ours(drawn.concrete())
        counted[_concrete(name, drawn, said)] += 1
        counted[_symbolic(drawn, said, chance)] += 1
    return counted


def _concrete(name: str, drawn: Draw, said: Said) -> str:
    """Judge the call in numbers."""
    call = drawn.concrete()
    found: Shapes | str = torchs(call, "meta")
    # Kernels may crash on what the rule refuses, but not on types, which the meta device does not look at.
    if found != said.shapes and (said.fault is None or said.fault.code == "NNS406"):
        found = torchs(call, "cpu")
    if isinstance(found, str) and ("not implemented" in found or "not supported" in found.lower()):
        return "torch has no kernel"
    if said.shapes is None:
        if isinstance(found, list) and any(0 in dims for _, dims in found):
            return "nothing is left"
        return "both refuse" if isinstance(found, str) else "stricter"
    if isinstance(found, str) and name in BY_VALUES:
        return "refused for values"
    assert found == said.shapes, call
    return "same shapes"


def _symbolic(drawn: Draw, said: Said, chance: Random) -> str:
    """Judge the call with symbols, the fewer the more it asks to know: what holds for them holds for these sizes."""
    verdict = "no symbols"
    for share in (0.7, 0.4, 0.2):
        call = drawn.symbolic(chance, share)
        if call is not None:
            verdict = _general(call, drawn, said)
        if verdict != "undecided":
            break
    return verdict


def _general(call: Call, drawn: Draw, said: Said) -> str:
    general = ours(call)
    if general.fault is not None:
        open_question = general.fault.fact is not None or general.fault.code in UNPROVED
        assert said.shapes is None or open_question, (call, drawn.sizes, general.fault.message)
        return "undecided" if said.shapes is not None else "refused with symbols"
    if type(call.operation).__name__ in NARROWER and not general.holds(drawn.sizes):
        return "narrower with symbols"
    # What the entry would check decides whether these sizes are let in, and so must the rule for numbers.
    assert general.holds(drawn.sizes) == (said.shapes is not None), (call, drawn.sizes, general.proof.requires)
    assert said.shapes is None or general.at(drawn.sizes) == said.shapes, (call, drawn.sizes)
    return "same with symbols"
