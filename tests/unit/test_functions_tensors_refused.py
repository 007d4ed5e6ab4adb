"""What functions of tensors refuse, in words, and what ONNX cannot say."""

from __future__ import annotations

import pytest

from nnspec.backends import onnx as onnx_backend
from nnspec.diagnostics import NnspecError
from nnspec.layer import Example

from .function_harness import program_of

REFUSED = [
    ("scatter(x, 1, i, y)", {"x": "float[N, 4]", "i": "int[N, 3]", "y": "float[N, 2]"}, "more positions"),
    ("scatter(x, 1, i, y)", {"x": "float[N, 4]", "i": "float[N, 3]", "y": "float[N, 3]"}, "positions of type int"),
    ("scatter_add(x, 1, i, y)", {"x": "float[N, 4]", "i": "int[N, 3]", "y": "int[N, 3]"}, "must be of type float"),
    ('scatter_reduce(x, 0, i, x, "mean")', {"x": "bool[4]", "i": "int[4]"}, "the mean of bools"),
    ("index_add(x, 0, i, x, alpha=0.5)", {"x": "int[4]", "i": "int[4]"}, "whole number as `alpha`"),
    ("index_add(x, 1, i, y)", {"x": "float[N, 4]", "i": "int[K]", "y": "float[N, 3]"}, "source of shape [N, K]"),
    ("index_put(x, [m], x)", {"x": "float[4]", "m": "bool[4]"}, "positions of type int"),
    ("diagonal(x, 0, 1, -1)", {"x": "float[N, 4]"}, "both are 1"),
    ("diag(x)", {"x": "float[N, 4, 4]"}, "a vector or a matrix"),
    ("slice_scatter(x, y, 1, 2, 9)", {"x": "float[N, 4]", "y": "float[N, 2]"}, "does not lie in"),
    ("hsplit(x, 3)", {"x": "float[N, 4]"}, "3 equal pieces"),
    ("tensor_split(x, (3, 2), 1)", {"x": "float[N, 4]"}, "ends before it starts"),
    ("vstack([x, y])", {"x": "float[N, 4]", "y": "float[3]"}, "`vstack` cannot join"),
    ("mm(x, y)", {"x": "float[N, 4]", "y": "float[3, 5]"}, "cannot multiply"),
    ("mm(x, y)", {"x": "float[N, 4]", "y": "float[2, 4, 5]"}, "needs a matrix"),
    ("addmm(x, y, y)", {"x": "float[2, 5]", "y": "float[4, 4]"}, "does not broadcast"),
    ("addmm(x, x, x, alpha=0.5)", {"x": "int[4, 4]"}, "whole number as `alpha`"),
    ("tensordot(x, y, 1)", {"x": "float[N, 4]", "y": "float[3]"}, "which differ"),
    ("cross(x, x)", {"x": "float[N, 2]"}, "three coordinates"),
    ("det(x)", {"x": "float[3, 4]"}, "square matrices"),
    ("inv(x)", {"x": "float16[3, 3]"}, "float and float64"),
    ("solve(x, y)", {"x": "float[3, 3]", "y": "float[4]"}, "on the other side"),
    ("multinomial(x, 5)", {"x": "float[N, 4]"}, "5 different ones of 4"),
    ("randint(3, 3, (2,))", {"x": "float[1]"}, "leaves nothing"),
    ("randint(0, 300, (2,), dtype=uint8)", {"x": "float[1]"}, "in the type uint8"),
    ("normal(1, 2)", {"x": "float[1]"}, "needs sizes"),
    ("combinations(x, 9)", {"x": "float[N]"}, "at most 4"),
    ("hann_window(4, dtype=int)", {"x": "float[1]"}, "makes floats"),
    ('einsum("i,i->", x, x)', {"x": "int8[4]"}, "takes floats and int"),
]


@pytest.mark.parametrize(("text", "inputs", "said"), REFUSED, ids=[text for text, _, _ in REFUSED])
def test_what_cannot_be_is_refused_in_words(text: str, inputs: dict[str, str], said: str) -> None:
    with pytest.raises(NnspecError) as caught:
        program_of(Example(text, **inputs))  # type: ignore[arg-type]  # inputs by name
    (fault,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert said in fault.message, fault.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inv(x)", "kept in a `buffer`"),
        ("solve(x, x)", "solves linear systems"),
        ("cholesky(x)", "factors matrices"),
        ("matrix_power(x, -1)", "for a negative power"),
        ("poisson(x)", "comes near"),
        ("randint_like(x, 9007199254740994, dtype=int)", "draw from fewer"),
    ],
)
def test_what_onnx_lacks_is_said_with_what_comes_nearest(text: str, said: str) -> None:
    program = program_of(Example(text, x="float[3, 3]"))
    with pytest.raises(onnx_backend.OnnxError) as caught:
        onnx_backend.build(program, None, {})
    assert said in str(caught.value)
