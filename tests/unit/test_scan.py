"""Scans: recurrences written by hand against torch's own, in torch and in ONNX Runtime, and what else a scan may do."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from nnspec import ir, ir_json
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.source import emit
from nnspec.backends.torch import build, training_functions
from nnspec.compiler import check, compile_text
from nnspec.ir_nodes import nodes_of
from nnspec.summary import summarize
from nnspec.training.inputs import index_bounds
from nnspec.verify import verify

from ..contract import judge

LENGTHS = (1, 2, 7, 33)
BATCHES = (1, 3)
WIDTH, FEATURES = 6, 5

RNN = """
block Cell(width, act) {
  input x: float[N, _]
  input h: float[N, width]
  output act((x -> ih: Linear(width)) + (h -> hh: Linear(width)))
}

block Layer(width, act, reverse = false) {
  input x: float[N, T, _]
  ys, h = scan x_t in x over dim=1, reverse=reverse with h = zeros(N, width) {
    h = (x_t, h) -> cell: Cell(width, act)
    yield h
  }
  output ys = ys
  output h = h
}
"""

GRU = """
block Cell(width) {
  input x: float[N, _]
  input h: float[N, width]
  r, z, n = chunk(x -> ih: Linear(3 * width), 3, dim=1)
  hr, hz, hn = chunk(h -> hh: Linear(3 * width), 3, dim=1)
  z = sigmoid(z + hz)
  n = tanh(n + sigmoid(r + hr) * hn)
  output (1 - z) * n + z * h
}

block Layer(width, reverse = false) {
  input x: float[N, T, _]
  ys, h = scan x_t in x over dim=1, reverse=reverse with h = zeros(N, width) {
    h = (x_t, h) -> cell: Cell(width)
    yield h
  }
  output ys = ys
  output h = h
}
"""

LSTM = """
block Layer(width, reverse = false) {
  input x: float[N, T, _]
  zero = zeros(N, width)
  ys, h, c = scan x_t in x over dim=1, reverse=reverse with h = zero, c = zero {
    cell: {
      i, f, g, o = chunk((x_t -> ih: Linear(4 * width)) + (h -> hh: Linear(4 * width)), 4, dim=1)
    }
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    yield h
  }
  output ys = ys
  output h = h
  output c = c
}
"""

ONE = """
model M {{
  input x: float[N, T, 5]
  ys, {states} = x -> l0: Layer({arguments})
  output ys
  {outputs}
}}
"""

STACK = """
model M {{
  input x: float[N, T, 5]
  ys = x
  for i in range(2) {{
    fwd, {states} = ys -> "l{{i}}": Layer({arguments})
    bwd, {other} = ys -> "l{{i}}_reverse": Layer({arguments}, reverse=true)
    ys = cat([fwd, bwd], dim=2)
  }}
  output ys
  {outputs}
}}
"""


def spec(cell: str, form: str, arguments: str, states: Sequence[str]) -> str:
    """A model of one layer, or of two that go both ways."""
    other = [f"{s}_back" for s in states]
    wanted = list(states) if form is ONE else [name for pair in zip(states, other, strict=True) for name in pair]
    outputs = "\n  ".join(f"output {name}" for name in wanted)
    return cell + form.format(states=", ".join(states), other=", ".join(other), arguments=arguments, outputs=outputs)


def program_of(text: str) -> ir.Program:
    return compile_text(text).program


def copy_weights(module: nn.Module, original: nn.Module) -> None:
    """Give a module the weights of torch's own layer: `weight_ih_l0_reverse` is `l0_reverse.cell.ih.weight`."""
    state = {}
    for name, tensor in original.state_dict().items():
        kind, part, layer = name.split("_", 2)
        state[f"{layer}.cell.{part}.{kind}"] = tensor
    module.load_state_dict(state, strict=True)


def session_of(program: ir.Program, module: nn.Module) -> Callable[..., list[np.ndarray]]:
    """What runs the exported model, which onnx's checker has accepted."""
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    model = onnx_backend.build(program, None, state)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: torch.Tensor) -> list[np.ndarray]:
        return list(session.run(None, {n: t.numpy() for n, t in zip(names, inputs, strict=True)}))

    return run


def flat(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [tensor for part in value for tensor in flat(part)]


def last_layer(state: torch.Tensor, directions: int) -> list[torch.Tensor]:
    """The final states of the layer on top, one for each direction."""
    return list(state[-directions:])


CASES = [
    pytest.param(RNN, "6, tanh", nn.RNN, {}, ("h",), id="rnn"),
    pytest.param(RNN, "6, relu", nn.RNN, {"nonlinearity": "relu"}, ("h",), id="rnn_relu"),
    pytest.param(GRU, "6", nn.GRU, {}, ("h",), id="gru"),
    pytest.param(LSTM, "6", nn.LSTM, {}, ("h", "c"), id="lstm"),
]


@pytest.mark.parametrize("form", [ONE, STACK], ids=["one", "two_both_ways"])
@pytest.mark.parametrize(("cell", "arguments", "cls", "options", "states"), CASES)
def test_a_recurrence_is_torchs_own(
    cell: str, arguments: str, cls: type[nn.GRU], options: dict[str, Any], states: tuple[str, ...], form: str
) -> None:
    """Outputs, final states and gradients in torch, outputs in ONNX Runtime: one model for every length and batch."""
    torch.manual_seed(0)
    directions = 1 if form is ONE else 2
    original = cls(FEATURES, WIDTH, directions, batch_first=True, bidirectional=directions == 2, **options)
    program = program_of(spec(cell, form, arguments, states))
    module = build(program)
    copy_weights(module, original)
    run = session_of(program, module)
    for length, batch in itertools.product(LENGTHS, BATCHES):
        x = torch.randn(batch, length, FEATURES)
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        got = flat(module(ours))
        ys, ends = original(theirs)
        want = [ys, *(end for state in flat(ends) for end in last_layer(state, directions))]
        for ours_, theirs_ in zip(got, want, strict=True):
            torch.testing.assert_close(ours_, theirs_, rtol=1e-5, atol=1e-6)
        for found, expected in zip(run(x), want, strict=True):
            np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
        weights = [torch.randn_like(t) for t in got]
        torch.autograd.backward(got, weights)
        torch.autograd.backward(want, weights)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    for name, parameter in original.named_parameters():
        kind, part, layer = name.split("_", 2)
        mine = module.get_parameter(f"{layer}.cell.{part}.{kind}")
        torch.testing.assert_close(mine.grad, parameter.grad, rtol=1e-4, atol=1e-4)


MASKED = """
model M {
  input x: float[N, T, 5]
  input mask: bool[N, T]
  ys, last = scan x_t in x, m_t in mask over dim=1, reverse=REVERSE with h = zeros(N, 6) {
    r, z, n = chunk(x_t -> ih: Linear(18), 3, dim=1)
    hr, hz, hn = chunk(h -> hh: Linear(18), 3, dim=1)
    z = sigmoid(z + hz)
    new = (1 - z) * tanh(n + sigmoid(r + hr) * hn) + z * h
    m = unsqueeze(m_t, 1)
    h = where(m, new, h)
    yield where(m, h, zeros(N, 6))
  }
  output ys
  output last
}
"""


@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_that_vary_are_a_mask(reverse: bool) -> None:
    torch.manual_seed(0)
    original = nn.GRU(FEATURES, WIDTH, batch_first=True, bidirectional=True)
    program = program_of(MASKED.replace("REVERSE", str(reverse).lower()))
    module = build(program)
    end = "_reverse" if reverse else ""
    state = original.state_dict()
    module.load_state_dict({f"{p}.{k}": state[f"{k}_{p}_l0{end}"] for p in ("ih", "hh") for k in ("weight", "bias")})
    run = session_of(program, module)
    for lengths in ([7, 3, 1], [5], [2, 2]):
        x = torch.randn(len(lengths), max(lengths), FEATURES)
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True)
        ys, _ = nn.utils.rnn.pad_packed_sequence(original(packed)[0], batch_first=True)
        side = slice(WIDTH, None) if reverse else slice(0, WIDTH)
        want = [ys[:, :, side], original(packed)[1][int(reverse)]]
        for got, found, expected in zip(module(x, mask), run(x, mask), want, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def agrees(text: str, reference: Callable[..., Any], *shapes: tuple[tuple[int, ...] | torch.Tensor, ...]) -> nn.Module:
    """The module of a spec: in torch and in ONNX Runtime it gives what a function gives, for inputs of these shapes."""
    program = program_of(text)
    judge(program)
    torch.manual_seed(0)
    module = build(program).eval()
    run = session_of(program, module)
    for each in shapes:
        inputs = [torch.randn(s) if isinstance(s, tuple) else s for s in each]
        want = flat(reference(*inputs))
        got, found = flat(module(*inputs)), run(*inputs)
        for mine, theirs, expected in zip(got, found, want, strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(theirs, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    return module


def test_a_moving_average_needs_no_layers() -> None:
    text = """
    model M(decay = 0.9) {
      input x: float[T, N]
      average = scan x_t in x over dim=0 with s = zeros(N) {
        s = decay * s + (1 - decay) * x_t
        yield s
      }
      output average
    }
    """

    def reference(x: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(len(x))
        weights = torch.tril(0.9 ** (steps[:, None] - steps).float()) * 0.1
        return weights @ x

    agrees(text, reference, ((1, 1),), ((6, 3),), ((33, 2),))


@pytest.mark.parametrize(("dim", "kind"), [(-1, "N, 4, T"), (2, "N, 4, T"), (0, "T, N, 4"), (1, "N, T, 4")])
@pytest.mark.parametrize("dtype", ["int", "int32", "float"])
def test_a_sum_along_any_dimension(dim: int, kind: str, dtype: str) -> None:
    text = f"""
    model M {{
      input x: {dtype}[{kind}]
      sums, last = scan x_t in x over dim={dim} with total = zeros(N, 4, dtype={dtype}) {{
        total = total + x_t
        yield total
      }}
      back = scan x_t in x over dim={dim}, reverse=true with total = zeros(N, 4, dtype={dtype}) {{
        total = total + x_t
        yield total
      }}
      output sums
      output last
      output back
    }}
    """
    torch_type = {"int": torch.int64, "int32": torch.int32, "float": torch.float32}[dtype]
    program = program_of(text)
    judge(program)
    module = build(program)
    run = session_of(program, module)
    for sizes in ({"N": 1, "T": 1}, {"N": 3, "T": 5}):
        shape = [sizes.get(word.strip(), 4) for word in kind.split(",")]
        x = torch.randint(-9, 9, shape).to(torch_type)
        want = [
            x.cumsum(dim).to(torch_type),
            x.sum(dim).to(torch_type),
            x.flip(dim).cumsum(dim).flip(dim).to(torch_type),
        ]
        for got, found, expected in zip(module(x), run(x), want, strict=True):
            torch.testing.assert_close(got, expected)
            np.testing.assert_array_equal(found, expected.numpy())
            assert got.dtype == torch_type


def test_states_may_trade_places_and_bools_may_be_states() -> None:
    text = """
    model M {
      input x: float[N, T]
      a, b, seen = scan x_t in x over dim=1 with a = zeros(N), b = ones(N), seen = zeros(N, dtype=bool) {
        a, b = (b, a + x_t)
        seen = logical_or(seen, x_t > 1)
      }
      output a
      output b
      output seen
    }
    """

    def reference(x: torch.Tensor) -> list[torch.Tensor]:
        a, b = torch.zeros(len(x)), torch.ones(len(x))
        for x_t in x.T:
            a, b = b, a + x_t
        return [a, b, (x > 1).any(1)]

    agrees(text, reference, ((1, 1),), ((3, 4),), ((2, 9),))


def test_several_values_are_yielded_and_the_states_after_them() -> None:
    text = """
    model M {
      input x: float[N, T, 3]
      input y: float[T, N]
      peaks, flags, top = scan x_t in transpose(x, 0, 1), y_t in y over dim=0 with top = x[:, 0] {
        flag = x_t > top
        top = maximum(top, x_t) + unsqueeze(y_t, 1)
        yield (top * 2, flag)
      }
      output peaks
      output flags
      output top
    }
    """

    def reference(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        top, peaks, flags = x[:, 0], [], []
        for x_t, y_t in zip(x.unbind(1), y, strict=True):
            flags.append(x_t > top)
            top = torch.maximum(top, x_t) + y_t[:, None]
            peaks.append(top * 2)
        return [torch.stack(peaks), torch.stack(flags), top]

    agrees(text, reference, ((1, 1, 3), (1, 1)), ((3, 5, 3), (5, 3)))


def test_scans_nest_and_take_values_from_all_around() -> None:
    text = """
    block Weigh {
      input x: float[N, S, T]
      input scale: float[N]
      param rate: float[1] = constant(0.5)
      shift = scale * 3
      rows, total = scan row in x over dim=1 with total = scale {
        start = total * 2
        inner = scan e in row over dim=1 with s = start {
          s = s * rate + e * scale + shift - total
        }
        total = total + inner
        yield inner
      }
      again = scan row in x over dim=1 with s = shift {
        s = s * rate + mean(row, dim=1)
      }
      output rows = rows + unsqueeze(total, 1) * rate
      output again = again
      output shift = shift
    }

    model M {
      input x: float[N, S, T]
      input scale: float[N]
      y, again, shift = (x, scale) -> weigh: Weigh
      output y
      output again
      output shift
    }
    """

    def reference(x: torch.Tensor, scale: torch.Tensor) -> list[torch.Tensor]:
        total, rows = scale, []
        for row in x.unbind(1):
            s = total * 2
            for e in row.unbind(1):
                s = s * 0.5 + e * scale + scale * 3 - total
            total = total + s
            rows.append(s)
        again = scale * 3
        for row in x.unbind(1):
            again = again * 0.5 + row.mean(1)
        return [torch.stack(rows, 1) + total[:, None] * 0.5, again, scale * 3]

    agrees(text, reference, ((1, 1, 1), (1,)), ((3, 4, 5), (3,)))


def test_a_scan_stands_in_repeated_blocks_and_in_functions() -> None:
    text = """
    block smooth(rate) {
      input x: float[N, T, D]
      ys = scan x_t in x over dim=1 with s = zeros(N, D) {
        s = rate * s + x_t
        yield s
      }
      output ys
    }

    block Mix(width) {
      input x: float[N, T, width]
      ys, last = scan x_t in x over dim=1 with h = zeros(N, width) {
        h = tanh((x_t -> up: Linear(width)) + h)
        yield h -> smooth_it
      }
      output ys + unsqueeze(last, 1)
    }

    block smooth_it {
      input x: float[N, D]
      output x * 2
    }

    model M {
      input x: float[N, T, 4]
      output y = x -> layers: Mix(4) * 3 -> blur: { smooth(rate=0.5) -> Linear(4) } * 3 -> smooth(rate=0.25)
    }
    """

    def reference(x: torch.Tensor) -> torch.Tensor:
        def smooth(x: torch.Tensor, rate: float) -> torch.Tensor:
            s, ys = torch.zeros_like(x[:, 0]), []
            for x_t in x.unbind(1):
                s = rate * s + x_t
                ys.append(s)
            return torch.stack(ys, 1)

        for i in range(3):
            h, ys = torch.zeros_like(x[:, 0]), []
            for x_t in x.unbind(1):
                h = torch.tanh(state[f"layers.{i}.up.weight"] @ x_t.T + state[f"layers.{i}.up.bias"][:, None] + h.T).T
                ys.append(h * 2)
            x = torch.stack(ys, 1) + h[:, None]
        for i in range(3):
            x = smooth(x, 0.5) @ state[f"blur.{i}.0.weight"].T + state[f"blur.{i}.0.bias"]
        return smooth(x, 0.25)

    torch.manual_seed(0)
    state = build(program_of(text)).state_dict()
    agrees(text, reference, ((1, 1, 4),), ((2, 5, 4),))


def test_layers_in_a_scan_are_members_of_the_body_around_it() -> None:
    text = """
    model M {
      input x: float[N, T, 4]
      first = Linear(4)
      out = Linear(2)
      ys = scan x_t in x over dim=1 with h = zeros(N, 4) {
        own = LayerNorm()
        h = tanh((x_t -> Linear(4)) + (h -> named: Linear(4)) + (h -> first)) -> own
        inside: { h = h -> {Linear(4) -> ReLU} }
        yield h
      }
      output y = ys -> Linear(4) -> out
    }
    """
    program = program_of(text)
    judge(program)
    names = [name.removesuffix(".weight") for name in build(program).state_dict() if name.endswith("weight")]
    assert names == ["first", "out", "own", "linear", "named", "inside.sequential.0", "linear_1"]


def test_dropout_draws_at_every_step_and_the_mode_is_the_modules() -> None:
    text = """
    model M {
      input x: float[N, T, 64]
      ys = scan x_t in x over dim=1 with h = zeros(N, 64) {
        h = x_t -> Dropout(0.5)
        if training { h = h + 1 }
        yield h
      }
      output ys
    }
    """
    program = program_of(text)
    judge(program)
    module = build(program)
    x = torch.ones(2, 3, 64)
    torch.testing.assert_close(module.eval()(x), x)
    drawn = module.train()(x)
    assert set(drawn.unique().tolist()) == {1.0, 3.0}
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def test_what_a_step_does_may_hang_on_what_is_given_and_on_the_mode() -> None:
    text = """
    model M {
      input x: float[N, T, 4]
      input scale: float[N, 4] = none
      ys = scan x_t in x over dim=1 with h = zeros(N, 4) {
        if scale != none { h = (h + x_t) * scale } else { h = h + x_t }
        if training { h = h * 2 }
        yield h
      }
      output ys
    }
    """
    program = program_of(text)
    judge(program)
    module = build(program)
    x, scale = torch.randn(2, 3, 4), torch.randn(2, 4)
    for given, mode in itertools.product([None, scale], [True, False]):
        h, want = torch.zeros(2, 4), []
        for x_t in x.unbind(1):
            h = (h + x_t) * (1 if given is None else given) * (2 if mode else 1)
            want.append(h)
        torch.testing.assert_close(module.train(mode)(x, given), torch.stack(want, 1))


def test_what_nothing_needs_is_not_written() -> None:
    text = """
    model M {
      input x: float[N, T, 4]
      input unused: float[N, T]
      _, kept = scan x_t in x, u_t in unused over dim=1 with h = zeros(N, 4), idle = zeros(N) {
        idle = idle + u_t
        h = h + x_t
        yield h * 2
      }
      output kept
    }
    """
    source = emit(program_of(text))
    assert "append" not in source
    assert "idle" not in source
    assert "zip" not in source
    judge(program_of(text))


def test_emitted_source_reads_as_a_person_would_write_it() -> None:
    text = """
    model M {
      input x: float[N, T, 5]
      input mask: bool[N, T]
      ys, last = scan x_t in x, m_t in mask over dim=1, reverse=true with h = zeros(N, 8) {
        new = tanh((x_t -> ih: Linear(8)) + (h -> hh: Linear(8)))
        h = where(unsqueeze(m_t, 1), new, h)
        yield h
      }
      output ys
      output last
    }
    """
    lines = emit(program_of(text)).split("def forward(")[1].splitlines()
    assert [line.partition("#")[0].strip() for line in lines] == [
        "self, x, mask):",
        "N = x.shape[0]",
        "h = torch.zeros(N, 8, device=x.device)",
        "ys = []",
        "for x_t, m_t in zip(x.unbind(1)[::-1], mask.unbind(1)[::-1]):",
        "new = self.ih(x_t)",
        "new = torch.tanh(new + self.hh(h))",
        "h = torch.where(m_t.unsqueeze(1), new, h)",
        "ys.append(h)",
        "ys = torch.stack(ys[::-1], dim=1)",
        "return ys, h",
    ]


def test_a_scan_costs_what_its_steps_cost() -> None:
    summary = summarize(program_of(spec(LSTM, ONE, "6", ("h", "c"))))
    assert str(summary.macs) == f"{4 * WIDTH * (FEATURES + WIDTH)} * N * T"
    assert summary.weights.parameters == sum(p.numel() for p in nn.LSTM(FEATURES, WIDTH).parameters())
    rows = {row.path: row for row in summary.rows}
    assert rows["l0.cell.ih"].uses == 1


def test_a_scan_may_be_part_of_a_loss() -> None:
    text = """
    model M {
      input features: float[N, 4]
      output logits: float[N, 3] = features -> Linear(3)
    }
    train {
      data = Iris()
      total = scan column in logits over dim=1 with s = label * 0.0 {
        s = s * 0.5 + column
      }
      loss = cross_entropy(logits, label) + mean(total)
      optimizer = SGD(lr=0.1)
    }
    """
    assert check(text).diagnostics == ()
    program = compile_text(text, train=True).program
    assert verify(program) == []
    assert ir_json.loads(ir_json.dumps(program)) == program
    assert program.training is not None
    loss = training_functions(program.training)[0][0]
    logits, label = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    total = (logits * torch.tensor([0.25, 0.5, 1.0])).sum(1)
    want = nn.functional.cross_entropy(logits, label) + total.mean()
    torch.testing.assert_close(loss(logits, label), want)


def test_indices_that_go_through_a_scan_stay_within_the_table() -> None:
    text = """
    model M {
      input tokens: int[N, T]
      last = scan t in tokens over dim=1 with h = zeros(N, 4) {
        h = h + (t -> Embedding(3, 4))
      }
      output last
    }
    """
    program = program_of(text)
    assert index_bounds(program, program.main) == {"tokens": 3}
    judge(program)


def broken(program: ir.Program, change: Callable[[ir.Scan], ir.Scan]) -> list[str]:
    """What is said of a program whose scan was tampered with."""
    methods = []
    for method in program.methods:
        nodes = tuple(change(node) if isinstance(node, ir.Scan) else node for node in method.graph.nodes)
        methods.append(dataclasses.replace(method, graph=dataclasses.replace(method.graph, nodes=nodes)))
    return verify(dataclasses.replace(program, methods=tuple(methods)))


def test_an_ir_that_was_tampered_with_is_refused() -> None:
    text = """
    model M {
      input x: float[N, T, 4]
      input other: float[N, 4]
      ys, h = scan x_t in x over dim=1 with h = zeros(N, 4) {
        h = h + x_t * other
        yield sum(h, dim=1)
      }
      output ys
      output h
    }
    """
    program = program_of(text)
    replace = dataclasses.replace
    assert broken(program, lambda scan: scan) == []
    changes: dict[str, Callable[[ir.Scan], ir.Scan]] = {
        "axis": lambda scan: replace(scan, axis=2),
        "axis too large": lambda scan: replace(scan, axis=7),
        "no sequences": lambda scan: replace(scan, sequences=(), captures=(*scan.sequences, *scan.captures)),
        "no states": lambda scan: replace(scan, states=(), captures=(*scan.states, *scan.captures)),
        "a state of another type": lambda scan: replace(
            scan, body=replace(scan.body, outputs=scan.body.outputs[::-1]), outputs=scan.outputs
        ),
        "a state that becomes another": lambda scan: replace(
            scan, body=replace(scan.body, outputs=scan.body.outputs[:1] * 2)
        ),
        "missing capture": lambda scan: replace(scan, captures=()),
        "another capture": lambda scan: replace(scan, captures=scan.sequences),
        "an unknown value": lambda scan: replace(scan, sequences=(ir.Ref(99),)),
        "a number": lambda scan: replace(scan, states=(0,)),
        "an undefined value inside": lambda scan: replace(scan, body=replace(scan.body, nodes=scan.body.nodes[1:])),
        "outputs missing": lambda scan: replace(scan, outputs=scan.outputs[:1]),
        "one output": lambda scan: replace(scan, body=replace(scan.body, outputs=scan.body.outputs[:1])),
        "no body": lambda scan: replace(scan, body=ir.Graph((), (), (), ())),
    }
    for what, change in changes.items():
        assert broken(program, change), what


def test_the_bodies_of_scans_are_counted() -> None:
    program = program_of(spec(GRU, STACK, "6", ("h",)))
    scans = [n for m in program.methods for n in nodes_of(m.graph.nodes) if isinstance(n, ir.Scan)]
    assert len(scans) == 4
    assert all(isinstance(n, ir.Call) for scan in scans for n in scan.body.nodes)


def test_a_scan_in_a_loop_that_never_ends_is_stopped() -> None:
    inner = "".join(f"for i{k} in range(100) {{ " for k in range(4))
    text = f"""
    model M {{
      input x: float[N, T, 4]
      last = scan x_t in x over dim=1 with h = zeros(N, 4) {{
        {inner} h = h + x_t {"}" * 4}
      }}
      output last
    }}
    """
    assert [d.code for d in check(text).diagnostics] == ["NNS310"]


def test_scans_in_functions_that_scans_call_are_nested_too() -> None:
    text = """
    block deep(levels) {
      input x: float[T, D]
      last = scan part in x over dim=0 with s = zeros(D) {
        if levels > 0 { s = s + deep(x, levels=levels - 1) } else { s = s + part }
      }
      output last
    }
    model M {
      input x: float[T, 4]
      output y = deep(x, levels=LEVELS)
    }
    """
    judge(program_of(text.replace("LEVELS", "7").replace("T", "2")))
    assert [d.code for d in check(text.replace("LEVELS", "8")).diagnostics] == ["NNS310"]


def test_symbols_and_requirements_reach_into_a_scan() -> None:
    """A scan over all but the first part needs a second one, which the model checks when it is entered."""
    text = """
    model M {
      input x: float[N, T, 4]
      last = scan x_t in x[:, 1:] over dim=1 with h = x[:, 0] {
        h = h * T + x_t * T
      }
      output last
    }
    """
    program = program_of(text)
    needs = program.methods[program.main.methods["infer"]].requires
    assert [str(need.size) for need in needs] == ["T - 2"]
    judge(program)
    with pytest.raises(RuntimeError, match="step"):
        build(program)(torch.randn(2, 1, 4))


class Writer:
    """Writes random scans over values of type float[N, 4], with few names, so that they are bound again and again."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []

    def expression(self, known: Sequence[str]) -> str:
        a, b, c = (self.random.choice(known) for _ in range(3))
        forms = [
            f"{a} + {b}",
            f"{a} * 0.5 - {b}",
            f"tanh({a}) * {b}",
            f"where({a} > {b}, {b}, {c})",
            f"({a} -> Linear(4))",
        ]
        forms += [f"maximum({a} * 0.25, {b}) + ({c} -> relu)", f"{a} * sigmoid({b} - {c})", a]
        return self.random.choice(forms)

    def statements(self, known: list[str], count: int, depth: int) -> None:
        """Statements that bind names; what is known grows with them."""
        for _ in range(count):
            if depth < 2 and self.random.random() < 0.3:
                self.scan(known, depth)
                continue
            name = self.random.choice("abchsxyz")
            self.lines.append(f"{name} = {self.expression(known)}")
            if name not in known:
                known.append(name)

    def scan(self, known: list[str], depth: int) -> None:
        states = self.random.sample("abchs", self.random.randint(1, 3))
        part = f"p{depth}"
        other = self.random.random() < 0.4
        axis = self.random.choice([1, -2])
        sequences = f"{part} in seq" + (f", q{depth} in seq * 0.5" if other else "")
        starts = ", ".join(f"{state} = {self.expression(known)}" for state in states)
        yields = self.random.randint(0, 2)
        names = self.random.sample("uvw", yields)
        finals = states[: self.random.randint(0 if yields else 1, len(states))]
        reverse = f", reverse={self.random.choice(['true', 'false'])}"
        self.lines.append(
            f"{', '.join([*names, *finals])} = scan {sequences} over dim={axis}{reverse} with {starts} {{"
        )
        inside = list(dict.fromkeys([*known, part, *([f"q{depth}"] if other else []), *states]))
        self.statements(inside, self.random.randint(1, 4), depth + 1)
        for state in states:
            if self.random.random() < 0.8:
                self.lines.append(f"{state} = tanh({self.expression(inside)})")
        if yields:
            values = [self.expression(inside) for _ in range(yields)]
            self.lines.append(f"yield {values[0] if yields == 1 else '(' + ', '.join(values) + ')'}")
        self.lines.append("}")
        known += [name for name in finals if name not in known]
        for name in names:
            self.lines.append(f"{name}_sum = mean({name}, dim=1)")
            known += [] if f"{name}_sum" in known else [f"{name}_sum"]

    def model(self) -> str:
        known = ["x", "y"]
        self.statements(known, 3, 0)
        self.scan(known, 0)
        self.statements(known, 2, 0)
        outputs = self.random.sample(known, min(3, len(known)))
        lines = [*self.lines, *(f"output out_{name} = {name} * 1.0" for name in outputs)]
        inputs = ["input seq: float[N, T, 4]", "input x: float[N, 4]", "input y: float[N, 4]"]
        return "model M {\n" + "\n".join([*inputs, *lines]) + "\n}\n"


@pytest.mark.parametrize("seed", range(30))
def test_random_scans_mean_the_same_everywhere(seed: int) -> None:
    text = Writer(seed).model()
    judge(program_of(text))
