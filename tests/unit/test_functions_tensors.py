"""Writing, taking, stacking, dividing, multiplying and drawing tensors at random: torch and ONNX agree on all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import NnspecError
from nnspec.dims import evaluate
from nnspec.layer import Example

from .function_harness import agree, method_of, output_types, program_of, run_onnx, same, session

RANDOM = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

sizes = st.integers(1, 4)
shapes = st.lists(sizes, min_size=1, max_size=3)
kinds = st.sampled_from(["float", "float64", "int", "int8", "uint8", "int32", "bool"])


def written(shape: Sequence[int], kind: str = "float") -> str:
    """A type of the language."""
    return f"{kind}[{', '.join(map(str, shape))}]"


def agrees_or_both_refuse(text: str, reference: Callable[..., Any], **inputs: str) -> None:
    """As `agree`, but that torch may refuse what the text says: then it has no meaning here either."""
    try:
        agree(text, reference, **inputs)
    except NnspecError:
        zeros = [torch.zeros(_shape(t), dtype=_dtype(t)) for t in inputs.values()]
        with pytest.raises((RuntimeError, IndexError, ValueError)):
            reference(*zeros)


def _shape(kind: str) -> list[int]:
    return [int(s) for s in kind.split("[")[1].rstrip("]").split(",") if s]


def _dtype(kind: str) -> torch.dtype:
    word = kind.split("[", maxsplit=1)[0]
    found: torch.dtype = getattr(torch, {"float": "float32", "int": "int64"}.get(word, word))
    return found


# --- writing and taking ----------------------------------------------------------------------------------------------


@RANDOM
@given(shapes, kinds, st.sampled_from(["sum", "prod", "mean", "amax", "amin"]), st.booleans(), st.data())
def test_scattering_is_torchs(shape: list[int], kind: str, how: str, include: bool, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    index = [data.draw(st.integers(1, s)) for s in shape]
    index[dim] = data.draw(st.integers(1, 5))
    types = {"x": written(shape, kind), "i": written(index, "int"), "y": written(index, kind)}
    n = shape[dim]

    agrees_or_both_refuse(
        f'scatter_reduce(x, {dim}, i % {n}, y, "{how}", include_self={str(include).lower()})',
        lambda x, i, y: torch.scatter_reduce(x, dim, i % n, y, how, include_self=include),
        **types,
    )
    agree(f"scatter_add(x, {dim}, i % {n}, y)", lambda x, i, y: torch.scatter_add(x, dim, i % n, y), **types)
    agree(
        f"scatter(x, {dim}, i % {n}, 1)",
        lambda x, i: torch.scatter(x, dim, i % n, 1),
        x=types["x"],
        i=types["i"],
    )
    agree(f"gather(x, {dim}, i % {n})", lambda x, i: torch.gather(x, dim, i % n), x=types["x"], i=types["i"])
    if kind != "bool":
        order = f"argsort(x, {dim})"
        agree(f"scatter(x, {dim}, {order}, x)", x=types["x"])


@pytest.mark.parametrize("opset", [17, 18, 21, 26])
@pytest.mark.parametrize("how", ["sum", "prod", "mean", "amax", "amin"])
def test_every_operator_set_reduces_alike(how: str, opset: int) -> None:
    program = program_of(
        Example(f'scatter_reduce(x, 1, i % 4, y, "{how}", include_self=false)', x="float[N, 4, 3]", i="int[N, T, 2]",
                y="float[N, T, 3]")
    )  # fmt: skip
    x, y = torch.randn(2, 4, 3), torch.randn(2, 7, 3)
    i = torch.randint(0, 4, (2, 7, 2))
    wanted = torch.scatter_reduce(x, 1, i, y, how, include_self=False)
    same([wanted], run_onnx(session(program, opset), method_of(program), [x, i, y]))


@RANDOM
@given(shapes, kinds, st.integers(1, 4), st.data())
def test_placing_slices_is_torchs(shape: list[int], kind: str, count: int, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[dim]
    part = list(shape)
    part[dim] = count
    x, i, y = written(shape, kind), written([count], "int"), written(part, kind)
    alpha = data.draw(st.sampled_from([1, 2, -1])) if kind != "bool" else 1
    agree(
        f"index_add(x, {dim}, i % {n}, y, alpha={alpha})",
        lambda x, i, y: torch.index_add(x, dim, i % n, y, alpha=alpha),
        x=x,
        i=i,
        y=y,
    )
    agree(f"index_fill(x, {dim}, i % {n}, 1)", lambda x, i: torch.index_fill(x, dim, i % n, 1), x=x, i=i)
    agree(f"index_select(x, {dim}, i % {n})", lambda x, i: torch.index_select(x, dim, i % n), x=x, i=i)
    agree(
        f"index_put(x, [i % {shape[0]}], y, true)",
        lambda x, i, y: torch.index_put(x, (i % shape[0],), y, True),
        x=x,
        i=i,
        y=written([], kind),
    )
    agree(
        "masked_scatter(x, m, y)",
        torch.masked_scatter,
        x=x,
        m=written(shape[1:], "bool"),
        y=written([2, *shape], kind),
    )
    part[dim] = min(count, n)
    agree(
        f"index_copy(x, {dim}, arange({part[dim]}), y)",
        lambda x, y: torch.index_copy(x, dim, torch.arange(part[dim]), y),
        x=x,
        y=written(part, kind),
    )


@RANDOM
@given(shapes, kinds, st.data())
def test_parts_put_back_are_torchs(shape: list[int], kind: str, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[dim]
    at, start = data.draw(st.integers(-n, n - 1)), data.draw(st.integers(0, n - 1))
    end, step = data.draw(st.integers(start, n)), data.draw(st.integers(1, 3))
    x, rest = written(shape, kind), [s for i, s in enumerate(shape) if i != dim % len(shape)]
    y = written(rest, kind)
    agree(f"select_scatter(x, y, {dim}, {at})", lambda x, y: torch.select_scatter(x, y, dim, at), x=x, y=y)
    part = list(shape)
    part[dim] = len(range(start, end, step))
    agree(
        f"slice_scatter(x, y, {dim}, {start}, {end}, {step})",
        lambda x, y: torch.slice_scatter(x, y, dim, start, end, step),
        x=x,
        y=written(part, kind),
    )


@RANDOM
@given(shapes, kinds, st.data())
def test_taking_is_torchs(shape: list[int], kind: str, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    n, whole = shape[dim], int(np.prod(shape))
    mine, other = ([data.draw(st.sampled_from([1, s])) for s in shape] for _ in range(2))
    mine[dim], other[dim] = n, data.draw(sizes)
    x, i = written(mine, kind), written(other, "int")
    agree(f"take_along_dim(x, i % {n}, {dim})", lambda x, i: torch.take_along_dim(x, i % n, dim), x=x, i=i)
    agree(f"take(x, i % {whole})", lambda x, i: torch.take(x, i % whole), x=written(shape, kind), i=i)


# --- diagonals, rows and pieces --------------------------------------------------------------------------------------


@RANDOM
@given(st.lists(sizes, min_size=2, max_size=4), kinds, st.integers(-3, 3), st.data())
def test_diagonals_are_torchs(shape: list[int], kind: str, offset: int, data: st.DataObject) -> None:
    rank = len(shape)
    first, second = data.draw(st.permutations(range(rank)))[:2]
    x = written(shape, kind)
    agree(f"diagonal(x, {offset}, {first}, {second - rank})", f"torch.diagonal(x, {offset}, {first}, {second})", x=x)
    agree(f"diag_embed(x, {offset}, {first}, {second})", f"torch.diag_embed(x, {offset}, {first}, {second})", x=x)
    agree(f"diagflat(x, {offset})", f"torch.diagflat(x, {offset})", x=x)
    agree(f"rot90(x, {offset}, ({first}, {second}))", f"torch.rot90(x, {offset}, ({first}, {second}))", x=x)
    size = torch.diagonal(torch.zeros(shape), offset, first, second).shape
    agree(
        f"diagonal_scatter(x, y, {offset}, {first}, {second})",
        lambda x, y: torch.diagonal_scatter(x, y, offset, first, second),
        x=x,
        y=written(size, kind),
    )
    matrix = written(shape[:2], kind)
    agree(f"diag(x, {offset})", f"torch.diag(x, {offset})", x=matrix)
    if kind != "bool":
        agree("trace(x)", "torch.trace(x)", x=matrix)


@RANDOM
@given(st.lists(sizes, max_size=3), st.lists(sizes, min_size=1, max_size=3), st.integers(0, 2), kinds, kinds)
def test_stacking_is_torchs(shape: list[int], lengths: list[int], dim: int, kind: str, other: str) -> None:
    three = [[n if i == dim else size for i, size in enumerate(shape)] for n in lengths]
    types = {"abc"[i]: written(s, other if i else kind) for i, s in enumerate(three)}
    for name in ("hstack", "vstack", "dstack", "column_stack"):
        function: Any = getattr(torch, name)
        agrees_or_both_refuse(f"{name}([{', '.join(types)}])", lambda *xs, f=function: f(xs), **types)
    flat = {name: kind for name, kind in types.items() if len(_shape(kind)) < 3}
    if flat:
        agree(f"block_diag({', '.join(flat)})", f"torch.block_diag({', '.join(flat)})", **flat)
    for n in "123":
        agree(f"atleast_{n}d(a)", f"torch.atleast_{n}d(a)", a=types["a"])


@RANDOM
@given(shapes, st.integers(1, 4), st.data())
def test_taking_apart_is_torchs(shape: list[int], count: int, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[dim]), min_size=1, max_size=3)))
    x = written(shape)
    for where in (count, cuts):
        agree(f"tensor_split(x, {where}, {dim})", lambda x, w=where: x.tensor_split(w, dim), x=x)
    for name in ("hsplit", "vsplit", "dsplit"):
        function: Any = getattr(torch, name)
        agrees_or_both_refuse(f"{name}(x, {count})", lambda x, f=function: f(x, count), x=x)


# --- products --------------------------------------------------------------------------------------------------------


@RANDOM
@given(
    st.tuples(sizes, sizes, sizes, sizes),
    kinds.filter(lambda k: k != "bool"),
    st.sampled_from([(1, 1), (0, 2), (2, -1), (-1, 0)]),
    st.booleans(),
)
def test_products_are_torchs(four: tuple[int, ...], kind: str, scales: tuple[int, int], wide: bool) -> None:
    b, n, k, m = four
    beta, alpha = scales
    types = {
        "addmm": ([n, m], [n, k], [k, m]),
        "addmv": ([n], [n, k], [k]),
        "baddbmm": ([b, n, m], [b, n, k], [b, k, m]),
        "addbmm": ([n, m], [b, n, k], [b, k, m]),
        "addr": ([n, m], [n], [m]),
    }
    for name, (x, y, z) in types.items():
        first = x if wide else x[1:]
        agree(
            f"{name}(x, y, z, beta={beta}, alpha={alpha})",
            f"torch.{name}(x, y, z, beta={beta}, alpha={alpha})",
            x=written(first, kind),
            y=written(y, kind),
            z=written(z, kind),
        )
    for name, x, y in (("mm", [n, k], [k, m]), ("mv", [n, k], [k]), ("dot", [k], [k]), ("inner", [b, n, k], [m, k])):
        agree(f"{name}(x, y)", f"torch.{name}(x, y)", x=written(x, kind), y=written(y, kind))
    agree("kron(x, y)", "torch.kron(x, y)", x=written([n, k], kind), y=written([m], "int8"))
    agree("cross(x, y, dim=0)", "torch.linalg.cross(x, y, dim=0)", x=written([3, n], kind), y=written([3, 1], kind))
    text = "tensordot(x, y, ([0, 2], [1, 0]))"
    agree(text, f"torch.{text}", x=written([b, n, k], kind), y=written([k, b, m], kind))
    agree(
        "multi_dot([x, y, z])",
        "torch.linalg.multi_dot([x, y, z])",
        x=written([n], kind),
        y=written([n, k], kind),
        z=written([k, m], kind),
    )
    square = written([b, n, n], kind)
    agree(f"matrix_power(x, {n + 1})", f"torch.linalg.matrix_power(x, {n + 1})", x=square)


@pytest.mark.parametrize("weights", ["", "f", "a", "fa"])
@pytest.mark.parametrize("kind", ["float", "float64", "int"])
def test_covariances_are_torchs(weights: str, kind: str) -> None:
    types = {"x": written([3, 6], kind), **{w: written([6], {"f": "int", "a": "float"}[w]) for w in weights}}
    given = {"f": ", fweights=f * f", "a": ", aweights=a * a"}
    text = f"cov(x, correction=0{''.join(given[w] for w in weights)})"
    agree(text, f"torch.{text}", **types)
    agree("corrcoef(x)", "torch.corrcoef(x)", x=written([3, 6], kind))
    agree("cov(x)", "torch.cov(x)", x=written([6], kind))


# --- sizes with symbols ----------------------------------------------------------------------------------------------


@RANDOM
@given(st.sampled_from(["tril_indices", "triu_indices"]), sizes, sizes, st.integers(-5, 5))
def test_triangles_of_symbols_have_as_many_places_as_torchs(name: str, height: int, width: int, offset: int) -> None:
    call = f"{name}(H, W, {offset})"
    program = program_of(Example(f"{call} + to(sum(x), int) * 0", x="float[H, W]"))
    (said,) = output_types(method_of(program))
    wanted = getattr(torch, name)(height, width, offset)
    assert tuple(evaluate(d, {"H": height, "W": width}) for d in said.dims) == tuple(wanted.shape)
    same([wanted], run_onnx(session(program, 17), method_of(program), [torch.zeros(height, width)]))


@RANDOM
@given(sizes, sizes, st.integers(-3, 3), st.integers(1, 4))
def test_sizes_of_symbols_are_torchs(height: int, width: int, offset: int, count: int) -> None:
    x = torch.randn(height, width)
    sized = {"H": height, "W": width}
    for text, wanted in (
        (f"diagonal(x, {offset})", [torch.diagonal(x, offset)]),
        (f"tensor_split(x, {count})", x.tensor_split(count)),
        ("combinations(diagonal(x))", [torch.combinations(torch.diagonal(x))]),
        ("kron(x, x)", [torch.kron(x, x)]),
        ("block_diag(x, x, x)", [torch.block_diag(x, x, x)]),  # type: ignore[no-untyped-call]  # in torch
    ):
        program = program_of(Example(text, x="float[H, W]"))
        said = [tuple(evaluate(d, sized) for d in t.dims) for t in output_types(method_of(program))]
        assert said == [tuple(w.shape) for w in wanted]
        same(list(wanted), run_onnx(session(program, 21), method_of(program), [x]))
