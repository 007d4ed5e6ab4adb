"""What torch allocates for recurrent layers on a CPU: step by step, or with a kernel for all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape
    from nnspec.layers.recurrent import _Recurrent

_PAGE = 4096


def remember_recurrent(layer: _Recurrent, m: Tape, x: Any, states: Sequence[Any]) -> Any:
    """All layers of the stack, in both directions if there are two, each from the first step to the last."""
    alone = len(x.dims) == 2
    if alone:
        x = m.reshape(x, (x.dims[0], 1, x.dims[1]))
    elif layer.batch_first:
        x = m.permute(x, (1, 0, 2))
    steps, batch, _ = x.dims
    shapes = [x.type.with_dims(batch, size) for size in layer._state_sizes()]
    directions = 1 + layer.bidirectional
    starts = [m.new(shape) for shape in shapes] if not states else []
    finals: list[list[Any]] = [[] for _ in shapes]
    for number in range(layer.num_layers):
        ways = [layer.remember_steps(m, x) for _ in range(directions)]
        for each, shape in zip(finals, shapes, strict=True):
            each += [m.op(shape, way, keeps=()) for way in ways]
        x = ways[0]
        if directions > 1:
            x = m.op(x.type.with_dims(steps, batch, 2 * x.dims[-1]), *ways, keeps=())
            m.free(*ways)
        if m.training and layer.__dict__["dropout"] and number < layer.num_layers - 1:
            x = m.op(x.type, x, keeps=(), extra=[x.type])
    ends = [m.op(s.with_dims(len(e), *s.dims), *e, keeps=()) for s, e in zip(shapes, finals, strict=True)]
    m.free(*finals, *starts)
    if alone:
        x, ends = m.reshape(x, (x.dims[0], x.dims[2])), [m.reshape(e, (e.dims[0], e.dims[2])) for e in ends]
    elif layer.batch_first:
        x = m.permute(x, (1, 0, 2))
    return x, (tuple(ends) if len(ends) > 1 else ends[0])


def remember_cells(layer: _Recurrent, m: Tape, x: Any, *, gates: int, kept: int) -> Any:
    """Cells that are operators of their own: each step keeps some tensors of the state's size, or all its gates."""
    steps, batch, _ = x.dims
    wide = x.type.with_dims(steps, batch, gates * layer.hidden_size)
    inputs = m.linear(wide, x)
    state = x.type.with_dims(batch, layer.hidden_size)
    within = [TensorType(x.type.dtype, (steps, batch, kept * layer.hidden_size))]
    small = [state] * gates
    each = wide.with_dims(steps, batch, layer._output_size())
    outputs = m.op(each, inputs, keeps=(), scratch=small)
    # Going back, the gradients of all steps are added up, one by one; and what the steps kept is freed on the way.
    matrix = x.type.with_dims(gates * layer.hidden_size, layer.hidden_size)
    kept_too = [*within, state] if m.training else ()
    y = m.op(each, outputs, keeps=(), extra=kept_too, back=[matrix] * 3, passes=True)
    m.free(inputs)
    if m.training or not layer.bidirectional:  # else these stay until both directions are joined
        m.free(outputs)
    return y


def remember_kernel(layer: _Recurrent, m: Tape, x: Any) -> Any:
    """oneDNN's LSTM: what it keeps for the backward pass is one buffer of whole pages."""
    steps, batch, _ = x.dims
    each = batch * layer.hidden_size * 4
    parts = (5 * steps, *[2 * (steps + 1)] * 2, *[3 * (steps + 1)] * 2, 0, 0)
    pages = sum(max(1, -(-count * each // _PAGE)) for count in parts)
    y = x.type.with_dims(steps, batch, layer._output_size())
    states = [y.with_dims(batch, layer.hidden_size)] * 2
    kept = [TensorType("uint8", (pages * _PAGE,)), *states] if m.training else []
    return m.op(y, x, keeps_output=True, extra=[*kept, *states])
