"""Training curves as a picture: an SVG with a panel for each number, that suits light and dark pages alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10
from typing import Any

_WIDTH, _HEIGHT = 390, 260
"""Of a panel."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 34, 46
"""What is left free around the lines."""
_MOST_POINTS = 600
_MOST_PANELS = 12
_DECADES = 1.5
"""A number that changes by more powers of ten than this has a logarithmic axis."""
_FINE = 2.0
"""An axis of more powers of ten than this has no numbers between them."""

_RATE = "lr"
"""How the names of learning rates start."""

_NOT_DRAWN = {"epoch", "step", "seconds", "samples_per_second"}

_STYLE = """\
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a; }
.title { font-weight: 600; fill: #24292f; }
.grid { stroke: #8b949e; stroke-opacity: 0.25; }
.train, .val { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.train { stroke: #2f81f7; } .val { stroke: #e8833a; }
.dot.train { fill: #2f81f7; stroke: none; } .dot.val { fill: #e8833a; stroke: none; }
@media (prefers-color-scheme: dark) { text { fill: #9da7b1; } .title { fill: #e6edf3; } }"""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Panel:
    """What is drawn in one panel: points by kind, `train` and `val`."""

    title: str
    lines: dict[str, list[Point]]


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to places between `start` and `end`, with the numbers that stand on the axis."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a number is."""
        low, high = (log10(self.low), log10(self.high)) if self.logarithmic else (self.low, self.high)
        value = log10(value) if self.logarithmic else value
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def drawn(rows: Sequence[Mapping[str, Any]], *, best: int | None = None) -> str:
    """The curves of a run's rows (`Row.json`), as SVG. The best epoch is marked, if it is known."""
    panels = _panels(rows)
    across = 1 if len(panels) == 1 else 2
    down = -(-len(panels) // across)
    size = f'width="{across * _WIDTH}" height="{down * _HEIGHT}" viewBox="0 0 {across * _WIDTH} {down * _HEIGHT}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', f"<style>\n{_STYLE}\n</style>"]
    for i, panel in enumerate(panels):
        x, y = i % across * _WIDTH, i // across * _HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_drawn_panel(panel, best), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panels(rows: Sequence[Mapping[str, Any]]) -> list[_Panel]:
    names = dict.fromkeys(name.removeprefix("val/") for row in rows for name in row if name not in _NOT_DRAWN)
    panels = []
    for name in names:
        lines = {kind: _points(rows, key) for kind, key in (("train", name), ("val", f"val/{name}"))}
        lines = {kind: points for kind, points in lines.items() if points}
        constant = len({value for points in lines.values() for _, value in points}) == 1
        if lines and not (constant and "val" not in lines and name.startswith(_RATE)):
            panels.append(_Panel(name, lines))
    return panels[:_MOST_PANELS]


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[Point]:
    """Epoch and value; of very many, the lowest and the highest of each stretch."""
    points = [
        (float(row["epoch"]), float(row[name]))
        for row in rows
        if isinstance(row.get(name), int | float) and isfinite(row[name])
    ]
    if len(points) <= _MOST_POINTS:
        return points
    length = -(-len(points) * 2 // _MOST_POINTS)
    kept = [points[0]]
    for start in range(0, len(points), length):
        stretch = points[start : start + length]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends - {kept[-1]})
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _drawn_panel(panel: _Panel, best: int | None) -> Iterator[str]:
    everything = [point for points in panel.lines.values() for point in points]
    across = _epochs([x for x, _ in everything], _LEFT, _WIDTH - _RIGHT)
    rate = panel.title.startswith(_RATE)
    up = values([y for _, y in everything], _HEIGHT - _BOTTOM, _TOP, linear=rate)
    yield f'<text class="title" x="{_LEFT}" y="20">{escape(panel.title)}</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 10}" text-anchor="end">epoch</text>'
    yield from () if rate else _legend(list(panel.lines))
    for tick in up.ticks:
        y = _short(up.place(tick))
        yield f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y}" dy="0.35em" text-anchor="end">{_label(tick)}</text>'
    for tick in across.ticks:
        x = _short(across.place(tick))
        yield f'<path class="grid" d="M{x} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
        yield f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 17}" text-anchor="middle">{_label(tick)}</text>'
    for kind, points in panel.lines.items():
        places = [(across.place(x), up.place(y)) for x, y in points]
        path = "L".join(f"{_short(x)} {_short(y)}" for x, y in places)
        yield f'<path class="{kind}" d="M{path}"/>' if len(points) > 1 else _dot(kind, *places[0])
        if best is not None and len(points) > 1:
            yield from (_dot(kind, *at) for at, (x, _) in zip(places, points, strict=True) if x == best)


def _legend(kinds: Sequence[str]) -> Iterator[str]:
    """From right to left: the name of each line, with a piece of it."""
    right = float(_WIDTH - _RIGHT)
    for kind in reversed(kinds):
        word = {"train": "training", "val": "validation"}[kind]
        yield f'<text x="{_short(right)}" y="20" text-anchor="end">{word}</text>'
        right -= 6.2 * len(word) + 8
        yield f'<path class="{kind}" d="M{_short(right - 18)} 16H{_short(right)}"/>'
        right -= 32


def _dot(kind: str, x: float, y: float) -> str:
    return f'<circle class="dot {kind}" cx="{_short(x)}" cy="{_short(y)}" r="3.5"/>'


def _epochs(epochs: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(epochs), max(epochs)
    if low == high:
        low, high = low - 1, high + 1
    step = max(_round(high - low, 6), 1.0)
    return Scale(low, high, start, end, _multiples(low, high, step))


def values(numbers: Sequence[float], start: float, end: float, *, linear: bool = False) -> Scale:
    """The scale of an axis: it ends at round numbers, or is logarithmic where they differ by powers of ten."""
    low, high = min(numbers), max(numbers)
    if not linear and low > 0 and log10(high / low) > _DECADES:
        return _powers(low, high, start, end)
    if low == high:
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    step = _round(high - low, 5)
    low, high = floor(low / step) * step, ceil(high / step) * step
    return Scale(low, high, start, end, _multiples(low, high, step))


def _powers(low: float, high: float, start: float, end: float) -> Scale:
    first, last = floor(log10(low)), ceil(log10(high))
    each = (1, 2, 5) if log10(high / low) <= _FINE else (1,)
    every = -(-(last - first) // 7)
    ticks = [m * 10.0**p for p in range(first, last + 1, every) for m in each]
    low = max(tick for tick in ticks if tick <= low)
    high = min((tick for tick in ticks if tick >= high), default=10.0**last)
    return Scale(low, high, start, end, tuple(t for t in ticks if low <= t <= high), True)


def _round(length: float, most: int) -> float:
    """The least of 1, 2 and 5 times a power of ten that a length has at most so many of."""
    raw = length / most
    power = 10.0 ** floor(log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))


def _multiples(low: float, high: float, step: float) -> tuple[float, ...]:
    slack = 1e-9
    return tuple(k * step for k in range(ceil(low / step - slack), floor(high / step + slack) + 1))


def _short(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")


def _label(tick: float) -> str:
    """A round number without the noise of its last digits."""
    if tick and not 1e-4 <= abs(tick) < 1e6:
        digits, power = f"{tick:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{tick:.10g}"
