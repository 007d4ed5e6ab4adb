"""Functions at random: the shape rule, torch, ONNX Runtime and a reference must agree on what a text means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import NnspecError

from .function_harness import agree

RANDOM = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

WORDS = {"float": "float32", "int": "int64"}
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int", "float16", "float", "float64")
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=")

sizes = st.integers(1, 4)
shapes = st.lists(sizes, max_size=4).map(tuple)
dtypes = st.sampled_from(DTYPES)


def written(dtype: str, shape: Sequence[int]) -> str:
    """A type of the language."""
    return f"{dtype}[{', '.join(map(str, shape))}]"


@st.composite
def broadcastable(draw: Any, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast with each other."""
    whole = draw(st.lists(sizes, max_size=3))
    return [
        tuple(1 if draw(st.booleans()) else d for d in whole[draw(st.integers(0, len(whole))) :]) for _ in range(count)
    ]


def as_torch(text: str, **types: str) -> str | None:
    """The error of torch for the same text, or None."""
    scope: dict[str, Any] = {
        name: torch.ones([int(s) for s in t.split("[")[1].rstrip("]").split(",") if s], dtype=getattr(torch, word))
        for name, t in types.items()
        for word in [WORDS.get(t.split("[")[0], t.split("[")[0])]
    }
    try:
        eval(text, scope)
    except (RuntimeError, TypeError) as fault:
        return str(fault)
    return None


@RANDOM
@given(st.sampled_from(OPERATORS), broadcastable(2), dtypes, dtypes)
def test_operators_promote_and_broadcast_as_in_torch(op: str, pair: list[tuple[int, ...]], a: str, b: str) -> None:
    text, x, y = f"x {op} y", written(a, pair[0]), written(b, pair[1])
    if op in ("//", "%"):
        y = y.replace("bool", "uint8")  # torch refuses to divide integers by zero when it runs
    if as_torch(text, x=x, y=y) is not None:
        with pytest.raises(NnspecError):
            agree(text, x=x, y=y)
        return
    if op == "**" and not {a, b} & {"float16", "float", "float64"}:
        y = y.replace(b, "uint8")  # torch refuses negative powers when it runs
    agree(text, text, x=x, y=y)


@RANDOM
@given(st.sampled_from(OPERATORS), shapes, dtypes, st.sampled_from(["2", "-3", "0.5", "-1.5", "3.0"]), st.booleans())
def test_numbers_are_weak_as_in_torch(op: str, shape: tuple[int, ...], dtype: str, number: str, left: bool) -> None:
    text = f"({number}) {op} x" if left else f"x {op} {number}"
    x = written(dtype, shape)
    if as_torch(text, x=x) is not None:
        with pytest.raises(NnspecError):
            agree(text, x=x)
    elif not (op == "**" and left and dtype not in ("bool", "uint8", "float16", "float", "float64")):
        agree(text, text, x=x)


@RANDOM
@given(broadcastable(3), dtypes, dtypes)
def test_where_chooses_as_in_torch(three: list[tuple[int, ...]], a: str, b: str) -> None:
    types = {"m": written("bool", three[0]), "x": written(a, three[1]), "y": written(b, three[2])}
    agree("where(m, x, y)", "torch.where(m, x, y)", **types)


@RANDOM
@given(st.sampled_from(["sum", "mean", "amax", "amin"]), shapes, dtypes, st.booleans(), st.data())
def test_reductions_are_torchs(name: str, shape: tuple[int, ...], dtype: str, keep: bool, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(0, max(len(shape) - 1, 0)), unique=True, max_size=len(shape)))
    signed = [a - len(shape) if data.draw(st.booleans()) else a for a in axes]
    dim = data.draw(st.sampled_from([f"({', '.join(map(str, signed))},)"] if len(axes) != 1 else [str(signed[0])]))
    if name == "mean" and not dtype.startswith("float"):
        dtype = "float"
    options = "" if not axes else f", dim={dim}"
    python = options + (f", keepdim={keep}" if axes or name in ("amax", "amin") else f", dim=None, keepdim={keep}")
    spelt = options.replace(",)", ")") + f", keepdim={str(keep).lower()}"
    agree(f"{name}(x{spelt})", f"torch.{name}(x{python})", x=written(dtype, shape))


@RANDOM
@given(shapes.filter(bool), dtypes.filter(lambda d: d != "bool"), st.booleans(), st.data())
def test_argmax_is_torchs(shape: tuple[int, ...], dtype: str, keep: bool, data: st.DataObject) -> None:
    dim = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    agree(
        f"argmax(x, {'none' if dim is None else dim}, keepdim={str(keep).lower()})",
        f"torch.argmax(x, {dim}, {keep})",
        x=written(dtype, shape),
    )


@st.composite
def indices(draw: Any, shape: Sequence[int]) -> tuple[str, dict[str, str]]:
    """What may stand in the brackets after a tensor of this shape, and the types of the index tensors in it."""
    items: list[str] = []
    tensors: dict[str, str] = {}
    dots = draw(st.integers(0, len(shape)))
    left_out = draw(st.integers(0, len(shape) - dots))
    for axis, size in enumerate(shape):
        if draw(st.integers(0, 7)) == 0:
            items.append("None")
        if dots <= axis < dots + left_out:
            if axis == dots:
                items.append("...")
            continue
        way = draw(st.sampled_from(["number", "slice", "slice", "all", "tensor"]))
        if way == "number":
            items.append(str(draw(st.integers(-size, size - 1))))
        elif way == "slice":
            start = draw(st.integers(0, size))
            stop = draw(st.integers(start, size))
            step = draw(st.sampled_from(["", ":2", ":3"]))
            low = draw(st.sampled_from([str(start), str(start - size)] if start < size else [str(start)]))
            items.append(f"{low if start or draw(st.booleans()) else ''}:{stop if stop < size else ''}{step}")
        elif way == "all" or size < 5:
            items.append(":")
        else:
            name = "ijkl"[len(tensors)]
            tensors[name] = written("int", draw(st.sampled_from([(), (3,), (1,), (2, 3)])))
            items.append(name)
    return ", ".join(items) or "...", tensors


@settings(RANDOM, max_examples=150)
@given(st.lists(st.sampled_from([1, 2, 3, 5, 6]), min_size=1, max_size=4), st.data())
def test_indexing_is_torchs(shape: list[int], data: st.DataObject) -> None:
    text, tensors = data.draw(indices(shape))
    agree(f"x[{text.replace('None', 'none')}]", f"x[{text}]", x=written("float", shape), **tensors)


@RANDOM
@given(shapes, st.data())
def test_reshape_finds_the_open_size(shape: tuple[int, ...], data: st.DataObject) -> None:
    left = math.prod(shape)
    target: list[int] = []
    while left > 1 and len(target) < 4:
        factor = data.draw(st.sampled_from([f for f in range(1, left + 1) if left % f == 0]))
        target.append(factor)
        left //= factor
    target.append(left)
    target[data.draw(st.integers(0, len(target) - 1))] = -1
    agree(f"reshape(x, {target})", f"x.reshape({target})", x=written("int", shape))


@RANDOM
@given(st.lists(sizes, min_size=1, max_size=4), st.integers(1, 4), st.data())
def test_taking_apart_and_joining_are_inverse(shape: list[int], count: int, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = written("float", shape)
    if shape[dim] > count:
        agree(f"cat(split(x, {count}, dim={dim}), dim={dim})", "x", x=x)
    if len(torch.zeros(shape).chunk(count, dim)) == count > 1:
        agree(f"cat(chunk(x, {count}, dim={dim}), dim={dim})", "x", x=x)
    agree(f"stack([x] + [x], dim={dim})", f"torch.stack([x, x], {dim})", x=x)


@pytest.mark.parametrize("pieces", ["chunk(x, 1, dim=1)", "split(x, 4, dim=1)", "split(x, [3], dim=1)"])
def test_one_piece_is_a_piece_and_not_a_tuple_of_one(pieces: str) -> None:
    agree(f"cat({pieces}, dim=1)", "x", x="float[2, 3]")


@RANDOM
@given(st.lists(sizes, min_size=2, max_size=4), st.data())
def test_order_and_flattening_are_torchs(shape: list[int], data: st.DataObject) -> None:
    x, rank = written("float", shape), len(shape)
    order = data.draw(st.permutations(range(rank)))
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, rank - 1)] * 2)))
    agree(f"permute(x, {order})", f"x.permute({order})", x=x)
    agree(f"transpose(x, {a}, {b - rank})", f"x.transpose({a}, {b})", x=x)
    agree(f"flatten(x, {a}, {b - rank})", f"x.flatten({a}, {b})", x=x)


@st.composite
def equations(draw: Any) -> tuple[str, list[list[int]]]:
    """An einsum and the shapes of its operands."""
    extent = {letter: draw(sizes) for letter in "abcd"}
    terms, shapes_ = [], []
    hidden = draw(st.lists(sizes, max_size=2))
    dotted = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=3))
        shape = [extent[c] for c in letters]
        if dotted and draw(st.booleans()):
            at = draw(st.integers(0, len(letters)))
            mine = [1 if draw(st.integers(0, 3)) == 0 else d for d in hidden[draw(st.integers(0, len(hidden))) :]]
            letters.insert(at, "...")
            shape[at:at] = mine
        terms.append("".join(letters))
        shapes_.append(shape)
    known = sorted({c for t in terms for c in t if c != "."})
    result = list(draw(st.permutations(known)))[: draw(st.integers(0, len(known)))]
    if any("..." in t for t in terms):
        result.insert(draw(st.integers(0, len(result))), "...")
    arrow = f"->{''.join(result)}" if draw(st.integers(0, 4)) else ""
    return ",".join(terms) + arrow, shapes_


@settings(RANDOM, max_examples=100)
@given(equations())
def test_einsum_is_torchs(drawn: tuple[str, list[list[int]]]) -> None:
    equation, shapes_ = drawn
    types = {"xyz"[i]: written("float", shape) for i, shape in enumerate(shapes_)}
    call = f'einsum("{equation}", {", ".join(types)})'
    agree(call, f"torch.{call}", **types)


@st.composite
def patterns(draw: Any) -> tuple[str, str, list[int], dict[str, int], list[list[str]]]:
    """A pattern of rearrange: both sides, the input's shape, the sizes of names, and the groups of the result."""
    extent = {name: draw(sizes) for name in draw(st.sampled_from(["ab", "abc", "abcd", "abcde"]))}
    dots = draw(st.booleans())
    extent |= {f".{i}": draw(sizes) for i in range(draw(st.integers(1, 2)))} if dots else {}
    hidden = [n for n in extent if n.startswith(".")]

    def side(names: Sequence[str], brackets: bool) -> list[list[str]]:
        groups: list[list[str]] = []
        for name in names:
            if groups and draw(st.booleans()) and name != "..." and groups[-1] != ["..."] and brackets:
                groups[-1].append(name)
            else:
                groups.append([name])
            if draw(st.integers(0, 5)) == 0 and groups[-1] != ["..."]:
                groups.append([])
        return groups

    visible = [n for n in extent if n not in hidden] + (["..."] if dots else [])
    left = side(draw(st.permutations(visible)), True)
    right = side(draw(st.permutations(visible)), True)

    def text(groups: list[list[str]]) -> str:
        return " ".join("1" if not g else g[0] if len(g) == 1 else f"({' '.join(g)})" for g in groups)

    def spelt(groups: list[list[str]]) -> list[list[str]]:
        return [p for g in groups for p in ([[n] for n in hidden] if g == ["..."] else [g])]

    shape = [math.prod(extent[n] for n in g) for g in spelt(left)]
    order = [n for g in spelt(left) for n in g]
    return f"{text(left)} -> {text(right)}", ",".join(order), shape, extent, spelt(right)


@settings(RANDOM, max_examples=150)
@given(patterns())
def test_rearrange_moves_every_element_where_the_pattern_says(
    drawn: tuple[str, str, list[int], dict[str, int], list[list[str]]],
) -> None:
    pattern, order, shape, extent, right = drawn
    names = order.split(",") if order else []
    sizes_ = "".join(f", {n}={extent[n]}" for n in names if not n.startswith("."))

    def reference(x: torch.Tensor) -> torch.Tensor:
        apart = x.reshape([extent[n] for n in names])
        moved = apart.permute([names.index(n) for g in right for n in g])
        return moved.reshape([math.prod(extent[n] for n in g) for g in right])

    agree(f'rearrange(x, "{pattern}"{sizes_})', reference, x=written("float", shape))


@RANDOM
@given(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from([-3, -2, -1, 1, 2, 3]), st.booleans())
def test_arange_counts_as_torch_does(start: int, end: int, step: int, as_float: bool) -> None:
    if (end - start) * step <= 0:
        start, end = (-5, 5) if step > 0 else (5, -5)
    text = f"arange({start}{'.5' if as_float else ''}, {end}, {step})"
    agree(f"cat([x, {text}])", f"torch.cat([x, torch.{text}])", x="float[1]")


@RANDOM
@given(broadcastable(2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.booleans())
def test_matmul_is_torchs(
    batch: list[tuple[int, ...]], n: int, m: int, k: int, left_vector: bool, right_vector: bool
) -> None:
    x = (k,) if left_vector else (*batch[0], n, k)
    y = (k,) if right_vector else (*batch[1], k, m)
    agree("x @ y", "x @ y", x=written("float", x), y=written("float", y))


@RANDOM
@given(
    st.lists(sizes, max_size=2), st.integers(1, 4), st.integers(1, 4), st.sampled_from(["", "bool", "float", "causal"])
)
def test_attention_is_torchs(batch: list[int], length: int, keys: int, mask: str) -> None:
    types = {
        "q": written("float", (*batch, length, 4)),
        "k": written("float", (*batch, keys, 4)),
        "v": written("float", (*batch, keys, 3)),
    }
    text, python = "scaled_dot_product_attention(q, k, v", "F.scaled_dot_product_attention(q, k, v"
    if mask == "causal":
        agree(f"{text}, is_causal=true)", f"{python}, is_causal=True)", **types)
    elif mask:
        agree(f"{text}, m)", f"{python}, m)", **types, m=written(mask, (length, keys)))
    else:
        agree(f"{text})", f"{python})", **types)
