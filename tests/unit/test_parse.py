"""Text becomes the tree that it says: every construct, precedence, spans, numbers, strings, documentation."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest

from nnspec.diagnostics import Sink
from nnspec.syntax import ast
from nnspec.syntax.literals import Float
from nnspec.syntax.parse import parse, tokens

FASHION = """
# A classifier for 28x28 grey images.
model FashionNet(hidden = 512, classes = 10) {
  input image: float[N, 1, 28, 28]

  output logits: float[N, classes] = image
    -> Flatten
    -> linear_relu_stack: {
         Linear(hidden) -> ReLU
      -> Linear(hidden) -> ReLU
      -> Linear(classes)
       }
}

train {
  data       = FashionMNIST("data/fashion")        # fields: image, label
  loss       = cross_entropy(logits, label)
  optimizer  = SGD(lr=1e-3, momentum=0.9)
  metrics    = [accuracy(logits, label)]
  epochs     = 5
  batch_size = 64
}
"""
RESNET = """
block BasicBlock(width, stride = 1) {
  input x: float[N, C, H, W]

  y = x
    -> conv1: Conv2d(width, 3, stride=stride, padding=1, bias=false)
    -> bn1:   BatchNorm2d -> ReLU
    -> conv2: Conv2d(width, 3, padding=1, bias=false)
    -> bn2:   BatchNorm2d

  if stride != 1 or C != width {
    x = x -> downsample: { Conv2d(width, 1, stride=stride, bias=false) -> BatchNorm2d }
  }

  output relu(x + y)
}

block Stage(width, depth, stride) {
  input x: float[N, C, H, W]
  for i in range(depth) { x = x -> "{i}": BasicBlock(width, stride = stride if i == 0 else 1) }
  output x
}

model ResNet(widths = [64, 128, 256, 512], depths = [2, 2, 2, 2], classes = 1000) {
  input image: float[N, 3, H, W]

  x = image
    -> conv1: Conv2d(widths[0], 7, stride=2, padding=3, bias=false)
    -> bn1: BatchNorm2d -> ReLU
    -> MaxPool2d(3, stride=2, padding=1)

  for i, width in enumerate(widths) {
    x = x -> "layer{i + 1}": Stage(width, depths[i], stride = 1 if i == 0 else 2)
  }

  output logits = x -> AdaptiveAvgPool2d(1) -> Flatten -> fc: Linear(classes)
}
"""
LLAMA = """
block rotate {                                       # a lower-case block is a function
  input x: float[N, h, T, d]
  input angle: float[T, _]
  angle = cat([angle, angle], dim=-1)
  a, b = chunk(x, 2, dim=-1)
  output x * cos(angle) + cat([-b, a], dim=-1) * sin(angle)
}

block DecoderLayer(heads, kv_heads, head_width, hidden) {
  input x: float[N, T, D]
  input angle: float[T, _]
  x = x + ((x -> input_layernorm: RMSNorm(eps=1e-6), angle=angle) -> self_attn: Attention(heads, kv_heads, head_width))
  h = x -> post_attention_layernorm: RMSNorm(eps=1e-6)
  mlp: {                                             # a group: what it holds is named mlp.*
    h = silu(h -> gate_proj: Linear(hidden, bias=false)) * (h -> up_proj: Linear(hidden, bias=false))
    h = h -> down_proj: Linear(D, bias=false)
  }
  output x + h
}

model Llama(vocab = 32_000, width = 4096, depth = 32, theta = 10_000.0) {
  input input_ids: int[N, T]
  head_width = width / heads
  angle = outer(arange(T), 1.0 / theta ** (arange(0, head_width, 2) / head_width))
  model: {
    x = input_ids -> embed_tokens: Embedding(vocab, width)
    x = (x, angle=angle) -> layers: DecoderLayer(heads, kv_heads, head_width, hidden) * depth -> norm: RMSNorm(eps=1e-6)
  }
  output logits: float[N, T, vocab] = x -> lm_head: Linear(vocab, bias=false)
}
"""
TRAIN = """
train GPT2(depth=6, width=384, heads=6) {
  data       = Text("shakespeare.txt", context=256)
  loss       = cross_entropy(logits, target, dim=-1)
  optimizer  = AdamW(lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1)
  params "*.bias"  { weight_decay = 0 }
  params "wpe.*"   { freeze = true }
  schedule   = SequentialLR([LinearLR(start_factor=0.01, total_iters=200)], milestones=[200])
  clip_grad_norm = 1.0
  precision  = "bf16-mixed"
  steps      = 5_000
  checkpoint = (every=500, keep=3, best="val/loss")
}
"""
GAN = """
train (G = Generator(), D = Discriminator()) {
  data = ImageFolder("faces", size=64)
  fake = randn(N, 100, 1, 1) -> G
  update critic {
    params    = D
    loss      = bce(image -> D, 1) + bce(detach(fake) -> D, 0)
    optimizer = Adam(lr=2e-4, betas=(0.5, 0.999))
  }
}
"""
REST = """
nnspec 1
import "blocks/resnet.nns" as resnet
from "blocks/resnet.nns" import Stage, Block as Other
from std.vision import ResNet
width = 64
act = GELU
assert parameters(ResNet()) == 11_689_512, "a budget"
extern block Fast(width: int = 3, act) from "package.module:Class" {
  input x: float[N, 3]
  output y: float[N, 3]
}
block Pick(dropout: float = 0.1, table: parameter, sizes: list[int] = [1]) {
  input xs: list[float[N, _, H, W]]
  input mask: bool[N, T] = none
  input any: float[..., N]
  param cls: float[1, 1, D] = normal(std=0.02)
  buffer index: int[64, 64] = arange(64), persistent=false
  x: float[N, D] = xs[0][:, 1:, ..., none]
  params Linear.weight { init = normal(std=0.02) }
  attention.output.dense: { x = x -> Linear(3) }
  "block{width}": { x = x -> Linear(3) }
  ys, (h, c) = x -> model.layers.0: LSTM(128)
  zs, h = scan x_t in x, m_t in m over dim=1, reverse=true with h = zeros(N, D), c = h {
    h = x_t
    yield h
  }
  if training and not (a or b) { x = 1 }
  else if a not in [1, 2] { x = 2 }
  else { x = [f(i, w) for i, w in enumerate(zs) if i > 0] }
  y = x -> (act if width else Identity) -> { A } * (2 + 1) -> B * n -> fns[0](3)
  output y
}
"""


def read(text: str) -> ast.File:
    sink = Sink()
    file = parse(text, sink)
    assert [d.message for d in sink.diagnostics] == []
    return file


def value(text: str) -> Any:
    """The expression of a constant."""
    (declaration,) = read(f"v = {text}\n").declarations
    assert isinstance(declaration, ast.Assign)
    return declaration.value


def body(text: str) -> tuple[Any, ...]:
    (block,) = read("block B {\n" + text + "\n}\n").declarations
    assert isinstance(block, ast.Block)
    return block.body.statements


def show(node: Any) -> str:
    """An expression with a bracket around each operation."""
    match node:
        case ast.Number():
            return str(node.value)
        case ast.Name():
            return node.id
        case ast.Unary():
            return f"({node.op} {show(node.operand)})"
        case ast.Binary():
            return f"({show(node.left)} {node.op} {show(node.right)})"
        case ast.Compare():
            rest = " ".join(f"{op} {show(right)}" for op, right in zip(node.ops, node.operands[1:], strict=True))
            return f"({show(node.operands[0])} {rest})"
        case ast.Conditional():
            return f"({show(node.then)} if {show(node.test)} else {show(node.orelse)})"
        case ast.Attribute():
            return f"{show(node.value)}.{node.name}"
        case ast.Call():
            return f"{show(node.function)}()"
        case ast.Flow():
            return " -> ".join([show(node.head), *(show(item.layer) for item in node.items)])
    return type(node).__name__


@pytest.mark.parametrize("text", [FASHION, RESNET, LLAMA, TRAIN, GAN, REST], ids=lambda text: text.split()[-1])
def test_what_the_language_description_shows_is_read(text: str) -> None:
    assert read(text).declarations


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b // c % d @ e", "((((a / b) // c) % d) @ e)"),
        ("-a ** b", "(- (a ** b))"),
        ("a ** -b", "(a ** (- b))"),
        ("a ** b ** c", "(a ** (b ** c))"),
        ("-a * b", "((- a) * b)"),
        ("a ** b.c()", "(a ** b.c())"),
        ("not a == b", "(not (a == b))"),
        ("not a and b", "((not a) and b)"),
        ("a or b and c", "(a or (b and c))"),
        ("a < b <= c", "(a < b <= c)"),
        ("a + b < c", "((a + b) < c)"),
        ("a not in b", "(a not in b)"),
        ("a in b == c not in d", "(a in b == c not in d)"),
        ("a if b or c else d", "(a if (b or c) else d)"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("a + b if c else d", "((a + b) if c else d)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("(a + b) -> f -> g", "(a + b) -> f -> g"),
        ("(a -> f) + b", "(a -> f + b)"),
    ],
)
def test_operators_bind_in_the_order_of_the_language(text: str, tree: str) -> None:
    assert show(value(text)) == tree


def test_a_flow_keeps_labels_and_counts() -> None:
    flow = value('x -> a.b.0: Linear(3) * 4 -> "n{i}": { A -> b: B } -> C * (n + 1) -> D * n')
    assert flow.items[0].label.value == "a.b.0"
    assert isinstance(flow.items[1].label.value, ast.String)
    assert [show(item.count) if item.count else None for item in flow.items] == ["4", None, "(n + 1)", "n"]
    assert [item.label and item.label.value for item in flow.items[1].layer.items] == [None, "b"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("1_000_000", 1_000_000),
        ("9223372036854775807", 2**63 - 1),
        ("1e-3", Float(1, 1000)),
        ("2e9", Float(2_000_000_000)),
        ("10_000.0", Float(10_000)),
        ("0.1", Float(1, 10)),
        ("3.14", Float(157, 50)),
    ],
)
def test_numbers_are_exact(text: str, number: int | Float) -> None:
    node = value(text)
    assert node.value == number
    assert type(node.value) is type(number)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('""', ()),
        ('"n t (h d) -> n h t d"', ("n t (h d) -> n h t d",)),
        ('"a{{b}}"', ("a{b}",)),
        ('"a\\"\\\\\\n\\u0041"', ('a"\\\nA',)),
        ('"); import os"', ("); import os",)),
    ],
)
def test_strings_say_what_they_spell(text: str, parts: tuple[str, ...]) -> None:
    assert value(text).parts == parts


def test_strings_interpolate_with_places_in_the_file() -> None:
    text = 'v = "layer{i + 1}.x{w[0]}"\n'
    (declaration,) = read(text).declarations
    assert isinstance(declaration, ast.Assign)
    assert isinstance(declaration.value, ast.String)
    first, plus, middle, index = declaration.value.parts
    assert (first, middle) == ("layer", ".x")
    assert isinstance(plus, ast.Binary)
    assert isinstance(index, ast.Index)
    assert text[plus.span.start : plus.span.end] == "i + 1"
    assert text[index.span.start : index.span.end] == "w[0]"


def test_brackets_make_groups_tuples_and_records() -> None:
    assert isinstance(value("(a)"), ast.Name)
    assert value("()").items == ()
    assert [a.name for a in value("(a,)").items] == [None]
    assert [a.name for a in value("(every=500)").items] == ["every"]
    assert [a.name for a in value("(x, mask=m,)").items] == [None, "mask"]
    assert len(value("[a, b,]").items) == 2
    assert value("[]").items == ()


def test_subscripts_have_slices_and_ellipses() -> None:
    items = value("x[0, :T, 1:, a:b:c, ..., none, :]").items
    kinds = [type(item).__name__ for item in items]
    assert kinds == ["Number", "Slice", "Slice", "Slice", "Ellipsis", "Constant", "Slice"]
    assert [show(part) if part else None for part in (items[1].stop, items[2].start, items[3].step)] == ["T", "1", "c"]


def test_words_are_keywords_only_in_their_places() -> None:
    statements = body(
        "input = params -> input: train(output=1) -> block.model.if\n"
        "model: { update = scan + over }\n"
        "yield, assert = buffer\n"
        "output output\n"
        "params = D"
    )
    assert [type(s).__name__ for s in statements] == ["Assign", "Group", "Assign", "Output", "Assign"]


def test_line_ends_end_statements_except_where_the_next_line_goes_on() -> None:
    statements = body("x = a\n\n  # why\n  -> B\ny = a\n  * b\n  and c\nz = f(\n  a,\n  b\n)\nw = a if b\n  else c")
    assert [type(s.value).__name__ for s in statements] == ["Flow", "Binary", "Call", "Conditional"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_may_be_of_either_kind(ending: str) -> None:
    assert ast.same(read(FASHION.replace("\n", ending)), read(FASHION))


def test_a_byte_order_mark_is_skipped() -> None:
    assert ast.same(read("\ufeff" + FASHION), read(FASHION))


def test_an_output_is_a_name_or_a_flow() -> None:
    name, flow, typed, both = body("output x\noutput (x)\noutput y: float[N]\noutput z: float[N] = x -> A")
    assert (name.name.id, name.value) == ("x", None)
    assert (flow.name, flow.value.id) == (None, "x")
    assert (typed.name.id, typed.value) == ("y", None)
    assert (both.name.id, type(both.value)) == ("z", ast.Flow)


def test_types_nest_in_lists() -> None:
    bare, tensor, nested = (s.type for s in body("input a: int\ninput b: float[]\ninput c: list[list[float[..., N]]]"))
    assert (bare.dtype, bare.dims) == ("int", None)
    assert tensor.dims == ()
    assert [type(d) for d in nested.element.element.dims] == [ast.Ellipsis, ast.Name]


def test_a_scan_has_sequences_options_and_states() -> None:
    (statement,) = body("ys, h = scan a in x, b in y over dim=1, reverse=true with h = z, c = 0 {\n  yield h\n}")
    scan = statement.value
    assert [name.id for name, _ in scan.sequences] == ["a", "b"]
    assert [option.name for option in scan.options] == ["dim", "reverse"]
    assert [name.id for name, _ in scan.states] == ["h", "c"]
    assert isinstance(scan.body.statements[0], ast.Yield)


def test_else_if_nests() -> None:
    (statement,) = body("if a { x = 1 } else if b { x = 2 } else { x = 3 }")
    inner = statement.orelse.statements[0]
    assert isinstance(inner, ast.If)
    assert inner.orelse is not None


def test_documentation_stands_in_front_of_what_it_describes() -> None:
    text = """
## Not this.
# A plain comment parts them.
## A model
## in two lines.
model A(
  ## how wide
  width = 3,
  depth = 2,  ## not the next one's
  rest = 1
) {
  ## what flows in
  input x: float[N]
  ## a bare one
  param p: float[3] = zeros()
}
"""
    (block,) = read(text).declarations
    assert isinstance(block, ast.Block)
    assert block.doc == "A model\nin two lines."
    assert [h.doc for h in block.hyperparameters] == ["how wide", "", ""]
    assert [getattr(s, "doc", "") for s in block.body.statements] == ["what flows in", "a bare one"]


def test_the_version_line_is_read() -> None:
    assert read("nnspec 1\nx = 1\n").version == 1
    assert read("x = 1\n").version is None


def test_spans_cover_what_was_written() -> None:
    text = FASHION
    file = read(text)
    block = file.declarations[0]
    assert isinstance(block, ast.Block)
    output = block.body.statements[1]
    assert isinstance(output, ast.Output)
    flow = output.value
    assert isinstance(flow, ast.Flow)
    assert text[block.head.start : block.head.end] == "model FashionNet(hidden = 512, classes = 10)"
    assert text[output.span.start : output.span.end].startswith("output logits")
    assert text[flow.head.span.start : flow.head.span.end] == "image"
    assert text[flow.items[0].span.start : flow.items[0].span.end] == "Flatten"
    assert text[flow.items[1].span.start : flow.items[1].span.end].startswith("linear_relu_stack: {")
    assert text[flow.span.start : flow.span.end].endswith("}")


def test_every_node_lies_inside_its_parent() -> None:
    for text in (FASHION, RESNET, LLAMA, TRAIN, GAN, REST):
        pending: list[Any] = [read(text)]
        while pending:
            node = pending.pop()
            assert text[node.span.start : node.span.end] == text[node.span.start : node.span.end].strip() or isinstance(
                node, ast.File
            )
            for child in children(node):
                assert node.span.start <= child.span.start <= child.span.end <= node.span.end
                pending.append(child)


def children(node: Any) -> list[Any]:
    fields = [name for kind in type(node).__mro__ for name in getattr(kind, "__slots__", ())]
    pending = [getattr(node, name) for name in fields if name != "span"]
    found = []
    while pending:
        item = pending.pop()
        if isinstance(item, ast.Node):
            found.append(item)
        elif type(item) is tuple:
            pending += item
    return found


def test_spans_carry_the_source() -> None:
    file = parse('x = f("a{b}")\n', Sink(), source=7)
    pending: list[Any] = [file]
    while pending:
        node = pending.pop()
        assert node.span.source == 7
        pending += children(node)


def test_tokens_include_comments() -> None:
    found = [(token.type, token.text) for token in tokens("x = 1  # one\n# two\ny = 2")]
    assert [text for kind, text in found if kind == "COMMENT"] == ["# one", "# two"]
    assert [kind for kind, _ in found if kind != "COMMENT"][:4] == ["NAME", "=", "NUMBER", "_NL"]


def test_the_garbage_collector_is_left_as_it_was() -> None:
    read("x = 1\n")
    assert gc.isenabled()
    gc.disable()
    try:
        read("x = 1\n")
        assert not gc.isenabled()
    finally:
        gc.enable()


def written_out(layers: int) -> str:
    lines = (f"    -> conv{i}: Conv2d({i}, kernel_size=3, padding=1, bias=false) -> ReLU\n" for i in range(layers))
    return "model A {\n  input x: float[N, 3, H, W]\n  output y = x\n" + "".join(lines) + "}\n"


def cpu_seconds(text: str) -> float:
    read(text)
    times = []
    for _ in range(3):
        start = time.process_time()
        read(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
def test_time_grows_with_the_text_and_no_faster() -> None:
    small, large = cpu_seconds(written_out(1_000)), cpu_seconds(written_out(10_000))
    assert large <= 13 * small
    assert large < 5
