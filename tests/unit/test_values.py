"""What a value can be besides a tensor and a size: functions that wait, numbers known at run time, read parameters."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import nnspec
from nnspec.backends.source import emit
from nnspec.compiler import check_text, compile_text
from nnspec.diagnostics import NnspecError
from nnspec.elaborate.overrides import Written
from tests.contract import judge
from tests.unit.test_semantics import codes, message, model, run

SEQUENCE = "input x: float[N, T, 8]"
IMAGE_OF_WORDS = "input tokens: int[N, T]"


# --- functions that wait for their input -----------------------------------------------------------------------------

ACT = """
block Act(act = softmax(dim=1)) {
  input x: float[N, D]
  output x -> act
}
block scaled(k, shift = 0) {
  input x: float[N, D]
  output x * k + shift
}
"""


def test_a_function_with_options_is_a_value() -> None:
    x = torch.randn(3, 8)
    body = "f = clamp(max=2)\noutput y = x -> Act(act=softmax(dim=-1)) -> Act -> f\noutput z = f(x)"
    y, z = run(model(body, before=ACT), x)
    torch.testing.assert_close(y, x.softmax(-1).softmax(1).clamp(max=2))
    torch.testing.assert_close(z, x.clamp(max=2))


def test_a_function_of_the_author_waits_as_well_and_takes_more_options_later() -> None:
    x = torch.randn(3, 8)
    body = "twice = scaled(k=2)\noutput y = x -> twice(shift=1) -> Act(twice)\noutput z = twice(x)"
    y, z = run(model(body, before=ACT), x)
    torch.testing.assert_close(y, 2 * (2 * x + 1))
    torch.testing.assert_close(z, 2 * x)


def test_reductions_that_are_numbers_functions_too_wait_when_an_option_is_named() -> None:
    x = torch.randn(3, 8)
    body = "output y = x -> Act(sum(dim=1)) \noutput z = (x -> max(dim=1))[0]"
    y, z = run(model(body, before=ACT), x)
    torch.testing.assert_close(y, x.sum(1))
    assert torch.equal(z, x.amax(1))


def test_functions_in_lists_and_defaults_are_compared_by_content() -> None:
    body = "assert clamp(max=1) == clamp(max=1) and clamp(max=1) != clamp(max=2) and clamp(max=1) != clamp\n"
    body += "for act in acts { x = x -> act }\noutput y = x"
    text = "model M(acts = [softmax(dim=1), relu, { Tanh }, Sigmoid]) {\ninput x: float[N, 8]\n" + body + "\n}\n"
    judge(compile_text(text).program)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("output y = softmax(dim=1)", "NNS311"),
        ("output y = x + softmax(dim=1)", "NNS311"),
        ("y = softmax(dimension=1)\noutput x", "NNS301"),
        ("output y = softmax()", "NNS302"),
        ("output y = x -> Act(softmax(dim=N))", "NNS405"),
        ("output y = relu()", "NNS302"),
    ],
)
def test_what_waits_is_no_tensor_and_its_options_are_checked(body: str, code: str) -> None:
    assert codes(model(body, before=ACT)) == [code]


def test_braces_make_a_layer_of_a_function_with_options() -> None:
    before = "block B(act: layer = ReLU) {\ninput x: float[N, D]\noutput x -> act\n}\n"
    (found,) = check_text(model("output y = x -> B(softmax(dim=1))", before=before))
    assert [(edit.text, edit.span.start < edit.span.end) for edit in found.fixes[0].edits] == [
        ("{ ", False),
        (" }", False),
    ]
    assert codes(model("output y = x -> B({ softmax(dim=1) })", before=before)) == []


def test_chains_of_functions_may_stand_in_a_function() -> None:
    before = "block all(fs) {\ninput x: float[N, D]\nfor f in fs { x = x -> f }\noutput x\n}\n"
    body = "output y = all(x, fs=[relu, { softmax(dim=1) }, { tanh } * 2])"
    x = torch.randn(3, 8)
    torch.testing.assert_close(run(model(body, before=before), x), x.relu().softmax(1).tanh().tanh())
    assert codes(model("output y = all(x, fs=[{ ReLU }])", before=before)) == ["NNS214"]


# --- numbers that are known at run time ------------------------------------------------------------------------------


def test_arithmetic_on_symbols_that_is_no_size_is_a_number_next_to_a_tensor() -> None:
    body = """
    scale = 1 / T
    output a = x * scale - (T / 2)
    output b = x * T ** 0.5 + exp(-T / 4)
    output c = x / sqrt(T / 2) + N * T * 0.5
    output d = x > T / 20
    output e = maximum(x, 1 / (N + T)) * (2 if training else 1 / T)
    """
    text = model(body, SEQUENCE)
    for size in (1, 2, 5):
        x = torch.randn(3, size, 8)
        a, b, c, d, e = run(text, x)
        torch.testing.assert_close(a, x / size - size / 2)
        torch.testing.assert_close(b, x * size**0.5 + math.exp(-size / 4))
        torch.testing.assert_close(c, x / math.sqrt(size / 2) + 3 * size * 0.5)
        assert torch.equal(d, x > size / 20)
        torch.testing.assert_close(e, torch.clamp(x, min=1 / (3 + size)) / size)
    judge(compile_text(text).program)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("half = T / 2\noutput y = x[:, :half]", "NNS404"),
        ("output y = x -> Linear(T / 2)", "NNS404"),
        ("output y = reshape(x, (N, T / 2, 16))", "NNS404"),
        ("y: float[N, T / 2, 8] = x\noutput y", "NNS404"),
        ("output y = mean(x, dim=T / 2)", "NNS404"),
        ("if T / 2 > 3 { x = x * 2 }\noutput x", "NNS404"),
        ("half = T / 2\nbuffer k: float[3] = full((3,), half)\noutput x", "NNS404"),
        ("a = [T / 2]\noutput x", "NNS404"),
        ('a = "{T / 2}"\noutput x', "NNS404"),
        ("h = (T / 2) // 2\noutput x", "NNS404"),
        ("h = int(T * 0.5)\noutput x", "NNS307"),
        ("output y = rearrange(x, 'n (a b) d -> n a b d', a=T / 2)".replace("'", '"'), "NNS404"),
        ("output y = x * (1 / 0)", "NNS312"),
        ("output y = x * (T / 0)", "NNS312"),
        ("output y = T / 2", "NNS404"),
    ],
)
def test_where_a_size_is_needed_such_a_number_is_refused(body: str, code: str) -> None:
    assert codes(model(body, SEQUENCE)) == [code]


# --- parameters of layers as tensors ---------------------------------------------------------------------------------


def test_a_decoder_is_tied_by_reading_the_weights_of_the_embedding() -> None:
    text = model("x = tokens -> wte: Embedding(10, 4)\noutput y = linear(tanh(x), wte.weight)", IMAGE_OF_WORDS)
    module = nnspec.loads(text)
    assert list(module.state_dict()) == ["wte.weight"]
    tokens = torch.randint(10, (2, 3))
    weight = module.get_parameter("wte.weight")
    y = module(tokens)
    torch.testing.assert_close(y, F.linear(weight[tokens].tanh(), weight))
    y.sum().backward()
    assert weight.grad is not None
    judge(compile_text(text).program)


def test_parameters_are_read_through_blocks_copies_ties_and_scans() -> None:
    text = """
    block Enc {
      input x: float[N, D]
      buffer scale: float[8] = 2
      param w: float[8] = 1
      output (x * scale * w) -> fc: Linear(8)
    }
    model M {
      input x: float[N, T, 8]
      h = x[:, 0] -> enc: Enc -> b: Linear(8, weight=enc.fc.weight) -> layers: Enc() * 3
      ys = scan x_t in x over dim=1 with h = h {
        h = tanh(linear(h, b.weight) + x_t * enc.scale)
        yield h
      }
      output y = ys + layers[1].fc.bias
      output z = cat([enc.w, enc.scale]) + sum(b.weight)
    }
    """
    judge(compile_text(text).program)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("enc = Linear(8)\ny = linear(x, enc.weight)\noutput y = x -> enc", "NNS212"),
        ("output y = linear(x -> fc: Linear(8), fc.wieght)", "NNS208"),
        ("x = x -> bn: BatchNorm1d\noutput y = x -> BatchNorm1d(weight=bn.running_mean)", "NNS311"),
        ("x = x -> fc: Linear(8)\noutput y = x -> Table(fc.weight)", "NNS311"),
    ],
)
def test_what_cannot_be_read_or_tied(body: str, code: str) -> None:
    before = "block Table(table: parameter) {\ninput x: float[N, D]\noutput linear(x, table)\n}\n"
    assert codes(model(body, before=before)) == [code]


def test_the_message_says_what_a_parameter_that_is_handed_over_is_for() -> None:
    before = "block Table(table: parameter) {\ninput x: float[N, D]\noutput linear(x, table)\n}\n"
    assert "needs a tensor" in message(model("x = x -> fc: Linear(8)\noutput y = x -> Table(fc.weight)", before=before))


def test_a_layer_whose_parameters_are_read_or_tied_is_used() -> None:
    before = "block E {\ninput x: float[N, D]\nparam w: float[8] = 1\noutput x -> fc: Linear(8)\n}\n"
    body = "h = x -> e: E\nk = x -> fc: Linear(8)\nl = x -> t: Linear(8, weight=fc.weight)\noutput y = h * e.w"
    dead = {"no output depends on `fc`: `k` is never used", "no output depends on `t`: `l` is never used"}
    assert {d.message for d in check_text(model(body, before=before))} == dead
    warned = {d.message for d in check_text(model(f"{body} + sum(t.bias)", before=before))}
    assert warned == {"`k` is computed and never used", "`l` is computed and never used"}


def test_paths_begin_in_the_group_that_they_stand_in_or_around_it() -> None:
    text = model(
        """
        a: {
          x = x -> fc: Linear(8)
          b: {
            x = x -> g: Linear(8, bias=false, weight=fc.weight) -> h: Linear(8, bias=false, weight=a.fc.weight)
            x = x -> k: Linear(8)
            params k.bias { init = 2 }
            params fc.bias { init = 1 }
          }
        }
        output x
        """
    )
    state = nnspec.loads(text).state_dict()
    assert torch.equal(state["a.fc.bias"], torch.ones(8))
    assert torch.equal(state["a.b.k.bias"], 2 * torch.ones(8))
    assert torch.equal(state["a.b.g.weight"], state["a.fc.weight"])


def test_a_label_may_be_called_like_an_imported_file() -> None:
    body = "x = x -> ff: ff.FeedForward(4)\nx = x -> ff.FeedForward(3)\noutput y = x * ff.fc2.bias"
    text = "import std.feedforward as ff\n" + model(body, "input x: float[N, T, 8]")
    names = {name.split(".")[0] for name in nnspec.loads(text).state_dict()}
    assert names == {"ff", "feed_forward"}


# --- values from outside ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("act", "gelu", ""),
        ("act", "softmax(dim=1)", ""),
        ("act", "{ Linear(3) -> ReLU }", ""),
        ("act", "gleu", "NNS201"),
        ("word", "gleu", ""),
        ("word", "none", ""),
        ("flag", "yes", "NNS201"),
        ("flag", "false", ""),
        ("acts", "[]", ""),
        ("acts", "[Tanh, relu]", ""),
    ],
)
def test_a_word_from_outside_is_a_string_only_where_one_can_be_meant(name: str, text: str, code: str) -> None:
    head = 'model M(act = GELU, word = "a", flag = true, acts = [ReLU]) {\ninput x: float[N, 8]\n'
    body = 'for each in acts { x = x -> each }\nif flag { x = relu(x) }\nl = "{word != none}"\noutput y = x -> act\n}\n'
    found = ""
    try:
        compile_text(head + body, overrides={name: Written(text)})
    except NnspecError as fault:
        found = fault.diagnostics[0].code
    assert found == code


# --- what is written about hyperparameters and inputs ----------------------------------------------------------------


def test_comments_on_hyperparameters_and_inputs_are_part_of_the_documentation() -> None:
    text = """
    ## Two layers.
    block Mlp(
      ## How wide the inside is,
      ## in features.
      hidden,
      act = GELU
    ) {
      ## What flows in.
      input x: float[N, D]
      output x -> Linear(hidden) -> act
    }
    model M(
      ## How many classes.
      classes = 3
    ) {
      input x: float[N, 8]
      output y = x -> Mlp(4) -> Linear(classes)
    }
    """
    program = compile_text(text).program
    docs = {module.name: module.doc for module in program.modules}
    assert docs["Mlp"] == "Two layers.\n\n- hidden: How wide the inside is,\n  in features.\n- x: What flows in."
    assert docs["M"] == program.main.doc == "- classes: How many classes."
    assert "    - hidden: How wide the inside is,\n      in features.\n    - x: What flows in.\n" in emit(program)


# --- numbers next to tensors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("ids * -1.0", None),
        ("ids + (-1e3)", "ids + (-1e3)"),
        ("ids * (0.5 * 2)", None),
        ("ids + (3.0 - 1)", None),
        ("ids * 2.0 ** 2", None),
        ("ids * k", "ids * -2.0"),
        ("where(ids > 0, -1.0, 1)", "torch.where(ids > 0, -1.0, 1)"),
        ("full((2,), -1e4)", "torch.full((2,), -1e4)"),
        ("clamp(ids, min=-1.0)", "torch.clamp(ids, min=-1.0)"),
        ("ids * (7 // 2)", None),
        ("ids * (2 - 3)", None),
        ("ids * -1", None),
    ],
)
def test_a_float_stays_one_whatever_is_computed_with_it(text: str, python: str | None) -> None:
    ids = torch.tensor([3, 5])
    y = run(model(f"output y = {text}", "input ids: int[2]").replace("model M", "model M(k = -2.0)"), ids)
    wanted = eval(python or text, {"ids": ids, "torch": torch})
    assert y.dtype == wanted.dtype
    assert torch.equal(y, wanted)


def test_a_quotient_that_comes_out_whole_is_a_size() -> None:
    body = "h = 32 / 2\noutput y = x -> Linear(h) -> Linear(8 * 0.5)\noutput z: float[N, 3 / 2 * 4] = x -> Linear(6)"
    y, z = run(model(body, "input x: float[N, 8]"), torch.zeros(1, 8))
    assert (y.shape[1], z.shape[1]) == (4, 6)


SIZED = """
model M(mult = 0.5) {
  input x: float[N, 8]
  param w: float[8 * mult] = 0
  y: float[N, 8 * mult] = x -> Linear(8 * mult) -> Linear(4) * (4 * mult)
  output a = y + w
  output b = reshape(x, (N, 2, 8 * mult))
  output c = x[:, :8 * mult]
  output d = stack([x[:, i] for i in range(4 * mult)])
  output e = zeros(N, 8 * mult) + expand(x[:, :1], (N, 8 * mult))
}
"""


def test_what_a_float_makes_whole_is_a_size_where_one_is_needed() -> None:
    program = compile_text(SIZED).program
    judge(program)
    dims = [d for value in program.methods[0].graph.values for d in value.type.dims]
    assert {type(d) for d in dims if isinstance(d, int)} == {int}
    shapes = [tuple(y.shape) for y in run(SIZED, torch.zeros(3, 8))]
    assert shapes == [(3, 4), (3, 2, 4), (3, 4), (2, 3), (3, 4)]
