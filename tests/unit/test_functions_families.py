"""Families of functions at random against torch: resizing, padding, moving, order, spread, norms, bits, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.backends.torch import build
from nnspec.diagnostics import NnspecError
from nnspec.layer import Example

from .function_harness import agree, method_of, program_of, run_onnx, session

RANDOM = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

sizes = st.integers(1, 6)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def written(shape: list[int], dtype: str = "float") -> str:
    """A type of the language."""
    return f"{dtype}[{', '.join(map(str, shape))}]"


def python(text: str) -> str:
    """The same call in Python."""
    words = {"true": "True", "false": "False", "none": "None"}
    for ours, theirs in words.items():
        text = text.replace(f"={ours}", f"={theirs}")
    return text


@RANDOM
@given(
    st.sampled_from(["nearest", "nearest-exact", "bilinear", "bicubic"]),
    st.tuples(sizes, sizes),
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    st.booleans(),
)
def test_resizing_to_a_size_is_torchs(mode: str, old: tuple[int, int], new: tuple[int, int], aligned: bool) -> None:
    corners = "" if mode.startswith("nearest") else f", align_corners={str(aligned).lower()}"
    text = f'interpolate(x, size={list(new)}, mode="{mode}"{corners})'
    agree(text, f"F.{python(text)}", x=written([2, 3, *old]))


@RANDOM
@given(
    st.sampled_from(["nearest", "nearest-exact", "linear"]),
    st.integers(2, 9),
    st.sampled_from([0.5, 0.75, 1.5, 2.0, 3.0, 1.3, 0.7]),
)
def test_resizing_by_a_factor_is_torchs(mode: str, size: int, factor: float) -> None:
    text = f'interpolate(x, scale_factor={factor}, mode="{mode}")'
    agree(text, f"F.{text}", x=written([2, 3, size]))


@RANDOM
@given(shapes, st.data())
def test_constant_padding_is_torchs(shape: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(shape)))
    amounts = data.draw(st.lists(st.integers(-1, 3), min_size=2 * count, max_size=2 * count))
    value = data.draw(st.sampled_from(["", ", value=2.5", ", value=-inf"]))
    left = [s + a + b for s, a, b in zip(shape[::-1], amounts[::2], amounts[1::2], strict=False)]
    text = f"pad(x, {amounts}{value})"
    if any(size < 1 for size in left):
        with pytest.raises(NnspecError):
            agree(text, x=written(shape))
        return
    agree(text, f"F.{text}".replace("-inf", "float('-inf')"), x=written(shape))


@RANDOM
@given(st.sampled_from(["reflect", "replicate", "circular"]), st.integers(1, 2), st.booleans(), st.data())
def test_padding_with_what_is_there_is_torchs(mode: str, count: int, batched: bool, data: st.DataObject) -> None:
    places = data.draw(st.lists(sizes, min_size=count, max_size=count))
    shape = [2] * (1 + batched) + places
    amounts = data.draw(st.lists(st.integers(0, 6), min_size=2 * count, max_size=2 * count))
    text = f'pad(x, {amounts}, mode="{mode}")'
    try:
        torch.nn.functional.pad(torch.ones(shape), amounts, mode=mode)
    except RuntimeError:
        with pytest.raises(NnspecError):
            agree(text, x=written(shape))
        return
    agree(text, f"F.{text}", x=written(shape))


@RANDOM
@given(shapes, st.data())
def test_rolling_and_turning_are_torchs(shape: list[int], data: st.DataObject) -> None:
    rank = len(shape)
    dims = data.draw(st.lists(st.integers(0, rank - 1), unique=True, min_size=1))
    shifts = data.draw(st.lists(st.integers(-9, 9), min_size=len(dims), max_size=len(dims)))
    a, b = data.draw(st.tuples(*[st.integers(-rank, rank - 1)] * 2))
    x = written(shape)
    agree(f"roll(x, {shifts}, {dims})", f"torch.roll(x, {shifts}, {dims})", x=x)
    agree(f"roll(x, {shifts[0]})", f"torch.roll(x, {shifts[0]})", x=x)
    agree(f"flip(x, {dims})", f"torch.flip(x, {dims})", x=x)
    agree(f"movedim(x, {a}, {b})", f"torch.movedim(x, {a}, {b})", x=x)
    agree(f"swapaxes(x, {a}, {b})", f"torch.swapaxes(x, {a}, {b})", x=x)


@RANDOM
@given(shapes, st.sampled_from(["float", "int", "int8", "uint8", "float64"]), st.booleans(), st.data())
def test_extremes_and_orders_are_torchs(shape: list[int], dtype: str, keep: bool, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, shape[dim]))
    x, kept = written(shape, dtype), str(keep).lower()
    for name in ("max", "min"):
        agree(f"{name}(x, {dim}, keepdim={kept})", f"torch.{name}(x, {dim}, keepdim={keep})", x=x)
        agree(f"{name}(x)", f"torch.{name}(x)", x=x)
    agree(f"argmin(x, {dim}, keepdim={kept})", f"torch.argmin(x, {dim}, keepdim={keep})", x=x)
    agree(f"sort(x, {dim}, descending={kept})", f"torch.sort(x, dim={dim}, descending={keep}, stable=True)", x=x)
    agree(f"cumsum(x, {dim})", f"torch.cumsum(x, {dim})", x=x)
    agree(f"cumprod(x, {dim})", f"torch.cumprod(x, {dim})", x=x)
    if dtype.startswith("float"):
        agree(f"topk(x, {count}, {dim}, largest={kept})", f"torch.topk(x, {count}, {dim}, {keep})", x=x)


@RANDOM
@given(shapes, st.sampled_from([0, 0.5, 1, 2, 3, "inf"]), st.integers(0, 2), st.booleans(), st.data())
def test_spread_and_lengths_are_torchs(
    shape: list[int], p: float | str, correction: int, keep: bool, data: st.DataObject
) -> None:
    dims = tuple(data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1)))
    x, kept = written(shape), str(keep).lower()
    power = "float('inf')" if p == "inf" else p
    agree(f"norm(x, {p}, {dims}, {kept})", f"torch.linalg.vector_norm(x, {power}, {dims}, {keep})", x=x)
    agree(f"normalize(x, {p}, dim={dims[0]})", f"F.normalize(x, {power}, dim={dims[0]})", x=x)
    for name in ("var", "std"):
        text = f"{name}(x, dim={dims}, correction={correction}, keepdim={kept})"
        if int(np.prod([shape[d] for d in dims])) > correction:
            agree(text, f"torch.{python(text)}", x=x)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
@pytest.mark.parametrize(("a", "b"), [("int", "int"), ("int8", "uint8"), ("bool", "int32"), ("int16", "int16")])
def test_bits_of_whole_numbers_are_torchs(name: str, a: str, b: str) -> None:
    program = program_of(Example(f"{name}(x, bitwise_not(y))", x=f"{a}[4, 5]", y=f"{b}[5]"))
    types = {"int": torch.int64, "bool": torch.bool, "int8": torch.int8, "uint8": torch.uint8}
    types |= {"int16": torch.int16, "int32": torch.int32}
    x, y = torch.arange(20).reshape(4, 5).to(types[a]), (torch.arange(5) * 3).to(types[b])
    wanted = getattr(torch, name)(x, torch.bitwise_not(y))
    (found,) = run_onnx(session(program, 21), method_of(program), [x, y])
    assert str(wanted.dtype).removeprefix("torch.") == str(found.dtype)
    np.testing.assert_array_equal(found, wanted.numpy())
    np.testing.assert_array_equal(build(program)(x, y).numpy(), wanted.numpy())


@pytest.mark.parametrize("name", ["dropout", "dropout1d", "alpha_dropout"])
def test_dropout_follows_the_mode_of_its_module(name: str) -> None:
    module = build(program_of(Example(f"{name}(x, 0.5)", x="float[N, 64, 3]")))
    x: Any = torch.ones(2, 64, 3)
    assert not torch.equal(module(x), x)
    assert torch.equal(module.eval()(x), x)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("x * max(2, 3)", "x * 3"),
        ("x * min([4, 2])", "x * 2"),
        ("reshape(x, (max(2, 1), -1))", "x.reshape(2, -1)"),
        ("x -> max(dim=1)", "x.max(dim=1)"),
        ("x -> floor", "x.floor()"),
        ("ceil(x) * ceil(1.5)", "x.ceil() * 2"),
        ("round(2 * x)", "(2 * x).round()"),
    ],
)
def test_a_name_that_numbers_and_tensors_share_means_both(text: str, reference: str) -> None:
    agree(text, reference, x="float[4, 6]")
