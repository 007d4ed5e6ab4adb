"""Element types in annotations, parameters and buffers: checked, kept, and those of torch and ONNX."""

from __future__ import annotations

import pytest
import torch

from nnspec import loads
from nnspec.compiler import check_text, compile_text

from ..contract import judge


def model(body: str, inputs: str = "input x: float[N, 8]") -> str:
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    return f"model M {{\n  {inputs}\n{lines}\n}}\n"


HELD = """
    a: float16[N, 8] = to(x, dtype=float16)
    b: int32[...] = to(x * 4, int32)
    c: float64[..., 8] = to(a, float64)
    d: bool[_, 8] = x > 0
    e: int[N, 8] = b + to(d, int64)
    output a
    output b: int32[N, 8] = b
    output c
    output d
    output e: int[N, 8] = e
"""


def test_an_annotation_says_which_type_a_tensor_has() -> None:
    judge(compile_text(model(HELD)).program)
    outputs = loads(model(HELD))(torch.randn(3, 8))
    assert [y.dtype for y in outputs] == [torch.float16, torch.int32, torch.float64, torch.bool, torch.int64]


WRONG = [
    ("y: float16[N, 8] = x", "NNS413", "`y` is declared as float16[N, 8], but it is float[N, 8]"),
    ("y: int32[N, 8] = to(x, int)", "NNS413", "but it is int[N, 8]"),
    ("y: float64[...] = x", "NNS413", "but it is float[N, 8]"),
    ("y: float[N, 8] = to(x, bfloat16)", "NNS413", "but it is bfloat16[N, 8]"),
    ("y: flaot[N, 8] = x", "NNS201", "unknown element type `flaot`"),
    ("y: float = x", "NNS303", "needs its dimensions"),
    ("y: int[2] = 3", "NNS413", "only tensors have types"),
    ("param w: int32[8] = 1\ny = x", "NNS303", "a param is trained, and int32 cannot be"),
    ("param w: float16[8, 8] = orthogonal\ny = x", "NNS318", "computes in float32 and float64"),
    ("param w: float16[8] = 1e9\ny = x", "NNS318", "cannot put 1e+09"),
    ("param w: float64[8] = arange(8) / 8\ny = x", "NNS413", "but it is float[8]"),
    ("buffer w: int32[8] = arange(8)\ny = x", "NNS413", "but it is int[8]"),
    ("buffer w: uint8[8] = 300\ny = x", "NNS318", "is no element of uint8[8]"),
    ("buffer w: uint8[8] = -1\ny = x", "NNS318", "is no element of uint8[8]"),
    ("buffer w: int8[8] = 128\ny = x", "NNS318", "is no element of int8[8]"),
    ("buffer w: int[8] = 0.5\ny = x", "NNS318", "is no element of int[8]"),
    ("buffer w: int[8] = inf\ny = x", "NNS318", "is no element of int[8]"),
    ("buffer w: bool[8] = 2\ny = x", "NNS318", "is no element of bool[8]"),
    ("buffer w: float16[8] = 70_000\ny = x", "NNS318", "is no element of float16[8]"),
]


@pytest.mark.parametrize(("text", "code", "said"), WRONG, ids=[text.splitlines()[0] for text, _, _ in WRONG])
def test_another_type_is_an_error(text: str, code: str, said: str) -> None:
    found = [d for d in check_text(model(f"{text}\noutput y = y")) if d.severity == "error"]
    assert [d.code for d in found] == [code], found
    assert said in found[0].message


STORED = """
    param a: float16[8] = 0.5
    param b: float64[8] = normal(std=0.1)
    param c: bfloat16[2, 8] = xavier_uniform
    buffer d: uint8[8] = 255
    buffer e: int8[8] = -128
    buffer f: bool[8] = 1
    buffer g: float16[8] = -inf
    buffer h: int32[8] = to(arange(8), int32)
    output p = to(x, float16) * a
    output q = x * b
    output r = to(x, bfloat16) + c[0]
    output s = x * d + e * h
    output t = where(f, x, 0)
    output u = g + to(x, float16)
"""


def test_parameters_and_buffers_are_of_the_type_that_they_declare() -> None:
    found = loads(model(STORED))
    dtypes = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in found.state_dict().items()}
    assert dtypes == {
        "a": "float16",
        "b": "float64",
        "c": "bfloat16",
        "d": "uint8",
        "e": "int8",
        "f": "bool",
        "g": "float16",
        "h": "int32",
    }
    x = torch.randn(3, 8)
    p, q, r, s, t, u = found(x)
    assert (p.dtype, q.dtype, r.dtype, u.dtype) == (torch.float16, torch.float64, torch.bfloat16, torch.float16)
    torch.testing.assert_close(s, x * 255 + (-128 * torch.arange(8)).float())
    assert torch.equal(t, x)
    assert torch.isinf(u).all()


def test_they_are_kept_by_every_backend() -> None:
    text = STORED.replace("param c: bfloat16[2, 8] = xavier_uniform", "").replace(
        "output r = to(x, bfloat16) + c[0]", ""
    )
    judge(compile_text(model(text)).program)
