"""A summary as an aligned table for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.dims import Atom, Size, show, symbols, terms_of
from nnspec.summary import Row, Summary, condition
from nnspec.summary_memory import MemoryReport, memory_json, memory_lines, spell_bytes
from nnspec.types import TensorType

JSON_VERSION = 1
"""Grows when a field goes or changes its meaning; fields may be added within a version."""

_GAP = "  "
_COST_LIMITS = (44, 20)
"""A cost of more letters is not spelled out in a table: it would push everything else off the screen."""

_COLUMNS = 5
"""Those of every table."""

_NARROWEST = (16, 12, 12)
"""Layer, type and output are not cut below this."""


def as_text(
    summary: Summary, *, depth: int | None = None, width: int | None = None, memory: MemoryReport | None = None
) -> str:
    """The table, with totals and entry requirements; rows deeper than `depth` are left out, lines kept to `width`.

    What is kept for the backward pass is a column where it is known, and where there is room for it.
    """
    rows = [row for row in summary.rows if depth is None or row.depth < depth]
    for limit in _COST_LIMITS:
        table = _table(summary, rows, limit)
        if width is None or len(_aligned(table, None)[0]) <= width:
            break
    wide = _with_kept(table, rows, memory)
    if width is None or len(_aligned(wide, width)[0]) <= width:
        table = wide
    lines = [summary.model, *_doc(summary), *_signature(summary), "", *_aligned(table, width), ""]
    lines += _totals(summary)
    if memory is not None:
        lines += memory_lines(memory, summary.weights.parameter_bytes)
    if len(table[0]) > _COLUMNS:
        lines.append("kept        for the backward pass, with the first layer that keeps it")
    if summary.symbols:
        names = ",".join(f"{name}=..." for name in summary.symbols)
        lines.append(f"sizes       --size {names} gives costs and memory as numbers")
    return "\n".join(lines)


def _with_kept(table: list[tuple[str, ...]], rows: Sequence[Row], memory: MemoryReport | None) -> list[tuple[str, ...]]:
    """The table with what a training step keeps of each row."""
    if memory is None or memory.memory is None:
        return table
    kept = memory.memory.kept
    cells = ["kept", *(_kept(kept.get(row.place, 0)) for row in rows), _kept(kept.get("", 0))]
    return [(*line, cell) for line, cell in zip(table, cells, strict=True)]


def _kept(size: int) -> str:
    return spell_bytes(size) if size else "-"


def _table(summary: Summary, rows: Sequence[Row], limit: int) -> list[tuple[str, ...]]:
    head = ("layer", "type", "output", "parameters", "multiply-adds")
    weights = summary.weights
    total = ("total", "", "", *_numbers(weights.parameters, summary.macs, weights.externs, limit))
    return [head, *(_cells(row, limit) for row in rows), total]


def _doc(summary: Summary) -> list[str]:
    return [line.strip() for line in summary.doc.strip().splitlines()]


def _signature(summary: Summary) -> list[str]:
    pairs = [("input", name, type_) for name, type_ in summary.inputs]
    pairs += [("output", name, type_) for name, type_ in summary.outputs]
    longest = max((len(name) for _, name, _ in pairs), default=0)
    notes = {("input", name): "  (optional)" for name in summary.optional}
    lines = [f"  {word:<6} {name:<{longest}}  {type_}{notes.get((word, name), '')}" for word, name, type_ in pairs]
    return lines + [
        f"  requires {condition(each.size, each.relation)}" + (f"  ({each.message})" if each.message else "")
        for each in summary.requires
    ]


def _cells(row: Row, limit: int) -> tuple[str, ...]:
    kind = row.kind
    if row.count > 1:
        kind += f" (each of {row.count:,})"
    if row.uses == 0 and row.kind not in ("parameter", "buffer"):
        kind += " (not used)"
    elif row.uses > 1:
        kind += f" ({row.uses:,} uses)"
    outputs = ", ".join(map(str, row.outputs)) or "-"
    return "  " * row.depth + row.name, kind, outputs, *_numbers(row.parameters, row.macs, row.externs, limit)


def _numbers(parameters: int, macs: Size | None, externs: int, limit: int) -> tuple[str, str]:
    """Parameters and cost as texts; of what is written in Python neither is known."""
    known = _number(parameters), _cost(macs, limit)
    if not externs:
        return known
    return "?" if known[0] == "-" else f"{known[0]} + ?", "?" if known[1] == "-" else f"{known[1]} + ?"


def _aligned(table: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """Columns under each other, numbers to the right; texts are cut where the terminal is too narrow."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    if width is not None:
        for i, narrowest in enumerate(_NARROWEST):
            excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
            widths[i] = max(min(widths[i], narrowest), widths[i] - max(excess, 0))
    lines = []
    for row in table:
        texts = [_cut(cell, size).ljust(size) for cell, size in zip(row[:3], widths, strict=False)]
        numbers = [cell.rjust(size) for cell, size in zip(row[3:], widths[3:], strict=True)]
        lines.append(_GAP.join([*texts, *numbers]).rstrip())
    return [lines[0], *lines[1:-1], "-" * max(map(len, lines)), lines[-1]]


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3] + "..."


def _totals(summary: Summary) -> list[str]:
    weights = summary.weights
    lines = [f"parameters  {weights.parameters:,} ({spell_bytes(weights.parameter_bytes)}), all trained"]
    if not weights.parameters:
        lines = ["parameters  none"]
    if weights.externs:
        layers = f"{weights.externs} layer{'s' if weights.externs > 1 else ''}"
        lines.append(f"not known   what {layers} written in Python (`extern`) own and compute")
    if weights.buffers:
        lines.append(f"buffers     {weights.buffers:,} ({spell_bytes(weights.buffer_bytes)}), not trained")
    return lines


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _cost(size: Size | None, limit: int) -> str:
    if size == 0:
        return "-"
    text = "" if size is None else spell(size)
    if not text or len(text) > limit:
        names = [] if size is None else sorted(symbols(size))
        return f"(in {', '.join(names)})" if names else "(in sizes)"
    return text


def spell(size: Size) -> str:
    """A polynomial with grouped digits, its symbols in front: `N * T * 7,077,888 + N * T * T * 1,536`."""
    text = ""
    for factors, coefficient in sorted(terms_of(size), key=lambda term: (-len(term[0]), term[0])):
        names = [
            f"({factor})" if isinstance(factor, Atom) and factor.kind == "floor" else str(factor) for factor in factors
        ]
        number = abs(coefficient)
        parts = [*names, *([f"{number:,}"] if number != 1 or not names else [])]
        sign = ("-" if coefficient < 0 else "") if not text else " - " if coefficient < 0 else " + "
        text += sign + " * ".join(parts)
    return text or "0"


def as_json(summary: Summary, memory: MemoryReport | None = None) -> str:
    """One JSON object on one line; sizes that depend on symbols are texts.

    It has `version`, `model`, `inputs`, `outputs`, `symbols`, `requires`, `rows`, `parameters`, `buffers`, `bytes` and
    `macs`, less what `externs` layers written in Python own and compute. A row has `path`, `type`, `depth`, `outputs`;
    `parameters`, `macs` and `externs` of one copy; how many `copies` there are, and how often each is called (`uses`).
    With memory, it has `memory` (whose numbers are bytes), and a row has `kept_bytes`, those of one copy as well.
    """
    kept = None if memory is None or memory.memory is None else memory.memory.kept
    return json.dumps(
        {
            "version": JSON_VERSION,
            "model": summary.model,
            "inputs": [{**each, "optional": each["name"] in summary.optional} for each in _named(summary.inputs)],
            "outputs": _named(summary.outputs),
            "symbols": list(summary.symbols),
            "requires": [{"condition": condition(r.size, r.relation), "message": r.message} for r in summary.requires],
            "rows": [_row(row, kept) for row in summary.rows],
            "parameters": summary.weights.parameters,
            "buffers": summary.weights.buffers,
            "bytes": summary.weights.parameter_bytes + summary.weights.buffer_bytes,
            "macs": _size(summary.macs),
            "externs": summary.weights.externs,
            **({} if memory is None else {"memory": memory_json(memory)}),
        }
    )


def _named(pairs: Sequence[tuple[str, TensorType]]) -> list[dict[str, str]]:
    return [{"name": name, "type": str(type_)} for name, type_ in pairs]


def _row(row: Row, kept: Mapping[str, int] | None) -> dict[str, Any]:
    return {
        "path": row.path,
        "type": row.kind,
        "depth": row.depth,
        "outputs": list(map(str, row.outputs)),
        "parameters": row.parameters,
        "macs": _size(row.macs),
        "copies": row.count,
        "uses": row.uses,
        "externs": row.externs,
        **({} if kept is None else {"kept_bytes": kept.get(row.place, 0)}),
    }


def _size(size: Size | None) -> int | str | None:
    return size if size is None or isinstance(size, int) else show(size)
