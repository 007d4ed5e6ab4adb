"""Made-up inputs that a model accepts: sizes that meet its requirements, and indices within its embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from math import prod

import torch

from nnspec import ir
from nnspec.dims import Dim, evaluate, show, symbols
from nnspec.training.dataset import MAX_BYTES
from nnspec.training.fault import Fault

BATCH_SIZE = 4
"""Size of a symbol that stands in front, which is how batches are written."""

_CANDIDATES = (8, 16, 32, 64, 224, 28, 12, 24, 48, 96, 128, 256, 4, 7, 10, 5, 3, 2, 1)
_MAX_TRIES = 20_000
_INDICES = 2
"""Integers stay below this where nothing says what they index."""


def choose_sizes(method: ir.Method, given: Mapping[str, int] | None = None) -> dict[str, int]:
    """A size for each symbol of a method so that all its requirements hold; `given` ones stay as they are."""
    fixed = dict(given or {})
    names = [symbol.name for symbol in method.symbols if symbol.name not in fixed]
    for sizes in islice(_assignments(names, _first(method)), _MAX_TRIES):
        trial = fixed | sizes
        if all(_holds(requirement, trial) for requirement in method.requires):
            return trial
    tried = ", ".join(f"`{r.message}`" for r in method.requires[:3])
    raise Fault(
        "no sizes were found that the model accepts",
        code="NNS624",
        notes=(f"it requires: {tried}",),
        helps=(f"give them: {', '.join(f'{name}=...' for name in names)}",) if names else (),
    )


def random_batch(
    program: ir.Program, entry: ir.Entry, given: Mapping[str, int] | None = None, *, seed: int = 0
) -> dict[str, torch.Tensor]:
    """A random tensor for each input of a model: normal for floats, in range for indices.

    Raises `Fault` when no sizes can be found, or when those `given` break a requirement.
    """
    method = program.methods[entry.methods["infer"]]
    sizes = choose_sizes(method, given)
    bounds = index_bounds(program, entry)
    generator = torch.Generator().manual_seed(seed)
    batch = {}
    for name, value in zip(method.input_names, method.graph.inputs, strict=True):
        if value is None:
            continue
        type_ = method.graph.values[value].type
        shape = [evaluate(dim, sizes) for dim in type_.dims]
        dtype = getattr(torch, type_.dtype)
        if prod(shape) * dtype.itemsize > MAX_BYTES:
            raise Fault(
                f"the input `{name}` would take {prod(shape) * dtype.itemsize / 2**30:,.0f} GiB of memory",
                code="NNS625",
                helps=("give smaller sizes",),
            )
        if dtype.is_floating_point:
            batch[name] = torch.randn(shape, generator=generator).to(dtype)
        else:
            bound = min(bounds.get(name, _INDICES), 2 if type_.dtype == "bool" else 128)
            batch[name] = torch.randint(bound, shape, generator=generator).to(dtype)
    return batch


def index_bounds(program: ir.Program, entry: ir.Entry) -> dict[str, int]:
    """For each input of a model that goes straight into embeddings: how many rows the smallest of them has."""
    method = program.methods[entry.methods["infer"]]
    found = _bounds(program, entry.methods["infer"], {})
    return {method.input_names[i]: bound for i, bound in found.items()}


def graph_bounds(program: ir.Program, method: ir.Method, graph: ir.Graph) -> dict[int, int]:
    """The same for a graph that calls layers of a method's module, by the position of its inputs."""
    return _bounds_in(program, method, graph, {})


def _bounds(program: ir.Program, number: int, known: dict[int, dict[int, int]]) -> dict[int, int]:
    """The same for a method, by the position of its inputs."""
    if number in known:
        return known[number]
    known[number] = {}  # a method that calls itself adds nothing of its own
    method = program.methods[number]
    known[number] = _bounds_in(program, method, method.graph, known)
    return known[number]


def _bounds_in(
    program: ir.Program, method: ir.Method, graph: ir.Graph, known: dict[int, dict[int, int]]
) -> dict[int, int]:
    """The same for a method's graph, or for the body of a scan in it."""
    position = {value: i for i, value in enumerate(graph.inputs) if isinstance(value, int)}
    bounds: dict[int, int] = {}
    for node in graph.nodes:
        if isinstance(node, (ir.Call, ir.Scan)):
            for slot, bound in _rows(program, method, node, known).items():
                operand = node.inputs[slot] if slot < len(node.inputs) else None
                if isinstance(operand, ir.Ref) and operand.id in position:
                    i = position[operand.id]
                    bounds[i] = min(bound, bounds.get(i, bound))
    return bounds


def _rows(
    program: ir.Program, method: ir.Method, node: ir.Call | ir.Scan, known: dict[int, dict[int, int]]
) -> dict[int, int]:
    if isinstance(node, ir.Scan):
        return _bounds_in(program, method, node.body, known)
    if node.method is not None:
        return _bounds(program, node.method, known)
    layer = program.modules[program.module_at(method.module, node.path)]
    rows = layer.arguments.get("num_embeddings")
    return {0: rows.value} if rows is not None else {}


def _first(method: ir.Method) -> frozenset[str]:
    """Symbols that are an input's first dimension."""
    dims = [method.graph.values[v].type.dims for v in method.graph.inputs if v is not None]
    return frozenset(name for d in dims if d and isinstance(d[0], Dim) for name in symbols(d[0]))


def _assignments(names: list[str], first: frozenset[str]) -> Iterator[dict[str, int]]:
    """Sizes to try: all the same, then mixed."""
    batch = {name: BATCH_SIZE for name in names if name in first}
    rest = [name for name in names if name not in first]
    for size in _CANDIDATES:
        yield batch | dict.fromkeys(rest, size)
    for sizes in product(_CANDIDATES, repeat=len(names)):
        yield dict(zip(names, sizes, strict=True))


def _holds(requirement: ir.Requirement, sizes: Mapping[str, int]) -> bool:
    try:
        value = evaluate(requirement.size, sizes)
    except KeyError as missing:
        raise AssertionError(f"`{show(requirement.size)}` needs {missing}") from None
    return value >= 0 if requirement.relation == ">=" else value == 0
