"""What flows between blocks: lists of tensors, optional inputs, nested outputs; against modules written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nnspec
from nnspec import cli, ir
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.source import emit
from nnspec.compiler import compile_text
from nnspec.elaborate.overrides import Written
from nnspec.summary import summarize
from nnspec.training.running.wiring import wire
from nnspec.verify import verify

from ..contract import flat, judge

EXAMPLES = Path(__file__).parents[2] / "examples"


def same(ours: nn.Module, theirs: nn.Module, *inputs: torch.Tensor, **named: torch.Tensor | None) -> None:
    """Equal names, shapes, outputs and gradients, in both modes."""
    theirs.load_state_dict(ours.state_dict(), strict=True)
    for mode in (False, True):
        ours.train(mode)
        theirs.train(mode)
        got, want = ours(*inputs, **named), theirs(*inputs, **named)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
        for module, result in ((ours, got), (theirs, want)):
            module.zero_grad()
            torch.stack([t.square().sum() for t in flat(result)]).sum().backward()  # type: ignore[no-untyped-call]
        for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert (mine.grad is None) == (other.grad is None), name
            if mine.grad is not None and other.grad is not None:
                torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-5)


# --- lists -----------------------------------------------------------------------------------------------------------

DENSE = """
block DenseLayer(growth) {
  input features: list[float[N, _, H, W]]
  output cat(features, dim=1) -> norm: BatchNorm2d -> relu -> conv: Conv2d(growth, 3, padding=1, bias=false)
}

block DenseBlock(depth, growth) {
  input x: float[N, C, H, W]
  features = [x]
  for i in range(depth) { features = features + [features -> "denselayer{i + 1}": DenseLayer(growth)] }
  output cat(features, dim=1)
}

model M(depth = 3) {
  input x: float[N, 4, H, W]
  output y = x -> denseblock1: DenseBlock(depth, 2)
}
"""


class DenseLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, 2, 3, padding=1, bias=False)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        result: torch.Tensor = self.conv(F.relu(self.norm(torch.cat(features, 1))))
        return result


class DenseBlock(nn.ModuleDict):
    def __init__(self, depth: int) -> None:
        super().__init__({f"denselayer{i + 1}": DenseLayer(4 + 2 * i) for i in range(depth)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


def test_a_dense_block_hands_lists_on() -> None:
    theirs = nn.Sequential()
    theirs.denseblock1 = DenseBlock(3)
    same(nnspec.loads(DENSE), theirs, torch.randn(2, 4, 5, 6))
    judge(compile_text(DENSE).program)


def test_a_list_is_written_as_one_that_grows() -> None:
    source = emit(compile_text(DENSE).program)
    assert "def forward(self, features):" in source
    lines = [line.partition("  #")[0].strip() for line in source.splitlines()]
    start = lines.index("features = [x]")
    assert lines[start + 1 : start + 5] == [
        "features.append(self.denselayer1(features))",
        "features.append(self.denselayer2(features))",
        "features.append(self.denselayer3(features))",
        "return torch.cat(features, dim=1)",
    ]


GROWN = """
block Join(k) {
  input xs: list[float[N, _]]
  output cat(xs, dim=1) -> Linear(k)
}

block Grown(depth) {
  input xs: list[float[N, _]]
  first = xs
  for i in range(depth) { xs = xs + [xs -> "a.{i}": Join(2)] }
  ys = first
  for i in range(depth) {
    y = (ys + [xs[-1]]) -> "b.{i}": Join(3)
    ys = ys + [y]
    z = ys -> "c.{i}": Join(4)
  }
  output joined = cat(xs[1:], dim=1)
  output kept = first[0] + mean(z)
}

model M(depth = 3) {
  input x: float[N, 4]
  y, kept = [x, 2 * x] -> Grown(depth)
  output y
  output kept
}
"""


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_lists_that_grow_beside_each_other_keep_apart(depth: int) -> None:
    judge(compile_text(GROWN, overrides={"depth": depth}).program)


LISTS = """
block Pyramid {
  input xs: list[float[N, C, _]]
  ys = [x -> "levels.{i}": Linear(4) for i, x in enumerate(xs)]
  output ys + [sum(ys)]
}

block Tail(k) {
  input xs: list[float[N, C, 4]]
  input first: list[float[N, C, _]] = []
  assert len(first) == k
  rest = xs[1:]
  last = xs[-1]
  output joined = cat(rest + [last] + first, dim=2)
  output pair = (last, [xs[0], last])
}

model M {
  input a: float[N, 3, 5]
  input b: float[N, 3, 7]
  xs = [a, b] -> pyramid: Pyramid
  xs = xs -> again: Pyramid
  joined, (last, (head, _)) = xs -> tail: Tail(0)
  output joined
  wider, (_, parts) = (xs, first=[a]) -> other: Tail(1)
  output wider
  output parts = parts
  output total = last + head
}
"""


class Pyramid(nn.Module):
    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Linear(width, 4) for width in widths)

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        ys = [level(x) for level, x in zip(self.levels, xs, strict=True)]
        return [*ys, torch.stack(ys).sum(0)]


class Lists(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pyramid, self.again = Pyramid(5, 7), Pyramid(4, 4, 4)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[Any, ...]:
        xs = self.again(self.pyramid([a, b]))
        joined = torch.cat([*xs[1:], xs[-1]], 2)
        return joined, torch.cat([*xs[1:], xs[-1], a], 2), (xs[0], xs[-1]), xs[-1] + xs[0]


def test_lists_are_sliced_joined_looped_over_and_returned() -> None:
    same(nnspec.loads(LISTS), Lists(), torch.randn(2, 3, 5), torch.randn(2, 3, 7))
    judge(compile_text(LISTS).program)


def test_nested_outputs_come_as_tuples_in_order() -> None:
    text = """
model M {
  input x: float[N, 2]
  output all = [x, x + 1]
  output y = x * 2
}
"""
    x = torch.zeros(1, 2)
    (first, second), y = nnspec.loads(text)(x)
    assert torch.equal(first, x)
    assert torch.equal(second, x + 1)
    assert torch.equal(y, x)
    judge(compile_text(text).program)


def test_lists_of_lists_and_any_number_of_dimensions() -> None:
    text = """
block Sums {
  input xss: list[list[float[..., D]]]
  output [sum(xs) for xs in xss]
}

model M {
  input a: float[N, T, 8]
  input b: float[N, T, 8]
  p, q = [[a, b], [b]] -> Sums
  output y = p * q
}
"""
    judge(compile_text(text).program)
    a, b = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    torch.testing.assert_close(nnspec.loads(text)(a, b), (a + b) * b)


def test_a_symbol_is_bound_by_the_first_element_and_may_be_read_from_a_later_list() -> None:
    text = """
block Positions {
  input xs: list[float[N, _, 4]]
  input ys: list[float[N, T, 4]]
  output sum([ys[1], unsqueeze(arange(T) * 1.0, 1)])
}

model M {
  input a: float[N, S, 4]
  input b: float[N, T, 4]
  output y = ([a, b], [b, b]) -> Positions
}
"""
    judge(compile_text(text).program)
    assert "ys[0].shape[1]" in emit(compile_text(text).program)


# --- the examples ----------------------------------------------------------------------------------------------------


class ConvNorm(nn.Module):
    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm(self.conv(x)))


class Exchange(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        for i, width in enumerate(widths):
            row = nn.Module()
            for j, other in enumerate(widths):
                if j > i:
                    row.add_module(str(j), nn.ConvTranspose2d(other, width, 2 ** (j - i), stride=2 ** (j - i)))
                if j < i:
                    steps = [ConvNorm(other if k == 0 else width, width, 2) for k in range(i - j)]
                    row.add_module(str(j), nn.Sequential(*steps))
            if len(widths) > 1:
                self.add_module(str(i), row)

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        ys = []
        for i in range(len(xs)):
            row = dict(getattr(self, str(i), nn.Module()).named_children())
            ys.append(torch.stack([row[str(j)](x) if str(j) in row else x for j, x in enumerate(xs)]).sum(0))
        return ys


class Stage(nn.Module):
    def __init__(self, widths: list[int], new: bool) -> None:
        super().__init__()
        self.down = ConvNorm(widths[-2], widths[-1], 2) if new else None
        self.branches = nn.ModuleList(ConvNorm(w, w) for w in widths)
        self.exchange = Exchange(widths)

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        if self.down is not None:
            xs = [*xs, self.down(xs[-1])]
        found: list[torch.Tensor] = self.exchange([branch(x) for branch, x in zip(self.branches, xs, strict=True)])
        return found


class MultiResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 8, 2)
        self.stage1, self.stage2, self.stage3 = (Stage([8, 16, 32][: i + 1], i > 0) for i in range(3))
        self.head = nn.Linear(56, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        xs = self.stage3(self.stage2(self.stage1([self.stem(image)])))
        logits: torch.Tensor = self.head(torch.cat([x.mean(dim=(2, 3)) for x in xs], 1))
        return logits


@pytest.mark.parametrize("shape", [(1, 3, 16, 24), (3, 3, 32, 8)])
def test_a_multi_resolution_network_is_the_one_that_torch_is_told_to_build(shape: tuple[int, ...]) -> None:
    same(nnspec.load(EXAMPLES / "multi_resolution.nns"), MultiResolution(), torch.randn(shape))


class Unit(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.project = None
        if stride != 1 or channels != width:
            self.project = nn.Conv2d(channels, width, 1, stride=stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.project is None else self.project(x)))


class Root(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)

    def forward(self, xs: list[torch.Tensor]) -> torch.Tensor:
        return F.relu(self.bn(self.conv(torch.cat(xs, 1))))


class Tree(nn.Module):
    def __init__(self, levels: int, channels: int, width: int, stride: int = 1, earlier: int = 0) -> None:
        super().__init__()
        self.levels = levels
        if levels == 1:
            self.left, self.right = Unit(channels, width, stride), Unit(width, width, 1)
            self.root = Root((2 + earlier) * width, width)
        else:
            self.left = Tree(levels - 1, channels, width, stride)  # type: ignore[assignment]
            self.right = Tree(levels - 1, width, width, 1, earlier + 1)  # type: ignore[assignment]

    def forward(self, x: torch.Tensor, earlier: list[torch.Tensor] | None = None) -> torch.Tensor:
        a = self.left(x)
        if self.levels > 1:
            found: torch.Tensor = self.right(a, [*(earlier or []), a])
            return found
        root: torch.Tensor = self.root([self.right(a), a, *(earlier or [])])
        return root


class AggregationTree(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.level1, self.level2 = Tree(1, 8, 16, 2), Tree(3, 16, 32, 2)
        self.head = nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.level2(self.level1(F.relu(self.stem(image))))
        logits: torch.Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (3, 3, 13, 9)])
def test_an_aggregation_tree_is_the_one_that_torch_is_told_to_build(shape: tuple[int, ...]) -> None:
    same(nnspec.load(EXAMPLES / "aggregation_tree.nns"), AggregationTree(), torch.randn(shape))


# --- optional inputs -------------------------------------------------------------------------------------------------

OPTIONAL = """
block Mix {
  input x: float[N, T, D]
  input mask: bool[N, T] = none
  h = x -> fc: Linear(D)
  if mask != none { h = h * unsqueeze(mask, 2) }
  output x + h
}

model M {
  input ids: int[N, T]
  input mask: bool[N, T] = none
  input positions: int[N, T] = none
  x = ids -> wte: Embedding(10, 4)
  if positions != none { x = x + (positions -> wpe: Embedding(16, 4)) }
  x = (x, mask=mask) -> layers: Mix * 2
  output logits = (x, mask) -> last: Mix
  output plain = x -> again: Mix
  if training { output aux = x -> aux: Linear(2) }
}
"""


class Mix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        h = self.fc(x)
        mixed: torch.Tensor = x + h if mask is None else x + h * mask.unsqueeze(2)
        return mixed


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(10, 4), nn.Embedding(16, 4)
        self.layers = nn.ModuleList(Mix() for _ in range(2))
        self.last, self.again = Mix(), Mix()
        self.aux = nn.Linear(4, 2)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor | None = None, positions: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        x = self.wte(ids)
        if positions is not None:
            x = x + self.wpe(positions)
        for layer in self.layers:
            x = layer(x, mask)
        logits, plain = self.last(x, mask), self.again(x)
        return (logits, plain, self.aux(x)) if self.training else (logits, plain)


@pytest.mark.parametrize("given", [(), ("mask",), ("positions",), ("mask", "positions")])
def test_a_model_with_optional_inputs_computes_every_choice_of_them(given: tuple[str, ...]) -> None:
    ids = torch.randint(10, (2, 5))
    inputs = {"mask": torch.rand(2, 5) > 0.5, "positions": torch.randint(16, (2, 5))}
    same(nnspec.loads(OPTIONAL), Optional(), ids, **{name: inputs[name] for name in given})


def test_every_choice_of_optional_inputs_is_the_same_in_onnx() -> None:
    judge(compile_text(OPTIONAL).program)


def test_emitted_source_asks_for_optional_inputs_as_a_person_would() -> None:
    source = emit(compile_text(OPTIONAL).program)
    assert "def forward(self, ids, mask=None, positions=None):" in source
    assert "        if positions is not None:\n            x = x + self.wpe(positions)" in source
    assert "            x = layer(x, mask)\n" in source
    assert source.count("def forward") == 2


def test_an_optional_input_that_the_body_replaces() -> None:
    text = """
model M {
  input x: float[N, 4]
  input scale: float[N, 4] = none
  if scale == none { scale = ones(N, 4) }
  output y = (x * scale) -> Linear(2)
}
"""
    judge(compile_text(text).program)
    module = nnspec.loads(text)
    x = torch.randn(3, 4)
    torch.testing.assert_close(module(x), module(x, torch.ones(3, 4)))
    torch.testing.assert_close(module(x, None), module(x))


def test_an_optional_input_in_front_of_a_required_one() -> None:
    text = """
model M {
  input bias: float[N, 4] = none
  input x: float[N, 4]
  if bias != none { x = x + bias }
  output y = x
}
"""
    judge(compile_text(text).program)
    module = nnspec.loads(text)
    x = torch.randn(3, 4)
    assert torch.equal(module(None, x), x)
    assert torch.equal(module(x, x), x + x)


def test_a_symbol_that_only_an_optional_input_binds() -> None:
    text = """
model M {
  input x: float[N, T, 4]
  input memory: float[N, S, 4] = none
  if memory != none {
    assert S <= 8
    x = cat([x, memory], dim=1)
  }
  output y = x
}
"""
    program = compile_text(text).program
    judge(program)
    assert [r.message for r in summarize(program).requires] != []
    with pytest.raises(RuntimeError):
        nnspec.loads(text)(torch.zeros(1, 2, 4), torch.zeros(1, 9, 4))


def test_forms_share_what_the_model_owns_and_verify_looks_at_them() -> None:
    program = compile_text(OPTIONAL).program
    entry = program.main
    assert entry.optional == ("mask", "positions")
    assert [form.given for form in entry.choices] == [(), ("mask",), ("positions",), ("mask", "positions")]
    assert all(set(form.methods) == {"infer", "train"} for form in entry.choices)
    assert {program.methods[m].module for form in entry.choices for m in form.methods.values()} == {entry.module}
    lacking = replace(program, entries=(replace(entry, forms=entry.forms[1:]),))
    assert verify(lacking) == ["entry 0 has one form for every choice of its optional inputs"]
    swapped = replace(entry, forms=(ir.Form(("mask",), entry.methods), *entry.forms[1:]))
    assert "entry 0 takes the inputs that its form says, and no others" in verify(replace(program, entries=(swapped,)))


def test_a_summary_shows_optional_inputs_and_what_they_need() -> None:
    summary = summarize(compile_text(OPTIONAL).program)
    assert summary.optional == ("mask", "positions")
    assert [name for name, _ in summary.inputs] == ["ids", "mask", "positions"]
    assert {row.path: row.uses for row in summary.rows}["wpe"] == 1


def test_an_onnx_file_takes_the_optional_inputs_that_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.nns").write_text(OPTIONAL)

    def run(*extra: str) -> tuple[object, str]:
        command = ["compile", str(tmp_path / "net.nns"), "-o", str(tmp_path / "net.onnx"), "--verify", *extra]
        with pytest.raises(SystemExit) as done:
            cli.main(command)
        return done.value.code, capsys.readouterr().err

    code, said = run()
    assert code == 0, said
    assert "the file takes no `mask`, which is optional; `--with mask` gives it that input" in said
    code, said = run("--with", "mask", "--with", "positions")
    assert code == 0, said
    assert "--with" not in said
    code, said = run("--with", "maks")
    assert code == 1
    assert "`M` has no optional input `maks`" in said


TRAINED = """
model M {
  input features: float[N, 4]
  input shift: float[N, K] = none
  x = features
  if shift != none { x = x + mean(shift, dim=1, keepdim=true) }
  output logits = x -> Linear(3)
}

train {
  data      = Iris()
  INPUTS
  loss      = cross_entropy(logits, label)
  optimizer = SGD(lr=0.1)
  epochs    = 1
}
"""


@pytest.mark.parametrize(("inputs", "given"), [("", ()), ("inputs = (shift=features)", ("shift",))])
def test_training_feeds_an_optional_input_where_a_field_is_meant(inputs: str, given: tuple[str, ...]) -> None:
    program = compile_text(TRAINED.replace("INPUTS", inputs), train=True).program
    assert program.training is not None
    assert program.training.inputs == {"features": "features", **({"shift": "features"} if given else {})}
    assert verify(program) == []
    wiring = wire(program.training, program)
    module, batch = nnspec.loads(TRAINED.replace("INPUTS", inputs)), {"features": torch.randn(5, 4)}
    wanted = module(batch["features"], batch["features"] if given else None)
    torch.testing.assert_close(wiring.call(module, batch), wanted)


def test_an_unknown_optional_input_is_a_fault() -> None:
    with pytest.raises(onnx_backend.OnnxError, match="no optional input `ids`"):
        onnx_backend.build(compile_text(OPTIONAL).program, None, {}, given=("ids",))


# --- recipes and functions as values ---------------------------------------------------------------------------------

RECIPES = """
block Mlp(hidden, act = GELU, norm = none) {
  input x: float[N, D]
  if norm != none { x = x -> norm: norm }
  output x -> fc1: Linear(hidden) -> act -> fc2: Linear(D)
}

block double {
  input x: float[...]
  output x * 2
}

model M(act = gelu, norm: layer = none, stages = [Mlp(4), Mlp(6, act=ReLU)], dtype = float32) {
  input x: float[N, 8]
  for i, stage in enumerate(stages) { x = x -> "stages.{i}": stage }
  blocks = [Mlp(3, act), Mlp(5, { Tanh -> double }, norm=LayerNorm(eps=1e-3)), Linear(8)]
  for i in range(len(blocks)) { x = x -> blocks[i] }
  for block in blocks[:2] { x = x -> block }
  h: dtype[N, 8] = x -> last: Mlp(4, norm=norm)
  for f in [relu, double] { h = h -> f }
  output y = h
}
"""


def test_recipes_and_functions_are_values() -> None:
    program = compile_text(RECIPES).program
    judge(program)
    names = {name.rsplit(".", 2)[0] for name in nnspec.loads(RECIPES).state_dict()}
    assert {"stages.0", "stages.1", "blocks.0", "blocks.1", "last"} <= names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("act", "ReLU"),
        ("act", "double"),
        ("act", "LeakyReLU(0.1)"),
        ("act", "{ Linear(3) -> ReLU }"),
        ("norm", "LayerNorm"),
        ("norm", "BatchNorm1d(eps=0.01)"),
        ("stages", "[]"),
        ("stages", "[Mlp(3), Linear(8)]"),
    ],
)
def test_recipes_can_be_set_from_outside(name: str, value: str) -> None:
    judge(compile_text(RECIPES, overrides={name: Written(value)}).program)


def test_an_element_type_is_a_value() -> None:
    text = "model M(kind = int32) {\n  input x: kind[N]\n  y: kind[N] = x * 2\n  output z: kind[N] = y\n}\n"
    judge(compile_text(text).program)
    judge(compile_text(text, overrides={"kind": Written("float64")}).program)
