"""Layers that are written in Python: declared with their shapes, refused unless allowed, and never run by a check."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import nnspec
from nnspec import ir, ir_json
from nnspec.backends.source import emit
from nnspec.cli import main as command_line
from nnspec.compiler import compile_text
from nnspec.compiler_output import build_module
from nnspec.compiler_run import try_out
from nnspec.diagnostics import NnspecError
from nnspec.elaborate.extern import is_origin
from nnspec.summary import summarize
from nnspec.summary_text import as_json, as_text
from nnspec.verify import verify

ROOT = Path(__file__).parent.parent.parent

PYTHON = '''
import torch
from torch import nn


class Gate(nn.Module):
    """Splits what flows in, and scales it by as many learnt numbers."""

    def __init__(self, width, factors=(1.0,), mode="sum", bias=None):
        super().__init__()
        assert isinstance(factors, tuple)
        self.factors, self.mode, self.plain = factors, mode, torch.arange(3.0)
        self.project = nn.Linear(8, width, bias=bias is not None)

    def forward(self, x, shift=None):
        y = self.project(x) * sum(self.factors) + self.plain.sum()
        return (y if shift is None else y + shift), x[..., 2:]


class Wrong(nn.Module):
    def __init__(self, width):
        super().__init__()
        raise ValueError("no such width")


number = 3
'''

SPEC = """
## Splits what flows in.
extern block Gate(width, factors = [1.0, 0.5], mode: str = "sum", bias = none) from "own_layers.gates:Gate" {
  input x: float[N, D]
  input shift: float[N, width] = none
  assert D >= 3
  output y: float[N, width]
  output rest: float[N, D - 2]
}

model Net(width = 4) {
  input x: float[N, 8]
  a, rest = x -> gate: Gate(width, bias=1)
  b, _ = (x, shift=a) -> Gate(width, factors=[2.0])
  output y: float[N, 3] = cat([b, rest], dim=1) -> Linear(3)
}
"""


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which Python finds the package `own_layers`."""
    package = tmp_path / "own_layers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "gates.py").write_text(PYTHON)
    (package / "broken.py").write_text("import nothing_of_this_name\n")
    (package / "failing.py").write_text("raise OSError('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_layers"]:
        del sys.modules[name]


def spec(
    origin: str, hyper: str = "", call: str = "Own", body: str = "input x: float[N, D]\n  output y: float[N, D]"
) -> str:
    head = f'extern block Own{hyper} from "{origin}" {{\n  {body}\n}}\n'
    return head + f"model Net {{\n  input x: float[N, 8]\n  output y = x -> {call}\n}}\n"


def codes(text: str, **options: Any) -> list[str]:
    return [d.code for d in nnspec.check_text(text, **options)]


# --- refused, unless it is allowed -----------------------------------------------------------------------------------


def test_it_is_refused_unless_the_caller_allows_it(layers: Path) -> None:
    path = layers / "net.nns"
    path.write_text(SPEC)
    assert codes(SPEC) == ["NNS222"]
    assert codes(SPEC, allow_extern=True) == []
    assert [d.code for d in nnspec.check(path)] == ["NNS222"]
    assert nnspec.check(path, allow_extern=True) == ()
    for use in (nnspec.load, nnspec.source):
        with pytest.raises(NnspecError, match="NNS222"):
            use(path)
    with pytest.raises(NnspecError, match="NNS222"):
        nnspec.loads(SPEC)
    assert "own_layers.gates" not in sys.modules
    assert "from own_layers.gates import Gate" in nnspec.source(path, allow_extern=True)
    assert "own_layers.gates" not in sys.modules
    assert nnspec.load(path, allow_extern=True)(torch.randn(2, 8)).shape == (2, 3)
    assert nnspec.loads(SPEC, allow_extern=True, width=5)(torch.randn(1, 8)).shape == (1, 3)


def test_one_in_an_imported_file_is_refused_there(tmp_path: Path) -> None:
    (tmp_path / "layers.nns").write_text(SPEC)
    path = tmp_path / "net.nns"
    path.write_text('import "layers.nns" as own\n\nmodel M {\n  input x: float[N, 8]\n  output y = x -> own.Net\n}\n')
    (only,) = nnspec.check(path)
    assert (only.code, only.span.source) == ("NNS222", 1)
    assert nnspec.check(path, allow_extern=True) == ()


def test_a_stored_program_with_one_is_refused_as_well(layers: Path) -> None:
    path = layers / "net.json"
    path.write_text(ir_json.dumps(compile_text(SPEC, allow_extern=True).program))
    with pytest.raises(NnspecError, match="NNS222"):
        nnspec.load(path)
    assert [d.code for d in nnspec.check(path)] == ["NNS222"]
    assert nnspec.load(path, allow_extern=True)(torch.randn(2, 8)).shape == (2, 3)


COMMANDS = (
    ["check", "net.nns"],
    ["summary", "net.nns"],
    ["compile", "net.nns"],
    ["compile", "net.nns", "-o", "net.json"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_that_only_looks_runs_python(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "own_layers").mkdir()
    (tmp_path / "own_layers" / "__init__.py").write_text("")
    (tmp_path / "own_layers" / "gates.py").write_text("open('it_ran', 'w').close()\n")
    (tmp_path / "net.nns").write_text(SPEC)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    for flags, code in (([], 1), (["--allow-extern"], 0)):
        line = [sys.executable, "-m", "nnspec", *command, *flags]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("NNS222" in done.stderr) == (code == 1)
    assert not (tmp_path / "it_ran").exists()


def test_the_run_command_runs_it(layers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = layers / "net.nns"
    path.write_text(SPEC)
    for flags, code in (([], 1), (["--allow-extern"], 0)):
        with pytest.raises(SystemExit) as done:
            command_line(["run", str(path), *flags])
        assert done.value.code == code, capsys.readouterr().err


# --- what it says ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["a:B", "a.b.c:Class_2", "_a._b:_C"])
def test_places_of_classes(origin: str) -> None:
    assert is_origin(origin)
    assert codes(spec(origin), allow_extern=True) == []


@pytest.mark.parametrize(
    "origin",
    [
        *("", "a", "a:", ":B", "a:b:C", "a.b.C", "a..b:C", ".a:B", "a.:B", "a/b:C", "a b:C", "a:B()", "a:B.C", "1a:B"),
        *("a:B\\nimport os", "a:class", "import.a:B", "é:B", "a:B ", "os;os:B", "{1}a:B", "a" * 300 + ":B"),
    ],
)
def test_what_is_no_place_of_a_class(origin: str) -> None:
    assert not is_origin(origin)
    assert codes(spec(origin), allow_extern=True) == ["NNS223"]
    assert codes(spec(origin)) == ["NNS223"]


def test_shapes_come_from_the_declaration(layers: Path) -> None:
    program = compile_text(SPEC, allow_extern=True).program
    assert verify(program) == []
    method = program.methods[program.main.methods["infer"]]
    types = [str(v.type) for v in method.graph.values]
    assert types[:3] == ["float[N, 8]", "float[N, 4]", "float[N, 6]"]
    externs = [m for m in program.modules if m.kind == "extern"]
    assert {m.origin for m in externs} == {"own_layers.gates:Gate"}
    assert externs[0].doc == "Splits what flows in."
    assert externs[0].members == ()
    again = ir_json.loads(ir_json.dumps(program))
    assert again == program


def test_sizes_and_asserts_are_checked_as_for_a_block() -> None:
    small = SPEC.replace("x: float[N, 8]", "x: float[N, 2]")
    assert codes(small, allow_extern=True) == ["NNS315"]
    wrong = SPEC.replace("(x, shift=a)", "(x, shift=rest)")
    assert codes(wrong, allow_extern=True) == ["NNS401"]
    assert codes(SPEC.replace("float[N, 3] = cat", "float[N, 4] = cat"), allow_extern=True) == ["NNS413"]
    assert codes(SPEC.replace("(x, shift=a)", "(x, a, a)"), allow_extern=True) == ["NNS412"]


def test_a_size_that_nothing_shows_to_be_one_is_checked_on_entry() -> None:
    text = spec("a:B", body="input x: float[N, T]\n  output y: float[N, T - 3]").replace(
        "x: float[N, 8]", "x: float[N, T]"
    )
    program = compile_text(text, allow_extern=True).program
    assert [r.message for r in program.methods[program.main.methods["infer"]].requires] == [
        "`T - 3` is a size of what comes out of `Own`"
    ]
    assert codes(text.replace("x: float[N, T]\n  output y = ", "x: float[N, 2]\n  output y = "), allow_extern=True) == [
        "NNS303"
    ]


def test_leading_dimensions_come_out_as_they_went_in() -> None:
    text = spec("a:B", body="input x: float[..., D]\n  output y: int[..., 2 * D]").replace("[N, 8]", "[N, T, 8]")
    program = compile_text(text, allow_extern=True).program
    assert str(program.methods[program.main.methods["infer"]].graph.values[-1].type) == "int[N, T, 16]"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (spec("a:B", body="input x: float[N, D]\n  output y: float[N, _]"), "NNS223"),
        (spec("a:B", body="input x: float[N, D]\n  output y: float[N, E]"), "NNS201"),
        (spec("a:B", body="input x: float[N, D]\n  output y = x"), "NNS223"),
        (spec("a:B", body="input x: float[N, D]\n  param w: float[3] = 1.0\n  output y: float[N, D]"), "NNS223"),
        (spec("a:B", body="input x: float[N, D]"), "NNS213"),
        (spec("a:B", "(lambda)", "Own(1)"), "NNS223"),
        (spec("a:B", "(n)", "Own(Linear(3))"), "NNS303"),
        (spec("a:B", "(n)", "Own(float16)"), "NNS303"),
        (spec("a:B", "(n)", "Own((every=3))"), "NNS303"),
        (spec("a:B", "(n)", "Own"), "NNS302"),
        (spec("a:B", "(n)", "Own(3, 4)"), "NNS305"),
        (spec("a:B", "(n: int)", 'Own("x")'), "NNS303"),
        (spec("a:B").replace("block Own", "block own").replace("-> Own", "-> Linear(3)"), "NNS223"),
        (spec("a:B") + spec("a:B").partition("model")[0], "NNS202"),
    ],
)
def test_what_an_extern_cannot_be(text: str, code: str) -> None:
    assert code in codes(text, allow_extern=True)


def test_its_hyperparameters_are_not_unused() -> None:
    assert codes(spec("a:B", "(n = 3)"), allow_extern=True) == []


# --- emitted, built and run ------------------------------------------------------------------------------------------


def test_the_module_is_that_of_the_class(layers: Path) -> None:
    model = build_module(compile_text(SPEC, allow_extern=True), seed=3).eval()
    from own_layers.gates import Gate  # type: ignore[import-not-found]  # made by the fixture

    assert type(model.get_submodule("gate")) is type(model.get_submodule("gate_1")) is Gate
    assert list(model.state_dict())[:3] == ["gate.project.weight", "gate.project.bias", "gate_1.project.weight"]
    first, second = Gate(4, (1.0, 0.5), bias=1), Gate(4, (2.0,))
    first.load_state_dict(model.get_submodule("gate").state_dict())
    second.load_state_dict(model.get_submodule("gate_1").state_dict())
    for n in (1, 3):
        x = torch.randn(n, 8)
        a, rest = first(x)
        b, _ = second(x, a)
        assert torch.equal(model(x), model.get_submodule("linear")(torch.cat([b, rest], dim=1)))


def test_it_is_copied_pickled_and_given_weights_as_any_module(layers: Path, tmp_path: Path) -> None:
    compiled = compile_text(SPEC, allow_extern=True)
    model = build_module(compiled, seed=3)
    x = torch.randn(2, 8)
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))
    torch.save(model.state_dict(), tmp_path / "net.pt")
    assert torch.equal(build_module(compiled, weights=tmp_path / "net.pt")(x), model(x))
    torch.save({"gate.project.weight": torch.zeros(4, 8)}, tmp_path / "part.pt")
    with pytest.raises(NnspecError, match="NNS502"):
        build_module(compiled, weights=tmp_path / "part.pt")


def test_classes_of_one_name_get_names_of_their_own() -> None:
    text = """
    extern block A from "x.y:Linear" {
      input x: float[N, D]
      output y: float[N, D]
    }
    extern block B from "z:Linear" {
      input x: float[N, D]
      output y: float[N, D]
    }
    extern block C from "x.y:Other" {
      input x: float[N, D]
      output y: float[N, D]
    }
    block Linear2 {
      input x: float[N, D]
      output x -> A -> B -> Linear(3)
    }
    model Other {
      input x: float[N, 8]
      output y = x -> Linear2 -> { A * 3 -> C } * 2
    }
    """
    source = emit(compile_text(text, allow_extern=True).program)
    assert "from x.y import Linear, Other\nfrom z import Linear as Linear_2\n" in source
    assert "class Linear2(" in source
    assert "class Other2(" in source
    compile(source, "<emitted>", "exec")


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ("not_there_at_all.x:Gate", "Python finds no module `not_there_at_all`"),
        ("own_layers.missing:Gate", "Python finds no module `own_layers.missing`"),
        ("own_layers.broken:Gate", "importing `own_layers.broken` fails: ModuleNotFoundError"),
        ("own_layers.failing:Gate", "importing `own_layers.failing` fails: OSError: no licence"),
        ("own_layers.gates:Gatter", "has no `Gatter`"),
        ("own_layers.gates:number", "is no class"),
        ("own_layers.gates:Wrong", "ValueError: no such width"),
        ("own_layers.gates:Gate", "unexpected keyword argument"),
    ],
)
def test_python_that_cannot_be_used_is_reported(layers: Path, origin: str, message: str) -> None:
    hyper = "(wdth = 3)" if origin.endswith(":Gate") else "(width = 3)"
    compiled = compile_text(spec(origin, hyper), allow_extern=True)
    with pytest.raises(NnspecError) as caught:
        build_module(compiled)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NNS510"
    assert message in diagnostic.message


def test_python_that_gives_other_shapes_than_it_declares_is_reported(layers: Path) -> None:
    wrong = SPEC.replace("output rest: float[N, D - 2]", "output rest: float[N, D - 3]")
    with pytest.raises(NnspecError) as caught:
        try_out(compile_text(wrong, allow_extern=True))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NNS510"
    assert "cannot be multiplied" in diagnostic.message
    trial = try_out(compile_text(SPEC, allow_extern=True))
    assert [seen.type for seen in trial.outputs] == ["float[4, 3]"]


def test_onnx_has_no_form_for_it_and_it_is_not_run_to_find_out(
    layers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = layers / "net.nns"
    path.write_text(SPEC)
    with pytest.raises(SystemExit) as done:
        command_line(["compile", str(path), "--allow-extern", "-o", str(layers / "net.onnx")])
    assert done.value.code == 1
    shown = capsys.readouterr().err
    assert shown.count("error[NNS501]: `Gate` is written in Python") == 1
    assert "own_layers.gates" not in sys.modules


def test_the_summary_says_what_it_does_not_know() -> None:
    found = summarize(compile_text(SPEC, allow_extern=True).program)
    assert (found.weights.parameters, found.weights.externs) == (33, 2)
    text = as_text(found)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["gate"][-2:] == ["?", "?"]
    assert "33 + ?" in next(line for line in text.splitlines() if line.startswith("total"))
    assert "what 2 layers written in Python (`extern`) own and compute" in text
    data = json.loads(as_json(found))
    assert data["externs"] == 2
    assert [row["externs"] for row in data["rows"]] == [1, 1, 0]


def test_a_budget_cannot_be_kept_by_what_nobody_knows() -> None:
    budget = "\nassert parameters(Net()) < 1000\n"
    (only,) = nnspec.check_text(SPEC + budget, allow_extern=True)
    assert "written in Python: what they own and compute is not known" in only.message


# --- a stored program ------------------------------------------------------------------------------------------------


def changed(program: ir.Program, **fields: Any) -> list[str]:
    modules = tuple(replace(m, **fields) if m.kind == "extern" else m for m in program.modules)
    return verify(replace(program, modules=modules))


def test_a_stored_extern_is_not_believed() -> None:
    program = compile_text(SPEC, allow_extern=True).program
    assert changed(program) == []
    for origin in ("", "os", "a:B\nimport os", "a:B(", "a:" + "B" * 500):
        assert any("place of a class" in problem for problem in changed(program, origin=origin))
    for arguments in ({"class": ir.Attr(3)}, {"a b": ir.Attr(3)}, {"x": ir.Attr(ir.Record("SGD", {}))}):
        assert any("plain data" in problem for problem in changed(program, arguments=arguments))
    assert changed(program, kind="block") != []
    number, method = next((n, m) for n, m in enumerate(program.methods) if program.modules[m.module].kind == "extern")
    empty = replace(method, graph=replace(method.graph, nodes=()))
    assert verify(replace(program, methods=(*program.methods[:number], empty, *program.methods[number + 1 :]))) != []
    main = program.main.methods["infer"]
    graph = program.methods[main].graph
    mixed = replace(program.methods[main], graph=replace(graph, nodes=(*graph.nodes, ir.Foreign((), ()))))
    methods = tuple(mixed if n == main else m for n, m in enumerate(program.methods))
    assert any("only an extern" in problem for problem in verify(replace(program, methods=methods)))


@pytest.mark.parametrize("inputs", ["scan", 3.5, {"ref": 0}])
def test_stored_inputs_of_an_extern_that_are_no_numbers_are_refused(inputs: Any) -> None:
    document = json.loads(ir_json.dumps(compile_text(SPEC, allow_extern=True).program))
    kinds = [module["kind"] for module in document["modules"]]
    method = next(m for m in document["methods"] if kinds[m["module"]] == "extern")
    method["graph"]["inputs"][0] = inputs
    assert verify(ir_json.loads(json.dumps(document))) != []
