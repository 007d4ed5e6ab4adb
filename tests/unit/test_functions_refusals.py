"""What functions refuse: the code, the numbers in the message, and the repair that is offered."""

from __future__ import annotations

import pytest

from .function_harness import refusal

CASES: list[tuple[str, dict[str, str], str, str]] = [
    # operators
    ("x + y", {"x": "float[N, 64, H]", "y": "float[N, 128, H]"}, "NNS407", "64 meets 128 in dimension 1"),
    ("x + y", {"x": "float[N, T]", "y": "float[N, S]"}, "NNS410", "T meets S"),
    ("x - y", {"x": "bool[N]", "y": "float[N]"}, "NNS406", "bools cannot be subtracted"),
    ("x // y", {"x": "bool[N]", "y": "bool[N]"}, "NNS406", "needs numbers"),
    ("x ** -1", {"x": "int[N]"}, "NNS406", "no negative powers"),
    ("-x", {"x": "bool[N]"}, "NNS406", "needs numbers"),
    ("logical_and(x, 1)", {"x": "bool[N]"}, "NNS311", "needs a tensor, not the number 1"),
    # elementwise
    ("where(x, x, 0)", {"x": "int[N]"}, "NNS406", "must be of type bool"),
    ("masked_fill(x, m, 0.5)", {"x": "int[N]", "m": "bool[N]"}, "NNS406", "cannot put 0.5"),
    ("masked_fill(x, m, 0)", {"x": "int[N]", "m": "int[N]"}, "NNS406", "must be of type bool"),
    ("masked_fill(x, m, x)", {"x": "int[N]", "m": "bool[N]"}, "NNS402", "must be one number"),
    ("clamp(x)", {"x": "float[N]"}, "NNS402", "`min`, `max` or both"),
    ("clamp(x, 0, m)", {"x": "float[N]", "m": "float[N]"}, "NNS406", "not one of each"),
    ("softmax(x, dim=2)", {"x": "float[N, 3]"}, "NNS411", "out of range for float[N, 3]"),
    ("softmax(x, dim=-1)", {"x": "int[N, 3]"}, "NNS406", "needs a float tensor"),
    # activations, pools and normalisations: what their layers refuse, under the function's name
    ("glu(x)", {"x": "float[N, 7]"}, "NNS404", "`glu` needs an even size in dimension 1"),
    ("hardtanh(x, 2, 1)", {"x": "float[N]"}, "NNS304", "`hardtanh` needs min_val below max_val"),
    ("max_pool2d(x, 7)", {"x": "float[N, 3, 5, 9]"}, "NNS403", "kernel 7 does not fit"),
    ("avg_pool2d(x, 2, padding=2)", {"x": "float[N, 3, 5, 9]"}, "NNS304", "of `avg_pool2d` is more than half"),
    ("pixel_shuffle(x, 2)", {"x": "float[N, 3, 5, 9]"}, "NNS404", "multiple of 4 channels"),
    ("layer_norm(x, (4,))", {"x": "float[N, 8]"}, "NNS401", "must end in [4]"),
    ("layer_norm(x, (8,), w)", {"x": "float[N, 8]", "w": "float[4]"}, "NNS401", "the weight of `layer_norm`"),
    ("rms_norm(x, (2, 8, 8))", {"x": "float[N, 8]"}, "NNS402", "cannot normalise over [2, 8, 8]"),
    ("group_norm(x, 4)", {"x": "float[N, 6]"}, "NNS404", "num_groups 4 does not divide"),
    ("norm(x)", {"x": "int[N]"}, "NNS406", "needs a float tensor"),
    ("cosine_similarity(x, y)", {"x": "float[N, 8]", "y": "float[N, 7]"}, "NNS407", "8 meets 7"),
    # resizing and padding
    ("interpolate(x)", {"x": "float[N, 3, H, W]"}, "NNS405", "either `size` or `scale_factor`"),
    ("interpolate(x, 3, 2)", {"x": "float[N, 3, H, W]"}, "NNS405", "either `size` or `scale_factor`"),
    ("interpolate(x, (H, W, 2))", {"x": "float[N, 3, H, W]"}, "NNS402", "needs 2 numbers for the places"),
    ("interpolate(x, scale_factor=0.25)", {"x": "float[N, 3, 3, 9]"}, "NNS403", "leave nothing of a height of 3"),
    ("pad(x, (1, 2, 3))", {"x": "float[N, 3]"}, "NNS402", "two numbers for each"),
    ("pad(x, (0, -3))", {"x": "float[N, 3]"}, "NNS403", "leaves nothing of dimension 1"),
    ('pad(x, (3, 0), mode="reflect")', {"x": "float[2, N, 3]"}, "NNS403", "3 of 3 elements"),
    ('pad(x, (1, 0), mode="circular", value=1)', {"x": "float[2, N, 3]"}, "NNS402", "takes no value"),
    # moving
    ("roll(x, (1, 2), 0)", {"x": "float[N, 3]"}, "NNS402", "2 for 1"),
    ("roll(x, 1, 2)", {"x": "float[N, 3]"}, "NNS411", "out of range"),
    ("roll(x, 1, 0)", {"x": "float[]"}, "NNS411", "a scalar has none"),
    ("flip(x, (0, 0))", {"x": "float[N, 3]"}, "NNS411", "twice"),
    ("movedim(x, (0, 1), (0,))", {"x": "float[N, 3]"}, "NNS402", "1 for 2"),
    # extremes and order
    ("max(x, 2)", {"x": "float[N, 3]"}, "NNS411", "out of range"),
    ("max(x, keepdim=true)", {"x": "float[N, 3]"}, "NNS405", "needs a dimension"),
    ("maximum(x, 3)", {"x": "float[N, 3]"}, "NNS311", "needs a tensor"),
    ("topk(x, 4)", {"x": "float[N, 3]"}, "NNS411", "cannot find 4 elements in dimension 1"),
    ("topk(x, 1)", {"x": "bool[N]"}, "NNS406", "needs numbers"),
    ("var(x, 1)", {"x": "float[N, 1]"}, "NNS403", "of 1 element with correction 1 divides by nothing"),
    ("prod(x, keepdim=true)", {"x": "float[N]"}, "NNS405", "needs a dimension"),
    # numbers
    ("hypot(x, x)", {"x": "int[N]"}, "NNS406", "`hypot` needs floats"),
    ("fmod(x, true)", {"x": "bool[N]"}, "NNS406", "`fmod` needs numbers"),
    ("heaviside(x, y)", {"x": "float[N]", "y": "int[N]"}, "NNS406", "needs operands of one type"),
    ("gcd(x, y)", {"x": "int[N]", "y": "float[N]"}, "NNS406", "`gcd` needs whole numbers"),
    ("ldexp(x, y)", {"x": "float[N]", "y": "bool[N]"}, "NNS406", "not bools"),
    ("lerp(x, y, 0.5)", {"x": "float[N]", "y": "float64[N]"}, "NNS406", "float and float64"),
    ("addcdiv(x, x, x)", {"x": "int[N]"}, "NNS406", "`addcdiv` divides floats"),
    ("addcmul(x, x, x, value=0.5)", {"x": "int[N]"}, "NNS406", "whole numbers by 0.5"),
    ("add(x, x, alpha=0.5)", {"x": "int[N]"}, "NNS406", "alpha 0.5 is a float"),
    ("add(x, x, alpha=true)", {"x": "int[N]"}, "NNS406", "alpha is a bool"),
    ("sub(2, x, alpha=3)", {"x": "int[N]"}, "NNS402", "takes a tensor first, not the number 2"),
    ('div(2, x, rounding_mode="trunc")', {"x": "int[N]"}, "NNS402", "takes a tensor first, not the number 2"),
    ("round(x, decimals=1)", {"x": "int[N]"}, "NNS406", "`round(decimals=1)` needs floats"),
    ("bitwise_left_shift(x, x)", {"x": "bool[N]"}, "NNS406", "needs whole numbers"),
    ("bitwise_and(x, 0.5)", {"x": "int[N]"}, "NNS406", "bools or whole numbers"),
    ("log_ndtr(x)", {"x": "float16[N]"}, "NNS406", "needs float or float64"),
    ("clamp_min(x, true)", {"x": "bool[N]"}, "NNS406", "`clamp_min` needs numbers"),
    ("isclose(x, 1)", {"x": "float[N]"}, "NNS311", "needs a tensor"),
    # places in order
    ("median(x)", {"x": "bool[N]"}, "NNS406", "needs numbers"),
    ("median(x, keepdim=true)", {"x": "float[N]"}, "NNS405", "needs a dimension"),
    ("kthvalue(x, 4)", {"x": "float[N, 3]"}, "NNS411", "no element number 4 in dimension 1"),
    ("quantile(x, 1.5)", {"x": "float[N, 3]"}, "NNS405", "between 0 and 1, but it is 1.5"),
    ("quantile(x, N)", {"x": "float[N, 3]"}, "NNS405", "between 0 and 1, but it is N"),
    ("quantile(x, 0.5)", {"x": "int[N, 3]"}, "NNS406", "needs float or float64"),
    ("quantile(x, q)", {"x": "float[N, 3]", "q": "float[2, 2]"}, "NNS402", "one share or a vector"),
    ("nanmean(x)", {"x": "int[N]"}, "NNS406", "`nanmean` needs a float tensor"),
    ("cummax(x, 1)", {"x": "float[N]"}, "NNS411", "out of range"),
    ("bucketize(x, y)", {"x": "float[N, 3]", "y": "float[2, 4]"}, "NNS402", "needs 1 dimension"),
    ("bucketize(x, x)", {"x": "bool[3]"}, "NNS406", "needs numbers"),
    ("searchsorted(x, y)", {"x": "float[N, 3]", "y": "float[4]"}, "NNS402", "a sequence for each row"),
    ("searchsorted(x, y)", {"x": "float[2, 3]", "y": "float[4, 3]"}, "NNS401", "finds no sequence in float[2, 3]"),
    ('searchsorted(x, y, right=true, side="left")', {"x": "float[3]", "y": "float[4]"}, "NNS304", 'side="left"'),
    ("searchsorted(x, y, sorter=s)", {"x": "float[3]", "y": "float[4]", "s": "int[4]"}, "NNS401", "the sorter"),
    ("histc(x, 3, 2, 1)", {"x": "float[N]"}, "NNS304", "cannot count from 2 to 1"),
    ("isin(x, x)", {"x": "bool[3]"}, "NNS406", "`isin` needs numbers"),
    # lengths and differences
    ("vector_norm(x, dtype=float16)", {"x": "float[N]"}, "NNS406", "would lose digits"),
    ("matrix_norm(x)", {"x": "float[N]"}, "NNS402", "needs matrices"),
    ("matrix_norm(x, 3)", {"x": "float[N, 3]"}, "NNS304", "no norm of order 3"),
    ("matrix_norm(x, dim=(0, 0))", {"x": "float[N, 3]"}, "NNS411", "dimension 0 of float[N, 3] twice"),
    ("dist(x, x)", {"x": "int[N]"}, "NNS406", "`dist` needs floats"),
    ("diff(x)", {"x": "float[]"}, "NNS402", "needs a tensor with dimensions"),
    ("diff(x, 4)", {"x": "float[N, 3]"}, "NNS403", "taken 4 times need 4 elements"),
    ("diff(x, append=y)", {"x": "float[N, 3]", "y": "float[3]"}, "NNS402", "cannot append float[3] to float[N, 3]"),
    ("trapezoid(x, y)", {"x": "float[N, 3]", "y": "float[4]"}, "NNS401", "not as many as float[N, 3] has"),
    ("trapezoid(x, x, dx=2)", {"x": "float[N, 3]"}, "NNS304", "not both"),
    ("trapezoid(x)", {"x": "bool[N, 3]"}, "NNS406", "needs numbers"),
    # parts by position
    ("narrow(x, 1, 2, 3)", {"x": "float[N, 4]"}, "NNS411", "3 elements from 2 on"),
    ("select(x, 1, 4)", {"x": "float[N, 4]"}, "NNS411", "does not find position 4"),
    ("unbind(x)", {"x": "float[N, 4]"}, "NNS405", "`N` pieces"),
    ("index_select(x, 0, i)", {"x": "float[N]", "i": "float[3]"}, "NNS406", "positions of type int"),
    ("index_select(x, 0, i)", {"x": "float[N]", "i": "int[3, 2]"}, "NNS402", "a vector of positions"),
    ("gather(x, 1, i)", {"x": "float[2, 4]", "i": "int[3, 4]"}, "NNS401", "more positions than float[2, 4]"),
    ("gather(x, 1, i)", {"x": "float[2, 4]", "i": "int[2]"}, "NNS402", "of the rank of"),
    ("one_hot(x, 3)", {"x": "float[N]"}, "NNS406", "numbers of type int"),
    # making
    ("x + eye(-1)", {"x": "float[N, 4]"}, "NNS411", "a dimension of size -1"),
    ("meshgrid(x, y)", {"x": "float[N, 4]", "y": "float[2]"}, "NNS402", "vectors of one type"),
    ("x + linspace(0, 1, 3, dtype=int)", {"x": "float[3]"}, "NNS406", "makes floats"),
    ("bitwise_and(x, x)", {"x": "float[N]"}, "NNS406", "bools or whole numbers"),
    # products with weights
    ("linear(x, w)", {"x": "float[N, 8]", "w": "float[5, 7]"}, "NNS401", "by the transpose of [5, 7]"),
    ("linear(x, w, b)", {"x": "float[N, 8]", "w": "float[5, 8]", "b": "float[8]"}, "NNS401", "must be [5]"),
    ("bmm(x, x)", {"x": "float[N, 8]"}, "NNS402", "two tensors of 3 dimensions"),
    ("embedding(x, x)", {"x": "float[N, 8]"}, "NNS406", "looks numbers up"),
    # reductions
    ("mean(x)", {"x": "int[N, 3]"}, "NNS406", "needs a float tensor"),
    ("sum(x, dim=(0, -2))", {"x": "float[N, 3]"}, "NNS411", "dimension 0 of float[N, 3] twice"),
    ("argmax(x)", {"x": "bool[N]"}, "NNS406", "needs numbers"),
    # joining and taking apart
    ("cat([x, y])", {"x": "float[N, 3]", "y": "float[N, 4]"}, "NNS401", "dimension 1 is 3 and 4"),
    ("cat([x, y])", {"x": "float[3]", "y": "float[N, 4]"}, "NNS402", "one rank"),
    ("cat(x)", {"x": "float[3]"}, "NNS402", "list of tensors"),
    ("stack([x, y])", {"x": "float[N, 3]", "y": "float[N, 4]"}, "NNS401", "dimension 1 is 3 and 4"),
    ("chunk(x, 3, dim=1)", {"x": "float[N, T]"}, "NNS410", "3 equal pieces of a dimension of size T"),
    ("chunk(x, 4)", {"x": "float[5]"}, "NNS404", "only 3 pieces"),
    ("split(x, [3, 4], dim=1)", {"x": "float[N, 8]"}, "NNS401", "sum to 7, but the dimension has size 8"),
    ("split(x, 2)", {"x": "float[N, 8]"}, "NNS410", "pieces of 2"),
    # shapes
    ("reshape(x, (N, 5, -1))", {"x": "float[N, 12]"}, "NNS408", "12 / 5 must be a whole number"),
    ("reshape(x, (N, 13))", {"x": "float[N, 12]"}, "NNS408", "12 * N elements are not 13 * N"),
    ("reshape(x, (-1, -1))", {"x": "float[N, 12]"}, "NNS408", "2 of -1"),
    ("reshape(x, (4, -1))", {"x": "float[N, 7]"}, "NNS410", "(7 * N) / 4 must be a whole number"),
    ("reshape(x, (-2, 3))", {"x": "float[N, 3]"}, "NNS408", "cannot be negative"),
    ("unflatten(x, 1, (3, 5))", {"x": "float[N, 12]"}, "NNS408", "12 elements are not 15"),
    ("flatten(x, 2, 1)", {"x": "float[N, 12, 3]"}, "NNS411", "from dimension 2 back to dimension 1"),
    ("permute(x, (0, 1))", {"x": "float[N, 3, 4]"}, "NNS402", "2 of 3"),
    ("permute(x, (0, 0, 1))", {"x": "float[N, 3, 4]"}, "NNS411", "twice"),
    ("unsqueeze(x, 4)", {"x": "float[N, 1]"}, "NNS411", "out of range"),
    ("squeeze(x, 1)", {"x": "float[N, 3]"}, "NNS401", "size 3 must be 1"),
    ("squeeze(x, 1)", {"x": "float[N, T]"}, "NNS410", "size T must be 1"),
    ("squeeze(x)", {"x": "float[N, 1]"}, "NNS405", "`N` may be 1"),
    ("expand(x, (N, 4))", {"x": "float[N, 3]"}, "NNS407", "3 is not 1"),
    ("expand(x, (-1, N, 3))", {"x": "float[N, 3]"}, "NNS402", "-1 keeps a size"),
    # indexing
    ("x[5]", {"x": "float[5, N]"}, "NNS411", "index 5 is outside dimension 0"),
    ("x[-6]", {"x": "float[5, N]"}, "NNS411", "index -6 is outside dimension 0"),
    ("x[:, 3:9]", {"x": "float[N, 8]"}, "NNS411", "slice 3:9 does not lie in dimension 1"),
    ("x[:, 5:3]", {"x": "float[N, 8]"}, "NNS411", "ends before it starts"),
    ("x[:, ::-1]", {"x": "float[N, 8]"}, "NNS411", "at least 1"),
    ("x[0, 0, 0]", {"x": "float[N, 8]"}, "NNS411", "3 indices are too many"),
    ("x[..., 0, ...]", {"x": "float[N, 8]"}, "NNS411", "at most one"),
    ("x[m]", {"x": "float[N, 8]", "m": "bool[N]"}, "NNS406", "must be of type int or int32"),
    ("x[i, j]", {"x": "float[N, 8]", "i": "int[3]", "j": "int[4]"}, "NNS407", "3 meets 4"),
    # products
    ("x @ y", {"x": "float[N, 8]", "y": "float[5, 8]"}, "NNS401", "8 columns meet 5 rows"),
    ("x @ y", {"x": "float[N, 8]", "y": "int[8, 5]"}, "NNS406", "operands of one type"),
    ("x @ y", {"x": "float[N, 8]", "y": "float[]"}, "NNS402", "vectors or matrices"),
    ("outer(x, y)", {"x": "float[N, 8]", "y": "float[3]"}, "NNS402", "two vectors"),
    ('einsum("ij,jk->ik", x, y)', {"x": "float[N, 8]", "y": "float[7, 3]"}, "NNS401", "size 8 in one place and 7"),
    ('einsum("ij->iz", x)', {"x": "float[N, 8]"}, "NNS409", "has `z`"),
    ('einsum("ij,jk->ik", x)', {"x": "float[N, 8]"}, "NNS409", "2 terms for 1 operand"),
    ('einsum("ijk->ik", x)', {"x": "float[N, 8]"}, "NNS409", "does not fit float[N, 8]"),
    ('einsum("i1->i", x)', {"x": "float[N, 8]"}, "NNS409", "`1` is not a letter"),
    ('einsum("...i->i", x)', {"x": "float[N, 8]"}, "NNS409", "its result has no `...`"),
    ('einsum("ij->ii", x)', {"x": "float[N, 8]"}, "NNS409", "`i` twice"),
    # attention
    (
        "scaled_dot_product_attention(x, y, y)",
        {"x": "float[N, T, 8]", "y": "float[N, T, 6]"},
        "NNS401",
        "8 and 6",
    ),
    (
        "scaled_dot_product_attention(x, y, y, enable_gqa=true)",
        {"x": "float[N, 4, T, 8]", "y": "float[N, 3, T, 8]"},
        "NNS404",
        "4 heads of query must be a multiple of the 3 heads of key",
    ),
    (
        "scaled_dot_product_attention(x, x, x, m, is_causal=true)",
        {"x": "float[N, T, 8]", "m": "bool[T, T]"},
        "NNS406",
        "not both",
    ),
    (
        "scaled_dot_product_attention(x, x, x, m)",
        {"x": "float[N, 5, 8]", "m": "bool[5, 7]"},
        "NNS407",
        "does not fit scores of shape [N, 5, 5]",
    ),
    # patterns
    ('rearrange(x, "n (h d) -> n h d", h=5)', {"x": "float[N, 12]"}, "NNS404", "must divide by 5"),
    ('rearrange(x, "n (h d) -> n h d")', {"x": "float[N, 12]"}, "NNS409", "leaves `h` and `d` open"),
    ('rearrange(x, "n d -> n")', {"x": "float[N, 12]"}, "NNS409", "no `d` on its right side"),
    ('rearrange(x, "n d -> n d e")', {"x": "float[N, 12]"}, "NNS409", "no `e` on its left side"),
    ('rearrange(x, "n d -> d n")', {"x": "float[N, T, 12]"}, "NNS409", "names 2 dimensions"),
    ('rearrange(x, "n 1 -> n")', {"x": "float[N, 12]"}, "NNS401", "`1` in the pattern"),
    ('rearrange(x, "n d -> d n", h=4)', {"x": "float[N, 12]"}, "NNS409", "has no `h`"),
    ('rearrange(x, "n (d -> d n")', {"x": "float[N, 12]"}, "NNS409", "lacks a `)`"),
    ('rearrange(x, "n, d -> d n")', {"x": "float[N, 12]"}, "NNS409", "cannot be read at `, d`"),
    ('rearrange(x, "n n -> n n")', {"x": "float[N, 12]"}, "NNS409", "`n` twice"),
    ('rearrange(x, "n d")', {"x": "float[N, 12]"}, "NNS409", "one arrow"),
    # losses
    ("mse_loss(x, y)", {"x": "float[N, 1]", "y": "float[N]"}, "NNS401", "[N, 1] and [N]"),
    ("mse_loss(x, y)", {"x": "float[N, 2]", "y": "float[N, 3]"}, "NNS401", "[N, 2] and [N, 3]"),
    ("mse_loss(x, y)", {"x": "int[N, 2]", "y": "float[N, 2]"}, "NNS406", "needs a float tensor"),
    ("binary_cross_entropy(x, y)", {"x": "float[N]", "y": "int[N]"}, "NNS406", "operands of one type"),
    ("cross_entropy(x, y)", {"x": "float[N, T, 10]", "y": "int[N, T]"}, "NNS410", "needs a target [N, 10]"),
    ("cross_entropy(x, y)", {"x": "float[N, 10]", "y": "int32[N]"}, "NNS406", "must be of type int"),
    ("cross_entropy(x, y)", {"x": "float[N, 10]", "y": "int[N, 1]"}, "NNS401", "needs a target [N]"),
    ("cross_entropy(x, y, w)", {"x": "float[N, 10]", "y": "int[N]", "w": "float[9]"}, "NNS401", "weights for 9"),
    ("cross_entropy(x, y, dim=2)", {"x": "float[N, T, 4]", "y": "float[N, T, 4]"}, "NNS402", "in dimension 1 only"),
    # new tensors
    ("x + arange(3, 1)", {"x": "float[N]"}, "NNS411", "ends before it starts"),
    ("x + arange(0, N, 0.5)", {"x": "float[N]"}, "NNS405", "mixes a symbol"),
    ("x + arange(0, 5, 0)", {"x": "float[N]"}, "NNS411", "step of `arange` is zero"),
    ("x + zeros(-3)", {"x": "float[N]"}, "NNS411", "dimension of size -3"),
    ("x + full((100_000, 100_000), 1)", {"x": "float[N]"}, "NNS411", "10,000,000,000 elements"),
    ("tril(x)", {"x": "float[N]"}, "NNS402", "needs a matrix"),
]

REPAIRS: list[tuple[str, dict[str, str], str]] = [
    ("mse_loss(x, y)", {"x": "float[N, 1]", "y": "float[N]"}, "prediction[..., 0]"),
    ("cross_entropy(x, y)", {"x": "float[N, T, 10]", "y": "int[N, T]"}, "dim=-1"),
    ("cat([x, y])", {"x": "float[N, 3]", "y": "float[N, 4]"}, "dim=1"),
    ("x @ y", {"x": "float[N, 8]", "y": "float[5, 8]"}, "transpose(y, -2, -1)"),
    ("chunk(x, 3, dim=1)", {"x": "float[N, T]"}, "assert T % 3 == 0"),
    ("mean(x)", {"x": "int[N]"}, "mean(x, dtype=float)"),
    ("where(x, x, 0)", {"x": "int[N]"}, "x != 0"),
    ('rearrange(x, "n (h d) -> n h d")', {"x": "float[N, 12]"}, "`h=...`"),
    ("x[m]", {"x": "float[N, 8]", "m": "bool[N]"}, "masked_fill"),
    ("binary_cross_entropy(x, y)", {"x": "float[N]", "y": "int[N]"}, "to(x, float)"),
]


@pytest.mark.parametrize(("text", "inputs", "code", "says"), CASES, ids=[c[0] for c in CASES])
def test_a_fault_has_its_code_and_says_both_numbers(text: str, inputs: dict[str, str], code: str, says: str) -> None:
    found = refusal(text, **inputs)
    assert found.code == code
    assert says in found.message
    assert found.message[0] == "`" or found.message[0].islower() or found.message[0].isdigit()
    assert not found.message.endswith(".")


@pytest.mark.parametrize(("text", "inputs", "repair"), REPAIRS, ids=[c[0] for c in REPAIRS])
def test_a_fault_offers_its_repair(text: str, inputs: dict[str, str], repair: str) -> None:
    assert any(repair in text for text in refusal(text, **inputs).helps)
