"""The rules of the language that are easy to get nearly right: scoping, sharing, kinds, borders of blocks."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
import torch

import nnspec
from nnspec import ir
from nnspec.compiler import check_text, compile_text
from nnspec.diagnostics import NnspecError

from ..contract import judge

X = "input x: float[N, 8]"


def model(body: str, inputs: str = X, before: str = "") -> str:
    return f"{textwrap.dedent(before)}model M {{\n{inputs}\n{textwrap.dedent(body)}\n}}\n"


def codes(text: str) -> list[str]:
    return [d.code for d in check_text(text) if d.severity == "error"]


def message(text: str) -> str:
    with pytest.raises(NnspecError) as caught:
        compile_text(text)
    return caught.value.diagnostics[0].message


def run(text: str, *inputs: torch.Tensor) -> Any:
    """What a model gives: a tensor, or a tuple of them."""
    return nnspec.loads(text).eval()(*inputs)


# --- a recipe means the same wherever it is used ---------------------------------------------------------------------

HOLDER = """
block Holder(act, k = 50) {
  input x: float[N, D]
  output x -> act
}
"""


def test_arguments_in_a_chain_are_worked_out_where_the_chain_is_written() -> None:
    x = torch.linspace(-9, 9, 16).reshape(2, 8)
    text = model("k = 2\noutput y = x -> Holder({ clamp(max=k) })", before=HOLDER)
    assert torch.equal(run(text, x), x.clamp(max=2))


def test_chains_made_in_the_turns_of_a_loop_differ() -> None:
    x = torch.linspace(-9, 9, 16).reshape(2, 8)
    text = model(
        "fs = [{ clamp(max=k) } for k in [1, 2]]\nys = [x -> f for f in fs] + [x -> Holder({ clamp(max=3) })]\n"
        "output y = ys[0] + 10 * ys[1] + 100 * ys[2]",
        before=HOLDER,
    )
    assert torch.allclose(run(text, x), x.clamp(max=1) + 10 * x.clamp(max=2) + 100 * x.clamp(max=3))


def test_a_chain_keeps_the_value_of_a_name_that_is_bound_again() -> None:
    x = torch.linspace(-9, 9, 16).reshape(2, 8)
    text = model("k = 1\nf = { clamp(max=k) }\nk = 3\noutput y = x -> f")
    assert torch.equal(run(text, x), x.clamp(max=1))


def test_recipes_that_hold_functions_are_equal_by_content() -> None:
    before = "block twice {\n  input x: float[N, D]\n  output x * 2\n}\n"
    equal = "assert { clamp(max=1) } == { clamp(max=1) } and { clamp(max=1) } != { clamp(max=2) } and twice == twice"
    assert codes(model(f"{equal}\noutput y = x -> twice", before=before)) == []


# --- the border of a block -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("[enc]", "NNS311"),
        ("(a=enc)", "NNS311"),
        ("[x]", "NNS311"),
        ("[scale]", "NNS311"),
        ("{ add(x) }", "NNS311"),
        ("Linear(8, weight=enc.weight)", "NNS311"),
        ("{ Linear(8, weight=enc.weight) } * 2", "NNS311"),
        ("[N]", "NNS405"),
        ("{ clamp(max=N) }", "NNS405"),
        ("N > 3", "NNS308"),
    ],
)
def test_what_belongs_to_a_body_does_not_leave_it_inside_something_else(argument: str, code: str) -> None:
    text = model(
        f"enc = Linear(8)\nparam scale: float[8] = 1\nz = (x * scale) -> enc\noutput y = z -> Holder({argument})",
        before=HOLDER,
    )
    assert codes(text) == [code]


def test_dots_stand_for_the_same_dimensions_in_all_inputs() -> None:
    before = "block Add {\n  input x: float[..., D]\n  input y: float[..., D]\n  output x + y\n}\n"
    two = "input x: float[N, 8]\ninput z: float[N, T, 8]"
    assert codes(model("output y = (x, z) -> Add", two, before)) == ["NNS402"]
    assert codes(model("output y = (x, x) -> Add\noutput w = (z, z) -> other: Add", two, before)) == []


def test_hyperparameters_of_a_function_are_given_by_name() -> None:
    before = "block scaled(k = 2) {\n  input x: float[N, D]\n  output x * k\n}\n"
    assert codes(model("output y = scaled(x, 3)", before=before)) == ["NNS305"]
    assert codes(model("output y = scaled(x, k=3)", before=before)) == []


def test_a_list_is_one_input() -> None:
    before = "block Sum {\n  input xs: list[float[N, D]]\n  output xs[0] + xs[1]\n}\n"
    assert codes(model("output y = [x, x] -> Sum", before=before)) == []


# --- sharing ---------------------------------------------------------------------------------------------------------

ENCODER = """
block Encoder {
  input x: float[N, C, L]
  h = x -> conv: Conv1d(4, 3, padding=1)
  output mean(reshape(h, [N, 4, L / 2, 2]), dim=-1)
}
"""


def test_a_shared_block_takes_inputs_of_several_fixed_sizes() -> None:
    inputs = "input a: float[N, 3, 16]\ninput b: float[N, 3, 6]"
    text = model("enc = Encoder()\noutput p = a -> enc\noutput q = b -> enc", inputs, ENCODER)
    program = compile_text(text).program
    assert [m.name for m in program.modules if m.kind == "block"] == ["Encoder", "M"]
    assert next(m for m in program.modules if m.name == "Encoder").sizes == {"C": 3}
    assert len({n.method for n in program.methods[-1].graph.nodes if isinstance(n, ir.Call)}) == 2
    module = nnspec.loads(text)
    a, b = torch.randn(2, 3, 16), torch.randn(2, 3, 6)
    p, q = module(a, b)
    conv = module.get_submodule("enc.conv")
    assert torch.equal(p, conv(a).reshape(2, 4, 8, 2).mean(-1))
    assert torch.equal(q, conv(b).reshape(2, 4, 3, 2).mean(-1))


def test_the_first_member_that_differs_is_named() -> None:
    before = "block E {\n  input x: float[N, D]\n  output x -> a: ReLU -> fc: Linear(2)\n}\n"
    text = model("e = E()\noutput p = x -> e\noutput q = x[:, 1:] -> e", before=before)
    assert "`fc.weight` is [2, 8] there and [2, 7] here" in message(text)


# --- names and kinds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["n = 3\nn = true", 'n = 3\nn = "a"', "n = [3]\nn = 3", "n = 3\nn = Linear(8)", "n = 3\nn = [Linear(8)]"],
)
def test_a_name_stays_of_its_kind(body: str) -> None:
    assert codes(model(f"{body}\noutput y = x")) == ["NNS203"]


def test_a_name_is_bound_again_within_its_kind() -> None:
    body = 'n = 3\nn = 1 / 2\nn = N\nl = [1]\nl = (1, 2)\ns = "a"\ns = "b"\nz = none\nz = x\noutput y = z'
    assert codes(model(body)) == []


def test_a_loop_variable_hides_no_constant_of_the_file() -> None:
    assert codes(model("for i in [1] { x = x * i }\noutput y = x", before="i = 4\n")) == ["NNS203"]


@pytest.mark.parametrize("value", ["B", "[ReLU, Linear(8)]", "ReLU"])
def test_a_layer_and_a_kind_of_layer_are_told_apart(value: str) -> None:
    before = "block B {\n  input x: float[N, D]\n  output relu(x)\n}\n"
    assert codes(model(f"l = {value}\noutput y = x", before=before)) == ["NNS204"]


def test_a_constant_of_the_file_may_be_a_kind_of_layer() -> None:
    assert codes(model("output y = x -> norm -> norm(eps=1e-3)", before="norm = LayerNorm\n")) == []


@pytest.mark.parametrize("name", ['""', "_modules", "__init__", "_apply", "g._parameters"])
def test_names_that_would_break_the_module_are_refused(name: str) -> None:
    assert codes(model(f"output y = x -> {name}: Linear(2)")) == ["NNS206"]


def test_an_output_in_a_loop_is_one_fault() -> None:
    assert codes(model("for i in range(3) { output y = x }\noutput z = x")) == ["NNS213"]


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("exp(1e6)", "NNS310"),
        ("inf - inf", "NNS309"),
        ("inf // 2", "NNS309"),
        ("make_divisible(inf)", "NNS309"),
        ("parameters(M())", "NNS321"),
        ("GELU.weight", "NNS208"),
        ("3 -> relu", "NNS102"),
    ],
)
def test_values_that_are_none(value: str, code: str) -> None:
    where = f"k = {value}\n" if code == "NNS321" else ""
    inside = "" if where else f"k = {value}\n"
    assert codes(model(f"{inside}output y = x", before=where)) == [code]


@pytest.mark.parametrize("test", ["T in [3, 4]", "T not in [3, N]", "[N, T] == [3, 4]", "(T, 1) != (2, 1)"])
def test_a_condition_on_symbols_is_never_taken_as_false(test: str) -> None:
    text = model(f"if {test} {{ x = x * 2 }}\noutput y = x", "input x: float[N, T]")
    assert codes(text) == ["NNS308"]


def test_conditions_on_lists_are_decided_where_they_can_be() -> None:
    tests = "assert T in [1, T] and T not in [0, -1] and [N, T] != [N, T, 1] and [1, T] != [2, T]"
    assert codes(model(f"{tests}\noutput y = x", "input x: float[N, T]")) == []


def test_the_sum_of_a_list_of_tensors() -> None:
    x = torch.randn(3, 8)
    text = model("hs = [x * i for i in range(3)]\noutput y = sum(hs) + sum(hs[2]) + sum([1, x]) + sum([1, 1 / 2])")
    assert torch.allclose(run(text, x), 3 * x + (2 * x).sum() + 1 + x + 1.5)


def test_a_block_of_the_author_hides_a_function_on_values() -> None:
    before = "block max {\n  input a: float[N, D]\n  input b: float[N, D]\n  output where(a > b, a, b)\n}\n"
    x = torch.randn(3, 8)
    assert torch.equal(run(model("output y = max(x, -x)", before=before), x), x.abs())


# --- parameters and buffers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("param p: int[8] = 0", "NNS303"),
        ("param p: float[8] = x[0]", "NNS311"),
        ("param w: float[8] = 1\nbuffer p: float[8] = w * 2", "NNS311"),
        ("buffer p: float[8] = ones(8) -> ReLU", "NNS311"),
        ("buffer p: float[8] = ones(8) * (2 if training else 3)", "NNS311"),
        ("buffer p: int[8] = arange(N)", "NNS405"),
        ("s = [N, 8]\nbuffer p: float[8] = ones(s[1])", "NNS405"),
        ("buffer w: float[8, 8] = ones(8, 8)\np = x -> Linear(8, weight=w)", "NNS311"),
        ("p = x -> Linear(8, weight=x)", "NNS311"),
    ],
)
def test_what_a_module_holds_is_known_when_it_is_built(statement: str, code: str) -> None:
    assert codes(model(f"{statement}\noutput y = x + p")) == [code]


# --- what is not elaborated ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "code"), [("Linear()", "NNS302"), ("Linear(1, 2, 3, 4, 5)", "NNS305"), ("Wide()", "NNS302")]
)
def test_the_number_of_arguments_is_checked_in_blocks_that_nobody_uses(layer: str, code: str) -> None:
    before = f"""
        block Wide(width) {{
          input x: float[N, D]
          output x -> Linear(width)
        }}
        block Unused {{
          input x: float[N, D]
          output x -> {layer}
        }}
        """
    assert codes(model("output y = x -> Wide(3)", before=before)) == [code]


# --- train -----------------------------------------------------------------------------------------------------------

TRAIN = """
model M(hidden = 8) {{
  input features: float[N, 4]
  output logits = features -> Linear(hidden) -> Linear(3)
}}
train {{
  data = Iris()
  epochs = 2
  rate = 0.1 / model.hidden
  loss = cross_entropy(logits, label) * model.hidden / epochs
  optimizer = SGD(lr={lr})
}}
"""


def test_settings_use_hyperparameters_bindings_and_other_settings() -> None:
    program = compile_text(TRAIN.format(lr="rate / epochs"), train=True).program
    assert program.training is not None
    assert program.training.updates[0].optimizer.arguments["lr"] == pytest.approx(0.1 / 8 / 2)
    assert codes(TRAIN.format(lr="rate / model.hiden")) == ["NNS208"]
    assert codes(TRAIN.format(lr="loss * rate")) == ["NNS201"]


def test_an_update_is_one_fault() -> None:
    text = "model M {\n  input features: float[N, 4]\n  output y = features -> Linear(3)\n}\n"
    text += "train {\n  data = Iris()\n  update a {\n    loss = cross_entropy(y, label)\n  }\n}\n"
    assert codes(text) == ["NNS610"]


@pytest.mark.parametrize("length", [1, 5])
def test_a_function_of_a_size_is_a_number_at_run_time(length: int) -> None:
    text = model("output y = x * log(T + 1) / sqrt(T) - sqrt(2)", inputs="input x: float[N, T]")
    x = torch.linspace(-9, 9, 2 * length).reshape(2, length)
    wanted = x * torch.tensor(length + 1.0).log() / torch.tensor(float(length)).sqrt() - 2**0.5
    torch.testing.assert_close(run(text, x), wanted)
    judge(compile_text(text).program)
    assert codes(model("output y = x -> Linear(sqrt(T))", inputs="input x: float[N, T, 4]")) == ["NNS303"]
