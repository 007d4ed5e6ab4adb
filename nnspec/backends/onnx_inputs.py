"""Trial inputs for a model: small sizes that satisfy what it requires, and random tensors of these sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

from nnspec import ir
from nnspec.backends.onnx_graph import numpy_dtype
from nnspec.dims import evaluate, symbols
from nnspec.types import TensorType, is_float

Assignment = dict[str, int]

_CANDIDATES = (*range(1, 17), 20, 24, 28, 32, 36, 40, 48, 56, 64, 96, 112, 128, 160, 192, 224, 256, 384, 512)
_SMALL = 64
"""Another size than those that were tried is only looked for up to here: models whose inputs are large are slow."""
_MAX_TRIES = 50_000
_INTEGERS = 2
"""Integers are below this where nothing says what they index: then 0 and 1 are the safest."""


def trial_sizes(method: ir.Method, count: int = 3) -> list[Assignment]:
    """Up to `count` assignments of sizes to the symbols that satisfy the method's requirements.

    The first has batch size 1 (the batch is what the first dimension of the first input is) and everything as small
    as it may be; the others are larger. Empty when a search among small sizes finds nothing.
    """
    names = [symbol.name for symbol in method.symbols]
    found: list[Assignment] = []
    for trial in range(count):
        # Each trial begins its search at another size: symbols should differ from each other and from trial to trial.
        starts = [trial + (1 + position % 3) * (trial > 0) for position, _ in enumerate(names)]
        tried = [{sizes[name] for sizes in found} for name in names]
        chosen = next(_search(method, names, starts, tried), None)
        if chosen is not None and chosen not in found:
            found.append(chosen)
    return found


def _search(method: ir.Method, names: list[str], starts: list[int], tried: list[set[int]]) -> Iterator[Assignment]:
    """Assignments that hold, what is new first: where a multiple is required, most would come to the smallest."""
    # A requirement is tested as soon as the last of its symbols has a size.
    ready: list[list[ir.Requirement]] = [[] for _ in names]
    for requirement in method.requires:
        positions = [names.index(name) for name in symbols(requirement.size)]
        if positions:
            ready[max(positions)].append(requirement)
    tries = 0
    chosen: Assignment = {}

    def extend(position: int) -> Iterator[Assignment]:
        nonlocal tries
        if position == len(names):
            yield dict(chosen)
            return
        start = starts[position]
        others = {chosen[name] for name in names[:position]} if tried[position] else set()
        old = tried[position] | others
        for size in sorted((*_CANDIDATES[start:], *_CANDIDATES[:start]), key=lambda size: size in old or size > _SMALL):
            tries += 1
            if tries > _MAX_TRIES:
                return
            chosen[names[position]] = size
            if all(_holds(requirement, chosen) for requirement in ready[position]):
                yield from extend(position + 1)

    return extend(0)


def _holds(requirement: ir.Requirement, sizes: Assignment) -> bool:
    value = evaluate(requirement.size, sizes)
    return value == 0 if requirement.relation == "==" else value >= 0


def random_inputs(
    program: ir.Program, method: ir.Method, sizes: Mapping[str, int], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random tensors for the inputs of a method; integers stay below the sizes of the tables that they index."""
    bounds = _index_bounds(program, method)
    inputs = {}
    for name, value in zip(method.input_names, method.graph.inputs, strict=True):
        if value is not None:
            kind = method.graph.values[value].type
            inputs[name] = _random(kind, sizes, bounds.get(value, _INTEGERS), generator)
    return inputs


def _random(kind: TensorType, sizes: Mapping[str, int], bound: int, generator: np.random.Generator) -> np.ndarray:
    shape = [evaluate(dim, sizes) for dim in kind.dims]
    if is_float(kind.dtype):
        return generator.normal(size=shape).astype(numpy_dtype(kind.dtype))
    if kind.dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    return generator.integers(0, min(bound, 127), shape).astype(numpy_dtype(kind.dtype))


def _index_bounds(program: ir.Program, method: ir.Method) -> dict[int, int]:
    """For values that flow into layers with a table of `num_embeddings` rows: the fewest rows of these."""

    @cache
    def of_callee(number: int) -> tuple[int | None, ...]:
        callee = program.methods[number]
        bounds = of(callee)
        return tuple(bounds.get(value) for value in ir.flat(callee.graph.inputs))

    def of(caller: ir.Method) -> dict[int, int]:
        return of_graph(caller, caller.graph, {})

    def of_graph(caller: ir.Method, graph: ir.Graph, bounds: dict[int, int]) -> dict[int, int]:
        """The bounds of a graph's values, from those of its outputs."""
        limits: tuple[int | None, ...]
        for node in reversed(graph.nodes):
            values = [] if isinstance(node, ir.Read) else list(ir.refs(node.inputs))
            if isinstance(node, ir.Call) and node.method is not None:
                limits = of_callee(node.method)
            elif isinstance(node, ir.Scan):
                results = zip(ir.refs(node.body.outputs), node.outputs, strict=True)
                inner = of_graph(caller, node.body, {own: bounds[v] for own, v in results if v in bounds})
                limits = tuple(inner.get(value) for value in node.body.inputs)
            else:
                # What is computed from an index is taken for an index itself.
                after = [bounds[v] for v in ir.flat(node.outputs) if v in bounds]
                limits = (min([*after, *_rows(program, caller, node)], default=None),) * len(values)
            for value, limit in zip(values, limits, strict=True):
                if limit is not None:
                    bounds[value] = min(limit, bounds.get(value, limit))
        return bounds

    return of(method)


def _rows(program: ir.Program, method: ir.Method, node: ir.Node) -> list[int]:
    if not isinstance(node, ir.Call):
        return []
    rows = program.modules[program.module_at(method.module, node.path)].arguments.get("num_embeddings")
    return [rows.value] if rows is not None else []
