"""Complex numbers and Fourier transforms, against torch and ONNX Runtime."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from nnspec import ir, ir_json
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.functions._operands import result_type
from nnspec.layer import Example
from nnspec.types import REAL_DTYPES, Scalar, TensorType, is_complex, promote
from nnspec.verify import verify

from ..contract import close, judge, run_module
from ..opsets import OPSETS
from .function_harness import agree, program_of, refusal, run_torch

_PAIR = "view_as_complex(x)"

LINES = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
PLANES = ("fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2")
SPACES = ("fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn")
OF_REAL_ONES = ("rfft", "ihfft", "rfft2", "ihfft2", "rfftn", "ihfftn")
TO_REAL_ONES = ("irfft", "hfft", "irfft2", "hfft2", "irfftn", "hfftn")


# --- element types ---------------------------------------------------------------------------------------------------


def test_promotion_is_torchs() -> None:
    types = (*REAL_DTYPES, "complex64", "complex128")
    for a in types:
        for b in types:
            wanted = torch.promote_types(getattr(torch, a), getattr(torch, b))
            assert promote(a, b) == str(wanted).removeprefix("torch.")


@pytest.mark.parametrize("ranks", [(0, 1), (1, 0), (0, 0), (1, 1)])
def test_the_type_of_a_result_is_torchs(ranks: tuple[int, int]) -> None:
    types = [name for name in (*REAL_DTYPES, "complex64", "complex128") if name != "float16"]
    for a in types:
        for b in types:
            pair = [
                torch.ones((2,) * rank, dtype=getattr(torch, each)) for each, rank in zip((a, b), ranks, strict=True)
            ]
            said = result_type(TensorType(a, (2,) * ranks[0]), TensorType(b, (2,) * ranks[1]))
            assert said == str(torch.result_type(*pair)).removeprefix("torch.")
    for number in (2, 0.5, True):
        wanted = torch.result_type(torch.ones(2, dtype=torch.complex64), number)
        assert result_type(TensorType("complex64", (2,)), Scalar(number)) == str(wanted).removeprefix("torch.")


# --- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["y", "view_as_complex(z)", "2", "0.5", "sum(y)", "to(y, float64)", "to(y, int)"])
@pytest.mark.parametrize("sign", ["+", "-", "*", "/"])
def test_complex_numbers_meet_any_others(sign: str, other: str) -> None:
    kinds = {"x": "float[3, 4, 2]", "y": "float[2, 3, 1]", "z": "float[4, 2]"}
    inputs = {name: kind for name, kind in kinds.items() if name == "x" or f"({name}" in f"({other})"}
    agree(f"view_as_real({_PAIR} {sign} {other})", **inputs)
    if other != "to(y, int)":  # numbers at random, which may be 0
        agree(f"view_as_real({other} {sign} {_PAIR})", **inputs)


def test_a_sum_scales_its_second_operand() -> None:
    agree(f"view_as_real(add({_PAIR}, y, alpha=0.5))", x="float[3, 2]", y="float64[2, 3]")
    agree(f"view_as_real(sub(y, {_PAIR}, alpha=-2))", x="float[3, 2]", y="float[3]")


@pytest.mark.parametrize(
    "text",
    [
        "reshape(c, (2, -1))",
        "transpose(c, 0, 1)",
        "permute(c, (1, 0))",
        "cat([c, y], dim=0)",
        "stack([c, conj(c), c], dim=-1)",
        "c[1:, ::2]",
        "c[none, -1]",
        "flip(c, 0)",
        "sum(c, dim=1)",
        "mean(c)",
        "chunk(c, 2, dim=1)[1]",
        "index_select(c, 0, arange(2))",
        "c @ transpose(c, 0, 1)",
        'einsum("ij,kj->ik", c, c)',
        'einsum("ij,ij,ij->i", c, c, c)',
        "detach(clone(c))",
        "expand(unsqueeze(c, 0), (2, 4, 6))",
        'rearrange(c, "a (b d) -> d b a", d=2)',
    ],
)
def test_what_moves_or_adds_up_takes_complex_numbers(text: str) -> None:
    text = re.sub(r"\bc\b", _PAIR, text)
    inputs = {"x": "float[4, 6, 2]"} | ({"y": "float[3, 6]"} if "y]" in text else {})
    agree(f"view_as_real({text})", **inputs)


def test_large_and_small_numbers_have_a_length() -> None:
    program = program_of_text("output y = abs(view_as_complex(x))", "float[N, 2]")
    x = np.array([[3e30, 4e30], [3e-30, 4e-30], [0, 0], [-np.inf, 1]], "float32")
    for run in judges(program, 17):
        np.testing.assert_allclose(run(x), [5e30, 5e-30, 0, np.inf], rtol=1e-6)


def test_angles_have_the_sides_that_torch_gives_them() -> None:
    # Of real signals the first number is real, and its angle 0 or pi, never -pi.
    program = program_of_text("output y = angle(rfft(x))", "float[N, T]")
    for length in (5, 6, 30, 400):
        x = -np.random.default_rng(0).random((3, length)).astype("float32")
        wanted = torch.angle(torch.fft.rfft(torch.from_numpy(x))).numpy()
        for run in judges(program, 20):
            difference = np.abs(run(x) - wanted)
            assert difference[:, 0].max() < 1e-5
            assert np.minimum(difference, 2 * np.pi - difference).max() < 1e-3


# --- transforms ------------------------------------------------------------------------------------------------------


def program_of_text(body: str, *kinds: str) -> ir.Program:
    """A model of some lines over inputs x, x1, x2."""
    inputs = "\n".join(f"  input x{i or ''}: {kind}" for i, kind in enumerate(kinds))
    return compile_text(f"model M {{\n{inputs}\n  {body}\n}}\n").program


def judges(program: ir.Program, opset: int) -> list[Any]:
    """ONNX Runtime and the reference evaluator, as functions of arrays."""
    model = onnx_backend.build(program, None, {}, opset=opset)
    names = [given.name for given in model.graph.input]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    reference = ReferenceEvaluator(model)
    return [
        lambda *arrays: next(iter(session.run(None, dict(zip(names, arrays, strict=True))))),
        lambda *arrays: next(iter(reference.run(None, dict(zip(names, arrays, strict=True))))),
    ]


def options_at_random(name: str, generator: random.Random, rank: int) -> dict[str, Any]:
    """Arguments of a transform."""
    found: dict[str, Any] = {}
    if generator.random() < 0.6:
        found["norm"] = generator.choice(("backward", "ortho", "forward"))
    if name in LINES:
        found |= {"n": generator.randint(2, 9)} if generator.random() < 0.5 else {}
        return found | ({"dim": generator.randrange(-rank, rank)} if generator.random() < 0.6 else {})
    dims = generator.sample(range(rank), generator.randint(1, rank))
    if generator.random() < 0.6:
        found["dim"] = tuple(each - rank * generator.randint(0, 1) for each in dims)
    count = len(found.get("dim", (0, 0)))
    return found | (
        {"s": tuple(generator.choice((-1, 2, 5, 8)) for _ in range(count))} if generator.random() < 0.5 else {}
    )


@pytest.mark.parametrize("name", [*LINES, *PLANES, *SPACES])
def test_a_transform_is_torchs_with_any_arguments(name: str) -> None:
    generator = random.Random(name)
    for _ in range(6):
        rank = generator.randint(2, 4)
        options = options_at_random(name, generator, rank)
        sizes = [generator.choice((2, 3, 4, 5, 7)) for _ in range(rank)]
        turned = name not in OF_REAL_ONES and generator.random() < 0.6
        written = "".join(f", {key}={value!r}".replace("'", '"') for key, value in options.items())
        expression = f"{name}({_PAIR if turned else 'x'}{written})"
        expression = expression if name in TO_REAL_ONES else f"view_as_real({expression})"
        kind = generator.choice(("float", "float64"))
        dims = ", ".join(["N", *map(str, sizes[1:]), *(["2"] if turned else [])])
        program = program_of_text(f"output y = {expression}", f"{kind}[{dims}]")
        drawn = np.random.default_rng(generator.randrange(1000)).normal(size=(*sizes, *([2] if turned else [])))
        x = drawn.astype("float32" if kind == "float" else kind)
        given = torch.view_as_complex(torch.from_numpy(x)) if turned else torch.from_numpy(x)
        wanted = getattr(torch.fft, name)(given, **options)
        wanted = wanted if name in TO_REAL_ONES else torch.view_as_real(wanted.resolve_conj())
        np.testing.assert_array_equal(run_module(build(program), {"x": x})[0], wanted.numpy())
        for run in judges(program, generator.choice(OPSETS)):
            close(run(x), wanted.numpy(), f"{expression} of {sizes}")


@pytest.mark.parametrize("length", [1, 2, 97, 400, 441, 1000])
def test_a_transform_is_exact_at_any_length(length: int) -> None:
    """ONNX Runtime's own DFT in float32 is off by 1e-4 at these lengths, and its inverse too."""
    program = program_of_text("output y = view_as_real(ifft(fft(x)))\n  output z = irfft(rfft(x), n=T)", "float[N, T]")
    x = np.random.default_rng(0).normal(size=(3, length)).astype("float32")
    model = onnx_backend.build(program, None, {}, opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    back, again = session.run(None, {"x": x})
    np.testing.assert_allclose(back[..., 0], x, atol=1e-6)
    np.testing.assert_allclose(again, x, atol=1e-6)


@pytest.mark.parametrize("opset", [17, 18, 20, max(OPSETS)])
@pytest.mark.parametrize("length", [400, 600])
def test_a_spectrogram_is_torchs(opset: int, length: int) -> None:
    text = f"output y = abs(stft(x, n_fft={length}, hop_length=160, window=hann_window({length})))"
    program = program_of_text(text, "float[N, T]")
    x = np.random.default_rng(0).normal(size=(2, 4000)).astype("float32")
    window = torch.hann_window(length)
    wanted = torch.stft(torch.from_numpy(x), length, 160, window=window, return_complex=True).abs()
    for run in judges(program, opset):
        close(run(x), wanted.numpy(), "spectrogram")


def test_a_signal_comes_back_from_its_spectrogram() -> None:
    body = "w = hann_window(64)\n  output y = istft(stft(x, 64, 16, window=w), 64, 16, window=w, length=T)"
    program = program_of_text(body, "float[T]")
    x = np.random.default_rng(0).normal(size=700).astype("float32")
    for run in (lambda x: run_module(build(program), {"x": x})[0], *judges(program, 17)):
        np.testing.assert_allclose(run(x), x, atol=1e-5)


def test_an_fft_without_dimensions_is_the_number_itself() -> None:
    agree("view_as_real(fftn(x))", "torch.view_as_real(torch.fft.fftn(x))", x="float[]")
    agree("view_as_real(ifftn(x, dim=()))", "torch.view_as_real(torch.fft.ifftn(x, dim=()))", x="float[3]")


def test_what_torch_marks_as_a_conjugate_is_worked_out() -> None:
    for text in ("ifft(x)", "ihfft(x)", "ihfftn(x, dim=1)", "conj(fft(x))"):
        (found,) = run_torch(program_of(Example(text, x="float[2, 5]")), [torch.rand(2, 5)])
        assert not found.is_conj()
        assert found.numpy().shape == tuple(found.shape)


# --- inside a model --------------------------------------------------------------------------------------------------


def test_complex_numbers_flow_through_blocks_and_scans() -> None:
    judge(
        compile_text("""
block Filter(n) {
  input c: complex64[N, F]
  param w: float[n, 2] = normal()
  output y: complex64[N, F] = c * view_as_complex(w)
}

block Several {
  input cs: list[complex64[N, _]]
  output cat(cs, dim=1)
}

model M {
  input x: float[N, T, 8]
  ys, h = scan part in rfft(x) over dim=1 with h = fft(zeros(N, 5)) {
    h = h * 0.5 + (part -> filter: Filter(5))
    yield conj(h)
  }
  last = [h, h] -> Several
  output y = view_as_real(ys)
  output z = abs(last)
}
""").program
    )


def test_complex_types_survive_json_and_are_verified() -> None:
    program = program_of_text("output y = abs(rfft(x))", "float[N, 8]")
    assert ir_json.loads(ir_json.dumps(program)) == program
    text = ir_json.dumps(program)
    assert "complex64[N, 5]" in text
    assert verify(ir_json.loads(text.replace("complex64", "complex128")))
    assert verify(ir_json.loads(text.replace('"function": "abs"', '"function": "exp"')))
    method = program.methods[0]
    values = [replace(value, type=value.type.with_dtype("complex64")) for value in method.graph.values]
    wrong = replace(program, methods=(replace(method, graph=replace(method.graph, values=tuple(values))),))
    assert any("real numbers" in problem for problem in verify(wrong))


def test_a_complex_output_is_for_torch_only() -> None:
    program = program_of_text("output y = rfft(x)", "float[N, 8]")
    (found,) = run_module(build(program), {"x": np.ones((1, 8), "float32")})
    assert is_complex(str(found.dtype))
    with pytest.raises(onnx_backend.OnnxError) as caught:
        onnx_backend.build(program, None, {})
    (fault,) = caught.value.diagnostics
    assert fault.code == "NNS501"
    assert "view_as_real" in fault.helps[0]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("sqrt(fft(x))", "NNS406", "`sqrt` takes no complex numbers, but it is given complex64[N, 8]"),
        ("fft(x) > 0", "NNS406", "`gt` takes no complex numbers"),
        ("fft(x) // 2", "NNS406", "`floor_divide` takes no complex numbers"),
        ("fft(x) -> Linear(4)", "NNS406", "`Linear` takes no complex numbers"),
        ("sum(fft(x), dtype=float)", "NNS406", "`sum(dtype=float32)` takes no complex numbers"),
        ('div(fft(x), 2, rounding_mode="floor")', "NNS406", "complex numbers are not rounded"),
        ("to(x, complex64)", "NNS303", "a real element type"),
        ("rfft(fft(x))", "NNS406", "`rfft` needs a real signal"),
        ("fft(to(x, float16))", "NNS406", "`fft` needs float32 or float64"),
        ("imag(x)", "NNS406", "`imag` needs complex numbers"),
        ("irfft(x, n=0)", "NNS411", "`irfft` goes along one number at least, not 0"),
        ("irfft(x[:, :1])", "NNS403", "`irfft` makes 2 * (n - 1) numbers of n, and so none of 1"),
        ("rfft2(x, s=(4,))", "NNS402", "`rfft2` needs a size for each dimension, but there are 1 for 2"),
        ("fft2(x, dim=(0, -2))", "NNS411", "dimension 0 of float[N, 8] twice"),
        ("view_as_complex(x)", "NNS401", "needs a last dimension of size 2"),
        ("complex(x, to(x, float64))", "NNS406", "operands of one type"),
        ("fft(x) @ ones(8, 8)", "NNS406", "operands of one type, but they are complex64 and float"),
        ("fft(x)[0, 0] * to(x, float16)", "NNS406", "complex32"),
        ("stft(x, 64)", "NNS403", "`stft` needs 33 elements"),
        ("stft(x, 8, center=false, win_length=9)", "NNS411", "the window of `stft` has 9 places"),
        ("stft(x, 8, window=x[0, :7])", "NNS401", "must be a vector of 8"),
        ("stft(x, 3)", "NNS411", "a quarter of `n_fft`"),
        ("stft(x, 8, return_complex=false)", "NNS411", "`stft` gives complex numbers"),
        ("stft(fft(x), 8, onesided=true)", "NNS406", "half of the frequencies"),
        ("istft(x, 8)", "NNS406", "`istft` needs complex numbers"),
        ("istft(fft(ones(4, 3)), 8)", "NNS401", "`istft(n_fft=8)` needs 5 frequencies"),
        ("istft(fft(ones(5, 3)), 8, 5, 4)", "NNS411", "leave gaps between windows of 4"),
        ("istft(fft(ones(5, 1)), 8)", "NNS403", "hold 0 elements"),
        ("istft(fft(ones(5, 3)), 8, length=9)", "NNS403", "do not hold 9 elements"),
        ("istft(fft(ones(5, 3)), 8, win_length=4, center=false)", "NNS411", "without weight"),
    ],
)
def test_what_is_wrong_is_said(text: str, code: str, words: str) -> None:
    fault = refusal(text, x="float[N, 8]")
    assert (fault.code, words in fault.message) == (code, True), fault.message
