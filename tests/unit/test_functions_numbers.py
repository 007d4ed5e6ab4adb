"""Functions of numbers against torch where it is hard: signs of zero, infinity, nan, overflow, orders with equals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.backends.onnx import OnnxError
from nnspec.layer import Example

from .function_harness import TOLERANCE, agree, flat, method_of, output_types, program_of, run_onnx, session

RANDOM = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

inf, nan = float("inf"), float("nan")
REALS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-7, 30.0, -30.0, 3e38, inf, -inf, nan]
NUMBERS = [0, 1, -1, 3, -7, 64, 127, -128]
ROWS = torch.tensor(
    [
        [3.0, 1.0, nan, 2.0, 1.0],
        [nan, inf, nan, -inf, 0.0],
        [nan] * 5,
        [inf, 1.0, -inf, inf, 2.0],
        [4.0, 3.0, 2.0, 1.0, 0.0],
    ]
)

Reference = Callable[..., Any]


def compared(text: str, reference: Reference, *values: torch.Tensor, opsets: tuple[int, ...] = (17, 21)) -> None:
    """A text over x, y, z against torch, nan and signs included: the shape rule's types, and ONNX Runtime's numbers."""
    kinds = {name: spelled(value) for name, value in zip("xyz", values, strict=False)}
    program = program_of(Example(text, **kinds))  # type: ignore[arg-type]  # inputs by name
    method = method_of(program)
    wanted = list(flat(reference(*values)))
    said = [(kind.dtype, kind.dims) for kind in output_types(method)]
    assert said == [(str(w.dtype).removeprefix("torch."), tuple(w.shape)) for w in wanted]
    for opset in opsets:
        for got, want in zip(run_onnx(session(program, opset), method, values), wanted, strict=True):
            assert got.dtype == want.numpy().dtype
            np.testing.assert_allclose(got, want.numpy(), rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"{text}, {opset}")


def spelled(value: torch.Tensor) -> str:
    """The type of a tensor in the language."""
    dtype = str(value.dtype).removeprefix("torch.")
    return f"{ {'float32': 'float', 'int64': 'int'}.get(dtype, dtype) }[{', '.join(map(str, value.shape))}]"


def pairs(values: list[Any], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Every value beside every other."""
    column = torch.tensor(values, dtype=dtype)
    return column.repeat_interleave(len(values)), column.repeat(len(values))


ONE = [
    *("erfc", "erfinv", "lgamma", "digamma", "logit", "sinc", "deg2rad", "rad2deg", "signbit", "isposinf", "isneginf"),
    *("nan_to_num", "sign", "clone", "special.entr", "special.ndtr", "special.log_ndtr"),
]


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_are_torchs_where_it_is_hard(name: str) -> None:
    reference: Reference = torch.special.__dict__[name[8:]] if "." in name else getattr(torch, name)
    text = f"{name.rpartition('.')[2]}(x)"
    compared(text, reference, torch.tensor(REALS))
    compared(text, reference, torch.tensor(NUMBERS, dtype=torch.int8))
    compared(text, reference, torch.linspace(-6, 6, 101))


TWO = ["atan2", "copysign", "fmax", "fmin", "logaddexp", "logaddexp2", "xlogy", "heaviside", "isclose", "maximum"]


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers_are_torchs_where_it_is_hard(name: str) -> None:
    compared(f"{name}(x, y)", getattr(torch, name), *pairs(REALS, torch.float32))


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_what_a_division_gives_and_leaves_is_torchs_where_it_is_hard(name: str) -> None:
    values = [*(v for v in REALS if abs(v) != 3e38), 7.0, -7.0, 0.1, 8388609.0, 25165827.0]
    compared(f"{name}(x, y)", getattr(torch, name), *pairs(values, torch.float32))


def test_the_sign_of_zero_is_copied() -> None:
    program = program_of(Example("copysign(x, y)", x="float[N]", y="float[N]"))
    values = pairs([0.0, -0.0, 1.0, -1.0], torch.float32)
    (got,) = run_onnx(session(program, 21), method_of(program), values)
    np.testing.assert_array_equal(np.signbit(got), torch.copysign(*values).signbit().numpy())


SHRINKING: list[tuple[str, Reference]] = [
    ("threshold(x, 0.1, 20)", lambda x: torch.nn.functional.threshold(x, 0.1, 20)),
    ("hardshrink(x, 0.5)", lambda x: torch.nn.functional.hardshrink(x, 0.5)),
    ("hardshrink(x, -1)", lambda x: torch.nn.functional.hardshrink(x, -1)),
    ("softshrink(x, 0.5)", lambda x: torch.nn.functional.softshrink(x, 0.5)),
]


@pytest.mark.parametrize(("text", "reference"), SHRINKING)
def test_what_is_no_number_stays_none_when_others_become_zero(text: str, reference: Reference) -> None:
    compared(text, reference, torch.tensor(REALS))


@pytest.mark.parametrize("rows", [3, 60, 120])
def test_logarithms_of_determinants_are_right_where_determinants_are_infinite(rows: int) -> None:
    x = torch.randn(2, rows, rows, generator=torch.Generator().manual_seed(0))
    compared("slogdet(3 * x)", lambda x: torch.linalg.slogdet(3 * x), x)


def test_nothing_above_a_number_is_counted_as_below_it_where_the_rest_is_nan() -> None:
    values = torch.tensor([-inf, -1.0, 0.0, 0.5, 1.0])
    compared("searchsorted(x, y)", torch.searchsorted, torch.tensor([0.0, 1.0, nan]), values)
    compared(
        "bucketize(y, x, right=true)", lambda x, y: torch.bucketize(y, x, right=True), torch.tensor([0.0, 1.0]), values
    )


def test_a_reduction_by_names_keeps_nan() -> None:
    compared('reduce(x, "a b -> a", "max")', lambda x: torch.amax(x, 1), ROWS)
    compared('reduce(x, "a b -> b", "min")', lambda x: torch.amin(x, 0), ROWS)


def test_a_side_that_is_infinite_settles_the_length_of_the_diagonal() -> None:
    compared("hypot(x, y)", torch.hypot, *pairs([*REALS[:9], 3e37, inf, -inf, nan], torch.float32))


SHIFTS = ["bitwise_left_shift", "bitwise_right_shift", "bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm", "fmod"]


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_are_torchs_to_the_last_bit(name: str, dtype: torch.dtype) -> None:
    x, y = pairs([number for number in NUMBERS if dtype != torch.uint8 or number >= 0], dtype)
    if name in ("gcd", "lcm") and dtype == torch.int8:  # The opposite of -128 is none of its type.
        x, y = x.clamp(min=-127), y.clamp(min=-127)
    if name == "fmod":
        y = torch.where(y == 0, 5, y)
    compared(f"{name}(x, y)", getattr(torch, name), x, y)
    if name.startswith("bitwise") and dtype == torch.int64:
        large = torch.tensor([2**63 - 1, -(2**63), -1, 2**40 + 3])
        compared(f"{name}(x, 3)", lambda x: getattr(torch, name)(x, 3), large)


CHOSEN: list[tuple[str, Reference, bool]] = [
    ("max(x, 1)", lambda x: torch.max(x, 1), True),
    ("min(x, 1, keepdim=true)", lambda x: torch.min(x, 1, keepdim=True), True),
    ("argmax(x, 1)", lambda x: torch.argmax(x, 1), True),
    ("argmin(x, 0)", lambda x: torch.argmin(x, 0), True),
    ("amax(x, (0, 1))", lambda x: torch.amax(x, (0, 1)), True),
    ("aminmax(x, dim=0)", lambda x: torch.aminmax(x, dim=0), True),
    ("sort(x)", lambda x: torch.sort(x, stable=True), True),
    ("sort(x, 0, descending=true)", lambda x: torch.sort(x, dim=0, descending=True, stable=True), True),
    ("msort(x)", torch.msort, True),
    ("topk(x, 3)", lambda x: torch.topk(x, 3), False),
    ("median(x, 1)", lambda x: torch.median(x, 1), False),
    ("nanmedian(x, 1)", lambda x: torch.nanmedian(x, 1), False),
    ("kthvalue(x, 4, 1)", lambda x: torch.kthvalue(x, 4, 1), False),
    ("cummax(x, 1)", lambda x: torch.cummax(x, 1), True),
    ("cummin(x, 0)", lambda x: torch.cummin(x, 0), True),
    ("logcumsumexp(x, 1)", lambda x: torch.logcumsumexp(x, 1), True),
    ("nansum(x, 1)", lambda x: torch.nansum(x, 1), True),
    ("nanmean(x, 1)", lambda x: torch.nanmean(x, 1), True),
    ("count_nonzero(x, 1)", lambda x: torch.count_nonzero(x, 1), True),
    ("quantile(x, 0.4, 1)", lambda x: torch.quantile(x, 0.4, 1), True),
    ("nanquantile(x, 0.5, 1, keepdim=true)", lambda x: torch.nanquantile(x, 0.5, 1, True), True),
    ("vector_norm(x, inf, 1)", lambda x: torch.linalg.vector_norm(x, inf, 1), True),
    ("matrix_norm(x, 1)", lambda x: torch.linalg.matrix_norm(x, 1), True),
    ("bucketize(x, msort(y))", lambda x, y: torch.bucketize(x, y.msort()), True),
    ("isin(x, y)", torch.isin, True),
]


@pytest.mark.parametrize(("text", "reference", "places"), CHOSEN, ids=[text for text, *_ in CHOSEN])
def test_nan_is_where_torch_has_it(text: str, reference: Reference, places: bool) -> None:
    """Of equals torch does not always say which it finds: then the first result counts alone."""
    values = (ROWS, torch.tensor([2.0, 0.5, 2.0])) if "y" in text.split("(", 1)[1] else (ROWS,)
    if places:
        compared(text, reference, *values)
    else:
        compared(f"({text})[0]", lambda *v: reference(*v)[0], *values)


@RANDOM
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.booleans(), st.booleans(), st.data())
def test_what_stands_where_in_order_is_torchs(shape: list[int], keep: bool, whole: bool, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    rank = data.draw(st.integers(1, shape[dim]))
    how = data.draw(st.sampled_from(["linear", "lower", "higher", "nearest", "midpoint"]))
    at, kept = ("none" if whole else dim), str(keep).lower()
    x = f"float[{', '.join(map(str, shape))}]"
    where: Any = None if whole else dim
    for name in ("quantile", "nanquantile"):
        text = f'{name}(x, 0.37, {at}, {kept}, interpolation="{how}")'
        agree(text, lambda x: getattr(torch, name)(x, 0.37, where, keep, interpolation=how), x=x)  # noqa: B023 - at once
        text = f"{name}(x, sigmoid(q), {at}, {kept})"
        agree(text, lambda x, q: getattr(torch, name)(x, q.sigmoid(), where, keep), x=x, q="float[3]")  # noqa: B023
    for name in ("median", "nanmedian"):
        agree(f"{name}(x, {dim}, {kept})", f"torch.{name}(x, {dim}, {keep})", x=x)
    agree(f"kthvalue(x, {rank}, {dim}, {kept})", f"torch.kthvalue(x, {rank}, {dim}, {keep})", x=x)
    agree(f"mode(x, {dim}, {kept})", f"torch.mode(x, {dim}, {keep})", x=x.replace("float", "int"))
    for name in ("cummax", "cummin"):
        agree(f"{name}(x, {dim})", f"torch.{name}(x, {dim})", x=x.replace("float", "int"))


@RANDOM
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.sampled_from(["float", "int", "int8"]), st.data())
def test_differences_and_areas_are_torchs(shape: list[int], dtype: str, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, vector = f"{dtype}[{', '.join(map(str, shape))}]", f"float[{shape[dim]}]"
    agree(f"diff(x, {shape[dim] - 1}, {dim})", f"torch.diff(x, {shape[dim] - 1}, {dim})", x=x)
    agree(f"diff(x, dim={dim}, append=x)", f"torch.diff(x, dim={dim}, append=x)", x=x)
    for name in ("trapezoid", "cumulative_trapezoid"):
        if shape[dim] > 1 or name == "trapezoid":
            agree(f"{name}(x, dx=0.5, dim={dim})", f"torch.{name}(x, dx=0.5, dim={dim})", x=x)
            agree(f"{name}(x, p, dim={dim})", f"torch.{name}(x, p, dim={dim})", x=x, p=vector)


@RANDOM
@given(st.integers(1, 9), st.sampled_from([(0, 0), (-2, 1), (1, 1), (0.1, 0.7)]), st.sampled_from(["", "7", "3, 5"]))
def test_stretches_are_torchs(bins: int, ends: tuple[float, float], dims: str) -> None:
    text = f"(x, {bins}, {ends[0]}, {ends[1]})"
    agree(f"histc{text}", f"torch.histc{text}", x=f"float[{dims}]")
    agree(f"histc(round(x), {bins}, -3, 3)", f"torch.histc(x.round(), {bins}, -3, 3)", x=f"float[{dims}]")


@pytest.mark.parametrize("order", ['"nuc"', "2", "-2"])
def test_singular_values_are_refused_in_onnx_alone(order: str) -> None:
    program = program_of(Example(f"matrix_norm(x, {order})", x="float[3, 4]"))
    with pytest.raises(OnnxError) as caught:
        session(program, 17)
    [fault] = caught.value.diagnostics
    assert fault.code.startswith("NNS5")
    assert 'the nearest is `matrix_norm("fro")`' in fault.message


def test_options_of_operators_are_torchs() -> None:
    agree("add(x, y, alpha=0.3)", "torch.add(x, y, alpha=0.3)", x="float[3, 4]", y="int[4]")
    agree("sub(x, y, alpha=-3)", "torch.sub(x, y, alpha=-3)", x="uint8[3, 4]", y="int8[4]")
    agree("add(x, y, alpha=false)", "torch.add(x, y, alpha=False)", x="bool[3, 4]", y="bool[4]")
    for how in ("trunc", "floor"):
        for kind in ("float[5, 4]", "int8[5, 4]", "int[5, 4]"):
            text = f'div(x, y, rounding_mode="{how}")'
            agree(text, f"torch.{text}", x=kind, y=kind)
    agree("round(x, decimals=2)", "torch.round(x, decimals=2)", x="float[5, 4]")
    agree("round(100 * x, decimals=-1)", "torch.round(100 * x, decimals=-1)", x="float[5, 4]")
    compared("x ** y", torch.pow, *pairs([0, 1, -1, 2, -3], torch.int64))
