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
from .shapes.judge import Said, Shapes, kernels, ours, torchs
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
"""So many of the calls that torch takes may be refused for another reason than a type, on purpose (see
docs/design.md, "Where the language differs")."""

STRICT_TYPES = 0.15
"""So many may be for a type: a tenth of the calls has one changed. Torch converts some without a word, and has some
kernels for whole numbers in inference or on the CPU alone."""

_STRICTER = {
    "a loss, which torch broadcasts": (
        "cosine_embedding_loss gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss "
        "mse_loss multilabel_soft_margin_loss poisson_nll_loss smooth_l1_loss soft_margin_loss"
    ),
    "ranks that torch's documentation does not name": (
        "ConstantPad1d ConstantPad2d ConstantPad3d Dropout2d Dropout3d UpsamplingNearest2d ZeroPad1d ZeroPad2d "
        "ZeroPad3d dropout2d dropout3d"
    ),
    "what torch leaves unused": "batch_norm fractional_max_pool2d fractional_max_pool3d instance_norm normal",
    "what torch cuts off or repeats without a word": "chunk einsum getitem hardtanh squeeze tensordot",
    "what the form in torch that is written for it does not see": (
        "rearrange reduce repeat rfftfreq stft view_as_complex weight_norm"
    ),
}
STRICTER = {name: 0.4 for names in _STRICTER.values() for name in names.split()}
"""Classes that refuse more, with the reasons."""


@pytest.mark.parametrize(("kind", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_a_rule_says_what_torch_says(kind: str, name: str) -> None:
    _try(kind, name, range(20))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_a_rule_says_what_torch_says_in_many_draws(kind: str, name: str) -> None:
    counted = _try(kind, name, range(1000, 1500), thorough=True)
    assert counted["same shapes"] >= 25, counted
    assert counted["stricter"] <= STRICTER.get(name, STRICT) * counted["same shapes"], counted
    assert counted["stricter about types"] <= STRICT_TYPES * counted["same shapes"], counted


def _try(kind: str, name: str, numbers: range, *, thorough: bool = False) -> Counter[str]:
    """Draw calls of a class and judge them; how many there were of each kind.

    A thorough trial asks the CPU, too, whether it takes what is refused.
    """
    counted: Counter[str] = Counter()
    for number in numbers:
        chance = Random(f"{name} {number}")
        drawn = draw(seeds(kind, name), chance)
        if drawn is None:
            continue
        said = ours(drawn.concrete())
        counted[_concrete(name, drawn, said, thorough)] += 1
        counted[_symbolic(drawn, said, chance)] += 1
    return counted


def _concrete(name: str, drawn: Draw, said: Said, thorough: bool) -> str:
    """Judge the call in numbers."""
    call = drawn.concrete()
    found: Shapes | str = torchs(call, "meta")
    # Its shape functions know less than kernels.
    if found != said.shapes and said.shapes is not None:
        found = torchs(call, "cpu")
    elif not isinstance(found, str) and said.shapes is None and thorough:
        found = kernels(call)
    if isinstance(found, str) and ("not implemented" in found or "not supported" in found.lower()):
        return "torch has no kernel"
    if said.shapes is None:
        if isinstance(found, list) and any(0 in dims for _, dims in found):
            return "nothing is left"
        if isinstance(found, str):
            return "both refuse"
        assert said.fault is not None
        return "stricter about types" if said.fault.code == "NNS406" else "stricter"
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
