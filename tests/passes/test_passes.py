"""What each pass does to small programs, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

import nnspec
from nnspec import cli, ir
from nnspec.backends.torch import build, rewritten
from nnspec.compiler import compile_text
from nnspec.layer import Operation
from nnspec.passes import constants
from nnspec.passes.pipeline import PASSES, optimize

from .keeping import ALL, keeps, operations, source, unsettle


def program(text: str) -> ir.Program:
    return compile_text(text).program


def model(body: str, inputs: str = "input x: float[N, 4, H, W]", before: str = "") -> ir.Program:
    return program(f"{before}\nmodel M {{\n{inputs}\n{body}\n}}\n")


def count(found: ir.Program, kind: str) -> int:
    """How many calls of layers and functions there are whose class's name starts so."""
    return sum(type(each).__name__.lower().startswith(kind.lower()) for each in operations(found))


def after(found: ir.Program, *names: str) -> ir.Program:
    """The program after passes; that they keep its outputs is tested by the way."""
    keeps(found, [names])
    return optimize(found, names).program


# --- batch norm ------------------------------------------------------------------------------------------------------

FOLDED = {
    "a convolution": "output y = x -> Conv2d(6, 3) -> BatchNorm2d",
    "one without a bias": "output y = x -> Conv2d(6, 3, bias=false) -> BatchNorm2d(1e-3) -> ReLU",
    "a normalisation without weights": "output y = x -> Conv2d(6, 3, groups=2) -> BatchNorm2d(affine=false)",
    "any padding": 'output y = x -> Conv2d(6, 3, padding=1, padding_mode="replicate") -> BatchNorm2d',
    "a transposed convolution": "output y = x -> ConvTranspose2d(6, 3, groups=2, bias=false) -> BatchNorm2d",
    "what dropout stands before": "output y = x -> Conv2d(6, 3) -> Dropout(0.5) -> BatchNorm2d",
    "a pair that is applied twice": "c = Conv2d(4, 1)\nb = BatchNorm2d()\noutput y = x -> c -> b -> c -> b",
    "a weight-normed convolution": "output y = x -> weight_norm(Conv2d(6, 3)) -> BatchNorm2d",
}


@pytest.mark.parametrize("body", FOLDED.values(), ids=list(FOLDED))
def test_batch_norm_goes_into(body: str) -> None:
    found = model(body)
    assert count(found, "BatchNorm") > 0
    assert count(after(found, *ALL), "BatchNorm") == 0


def test_batch_norm_goes_into_a_linear_map_of_a_batch() -> None:
    found = model("output y = x -> Linear(5) -> BatchNorm1d", "input x: float[N, 4]")
    assert count(after(found, *ALL), "BatchNorm") == 0


LEFT = {
    "statistics of the batch itself": ("x", "output y = x -> Conv2d(6, 3) -> BatchNorm2d(track_running_stats=false)"),
    "a result that is used elsewhere": ("x", "h = x -> Conv2d(4, 1)\noutput y = (h -> BatchNorm2d) + h"),
    "a result that is an output": ("x", "output h = x -> Conv2d(4, 1)\noutput y = h -> BatchNorm2d"),
    "a layer before two": ("x", "c = Conv2d(4, 1)\noutput y = x -> c -> BatchNorm2d -> c -> BatchNorm2d"),
    "one behind two layers": ("x", "b = BatchNorm2d()\noutput y = x -> Conv2d(4, 1) -> b -> Conv2d(4, 1) -> b"),
    "a layer that is called alone too": (
        "x",
        "c = Conv2d(4, 1)\noutput y = (x -> c -> BatchNorm2d) + (x -> c -> relu)",
    ),
    "a weight that is read": ("x", "c = Conv2d(4, 1)\noutput y = (x -> c -> BatchNorm2d) * sum(c.weight)"),
    "a weight that is tied": (
        "x",
        "c = Conv2d(4, 1)\noutput y = x -> c -> BatchNorm2d -> Conv2d(4, 1, weight=c.weight)",
    ),
    "a normalisation that is read": ("x", "b = BatchNorm2d()\noutput y = (x -> Conv2d(4, 1) -> b) + sum(b.weight)"),
    "an activation between": ("x", "output y = x -> Conv2d(4, 1) -> ReLU -> BatchNorm2d"),
    "other channels than the layer's": ("s", "output y = s -> Linear(5) -> BatchNorm1d"),
    "channels without a batch": ("u", "output y = u -> Conv1d(4, 3, padding=1) -> BatchNorm1d"),
    "a normalisation that comes first": ("x", "output y = x -> BatchNorm2d -> Conv2d(4, 3, padding=1)"),
}
INPUTS = {"x": "input x: float[N, 4, 6, 5]", "s": "input s: float[N, 4, 6]", "u": "input u: float[4, 6]"}


@pytest.mark.parametrize(("given", "body"), LEFT.values(), ids=list(LEFT))
def test_batch_norm_stays_for(given: str, body: str) -> None:
    found = model(body, INPUTS[given])
    assert count(after(found, *ALL), "BatchNorm") == count(found, "BatchNorm")


def test_a_block_is_rewritten_once_for_all_of_its_uses() -> None:
    block = "block B { input x: float[N, C, H, W]\n output y = x -> Conv2d(C, 3, padding=1) -> BatchNorm2d -> ReLU }"
    found = model("output y = x -> B() * 5", before=block)
    left = after(found, *ALL)
    assert len([module for module in left.modules if module.name == "B"]) == 1
    assert len(left.methods) == len(found.methods)
    assert sum(module.name == "Conv2d" for module in left.modules) == 1


def test_a_weight_is_folded_to_the_last_digits() -> None:
    """In float64 the folded convolution is the pair; what is stored is that, rounded once."""
    found = model("output y = x -> c: Conv2d(6, 3) -> b: BatchNorm2d(1e-3)")
    torch.manual_seed(0)
    module = build(found).eval()
    unsettle(module)
    state = module.state_dict()
    c, b = ({n[2:]: t.double() for n, t in state.items() if n[0] == part} for part in "cb")
    scale = b["weight"] / (b["running_var"] + 1e-3).sqrt()
    new = rewritten(state, optimize(found, ALL))
    assert sorted(new) == ["c.bias", "c.weight"]
    assert torch.equal(new["c.weight"], (c["weight"] * scale[:, None, None, None]).float())
    bias = (c["bias"] - b["running_mean"]) * scale + b["bias"]
    torch.testing.assert_close(new["c.bias"], bias.float(), rtol=1e-6, atol=1e-7)


# --- the others ------------------------------------------------------------------------------------------------------

NOTHING = {
    "dropout": "output y = x -> Dropout -> Dropout2d(0.3) -> Identity",
    "functions of dropout": "output y = alpha_dropout(dropout(x, 0.1))",
    "numbers that change nothing": "output y = (x * 1 - 0) / 1.0 ** 1",
    "a reshape to the same shape": "output y = reshape(flatten(x, 1, 1), (N, 4, H, W))",
    "there and back": "output y = transpose(permute(x, (0, 1, 3, 2)), -1, 2)",
    "there and back in three": "output y = permute(permute(permute(x, (1, 2, 3, 0)), (1, 2, 3, 0)), (2, 3, 0, 1))",
    "there and back by another way": "output y = permute(transpose(permute(x, (1, 2, 3, 0)), 0, 1), (3, 1, 0, 2))",
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=list(NOTHING))
def test_nothing_is_left_of(body: str) -> None:
    assert len(operations(after(model(body), "remove-identities", "drop-unused"))) == 0


SOMETHING = {
    "zero, which makes 0.0 of -0.0": "output y = x + 0",
    "a conversion that guards against half precision": "output y = to(x, float)",
    "a reshape to another shape": "output y = reshape(x, (N, 4 * H, W))",
    "two turns": "output y = permute(permute(x, (1, 2, 3, 0)), (1, 2, 3, 0))",
    "a quotient of integers": "output y = to(x, int) / 1",
}


@pytest.mark.parametrize("body", SOMETHING.values(), ids=list(SOMETHING))
def test_something_is_left_of(body: str) -> None:
    found = model(body)
    assert len(operations(after(found, "remove-identities"))) == len(operations(found))


def test_a_block_that_does_nothing_is_not_called() -> None:
    block = "block Drop(p = 0.1) { input x: float[N, C, H, W]\n output y = x -> Dropout(p) }"
    left = after(model("output y = x -> Drop() -> ReLU -> Drop(0.2)", before=block), "remove-identities", "drop-unused")
    assert [module.name for module in left.modules] == ["ReLU", "M"]


def test_constants_become_buffers_that_are_computed_once() -> None:
    body = "mask = tril(ones((5, 5))) > 0\noutput y = where(mask, x, -1.0)\noutput z = x * to(mask, float)"
    left = after(model(body, "input x: float[N, 5, 5]"), "fold-constants")
    buffers = [member for module in left.modules for member in module.members if member.kind == "buffer"]
    assert [(buffer.name, str(buffer.type)) for buffer in buffers] == [
        ("mask", "bool[5, 5]"),
        ("constant", "float[5, 5]"),
    ]
    assert "register_buffer" in source(left, ())
    assert count(left, "tril") == count(left, "ones") == 0


def test_what_depends_on_a_size_or_is_random_or_large_is_no_constant() -> None:
    for body in (
        "output y = x + arange(H)",
        "output y = x + randn((3, 1, 1, 1))",
        "output y = x + sum(ones((1025, 1024)))",
    ):
        found = model(body, "input x: float[3, N, W, H]")
        left = after(found, "fold-constants") if "randn" not in body else optimize(found, ["fold-constants"]).program
        assert [member for module in left.modules for member in module.members] == []


def test_complex_numbers_are_no_constants() -> None:
    """A buffer holds real ones."""
    found = model("output y = x * real(fft(arange(4.0)) * fft(x))", "input x: float[N, 4]")
    assert count(after(found, "fold-constants"), "fft") == 2


def test_constants_are_bounded_all_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "MAX_TOTAL", 10)
    left = after(
        model("output y = x + arange(7)\noutput z = x * arange(7.0)", "input x: float[N, 7]"), "fold-constants"
    )
    assert sum(len(module.members) for module in left.modules) == 1


def test_the_way_to_constants_is_bounded_all_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["c0 = ones(3)", *(f"c{i} = sin(c{i - 1})" for i in range(1, 20)), "output y = x + c9 + c19"]
    found = model("\n".join(lines), "input x: float[N, 3]")
    assert count(after(found, "fold-constants"), "sin") == 0
    monkeypatch.setattr(constants, "MAX_NODES", 15)
    assert count(after(found, "fold-constants"), "sin") == 10
    monkeypatch.setattr(constants, "MAX_NODES", 5)
    assert count(after(found, "fold-constants"), "sin") == 19


def test_what_is_computed_twice_is_computed_once() -> None:
    body = "output y = relu(x + 1) * relu(x + 1)\noutput z = relu(x + 1.0) + relu(1 + x)"
    left = after(model(body, "input x: int[N]"), "share-equal")
    assert [count(left, name) for name in ("relu", "add")] == [3, 4]


def test_calls_of_a_block_are_shared_and_random_draws_are_not() -> None:
    block = "block B { input x: float[N, C, H, W]\n output y = x -> Conv2d(C, 1) }"
    left = after(model("b = B()\noutput y = (x -> b) * (x -> b)", before=block), "share-equal")
    assert sum(isinstance(node, ir.Call) for node in left.methods[-1].graph.nodes) == 1
    found = model("output y = randn_like(x) - randn_like(x)")
    assert count(optimize(found, ALL).program, "randn_like") == 2


def test_unused_values_and_members_go_with_their_weights() -> None:
    body = "a = x -> Conv2d(3, 1) -> ReLU\nb, c = chunk(x, 2, 1)\nassert H % 2 == 0\noutput y = x -> last: Conv2d(2, 1)"
    found = model(body)
    left = after(found, "drop-unused")
    assert [member.name for member in left.modules[left.main.module].members] == ["last"]
    assert left.methods[0].requires == found.methods[found.main.methods["infer"]].requires
    assert len(operations(left)) == 1


def test_the_owner_of_a_tied_weight_stays() -> None:
    body = "a = Linear(4)\nunused = x -> a\noutput y = x -> b: Linear(4, weight=a.weight)"
    left = after(model(body, "input x: float[N, 4]"), "drop-unused")
    assert [member.name for member in left.modules[left.main.module].members] == ["a", "b"]


def test_what_only_training_has_is_gone() -> None:
    body = "output y = x -> Conv2d(2, 1)\nif training { output aux = x -> head: Conv2d(5, 1) }"
    left = after(model(body), "drop-unused")
    assert [member.name for member in left.modules[left.main.module].members] == ["conv2d"]
    assert left.training is None
    assert set(left.main.methods) == {"infer"}


def test_passes_find_nothing_more_the_second_time() -> None:
    body = "output y = x -> Conv2d(6, 3) -> BatchNorm2d -> Dropout -> ReLU -> weight_norm(Conv2d(2, 1))"
    once = optimize(model(body), ALL)
    again = optimize(once.program, ALL)
    assert again.program == once.program
    assert again.steps == ()


def test_a_pass_asks_classes_and_knows_none_by_name() -> None:
    """A layer that says of itself what it is in inference is all that a pass needs."""
    names = {name for cls in Operation.__subclasses__() for name in (c.__name__ for c in cls.__subclasses__())}
    folder = Path(nnspec.__file__).parent / "passes"
    for path in folder.glob("*.py"):
        code = [line for line in path.read_text("utf-8").splitlines() if '"' in line and "==" in line]
        assert not any(f'"{name}"' in line for line in code for name in names), path


def test_an_unknown_pass_is_refused() -> None:
    with pytest.raises(ValueError, match="no pass is called 'fold'"):
        optimize(model("output y = x"), ["fold"])


# --- modules for inference -------------------------------------------------------------------------------------------

NET = """
model Net {
  input x: float[N, 3, H, W]
  output y = x -> conv: Conv2d(8, 3, bias=false) -> bn: BatchNorm2d -> ReLU -> Dropout -> head: Conv2d(2, 1)
}
"""


def test_load_gives_a_module_for_inference(tmp_path: Path) -> None:
    path = tmp_path / "net.nns"
    path.write_text(NET, encoding="utf-8")
    plain = nnspec.load(path).eval()
    unsettle(plain)
    torch.save(plain.state_dict(), tmp_path / "net.pt")
    fast = nnspec.load(path, weights=tmp_path / "net.pt", optimize=True)
    assert list(fast.state_dict()) == ["conv.weight", "conv.bias", "head.weight", "head.bias"]
    assert not fast.training
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    assert fast.eval() is fast
    with pytest.raises(RuntimeError, match="is for inference"):
        fast.train()
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(nnspec.source(path, optimize=True), namespace)
    written = namespace["Net"]()
    written.load_state_dict(fast.state_dict())
    for size in ((1, 3, 9, 7), (3, 3, 16, 5)):
        x = torch.randn(size)
        want = plain(x).detach()
        for each in (fast, written, nnspec.load(path, weights=tmp_path / "net.pt", optimize=["remove-identities"])):
            torch.testing.assert_close(each(x).detach(), want, rtol=1e-5, atol=1e-5)


def test_weights_keep_the_memory_format_of_the_module() -> None:
    found = optimize(program(NET), ALL)
    state = rewritten(build(program(NET)).state_dict(), found)
    module = build(found.program, state=state)
    weight = module.get_parameter("conv.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_only_images_are_laid_out() -> None:
    text = source(model("output y = (x -> Conv2d(2, 1)) + mean(z)", "input x: float[N, 4, H, W]\ninput z: float[N, T]"))
    assert "x = x.contiguous(memory_format=torch.channels_last)" in text
    assert "z.contiguous" not in text
    added = source(model("output y = (x -> Conv2d(4, 1)) + x"))
    assert "x.contiguous" not in added  # nor what goes into a function
    assert "channels_last" not in source(model("output y = x -> Conv3d(2, 1)", "input x: float[N, 4, D, H, W]"))
    both = model("output y = x -> Conv3d(2, 1)\noutput w = x[0] -> Conv2d(2, 1)", "input x: float[N, 4, 4, H, W]")
    assert "channels_last" not in source(both)
    assert "channels_last" not in source(model("output y = x -> Linear(3)", "input x: float[N, 4, 3, 3]"))


def test_every_pass_says_what_it_does() -> None:
    assert all(run.__doc__ for run in PASSES.values())


GATE = """
from torch import nn

class Gate(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)
"""


def test_layers_in_python_are_called_and_keep_their_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_gate.py").write_text(GATE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "net.nns"
    path.write_text(
        'extern block Gate() from "own_gate:Gate" { input x: float[N, 4]\n output y: float[N, 4] }\n'
        "model M { input x: float[N, 4]\n g = Gate()\n unused = x -> g\n"
        "output y = (x -> Linear(4) -> BatchNorm1d -> g) + (x -> g) }",
        encoding="utf-8",
    )
    plain = nnspec.load(path, allow_extern=True).eval()
    unsettle(plain)
    torch.save(plain.state_dict(), tmp_path / "net.pt")
    fast = nnspec.load(path, weights=tmp_path / "net.pt", allow_extern=True, optimize=True)
    assert sorted(fast.state_dict()) == ["g.bias", "g.weight", "linear.bias", "linear.weight"]
    assert nnspec.source(path, allow_extern=True, optimize=True).count("self.g(") == 3
    x = torch.randn(3, 4)
    torch.testing.assert_close(fast(x), plain(x).detach())


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """`net.nns` and `net.pt` in the working directory, and their module."""
    monkeypatch.chdir(tmp_path)
    Path("net.nns").write_text(NET, encoding="utf-8")
    module = nnspec.load("net.nns").eval()
    unsettle(module)
    torch.save(module.state_dict(), "net.pt")
    return module


def command(*arguments: str) -> int:
    """The exit code of `nnspec compile`."""
    with pytest.raises(SystemExit) as done:
        cli.main(["compile", *arguments])
    return int(done.value.code or 0)


def test_the_command_writes_source_and_its_weights(net: torch.nn.Module, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("net.nns", "-o", "fast.py", "--optimize", "--weights", "net.pt") == 0
    assert capsys.readouterr().err == "wrote fast.safetensors\nwrote fast.py\n"
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(Path("fast.py").read_text("utf-8"), namespace)
    fast = namespace["Net"]()
    fast.load_state_dict(load_file("fast.safetensors"))
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(fast(x), net(x).detach(), rtol=1e-5, atol=1e-5)
    assert command("net.nns", "-o", "fast.py", "--optimize") == 0
    assert "--weights FILE works them out" in capsys.readouterr().err


def test_the_command_writes_an_ir_that_goes_on(net: torch.nn.Module) -> None:
    assert command("net.nns", "-o", "fast.json", "--optimize", "--weights", "net.pt") == 0
    fast = nnspec.load("fast.json", weights="fast.safetensors")
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(fast(x), net(x).detach(), rtol=1e-5, atol=1e-5)
    assert command("fast.json", "-o", "fast.onnx", "--weights", "fast.safetensors", "--verify") == 0


def test_the_command_writes_onnx_of_the_optimized_program(net: torch.nn.Module) -> None:
    save_file(net.state_dict(), "net.safetensors")
    for weights in ("net.pt", "net.safetensors"):
        assert command("net.nns", "-o", "fast.onnx", "--optimize", "--weights", weights, "--verify") == 0
        graph = onnx.load("fast.onnx").graph
        assert [node.op_type for node in graph.node] == ["Conv", "Relu", "Conv"]


def test_the_command_takes_passes_by_name(net: torch.nn.Module, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("net.nns", "--passes", "remove-identities,drop-unused") == 0
    text = capsys.readouterr().out
    assert "nn.BatchNorm2d" in text
    assert "Dropout" not in text
    assert command("net.nns", "--passes", "fold") == 2
    assert "no pass is called `fold`; there are remove-identities, " in capsys.readouterr().err


def test_the_command_refuses_to_lose_weights(net: torch.nn.Module, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(net.state_dict(), "net.safetensors")
    assert command("net.nns", "-o", "net.py", "--optimize", "--weights", "net.safetensors") == 2
    assert "would replace `net.safetensors`" in capsys.readouterr().err
    assert command("net.nns", "-o", "net.py", "--optimize", "--weights", "nix.pt") == 1
    assert command("net.nns", "-o", "n.safetensors", "--format", "torch", "--optimize", "--weights", "net.pt") == 2
    assert not Path("net.py").exists()
    assert not Path("n.safetensors").exists()
    assert command("net.nns", "--optimize", "--weights", "net.safetensors") == 2
    assert "for a file with --optimize" in capsys.readouterr().err
    assert command("net.nns", "-o", "fast.onnx", "--optimize", "--weights", "nix.pt") == 1
    assert command("net.nns", "-o", "fast.py", "--optimize", "--seed", "3") == 0
