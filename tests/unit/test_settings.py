"""`params PATTERN { init = ... }`: what it means, judged by torch's own initialisers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from nnspec import ir, loads
from nnspec.backends.source import emit
from nnspec.backends.torch import build
from nnspec.compiler import check_text, compile_text
from nnspec.patterns import matches
from nnspec.verify import verify

from ..contract import judge

NET = """
block Res(width) {{
  input x: float[N, C, H, W]
  y = x -> conv1: Conv2d(width, 3, padding=1, bias=false) -> bn1: BatchNorm2d -> ReLU
        -> conv2: Conv2d(width, 3, padding=1)
  {inner}
  output x + y
}}
model Net(depth = 2) {{
  input x: float[N, 4, H, W]
  x = x -> stem: Conv2d(4, 1) -> layers: Res(4) * depth
  x = x -> AdaptiveAvgPool2d(1) -> Flatten -> fc: Linear(6)
  param scale: float[6] = 1.0
  output y = x * scale
  {outer}
}}
"""


def net(outer: str = "", inner: str = "", **values: Any) -> nn.Module:
    torch.manual_seed(0)
    return loads(NET.format(outer=outer, inner=inner), **values)


def program(outer: str = "", inner: str = "") -> ir.Program:
    return compile_text(NET.format(outer=outer, inner=inner)).program


def filled(model: nn.Module) -> dict[str, float]:
    """The one value that each parameter holds; nothing for one that holds several."""
    found = {n: p.detach().flatten() for n, p in model.named_parameters()}
    return {n: v[0].item() for n, v in found.items() if bool((v == v[0]).all()) and v.numel() > 1}


# --- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "", True),
        ("*", "a.b", True),
        ("*.bias", "fc.bias", True),
        ("*.bias", "bias", False),
        ("layers.*.bias", "layers.bias", False),
        ("layers.*.bias", "layers.0.conv.bias", True),
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("*a*b*", "xbxa", False),
        ("*a*b*", "xaxb", True),
        ("a**b", "ab", True),
        ("*ab*abc", "ababc", True),
        ("*a*a", "a", False),
    ],
)
def test_a_pattern_matches_whole_names_and_its_star_crosses_dots(pattern: str, name: str, found: bool) -> None:
    assert matches(pattern, name) is found


def test_the_last_match_wins_and_an_outer_body_beats_an_inner_one() -> None:
    model = net(
        outer="""params "*.bias" { init = 1 }
        params Conv2d.bias { init = 2 }
        params "layers.1.*.bias" { init = 3 }
        params layers.0.bn1.weight { init = 4 }
        params stem { init = 5 }""",
        inner="""params bn1.weight { init = zeros }
        params conv2.bias { init = 9 }""",
    )
    values = filled(model)
    assert values.pop("scale") == 1
    assert values == {
        "stem.weight": 5,
        "stem.bias": 5,
        "fc.bias": 1,
        "layers.0.bn1.bias": 1,
        "layers.1.bn1.bias": 3,
        "layers.0.conv2.bias": 2,
        "layers.1.conv2.bias": 3,
        "layers.0.bn1.weight": 4,
        "layers.1.bn1.weight": 0,
    }


def test_settings_are_worked_out_where_they_stand() -> None:
    model = net('for i in range(depth) { params "layers.{i}.conv2.*" { init = i / 4 } }', depth=3)
    values = filled(model)
    assert [values[f"layers.{i}.conv2.{n}"] for i in range(3) for n in ("weight", "bias")] == [
        0,
        0,
        0.25,
        0.25,
        0.5,
        0.5,
    ]


def test_bare_parameters_and_blocks_are_meant_too() -> None:
    values = filled(net("params scale { init = 3 }\n  params Res.conv2.bias { init = 7 }"))
    assert values["scale"] == 3
    assert values["layers.0.conv2.bias"] == values["layers.1.conv2.bias"] == 7


def test_a_constant_tensor_is_no_part_of_the_flow() -> None:
    text = "model M {{\n  input x: float[N, 6]\n  output y = x -> fc: Linear(6)\n  {0}\n}}\n"
    assert check_text(text.format("params fc.bias { init = arange(6) / 6 }")) == ()
    assert check_text(text.format("params fc.bias { init = -arange(6) / 1 if 1 < 2 else 3 }")) == ()
    assert [d.code for d in check_text(text.format("params fc.bias { init = y[0] / 2 }"))] == ["NNS311"]


def test_a_constant_tensor_is_copied() -> None:
    model = net("params fc.bias { init = arange(6) / 6 }")
    assert torch.equal(model.get_parameter("fc.bias").detach(), torch.arange(6) / 6)
    judge(program("params fc.bias { init = arange(6) / 6 }"))


# --- torch's initialisers --------------------------------------------------------------------------------------------

Fill = Callable[[torch.Tensor], object]

MATRICES: list[tuple[str, Fill]] = [
    ("uniform(-1, 3)", lambda w: nn.init.uniform_(w, -1, 3)),
    ("normal(1, 0.5)", lambda w: nn.init.normal_(w, 1, 0.5)),
    ("trunc_normal(std=0.02)", lambda w: nn.init.trunc_normal_(w, std=0.02)),
    ("trunc_normal(0.5, 1, a=-0.1, b=0.6)", lambda w: nn.init.trunc_normal_(w, 0.5, 1, -0.1, 0.6)),
    ("constant(0.25)", lambda w: nn.init.constant_(w, 0.25)),
    ("sqrt(0.25)", lambda w: nn.init.constant_(w, 0.5)),
    ("-1 / 2", lambda w: nn.init.constant_(w, -0.5)),
    ("ones", nn.init.ones_),
    ("zeros()", nn.init.zeros_),
    ("xavier_uniform", nn.init.xavier_uniform_),
    ("xavier_uniform(gain=sqrt(2))", lambda w: nn.init.xavier_uniform_(w, gain=2**0.5)),
    (
        'xavier_normal(gain=calculate_gain("tanh"))',
        lambda w: nn.init.xavier_normal_(w, nn.init.calculate_gain("tanh")),
    ),
    (
        'xavier_normal(calculate_gain("leaky_relu", 0.2))',
        lambda w: nn.init.xavier_normal_(w, nn.init.calculate_gain("leaky_relu", 0.2)),
    ),
    ("kaiming_uniform(a=sqrt(5))", lambda w: nn.init.kaiming_uniform_(w, a=5**0.5)),
    (
        'kaiming_normal(mode="fan_out", nonlinearity="relu")',
        lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
    ),
    ("orthogonal(0.5)", lambda w: nn.init.orthogonal_(w, 0.5)),
]


@pytest.mark.parametrize(("written", "fill"), MATRICES, ids=[text for text, _ in MATRICES])
def test_the_same_seed_draws_what_a_hand_written_loop_draws(written: str, fill: Fill) -> None:
    plain = net()
    torch.manual_seed(3)
    with torch.no_grad():
        for module in plain.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                fill(module.weight)
    made = compile_text(
        NET.format(
            outer=f"params Conv2d.weight {{ init = {written} }}\n params Linear.weight {{ init = {written} }}", inner=""
        )
    ).program
    assert "isinstance(module, nn.Conv2d)" in emit(made)
    # What the layers draw for themselves comes before: only the generator's state at the loop has to agree.
    model = _seeded(made, 3)
    for name, theirs in plain.named_parameters():
        if name.endswith("weight") and "bn" not in name:
            assert torch.equal(model.get_parameter(name), theirs), name


def _seeded(made: ir.Program, seed: int) -> nn.Module:
    """The module, with the generator seeded anew where its `__init__` comes to its settings."""
    lines = emit(made).splitlines()
    at = next(i for i, line in enumerate(lines) if line == "        for module in self.modules():")
    lines.insert(at, f"        torch.manual_seed({seed})")
    home: dict[str, object] = {"__name__": "seeded"}
    exec("import torch\n" + "\n".join(lines), home)
    model = home["Net"]()  # type: ignore[operator]  # a class
    assert isinstance(model, nn.Module)
    return model


def test_the_initialisers_that_are_for_some_ranks() -> None:
    torch.manual_seed(0)
    model = loads("""
    model M {
      input x: float[N, 4, L]
      x = x -> conv: Conv1d(4, 3, padding=1, bias=false) -> wide: Conv1d(6, 1, bias=false, groups=2)
      x = mean(x, dim=-1)
      output y = x -> a: Linear(6, bias=false) -> b: Linear(40, bias=false)
      params conv.weight { init = dirac }
      params wide.weight { init = dirac(groups=2) }
      params a.weight { init = eye }
      params b.weight { init = sparse(0.1, std=2) }
    }
    """)
    assert torch.equal(model.get_parameter("conv.weight").detach(), nn.init.dirac_(torch.empty(4, 4, 3)))
    assert torch.equal(model.get_parameter("wide.weight").detach(), nn.init.dirac_(torch.empty(6, 2, 1), groups=2))
    assert torch.equal(model.get_parameter("a.weight").detach(), torch.eye(6))
    b = model.get_parameter("b.weight").detach()
    assert ((b == 0).sum(0) == 4).all()
    assert 1.5 < float(b[b != 0].std()) < 2.5
    x = torch.randn(2, 4, 5)
    assert torch.allclose(model.get_submodule("conv")(x), x)


def test_statistics_are_those_that_are_asked_for() -> None:
    torch.manual_seed(0)
    model = loads("""
    model M {
      input x: float[N, 200]
      output y = x -> a: Linear(300) -> b: Linear(300, bias=false) -> c: Linear(300)
      params "*" { init = uniform(2, 4) }
      params "*.weight" { init = normal(1, 0.1) }
      params c.weight { init = trunc_normal(std=1, a=-0.5, b=1) }
      params b.weight { init = orthogonal(2) }
    }
    """)
    a, b, c = (model.get_parameter(f"{n}.weight").detach() for n in "abc")
    assert abs(float(a.mean()) - 1) < 0.01
    assert abs(float(a.std()) - 0.1) < 0.005
    assert torch.allclose(b @ b.T, 4 * torch.eye(300), atol=1e-4)
    assert float(c.min()) >= -0.5
    assert float(c.max()) <= 1
    assert 0 < float(c.mean()) < 0.3
    bias = model.get_parameter("a.bias").detach()
    assert 2 <= float(bias.min()) < float(bias.max()) <= 4


# --- ties, parts of layers, wrappers: what a loop over modules would get wrong ---------------------------------------


def test_a_tied_parameter_goes_by_its_first_name_alone() -> None:
    text = """
    model M {{
      input t: int[N, T]
      x = t -> wte: Embedding(10, 4) -> fc: Linear(4)
      output y = x -> head: Linear(10, bias=false, weight=wte.weight)
      {settings}
    }}
    """
    first = loads(text.format(settings="params Linear { init = 3 }"))
    assert not (first.get_parameter("wte.weight") == 3).any()
    assert (first.get_parameter("fc.weight") == 3).all()
    assert first.get_parameter("head.weight") is first.get_parameter("wte.weight")
    both = text.format(settings="params Linear { init = 3 }\n params Embedding { init = 3 }")
    assert "isinstance(module, nn.Linear)" in emit(compile_text(both).program)
    assert (loads(both).get_parameter("wte.weight") == 3).all()
    other = loads(text.format(settings="params Linear { init = 3 }\n params Embedding { init = 4 }"))
    assert (other.get_parameter("wte.weight") == 4).all()
    assert (other.get_parameter("fc.weight") == 3).all()


def test_parts_of_a_layer_of_torch_are_no_layers_of_the_spec() -> None:
    model = loads("""
    model M {
      input x: float[N, T, 8]
      y, _ = (x, x, x) -> attn: MultiheadAttention(2)
      output z = y -> fc: Linear(8)
      params Linear { init = 3 }
      params "attn.out_proj.bias" { init = 5 }
    }
    """)
    assert (model.get_parameter("fc.weight") == 3).all()
    assert not (model.get_parameter("attn.out_proj.weight") == 3).any()
    assert (model.get_parameter("attn.out_proj.bias") == 5).all()


def test_a_layer_in_a_wrapper_is_still_that_layer() -> None:
    model = loads("""
    model M {
      input x: float[N, 8]
      output y = x -> a: weight_norm(Linear(8)) -> b: Linear(8)
      params Linear.bias { init = 3 }
      params "*.original0" { init = 2 }
      params Linear.weight { init = 4 }
    }
    """)
    assert (model.get_parameter("a.bias") == 3).all()
    assert (model.get_parameter("b.bias") == 3).all()
    assert (model.get_parameter("b.weight") == 4).all()
    assert torch.allclose(model.get_submodule("a").weight.norm(dim=1), torch.full((8,), 2.0))  # type: ignore[operator]


def test_layers_without_a_bias_are_passed_over() -> None:
    values = filled(net("params Conv2d.bias { init = 2 }"))
    assert {n for n, v in values.items() if v == 2} == {"stem.bias", "layers.0.conv2.bias", "layers.1.conv2.bias"}


def test_recurrent_layers_of_different_depth() -> None:
    model = loads("""
    model M {
      input x: float[T, N, 4]
      x, _ = x -> a: LSTM(4, 2)
      y, _ = x -> b: LSTM(4)
      output y
      params LSTM.weight_hh_l1 { init = 1 }
      params LSTM.weight_hh_l0 { init = orthogonal }
      params "*.bias_*" { init = zeros }
    }
    """)
    assert (model.get_parameter("a.weight_hh_l1") == 1).all()
    for name in ("a.weight_hh_l0", "b.weight_hh_l0"):
        weight = model.get_parameter(name).detach()
        assert torch.allclose(weight.T @ weight, torch.eye(4), atol=1e-5)
    assert all((p == 0).all() for n, p in model.named_parameters() if "bias" in n)


# --- the rest of the pipeline ----------------------------------------------------------------------------------------

MIXED = """params Conv2d.weight { init = orthogonal }
  params Conv2d.bias { init = 1 }
  params BatchNorm2d { init = 1 }
  params "layers.*.bias" { init = 0.5 }
  params fc { init = trunc_normal(std=0.1) }"""


def test_every_backend_takes_a_model_with_settings() -> None:
    made = program(MIXED, "params bn1.weight { init = zeros }")
    judge(made)
    assert verify(made) == []


def test_weights_that_are_given_are_taken_as_they_are() -> None:
    made = program('params "*" { init = 3 }\n  params Conv2d.weight { init = orthogonal }')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = {n: torch.randn_like(t) if t.is_floating_point() else t for n, t in build(made).state_dict().items()}
        model = build(made, state=state)
    assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())


def test_equal_blocks_with_other_settings_are_other_modules() -> None:
    text = NET.format(inner="if width == 4 { params bn1.weight { init = zeros } }", outer="")
    twice = text.replace("layers: Res(4) * depth", "layers: Res(4) * depth -> wide: Conv2d(8, 1) -> other: Res(8)")
    model = loads(twice)
    assert (model.get_parameter("layers.0.bn1.weight") == 0).all()
    assert (model.get_parameter("other.bn1.weight") == 1).all()


def test_a_stored_program_cannot_hold_impossible_settings() -> None:
    made = program("params fc.weight { init = ones }")
    module = made.modules[made.main.module]
    for setting, said in (
        (ir.Setting("fc.*", init=ir.Initializer("eye", {})), "two dimensions"),
        (ir.Setting("fc.*", init=ir.Initializer("os.system", {"x": 1})), "there is no initialiser"),
        (ir.Setting("fc.*", init=ir.Initializer("normal", {"std": -1.0})), "at least 0"),
        (ir.Setting("fc.*"), "says how"),
        (ir.Setting("fc.wieght", init=ir.Initializer("ones", {})), "matches no parameter"),
        (ir.Setting("*", "Conv3d", init=ir.Initializer("ones", {})), "matches no parameter"),
        (ir.Setting("fc.[bw]*", init=ir.Initializer("ones", {})), "a pattern holds"),
    ):
        broken = replace(module, settings=(setting,))
        modules = tuple(broken if m is module else m for m in made.modules)
        problems = verify(ir.Program(modules, made.methods, made.entries, None, made.sources))
        assert any(said in problem for problem in problems), problems


def test_a_stored_program_cannot_ask_settings_without_end() -> None:
    made = program("params fc.weight { init = ones }")
    module = made.modules[made.main.module]
    broken = replace(module, settings=module.settings * 1_000_000)
    modules = tuple(broken if m is module else m for m in made.modules)
    problems = verify(ir.Program(modules, made.methods, made.entries, None, made.sources))
    assert len(problems) == 1
    assert "settings are asked about more than" in problems[0]


def test_a_member_that_is_not_there_is_found_before_settings_are_looked_at() -> None:
    made = program("params fc.weight { init = ones }")
    module = made.modules[made.main.module]
    broken = replace(module, members=(replace(module.members[0], module=10**9), *module.members[1:]))
    modules = tuple(broken if m is module else m for m in made.modules)
    problems = verify(ir.Program(modules, made.methods, made.entries, None, made.sources))
    assert any("has the number of one" in problem for problem in problems), problems


def test_blocks_without_settings_cost_nothing_however_often_they_are_there() -> None:
    """Seventeen blocks, each in the next one twice: 400 definitions, and half a million parameters written out."""
    pairs = [("Linear(k)", "Linear(4)"), *((f"B{i}(k + 1)", f"B{i}(k + 2)") for i in range(16))]
    blocks = (
        f"block B{i}(k) {{\n  input x: float[N, D]\n  output x -> a: {a} -> b: {b}\n}}\n"
        for i, (a, b) in enumerate(pairs)
    )
    text = "".join(blocks) + "model M {\n  input x: float[N, 4]\n  output y = x -> B16(1)\n}\n"
    made = compile_text(text).program
    start = time.process_time()
    emit(made)
    assert time.process_time() - start < 3


def test_a_function_has_no_parameters_to_set() -> None:
    text = """
    block f {
      input x: float[N, D]
      params "*" { init = zeros }
      output x
    }
    model M {
      input x: float[N, 4]
      output y = f(x)
    }
    """
    assert [d.code for d in check_text(text)] == ["NNS214"]


def test_a_pattern_of_many_stars_is_read_in_no_time() -> None:
    assert matches("*a" * 500 + "*b", "a" * 2000) is False


def test_what_is_an_initialiser_and_a_layer_takes_the_arguments_of_either_also_where_nothing_runs() -> None:
    body = 'y = x -> orthogonal(Linear(8), orthogonal_map="cayley") -> fc: Linear(8)\n  output y'
    start = "params fc.weight { init = orthogonal(gain=0.5) }"
    used = f"model M {{\n  input x: float[N, 8]\n  {body}\n  {start}\n}}\n"
    unused = used.replace("model M", "block B")
    assert [d.message for d in check_text(unused + used) if d.severity == "error"] == []
