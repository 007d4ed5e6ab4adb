"""How the time of a check grows with the length of the spec, and what `* n` saves."""

from __future__ import annotations

import gc
import random
from functools import partial
from pathlib import Path

from bench.installed import install
from bench.measure import Sample, cpu_in, cpu_of, interleaved, python
from bench.table import Row, row
from nnspec import compiler

ROUNDS = 5

_GROWTH = 12.0
_REPEATED = 0.1
_FEW, _MANY = 1_000, 10_000


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """Ten times the layers, in several styles; ten thousand by a star against ten thousand written out."""
    environment = install(folder)
    texts = {_title(style, count): write(count) for style, write in _STYLES.items() for count in (_FEW, _MANY)}
    texts |= {_starred(style): text for style, text in _STARS.items()}
    samples: dict[str, Sample] = {title: partial(_check, text) for title, text in texts.items()}
    cold = {_cold(title): texts[title] for title in (_starred("linear, one chain"), _title("linear, one chain", _MANY))}
    for number, (title, text) in enumerate(cold.items()):
        path = folder / f"{number}.nns"
        path.write_text(text, encoding="utf-8")
        samples[title] = partial(cpu_of, python("-m", "nnspec", "check", str(path)), environment, folder)
    taken = interleaved(samples, rounds, chance)
    rows = [row(taken, _title(style, _MANY), _title(style, _FEW), _GROWTH) for style in _STYLES]
    rows += [row(taken, _starred(style), _title(style, _MANY), _REPEATED) for style in _STARS]
    # The start of the process, which is the same in both, weighs more here than either check: no bound on this one.
    ours, theirs = cold
    return [*rows, row(taken, ours, theirs)]


def _check(text: str) -> float:
    gc.collect()  # what the spec before has left is not paid for by this one
    checked: list[compiler.Checked] = []
    seconds = cpu_in(lambda: checked.append(compiler.check(text)))
    assert not checked[0].diagnostics, checked[0].diagnostics[0].message
    return seconds


def _title(style: str, count: int) -> str:
    return f"{count:_} {style}"


def _starred(style: str) -> str:
    return f"* {_MANY:_} {style}"


def _cold(title: str) -> str:
    return f"{title}, cold process"


def _model(body: str, dims: str = "[N, 16]") -> str:
    return f"model Long {{\n  input x: float{dims}\n{body}\n  output x\n}}\n"


def _chain(count: int) -> str:
    """Layers without names, one below the other, the same class each time."""
    return _model("  x = x\n" + "\n".join(["    -> Linear(16)"] * count))


def _named(count: int) -> str:
    """A statement for each layer, with a name and a function in between."""
    return _model("\n".join(f"  x = relu(x -> fc{i}: Linear(16))" for i in range(count)))


def _convolutions(count: int) -> str:
    """Convolutions of images whose sizes are symbols, three layers a line."""
    line = "    -> Conv2d(16, 3, padding=1, bias=false) -> BatchNorm2d -> ReLU"
    lines = [line] * (count // 3) + ["    -> ReLU"] * (count % 3)
    return _model("  x = x\n" + "\n".join(lines), "[N, 16, H, W]")


_BLOCK = """
block Residual {
  input x: float[N, C, H, W]
  output relu(x + (x -> conv: Conv2d(C, 3, padding=1, bias=false) -> norm: BatchNorm2d))
}
"""


def _blocks(count: int) -> str:
    """A block that is used again and again, each time with a name."""
    return _BLOCK + _model("\n".join(f"  x = x -> stage{i}: Residual" for i in range(count)), "[N, 16, H, W]")


def _widths(count: int) -> str:
    """Widths that differ from layer to layer: nothing can be remembered from the layer before."""
    return _model("  x = x\n" + "\n".join(f"    -> Linear({i % 977 + 1}) -> Tanh" for i in range(count // 2)))


def _pairs(count: int) -> str:
    """Two layers, again and again."""
    return _model("  x = x\n" + "\n".join(["    -> Linear(16) -> Tanh"] * count))


def _star(layer: str, dims: str = "[N, 16]") -> str:
    return _model(f"  x = x -> stack: {layer} * {_MANY}", dims)


_STYLES = {
    "linear, one chain": _chain,
    "linear, one statement each": _named,
    "pairs of layers": _pairs,
    "convolutions, symbolic sizes": _convolutions,
    "widths that change": _widths,
    "blocks": _blocks,
}
_STARS = {
    "linear, one chain": _star("Linear(16)"),
    "pairs of layers": _star("{ Linear(16) -> Tanh }"),
    "blocks": _BLOCK + _star("Residual", "[N, 16, H, W]"),
}
