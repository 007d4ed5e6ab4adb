"""What elaboration makes of a spec: names, sharing, ties, modes, symbols, facts, limits."""

from __future__ import annotations

import time

import pytest

from nnspec import ir
from nnspec.compiler import check_text, compile_text
from nnspec.diagnostics import NnspecError
from nnspec.dims import show


def program(text: str, **overrides: object) -> ir.Program:
    return compile_text(text, overrides=overrides).program


def parameters(found: ir.Program, module: int | None = None, prefix: str = "") -> dict[str, tuple[object, ...]]:
    """State-dict names and shapes, ties counted under both names."""
    result: dict[str, tuple[object, ...]] = {}
    for member in found.modules[found.main.module if module is None else module].members:
        if member.module is not None:
            result |= parameters(found, member.module, f"{prefix}{member.name}.")
        else:
            assert member.type is not None
            result[prefix + member.name] = member.type.dims
    return result


def outputs(found: ir.Program, mode: str = "infer") -> dict[str, str]:
    method = found.methods[found.main.methods[mode]]
    return {
        name: str(method.graph.values[next(ir.refs(value))].type)
        for name, value in zip(method.output_names, method.graph.outputs, strict=True)
    }


def model(body: str, head: str = "M", inputs: str = "input x: float[N, 8]") -> str:
    return f"model {head} {{\n  {inputs}\n{body}\n}}\n"


def codes(text: str) -> list[str]:
    return [d.code for d in check_text(text)]


# --- names -----------------------------------------------------------------------------------------------------------


def test_layers_without_a_name_take_their_type_in_snake_case_numbered_from_the_second_on() -> None:
    found = program(model("output y = x -> Linear(4) -> LeakyReLU -> Linear(3) -> BatchNorm1d -> ReLU -> PReLU"))
    names = [m.name for m in found.modules[found.main.module].members]
    assert names == ["linear", "leaky_relu", "linear_1", "batch_norm1d", "relu", "prelu"]


def test_a_chain_numbers_every_recipe_and_no_function() -> None:
    found = program(model("output y = x -> enc: { Linear(4) -> relu -> act: ReLU -> Linear(3) }"))
    assert list(parameters(found)) == ["enc.0.weight", "enc.0.bias", "enc.2.weight", "enc.2.bias"]


def test_copies_are_named_by_number_under_the_name_of_the_repeat() -> None:
    found = program(model("output y = x -> body: { Linear(8) -> ReLU } * 3"))
    assert [n for n in parameters(found) if n.endswith("weight")] == [f"body.{i}.0.weight" for i in range(3)]


def test_copies_of_one_layer_differ_in_their_first_size() -> None:
    found = program(model("output y = x -> Linear(5) * 12"))
    shapes = parameters(found)
    assert shapes["linear.0.weight"] == (5, 8)
    assert all(shapes[f"linear.{i}.weight"] == (5, 5) for i in range(1, 12))
    assert len([n for n in found.methods[0].graph.nodes if isinstance(n, ir.Call)]) == 12


def test_computed_names_and_groups_make_the_published_paths() -> None:
    text = model(
        """
  for i in range(2) { x = x -> "blocks.{i}.fc": Linear(8) }
  mlp: { h = x -> up: Linear(16)
         x = h -> down: Linear(8) }
  output y = x -> mlp.extra: Linear(2)"""
    )
    assert [n for n in parameters(program(text)) if n.endswith("weight")] == [
        "blocks.0.fc.weight",
        "blocks.1.fc.weight",
        "mlp.up.weight",
        "mlp.down.weight",
        "mlp.extra.weight",
    ]


def test_a_label_does_not_bind_a_value_and_a_bound_layer_is_shared() -> None:
    text = model("  enc = Linear(8)\n  a = x -> enc\n  b = a -> enc\n  output features = b -> features: Linear(2)")
    assert list(parameters(program(text))) == ["enc.weight", "enc.bias", "features.weight", "features.bias"]


def test_a_name_clash_in_a_loop_shows_the_computed_name() -> None:
    found = check_text(model("  for i in range(2) { x = x -> conv: Linear(8) }\n  output y = x"))
    assert [d.code for d in found] == ["NNS202"]
    assert "{i}" in found[0].helps[0]


def test_a_list_of_recipes_makes_numbered_layers() -> None:
    text = model(
        "  heads = [Linear(i + 1) for i in range(3)]\n  output y = x -> heads[2]\n" + "  a = x -> heads[0]\n" * 0
    )
    assert codes(text) == ["NNS212"]
    text = model("  heads = [Linear(2) for i in range(2)]\n  output a = x -> heads[0]\n  output b = x -> heads[1]")
    assert list(parameters(program(text))) == ["heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias"]


def test_a_bare_layer_cannot_be_bound() -> None:
    assert codes(model("  n = LayerNorm\n  output y = x -> n")) == ["NNS204"]


# --- blocks ----------------------------------------------------------------------------------------------------------

BLOCK = """
block Mlp(hidden, act = GELU) {
  input x: float[N, ..., D]
  output x -> fc1: Linear(hidden) -> act -> fc2: Linear(D)
}
"""


def test_a_block_is_one_module_for_all_its_equal_uses() -> None:
    block = "block B(h) {\n input x: float[N, D]\n output x -> Linear(h) -> Linear(D)\n}\n"
    found = program(block + model("output y = x -> a: B(4) -> b: B(4) -> c: B(5)"))
    a, b, c = (m.module for m in found.modules[found.main.module].members)
    assert a == b != c


def test_a_block_knows_the_sizes_that_flow_in_as_numbers() -> None:
    block = """
block Res(width) {
  input x: float[N, C]
  y = x -> Linear(width)
  if C != width { x = x -> skip: Linear(width) }
  output x + y
}
"""
    found = program(block + model("output y = x -> a: Res(8) -> b: Res(4)"))
    assert [n for n in parameters(found) if "skip" in n] == ["b.skip.weight", "b.skip.bias"]


def test_a_block_may_take_recipes_and_has_defaults_that_see_earlier_hyperparameters() -> None:
    block = (
        "block B(w, h = 2 * w, act = ReLU) {\n input x: float[N, D]\n output x -> Linear(h) -> act -> Linear(D)\n}\n"
    )
    found = program(block + model("output y = x -> b: B(3, act=LeakyReLU(0.2))"))
    assert parameters(found)["b.linear.weight"] == (6, 8)
    assert "leaky_relu" in [m.name for m in found.modules[found.module_at(found.main.module, "b")].members]


def test_an_optional_input_may_be_left_out() -> None:
    block = """
block B {
  input x: float[N, D]
  input bias: float[N, D] = none
  if bias != none { x = x + bias }
  output x -> Linear(D)
}
"""
    found = program(block + model("  a = x -> first: B\n  output y = (a, bias=x) -> second: B"))
    assert (
        len({n.method for n in found.methods[found.main.methods["infer"]].graph.nodes if isinstance(n, ir.Call)}) == 2
    )


def test_a_lower_case_block_is_a_function() -> None:
    block = "block twice {\n input x: float[N, D]\n input y: float[N, D]\n output x + y * 2\n}\n"
    found = program(block + model("  a = twice(x, x)\n  output y = a -> twice(a) -> Linear(1)"))
    assert list(parameters(found)) == ["linear.weight", "linear.bias"]
    owning = "block f {\n input x: float[N, D]\n output x -> Linear(2)\n}\n"
    assert codes(owning + model("output y = f(x)")) == ["NNS214"]


def test_a_block_may_use_itself_to_a_bounded_depth() -> None:
    block = """
block Tree(depth) {
  input x: float[N, D]
  if depth == 0 { y = x -> leaf: Linear(D) } else { y = x -> left: Tree(depth - 1) -> right: Tree(depth - 1) }
  output y
}
"""
    found = program(block + model("output y = x -> tree: Tree(3)"))
    assert len([n for n in parameters(found) if n.endswith("weight")]) == 8
    endless = "block Tree {\n input x: float[N, D]\n output x -> t: Tree\n}\n"
    assert codes(endless + model("output y = x -> Tree")) == ["NNS310"]


def test_a_fault_in_a_block_is_reported_once_however_often_it_is_used() -> None:
    block = "block B {\n input x: float[N, D]\n output x -> Conv2d(3, 3)\n}\n"
    assert codes(block + model("output y = x -> B * 5")) == ["NNS402"]


# --- parameters, ties, modes -----------------------------------------------------------------------------------------


def test_a_tied_parameter_is_recorded_with_its_owner() -> None:
    text = model(
        "  x = ids -> wte: Embedding(10, 4)\n  output y = x -> head: Linear(10, bias=false, weight=wte.weight)",
        inputs="input ids: int[N, T]",
    )
    found = program(text)
    ties = found.modules[found.main.module].ties
    assert [(t.alias, t.owner) for t in ties] == [("head.weight", "wte.weight")]


def test_an_option_of_a_parameters_name_ties_it_when_it_is_given_a_parameter() -> None:
    text = model(
        "  param bias: float[10] = 0\n  output y = x -> head: Linear(10, bias=bias)", inputs="input x: float[N, 4]"
    )
    found = program(text)
    assert [(t.alias, t.owner) for t in found.modules[found.main.module].ties] == [("head.bias", "bias")]
    assert codes(text.replace("bias=bias", "bias=1")) == ["NNS303"]
    assert codes(text.replace("Linear(10, bias=bias)", "Linear(8, bias=bias)")) == ["NNS416"]
    assert codes(text.replace("bias=bias", "in_features=bias")) == ["NNS303"]


@pytest.mark.parametrize("declared", ["param w: float[4] = 1", "buffer w: float[4] = ones(4)"])
def test_a_bare_tensor_of_a_group_is_reached_by_its_path(declared: str) -> None:
    text = model(f"  places: {{ {declared} }}\n  output y = x + places.w", inputs="input x: float[N, 4]")
    found = program(text)
    nodes = found.methods[found.main.methods["infer"]].graph.nodes
    assert [node.path for node in nodes if isinstance(node, ir.Read)] == ["places.w"]
    assert codes(text.replace("places.w", "places.v")) == ["NNS208"]


def test_a_parameter_may_cross_into_a_block_to_be_tied_there() -> None:
    text = """
block Head(table: parameter) {
  input x: float[N, D]
  output x -> out: Linear(10, bias=false, weight=table)
}
"""
    text += model(
        "  e = Linear(8, bias=false)\n  h = x -> e\n  output y = h -> head: Head(e.weight)",
        inputs="input x: float[N, 8]",
    )
    assert codes(text) == ["NNS416"]
    text = text.replace("Linear(10,", "Linear(8,")
    found = program(text)
    assert [(t.alias, t.owner) for t in found.modules[found.main.module].ties] == [("head.out.weight", "e.weight")]


def test_params_and_buffers_have_fixed_sizes() -> None:
    text = model("  param scale: float[8] = ones()\n  buffer index: int[4] = arange(4)\n  output y = x * scale")
    found = program(text)
    assert parameters(found) == {"scale": (8,), "index": (4,)}
    assert codes(model("  param s: float[N, 8] = ones()\n  output y = x * s")) == ["NNS405"]


def test_training_makes_two_methods_over_one_module() -> None:
    text = model(
        "  h = x -> body: Linear(8)\n  output y = h -> head: Linear(2)\n"
        "  if training { output aux = h -> aux: Linear(3) }"
    )
    found = program(text)
    assert set(found.main.methods) == {"infer", "train"}
    assert list(outputs(found)) == ["y"]
    assert list(outputs(found, "train")) == ["y", "aux"]
    assert "aux.weight" in parameters(found)


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_an_assert_is_a_fact_and_an_entry_requirement() -> None:
    body = "  assert H % 4 == 0\n  output y: float[N, 2, H / 2, W] = x -> Conv2d(2, (2, 1), stride=(2, 1))"
    found = program(model(body, inputs="input x: float[N, 1, H, W]"))
    needs = found.methods[found.main.methods["infer"]].requires
    assert [(show(r.size), r.relation) for r in needs] == [("H - 4 * (H // 4)", "==")] or len(needs) == 1


def test_an_undecided_inequality_becomes_a_requirement_of_the_model() -> None:
    block = "block B {\n input x: float[N, C, H]\n output x -> Conv1d(4, 7)\n}\n"
    found = program(block + model("output y = x -> B", inputs="input x: float[N, 1, T]"))
    needs = found.methods[found.main.methods["infer"]].requires
    assert [show(r.size) for r in needs] == ["T - 7"]


def test_what_a_block_needs_is_refuted_where_it_is_used() -> None:
    block = "block B {\n input x: float[N, C, H]\n output x -> Conv1d(4, 7)\n}\n"
    found = check_text(block + model("output y = x -> B", inputs="input x: float[N, 1, 5]"))
    assert [d.code for d in found] == ["NNS403"]


def test_facts_of_the_caller_reach_into_blocks() -> None:
    block = "block Half {\n input x: float[N, C, H]\n output y: float[N, C, H / 2] = x -> MaxPool1d(2)\n}\n"
    body = "  assert T % 4 == 0\n  output y = x -> a: Half -> b: Half"
    found = program(block + model(body, inputs="input x: float[N, 1, T]"))
    assert outputs(found) == {"y": "float[N, 1, T // 4]"}
    assert codes(block + model("output y = x -> Half", inputs="input x: float[N, 1, T]")) == ["NNS404"]


def test_a_condition_on_a_free_symbol_is_an_error_and_not_false() -> None:
    assert codes(model("  if N > 3 { x = x -> Linear(8) }\n  output y = x -> Linear(2)")) == ["NNS308"]


def test_a_branch_that_is_not_taken_is_checked_for_names_and_arguments() -> None:
    assert codes(model("  if false { x = x -> Linaer(8) }\n  output y = x -> Linear(2)")) == ["NNS201"]
    assert codes(model("  if false { x = x -> Linear(8, baias=false) }\n  output y = x -> Linear(2)")) == ["NNS301"]


def test_a_value_that_failed_is_silent_from_there_on() -> None:
    assert codes(model("  h = x -> Linaer(3)\n  g = h -> Conv2d(8, 3)\n  output y = g -> Linear(1)")) == ["NNS201"]


def test_independent_faults_are_all_reported() -> None:
    text = model(
        "  a = x -> Linaer(3)\n  b = x -> Linear(0)\n  c = x -> Linear(4, baias=true)\n  output y = x -> Linear(2)"
    )
    assert codes(text) == ["NNS201", "NNS304", "NNS301"]


# --- overrides and limits --------------------------------------------------------------------------------------------


def test_overrides_reach_hyperparameters_and_are_checked() -> None:
    text = model("output y = x -> Linear(width)", head="M(width: int = 4)")
    assert outputs(program(text, width=7)) == {"y": "float[N, 7]"}
    for name, value in (("widht", 3), ("width", "wide")):
        with pytest.raises(NnspecError) as caught:
            program(text, **{name: value})
        assert caught.value.diagnostics[0].code in ("NNS314", "NNS303")


@pytest.mark.parametrize(
    "body",
    [
        "output y = x -> Linear(8) * 1_000_000_000",
        "output y = x -> Linear(10 ** 12)",
        "  for i in range(1_000_000_000) { x = x + 1 }\n  output y = x",
        "  a = [i for i in range(1000)]\n  b = [a + a for j in range(1000) for k in a]\n  output y = x",
        "  for i in range(5000) { for j in range(5000) { z = i } }\n  output y = x -> Linear(2)",
        "output y = x -> Linear(2 ** 2 ** 2 ** 2 ** 2 ** 2)",
    ],
)
def test_what_would_take_too_much_is_refused_at_once(body: str) -> None:
    start = time.process_time()
    assert codes(model(body))
    assert time.process_time() - start < 20


def test_blocks_that_double_forty_times_are_refused() -> None:
    text = "block B0 {\n  input x: float[N, D]\n  output x -> Linear(D)\n}\n"
    for level in range(1, 41):
        text += f"block B{level} {{\n  input x: float[N, D]\n  output x -> a: B{level - 1} -> b: B{level - 1}\n}}\n"
    assert codes(text + model("output y = x -> B40")) == ["NNS310"]


def test_a_tuple_of_one_is_not_its_one() -> None:
    found = program(model("  output y = chunk(x, 1, dim=1)[0]"))
    node = next(n for n in found.methods[0].graph.nodes if isinstance(n, ir.Op))
    assert ir.result_of(node.outputs) == (1,)
