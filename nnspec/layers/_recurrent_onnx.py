"""Recurrent layers and cells in ONNX: torch's weights in the order of ONNX's gates, and the operator itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nnspec.layer import OnnxGraph

if TYPE_CHECKING:
    import numpy as np


class _Gated(Protocol):
    """What is asked of a layer: `order` has, for each gate of ONNX, its place among torch's gates."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def bias(self) -> bool: ...
    @property
    def order(self) -> tuple[int, ...]: ...


def run(
    layer: _Gated,
    g: OnnxGraph,
    operator: str,
    suffixes: Sequence[str],
    x: str,
    states: Sequence[str],
    **attributes: Any,
) -> tuple[str, ...]:
    """One operator over [T, N, D]: what each step gives, [T, directions, N, H], and the last states.

    There is a suffix of the weights' names for each direction.
    """
    w, r = (_stacked(layer, g, kind, suffixes) for kind in ("weight_ih", "weight_hh"))
    return apply(layer, g, operator, suffixes, (x, w, r), states, **attributes)


def apply(
    layer: _Gated,
    g: OnnxGraph,
    operator: str,
    suffixes: Sequence[str],
    operands: Sequence[str],
    states: Sequence[str | None],
    **attributes: Any,
) -> tuple[str, ...]:
    """The operator on input and matrices that are in the graph already."""
    made: tuple[str, ...] = g.node(
        operator,
        *operands,
        _offsets(layer, g, suffixes) if layer.bias else None,
        *((None, *states) if states else ()),
        outputs=3 if operator == "LSTM" else 2,
        hidden_size=layer.hidden_size,
        direction="bidirectional" if len(suffixes) > 1 else "forward",
        **attributes,
    )
    return made


def reordered(layer: _Gated, array: np.ndarray) -> np.ndarray:
    """Rows of a torch weight in ONNX's order of gates."""
    import numpy as np

    return np.concatenate([np.split(array, len(layer.order))[gate] for gate in layer.order])


def _stacked(layer: _Gated, g: OnnxGraph, kind: str, suffixes: Sequence[str]) -> str:
    import numpy as np

    return g.initializer(np.stack([reordered(layer, g.array(kind + s)) for s in suffixes]), kind + suffixes[0])


def _offsets(layer: _Gated, g: OnnxGraph, suffixes: Sequence[str]) -> str:
    import numpy as np

    both = [np.concatenate([reordered(layer, g.array(f"bias_{k}{s}")) for k in ("ih", "hh")]) for s in suffixes]
    return g.initializer(np.stack(both), f"bias{suffixes[0]}")


def project(layer: _Gated, g: OnnxGraph, suffixes: Sequence[str], x: str, states: Sequence[str]) -> tuple[str, ...]:
    """An LSTM with projections over [T, N, D]: what each step gives, [T, directions, N, P], and the last states.

    ONNX has no projection. But the state `h = P m` only ever enters as `R h = (R P) m`: so the operator runs on `m`,
    from 0 on, and what it gives is projected. An initial `h` is no `P m`: it becomes a part of the first step's input.
    """
    import numpy as np

    width = len(suffixes)
    inward = [reordered(layer, g.array(f"weight_ih{s}")) for s in suffixes]
    recurrent = [reordered(layer, g.array(f"weight_hh{s}")) for s in suffixes]
    outward = [g.array(f"weight_hr{s}") for s in suffixes]
    if states:
        x = _with_start(g, x, states[0], width)
        columns = np.eye(width)
        inward = [
            np.hstack([w, np.kron(columns[i], r)]) for i, (w, r) in enumerate(zip(inward, recurrent, strict=True))
        ]
    around = [r.astype("float64") @ p for r, p in zip(recurrent, outward, strict=True)]
    w, r = (
        g.initializer(np.stack(matrices).astype("float32"), f"{kind}{suffixes[0]}")
        for kind, matrices in (("weight_ih", inward), ("weight_hr.weight_hh", around))
    )
    own = (None, states[1]) if states else ()
    y, hidden, cell = apply(layer, g, "LSTM", suffixes, (x, w, r), own)
    projection = g.initializer(np.stack([p.T for p in outward]), f"weight_hr{suffixes[0]}")
    return g.node("MatMul", y, projection), g.node("MatMul", hidden, projection), cell


def _with_start(g: OnnxGraph, x: str, start: str, directions: int) -> str:
    """The input with the initial states beside the step that a direction begins with, and zeros beside the others."""
    steps = g.node("Gather", g.node("Shape", x), g.constant([0]))
    others, none = g.node("Sub", steps, g.constant([1])), g.constant([0, 0, 0])
    lengthen = [(none, others, g.constant([0, 0])), (others, none, g.constant([0, 0]))]  # [before, after] of 3 axes
    parts = [start]
    if directions == 2:
        parts = list(g.node("Split", start, g.constant([1, 1]), axis=0, outputs=2))
    columns = [
        g.node("Pad", part, g.node("Concat", *pads, axis=0)) for part, pads in zip(parts, lengthen, strict=False)
    ]
    return str(g.node("Concat", x, *columns, axis=2))
