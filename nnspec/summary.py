"""What a model consists of: layers with their output types, parameters and multiply-adds, repeated ones folded.

It is worked out from the IR alone: shape rules and costs are those of the layer classes. It describes inference, with
all optional inputs given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnspec import ir
from nnspec.dims import Dim, DimTooLarge, Size, evaluate, show, substitute, symbols, terms_of
from nnspec.summary_calls import Calls, Part
from nnspec.summary_weights import Count, Weights
from nnspec.types import TensorType

_MOST_DIGITS = 18
"""Names with longer numbers are not counted on: Python refuses to read numbers of thousands of digits."""


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the model. Numbers are those of one copy: `count` copies with consecutive names share a row.

    What the `externs` in it own and compute is not known, and left out. `macs` is None where the expression has too
    many terms to keep; `outputs` is empty for what computes nothing.
    """

    path: str
    name: str
    depth: int
    kind: str
    outputs: tuple[TensorType, ...]
    parameters: int
    macs: Size | None
    count: int = 1
    uses: int = 1
    externs: int = 0
    place: str = ""
    """The path of the last copy."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold at the model's entry: `size` is at least zero, or zero."""

    size: Size
    relation: str
    message: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A model in numbers. Tied parameters count once; sizes that were given stand in for their symbols."""

    model: str
    doc: str
    inputs: tuple[tuple[str, TensorType], ...]
    optional: tuple[str, ...]
    """Inputs that may be left out."""
    outputs: tuple[tuple[str, TensorType], ...]
    symbols: tuple[str, ...]
    requires: tuple[Requirement, ...]
    rows: tuple[Row, ...]
    weights: Count
    macs: Size | None


class SizeError(ValueError):
    """A size was given for a symbol that the model lacks, or one that its requirements exclude."""


def summarize(program: ir.Program, entry: ir.Entry | None = None, sizes: Mapping[str, int] | None = None) -> Summary:
    """The summary of a model (the main one by default), with some symbols replaced by numbers.

    Raises `SizeError`.
    """
    try:
        return _summarized(program, entry or program.main, sizes)
    except DimTooLarge as fault:
        raise SizeError(f"these sizes are too large: they give {fault}") from None


def _summarized(program: ir.Program, entry: ir.Entry, sizes: Mapping[str, int] | None) -> Summary:
    number = entry.methods_with(entry.optional)["infer"]
    method = program.methods[number]
    names = tuple(s.name for s in method.symbols)
    given = dict(sizes or {})
    for name in given:
        if name not in names:
            known = f"its symbols are {', '.join(names)}" if names else "it has no symbols"
            raise SizeError(f"`{entry.name}` has no symbol `{name}`: {known}")
    requires = _requirements(entry.name, method, given)
    calls = Calls(program)
    body = calls.body(number, given)
    weights = Weights(program)
    whole = weights.of(entry.module)
    types = [TensorType(v.type.dtype, tuple(substitute(d, given) for d in v.type.dims)) for v in method.graph.values]
    return Summary(
        entry.name,
        entry.doc,
        tuple((n, types[v]) for n, v in zip(method.input_names, method.graph.inputs, strict=True) if v is not None),
        entry.optional,
        tuple(
            (name if len(found) == 1 else f"{name}.{i}", types[value])
            for name, operand in zip(method.output_names, method.graph.outputs, strict=True)
            for found in [tuple(ir.refs(operand))]
            for i, value in enumerate(found)
        ),
        tuple(n for n in names if n not in given),
        requires,
        tuple(_rows(body, weights, entry.module, weights.ties(entry.module), ("", ""), 0)),
        whole,
        body.macs,
    )


def check_sizes(program: ir.Program, sizes: Mapping[str, int]) -> None:
    """Raise `SizeError` for what the main model requires and these sizes break."""
    entry = program.main
    try:
        _requirements(entry.name, program.methods[entry.methods_with(entry.optional)["infer"]], sizes)
    except DimTooLarge as fault:
        raise SizeError(f"these sizes are too large: they give {fault}") from None


def _requirements(entry: str, method: ir.Method, sizes: Mapping[str, int]) -> tuple[Requirement, ...]:
    """What is left to check at the entry; `SizeError` for a requirement that the sizes break."""
    found: dict[tuple[Size, str], Requirement] = {}
    for each in method.requires:
        size = substitute(each.size, sizes)
        if not symbols(size):
            value = evaluate(size, {})
            if value < 0 or (each.relation == "==" and value != 0):
                why = f" ({each.message})" if each.message else ""
                raise SizeError(f"`{entry}` requires {condition(each.size, each.relation)}{why}")
            continue
        found.setdefault((size, each.relation), Requirement(size, each.relation, each.message))
    return tuple(found.values())


def condition(size: Size, relation: str) -> str:
    """A requirement on sizes as one would write it: `H >= 7` for `H - 7` being at least zero."""
    left: Size = 0
    right: Size = 0
    for factors, coefficient in terms_of(size):
        part = _term(factors, abs(coefficient))
        if coefficient > 0:
            left = left + part
        else:
            right = right + part
    if isinstance(left, int) and relation == ">=":
        return f"{show(right)} <= {left}"
    return f"{show(left)} {relation} {show(right)}"


def _term(factors: tuple[str, ...], coefficient: int) -> Size:
    return Dim(((factors, coefficient),)) if factors else coefficient


def _rows(
    part: Part, weights: Weights, module: int | None, aliases: frozenset[str], above: tuple[str, str], depth: int
) -> list[Row]:
    """The rows below a part (`above`: its path, and that of its last copy), equal neighbours with consecutive names
    folded."""
    found: list[Row] = []
    for run in _runs(part, weights, module, aliases):
        first, inner, excluded = run[0]
        name = first.name if len(run) == 1 else _range(first.name, run[-1][0].name)
        path, place = f"{above[0]}{name}", f"{above[1]}{run[-1][0].name}"
        count = first.own if inner is None else weights.below(inner, excluded)
        numbers = (count.parameters, first.macs, len(run), first.uses, count.externs)
        found.append(Row(path, name, depth, first.kind, first.outputs, *numbers, place))
        found += _rows(first, weights, inner, excluded, (f"{path}.", f"{place}."), depth + 1)
    return found


Copy = tuple[Part, "int | None", frozenset[str]]
"""A part, its module, and the paths below it that are tied to something outside."""


def _runs(part: Part, weights: Weights, module: int | None, aliases: frozenset[str]) -> list[list[Copy]]:
    runs: list[list[Copy]] = []
    for child in part.children.values():
        copy = (child, *weights.inner(module, child.name, aliases))
        if runs and _continues(runs[-1][-1], copy):
            runs[-1].append(copy)
        else:
            runs.append([copy])
    return runs


def _continues(last: Copy, copy: Copy) -> bool:
    """Whether a part is the next copy of the last one."""
    follows = copy[0].name == _following(last[0].name)
    return follows and last[1:] == copy[1:] and last[0].content() == copy[0].content()


def _following(name: str) -> str | None:
    """The name with the next number: `fc9` and `fc10`, `fc09` and `fc10`."""
    stem = _stem(name)
    digits = name[len(stem) :]
    return f"{stem}{int(digits) + 1:0{len(digits)}}" if 0 < len(digits) <= _MOST_DIGITS else None


def _stem(name: str) -> str:
    return name.rstrip("0123456789")


def _range(first: str, last: str) -> str:
    return f"{first}-{last[len(_stem(first)) :]}"
