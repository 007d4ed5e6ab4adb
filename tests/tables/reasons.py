"""Why some samples are not said, differ, or have no ONNX form: every exception has its reason here."""

from __future__ import annotations

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """Samples that one reason is about."""

    names: str
    """A pattern for the whole names of classes and functions."""
    said: str
    """A pattern for how what happened begins: a diagnostic, a kind of value, a difference."""
    reason: str


_EMPTY = "it has no elements: a size of a spec is at least 1"
_EMPTY_RESULT = "the result has no elements: a size of a spec is at least 1"
_COMPILE_TIME = "numbers are known when a spec is compiled: a tensor cannot be one"
_SIZE_IS_DATA = "the size of the result would be data, and sizes are known when a spec is compiled"
_LIST = "an empty list of dimensions means all to some of torch's functions and none to others"
_MASK = "what a mask selects has a size that is data: `where` and `masked_fill` keep the shape"
_TWO = "the larger and the smaller of two tensors are `maximum` and `minimum`"

RULES = (
    Rule(".*", "a tensor without elements", _EMPTY),
    Rule(".*", "a complex number", "a number of the language is real"),
    Rule(".*", "NNS406: .* takes no complex numbers", "complex numbers are for arithmetic and transforms"),
    Rule("istft", "NNS406: .* needs a float tensor", "a complex window makes a complex signal: real ones are made"),
    Rule("stft", "NNS411: .* gives complex numbers", "pairs will be gone from torch: `view_as_real` makes them"),
    Rule(".*", "the number nan", "the language has no number nan"),
    Rule("tile", "NNS401: .* repeats at least once", _EMPTY_RESULT),
    Rule("pad", "NNS403: `pad` leaves nothing", _EMPTY_RESULT),
    Rule("pad", "NNS403: `pad` takes off all", "what is taken off is cut first, and nothing is left to copy"),
    Rule("any|all", "NNS411: .* names no dimension", _LIST),
    Rule("squeeze", "NNS401: .* its size 5 must be 1", "torch leaves such a dimension alone, which hides a mistake"),
    Rule("max|min", "NNS303: `dim` of .* not a tensor", _TWO),
    Rule(
        "(var|std)(_mean)?",
        "NNS303: `dim` of .* not `(true|false)`",
        "torch's oldest signature; today's is `correction=0`",
    ),
    Rule("linspace", "NNS303: `(start|end)` of .* not a tensor", _COMPILE_TIME),
    Rule("narrow", "NNS303: `start` of .* not a tensor", _COMPILE_TIME),
    Rule("repeat_interleave", "NNS303: `repeats` of .* not a tensor|NNS301: .* `output_size`", _SIZE_IS_DATA),
    Rule("one_hot", "NNS411: .* needs at least one class, not -1", _SIZE_IS_DATA),
    Rule("arange", "NNS303: `start` .* not `false`", "a bool is no number"),
    Rule(".*_norm", "NNS304: `eps` of .* must be at least 0", "a negative `eps` gives roots of negative numbers"),
    Rule("hardtanh", "NNS304: .* needs min_val below", "all results would be one number, as `nn.Hardtanh` says"),
    Rule("norm", 'NNS303: `p` of .* not the string "nuc"', "the nuclear norm is one of matrices, of singular values"),
    Rule("embedding(_bag)?", "NNS301: .* no argument `max_norm`", "it would change the table in a forward pass"),
    Rule("tensor_split", "NNS303: `indices_or_sections` of .* not a tensor", _COMPILE_TIME),
    Rule("(batch|instance)_norm", "NNS301: .* `momentum`", "how running values change: a function changes nothing"),
    Rule("diff", "NNS403: differences taken", _EMPTY_RESULT),
    Rule("(cumulative_)?trapezoid", "NNS402: the places of", "torch repeats a size of 1, which hides a mistake"),
    Rule("tensordot", "NNS401: .* which differ", "torch repeats a size of 1, which hides a mistake"),
    Rule("atleast_.d", "NNS311: .* takes one tensor", "several tensors at once: call it for each"),
    Rule(
        "feature_alpha_dropout",
        "NNS402: .* at least 2 dimensions",
        "what is dropped are channels, the second dimension",
    ),
    Rule("einsum", "NNS409: the operands of .* have `...`", "torch sums over what `...` stands for without being told"),
    Rule("scaled_dot_product_attention", "NNS402: .* of one rank", "operands of several ranks hide a mistake"),
    Rule("avg_pool2d", r"NNS303: `(padding|stride)` of .* not `\(\d*\)`", "a tuple has a number for each dimension"),
    Rule("avg_pool3d", "NNS304: `divisor_override` of .* at least 1", "a divisor below 1 hides a mistake"),
    Rule("multi.*_margin_loss|multilabel.*", "NNS40[12]: ", "scores and target of other shapes hide a mistake"),
    Rule("triplet_margin_with_distance_loss", "a module as an argument", "a distance is a function of the language"),
    Rule("index_put|getitem", "NNS406: .* bool", _MASK),
    Rule("to", "NNS302: `to` needs `dtype`", "only the device or the layout changes, which no spec says"),
    Rule("gaussian_nll_loss", "NNS401: the target of", "a target of another shape than the prediction hides a mistake"),
    Rule("dropout2d", "NNS402: .* needs 4 dimensions", "torch itself warns that three dimensions are ambiguous"),
)


def reason_for(name: str, what: str) -> str:
    """The reason for what happened to a sample of a class or function; empty where none is known."""
    found = (rule.reason for rule in RULES if re.fullmatch(rule.names, name) and re.match(rule.said, what))
    return next(found, "")
