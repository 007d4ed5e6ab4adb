"""The text of emitted source: golden files, formatting, names, hostile strings, and how it grows."""

from __future__ import annotations

import ast
import builtins
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nnspec import ir
from nnspec.backends.source import emit, emit_function, emit_training
from nnspec.backends.source_names import Names, identifier, plain
from nnspec.backends.source_text import Piece, Printer, checked, docstring, layout, quote
from nnspec.compiler import compile_text
from nnspec.dims import symbol
from nnspec.layer import Code, Ref, attribute, call, index, infix, method, prefix
from nnspec.types import TensorType

GOLDEN = Path(__file__).parent.parent / "golden"
SPECS = sorted(GOLDEN.glob("*.nns"))
EXAMPLES = sorted((GOLDEN.parent.parent / "examples").glob("*.nns"))
RUFF = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")

HOSTILE = (
    "\"); import os; os.system('x')",
    '"""); import os',
    "'''\n\"\"\"\\",
    "\\",
    '"',
    "{x}",
    "\r\n\u2028\x00\x1b[31m",
    'ends in a quote"',
    "\\N{BULLET} \\x41 \ud800",
)


def written(text: str) -> str:
    return emit(compile_text(text).program)


def body_of(text: str, name: str = "forward") -> list[str]:
    """The statements of the last function of that name."""
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    return [ast.unparse(statement) for statement in functions[-1].body]


def unparsed(*statements: str) -> list[str]:
    """Statements as this Python's `ast.unparse` spells them: it changes between versions."""
    return [ast.unparse(ast.parse(statement)) for statement in statements]


def model(body: str, head: str = "input x: float[N, 8]") -> str:
    return f"model M {{\n{head}\n{body}\n}}"


# --- golden files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_source_is_the_golden_one(spec: Path, request: pytest.FixtureRequest) -> None:
    source = written(spec.read_text("utf-8"))
    path = spec.with_suffix(".py")
    if request.config.getoption("--update-golden", default=False):
        path.write_text(source, "utf-8")
    assert source == path.read_text("utf-8")


@pytest.mark.skipif(RUFF is None, reason="needs ruff")
@pytest.mark.parametrize("spec", [*SPECS, *EXAMPLES], ids=lambda path: path.stem)
def test_a_formatter_has_nothing_to_change(spec: Path) -> None:
    assert RUFF is not None
    for line in formatted_differently(written(spec.read_text("utf-8"))):
        pytest.fail(line)


def formatted_differently(source: str) -> list[str]:
    assert RUFF is not None
    command = [RUFF, "format", "--isolated", "--line-length", "100", "--diff", "-"]
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stderr
    return [result.stdout] if result.stdout else []


@pytest.mark.skipif(RUFF is None, reason="needs ruff")
@pytest.mark.parametrize("spec", [*SPECS, *EXAMPLES], ids=lambda path: path.stem)
def test_a_linter_finds_no_unused_import_or_name(spec: Path) -> None:
    assert RUFF is not None
    command = [RUFF, "check", "--isolated", "--select", "F,A,E9,I", "--output-format", "concise", "-"]
    result = subprocess.run(
        command, input=written(spec.read_text("utf-8")), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


# --- statements ------------------------------------------------------------------------------------------------------


def test_short_nameless_results_are_nested() -> None:
    assert body_of(written(model("output y = relu(x + x * 2)"))) == ["y = F.relu(x + x * 2)", "return y"]


def test_the_result_of_a_nameless_output_is_returned_at_once() -> None:
    source = written("block B {\ninput x: float[N, 8]\noutput x -> Linear(4)\n}\n" + model("output y = x -> B"))
    assert "return self.linear(x)" in source


def test_values_are_rebound_when_the_old_one_is_done_with() -> None:
    lines = body_of(written(model("output out = x -> Linear(8) -> ReLU -> Linear(8) -> Sigmoid")))
    assert lines == [
        "x = self.linear(x)",
        "x = self.relu(x)",
        "x = self.linear_1(x)",
        "out = self.sigmoid(x)",
        "return out",
    ]


def test_a_value_that_is_needed_keeps_its_variable() -> None:
    lines = body_of(
        written(model("y = x -> a: Linear(8)\nx = y -> b: Linear(8)\ny2 = x -> c: Linear(8)\noutput z = y + y2"))
    )
    assert lines == ["y = self.a(x)", "x = self.b(y)", "y2 = self.c(x)", "z = y + y2", "return z"]


def test_deep_nesting_becomes_statements() -> None:
    body = "\n".join(f"x = relu(x) * {i} + exp(-x)" for i in range(100))
    source = written(model(body + "\noutput y = x"))
    deepest = max(line.count("(") for line in source.splitlines())
    assert deepest <= 6
    nodes = itertools.chain.from_iterable([ir.Op("relu", (ir.Ref(i),), {}, (i + 1,))] for i in range(300))
    types = [ir.Value(TensorType("float32", (symbol("N"),)))] * 301
    graph = ir.Graph((0,), tuple(types), tuple(nodes), (ir.Ref(300),))
    text = emit_function(graph, "deep", ["x"])
    assert max(line.count("(") for line in text.splitlines()) <= 3
    assert text.count("relu") == 300


def test_operators_run_in_the_order_of_the_graph() -> None:
    values = tuple(ir.Value(TensorType("float32", (4,))) for _ in range(6))
    nodes = (
        ir.Op("exp", (ir.Ref(0),), {}, (2,)),
        ir.Op("relu", (ir.Ref(1),), {}, (3,)),
        ir.Op("sub", (ir.Ref(3), ir.Ref(2)), {}, (4,)),
    )
    graph = ir.Graph((0, 1), values, nodes, (ir.Ref(4),))
    lines = body_of(emit_function(graph, "f", ["a", "b"]), "f")
    # Nested, `relu(b)` would come before `exp(a)`.
    assert lines == ["a = torch.exp(a)", "b = F.relu(b)", "return b - a"]


def test_dead_operations_vanish_and_dead_calls_stay() -> None:
    lines = body_of(written(model("unused = exp(x)\nalso = x -> BatchNorm1d\noutput y = x * 2")))
    assert lines == ["self.batch_norm1d(x)", "y = x * 2", "return y"]


def test_nested_outputs_are_unpacked_and_the_unused_ones_discarded() -> None:
    head = "input x: float[N, T, 8]"
    lines = body_of(written(model("y, (h, c) = x -> lstm: LSTM(4)\noutput a = y\noutput b = c", head)))
    assert lines == unparsed("y, (_, c) = self.lstm(x)", "return (y, c)")


def test_only_needed_sizes_are_read() -> None:
    head = "input x: float[N, T, 8]"
    lines = body_of(written(model("output y = reshape(x, (N, 8 * T))", head)))
    assert lines[:2] == ["N = x.shape[0]", "T = x.shape[1]"]
    assert body_of(written(model("output y = x * 2", head))) == ["y = x * 2", "return y"]


def test_requirements_are_checked_on_entry() -> None:
    head = 'input x: float[N, T, 8]\nassert T <= 16, "too \\"long\\""'
    lines = body_of(written(model("output y = x * 2", head)))
    assert lines[:2] == unparsed("T = x.shape[1]", "torch._check(T <= 16, lambda: 'too \"long\"')")


def test_tensors_made_in_the_flow_live_where_the_input_does() -> None:
    head = "input x: float[N, T, 8]"
    source = written(model("output y = x + unsqueeze(arange(T), 1)", head))
    assert "torch.arange(T, device=x.device)" in source


# --- containers ------------------------------------------------------------------------------------------------------


def test_a_chain_is_called_as_a_whole() -> None:
    source = written(model("output y = x -> net: { Linear(8) -> ReLU -> out: Linear(2) }"))
    assert "OrderedDict" in source
    assert body_of(source) == ["y = self.net(x)", "return y"]


def test_a_chain_with_functions_is_called_member_by_member() -> None:
    source = written(model("output y = x -> net: { Linear(8) -> relu -> Linear(2) }"))
    assert "self.net = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 2)])" in source
    assert body_of(source)[:2] == ["x = self.net[0](x)", "x = F.relu(x)"]


def test_repeats_fold() -> None:
    source = written(model("output y = x -> net: Linear(8) * 12"))
    assert "self.net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(12)))" in source


def test_a_first_member_of_another_size_stands_alone() -> None:
    source = written(model("output y = x -> net: Linear(4) * 3"))
    assert "nn.Sequential(nn.Linear(8, 4), *(nn.Linear(4, 4) for _ in range(2)))" in source


def test_repeats_with_further_inputs_become_loops() -> None:
    block = "block B {\ninput x: float[N, D]\ninput m: float[N, D]\noutput (x -> fc: Linear(D)) * m\n}\n"
    source = written(block + model("output y = (x, m=exp(x)) -> layers: B * 4"))
    loop = "for layer in self.layers:\n    y = layer(y, m)"
    assert body_of(source) == ["m = torch.exp(x)", "y = x", loop, "return y"]


def test_a_residual_loop_is_a_loop_again() -> None:
    body = 'for i in range(5) { x = x + relu(x -> "blocks.{i}": Linear(8)) }\noutput y = x * 2'
    lines = body_of(written(model(body)))
    assert lines[0].startswith("for block in self.blocks:")
    assert len(lines) == 3


def test_turns_that_differ_are_no_loop() -> None:
    body = 'for i in range(3) { x = x + (x -> "blocks.{i}": Linear(8)) * i }\noutput y = x'
    assert "for block" not in written(model(body))


def test_what_a_turn_makes_for_later_stays_outside_of_loops() -> None:
    body = 'for i in range(3) {\nh = x -> "blocks.{i}": Linear(8)\nx = x + relu(h)\n}\noutput y = x\noutput last = h'
    assert "for block" not in written(model(body))


def test_a_loop_keeps_what_all_its_turns_need() -> None:
    body = 'm = exp(x)\nfor i in range(3) { x = x + (m -> "blocks.{i}": Linear(8)) }\noutput y = x'
    lines = body_of(written(model(body)))
    assert lines[1] == "for block in self.blocks:\n    x = x + block(m)"


def test_a_member_of_a_chain_is_reached_by_its_position() -> None:
    body = "h = x -> net: { Linear(8) -> ReLU }\noutput y = h -> out: Linear(8, weight=net[0].weight)"
    assert "self.out.weight = self.net[0].weight" in written(model(body))


def test_a_value_that_survives_a_loop_is_copied() -> None:
    body = 'y = x\nfor i in range(3) { y = y + relu(y -> "blocks.{i}": Linear(8)) }\noutput out = y - x'
    lines = body_of(written(model(body)))
    assert lines[0] == "y = x"
    assert lines[1].startswith("for block in self.blocks:\n    h = block(y)")
    assert lines[2:] == ["out = y - x", "return out"]


def test_a_block_of_numbered_members_is_a_container_itself() -> None:
    block = 'block Stack {\ninput x: float[N, 8]\nfor i in range(3) { x = x -> "{i}": Linear(8) }\noutput x\n}\n'
    source = written(block + model("output y = x -> stack: Stack"))
    assert "class Stack(nn.Sequential):" in source
    assert "super().__init__(*(nn.Linear(8, 8) for _ in range(3)))" in source


# --- modes -----------------------------------------------------------------------------------------------------------


def test_what_the_modes_share_is_written_once() -> None:
    source = written(model("h = x -> fc: Linear(8)\nif training { h = h -> Dropout(0.5) }\noutput y = h * 2"))
    assert source.count("self.fc(x)") == 1
    assert "if self.training:" in source


def test_outputs_may_differ_between_the_modes() -> None:
    body = "h = x -> fc: Linear(8)\noutput y = h\nif training { output aux = h -> head: Linear(2) }"
    source = written(model(body))
    assert body_of(source)[-2].startswith("if self.training:")


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["input", "lambda", "torch", "nn", "F", "self", "max", "None", "OrderedDict", "1x", "a b", ""]
)
def test_names_shadow_nothing(word: str) -> None:
    name = identifier(word)
    assert name.isidentifier()
    assert not hasattr(builtins, name)
    assert name not in ("torch", "nn", "F", "self", "lambda", "OrderedDict")


def test_inputs_called_like_python_words_can_be_written() -> None:
    source = written(model("output y = lambda + input", "input lambda: float[N, 8]\ninput input: float[N, 8]"))
    assert "def forward(self, lambda_, input_):" in source


def test_a_symbol_does_not_shadow_an_import() -> None:
    source = written(model("output y = relu(reshape(x, (F, N * 8)))", "input x: float[N, F, 8]"))
    assert "F_ = x.shape[1]" in source


def test_classes_are_numbered_around_the_names_of_blocks() -> None:
    text = (
        "block A(n) {\ninput x: float[N, D]\nif n == 3 { y = x -> Linear(3) } else { y = x -> LayerNorm -> ReLU }\n"
        "output y\n}\n"
        "block A2 {\ninput x: float[N, D]\noutput x -> Linear(1)\n}\n"
        "block Exception {\ninput x: float[N, D]\noutput x -> Linear(2)\n}\n"
    )
    tree = ast.parse(written(text + model("output y = x -> A(3) -> A(4) -> A2 -> Exception")))
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes == ["A", "A3", "A2", "Exception_", "M"]


def test_members_that_python_cannot_spell_are_reached() -> None:
    assert plain("conv1")
    assert not any(map(plain, ("0", "for", "__x", "a.b", "")))
    source = written(model('output y = x -> "for": Linear(8) -> "2": ReLU'))
    assert body_of(source)[0] == "x = getattr(self, 'for')(x)"


def test_a_freed_number_is_used_again() -> None:
    names = Names((), ["x"])
    assert [names.take("x"), names.take("x"), names.take("x")] == ["x", "x2", "x3"]
    names.release("x2")
    assert [names.take("x"), names.take("x")] == ["x2", "x4"]
    names.release("x")
    assert names.take("x") == "x"


# --- expressions -----------------------------------------------------------------------------------------------------

X, Y = Ref("x"), Ref("y")
N = symbol("N")
EXPRESSIONS: tuple[tuple[Code, str], ...] = (
    (infix("*", infix("+", X, Y), 2), "(x + y) * 2"),
    (infix("-", X, infix("-", Y, 1)), "x - (y - 1)"),
    (infix("-", infix("-", X, Y), 1), "x - y - 1"),
    (infix("**", prefix("-", X), 2), "(-x) ** 2"),
    (prefix("-", infix("**", X, 2)), "-(x**2)"),
    (infix("**", X, -1), "x**-1"),
    (infix("**", infix("**", X, Y), infix("**", Y, 2)), "(x**y) ** y**2"),
    (infix("<", infix("<", X, Y), Y), "(x < y) < y"),
    (infix("*", X, -2), "x * -2"),
    (infix("/", X, N + 1), "x / (N + 1)"),
    (infix("/", X, N * 2), "x / (2 * N)"),
    (infix("&", infix("==", X, 1), prefix("~", Y)), "(x == 1) & ~y"),
    (
        index(X, slice(None, N), slice(N - 1, None), slice(None, None, 2), ..., None, 0),
        "x[:N, N - 1 :, ::2, ..., None, 0]",
    ),
    (index(X, slice(None, N // 2)), "x[: N // 2]"),
    (method("reshape", infix("+", X, Y), N, -1), "(x + y).reshape(N, -1)"),
    (attribute(method("to", X, Ref("torch.float16")), "dtype"), "x.to(torch.float16).dtype"),
    (call("f", (1,), [X, Y], a=True, b=None, c=1e-05, d=1e16), "f((1,), [x, y], a=True, b=None, c=1e-05, d=1e16)"),
    (call("f", float("inf"), float("-inf"), float("nan")), 'f(float("inf"), -float("inf"), float("nan"))'),
    (call("f", Ref("DEVICE"), device=Ref("DEVICE")), "f(x.device, device=x.device)"),
)


@pytest.mark.parametrize(("code", "text"), EXPRESSIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_expressions_print_with_the_brackets_they_need(code: Code, text: str) -> None:
    assert Printer(str, "x.device")(code).text == text
    ast.parse(text)


def test_without_a_device_the_argument_is_left_out() -> None:
    assert Printer(str, None)(call("torch.zeros", 2, device=Ref("DEVICE"))).text == "torch.zeros(2)"


@pytest.mark.skipif(RUFF is None, reason="needs ruff")
def test_long_lines_break_as_a_formatter_breaks_them() -> None:
    long = [Piece(f"argument_number_{i}") for i in range(12)]
    items = [("", piece) for piece in long]
    printer = Printer(str, None)
    numbers = printer(call("torch.tensor", list(range(60)), dtype=Ref("torch.float32")))
    wide = printer(infix("+", Ref("a" * 50), Ref("b" * 50)))
    lines: list[str] = []
    lines += layout("x = ", numbers)
    lines += layout("x = ", printer(call("torch.tensor", list(range(60)))))
    lines += layout("x = ", printer(call("f", *(piece.text for piece in long[:5]))))
    lines += layout("x = ", wide)
    lines += layout("some_longer_name = ", printer(infix("*", Ref("a" * 90), Ref("b" * 40))))
    lines += layout("", Piece("", head="torch.stack(", items=items, dense=True, exploded=True))
    assert formatted_differently("\n".join(lines) + "\n") == []


# --- hostile text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_strings_stay_strings(text: str) -> None:
    assert ast.literal_eval(quote(text)) == text
    tree = ast.parse("\n".join(["def f():", *docstring(text, 4), "    return 1"]))
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    assert [type(node) for node in function.body] == [ast.Expr, ast.Return]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_program_cannot_smuggle_code_in(text: str) -> None:
    """Wherever a string may stand in a program, the source has the same structure as with a harmless one."""
    assert structure(emit(with_text(text))) == structure(emit(with_text("harmless")))


def with_text(text: str) -> ir.Program:
    """A program that has the text as each of its strings: names, docs, arguments, messages."""
    block = "block B(act) {\ninput x: float[N, 8]\nparam p: float[8] = zeros()\noutput x * p\n}\n"
    body = 'assert N <= 5, "no"\noutput y = x -> g: GELU(approximate="tanh") -> b: B("gelu")'
    program = compile_text(block + model(body)).program
    return replace(
        program,
        modules=tuple(_poison_module(module, text) for module in program.modules),
        methods=tuple(_poison_method(m, text) for m in program.methods),
        entries=tuple(replace(entry, name=text, doc=text) for entry in program.entries),
    )


def _poison_module(module: ir.Module, text: str) -> ir.Module:
    arguments = {name: ir.Attr(text) for name in module.arguments}
    members = tuple(replace(m, doc=text) for m in module.members)
    name = text if module.kind == "block" else module.name
    return replace(module, name=name, arguments=arguments, members=members, doc=text, sizes={text: 1})


def _poison_method(given: ir.Method, text: str) -> ir.Method:
    values = tuple(replace(value, hint=text) for value in given.graph.values)
    return replace(
        given,
        input_names=(text,) * len(given.input_names),
        output_names=(text,) * len(given.output_names),
        requires=tuple(replace(r, message=text) for r in given.requires),
        graph=replace(given.graph, values=values),
    )


def structure(source: str) -> list[str]:
    """The kinds of all syntax nodes: what is code, whatever the names and strings."""
    return [type(node).__name__ for node in ast.walk(ast.parse(source))]


@pytest.mark.parametrize("text", HOSTILE[:5])
def test_member_names_are_quoted_where_they_are_not_names(text: str) -> None:
    member = ir.Member(text, "param", "label", type=TensorType("float32", (2,)), init=ir.Initializer("normal", {}))
    block = ir.Module("block", "B", members=(member,))
    graph = ir.Graph((), (ir.Value(member.type or TensorType("float32", ())),), (ir.Read(text, (0,)),), (ir.Ref(0),))
    body = ir.Method(0, "both", (), ("y",), (), (), graph)
    source = emit(ir.Program((block,), (body,), (ir.Entry("B", 0, {"infer": 0}),)))
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    strings = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    assert text in strings
    names = {ast.unparse(node.func) for node in calls} - {"super", "super().__init__", "getattr"}
    assert names == {"self.register_parameter", "nn.Parameter", "torch.empty", "nn.init.normal_"}


@pytest.mark.parametrize(
    "name", ["x; import os", "__import__('os').system('x')", "f(x)", "x if y else z", "(lambda: 1)()"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        checked(name)
    with pytest.raises(ValueError, match="not a name"):
        Printer(str, None)(Ref(name))
    with pytest.raises(ValueError, match="not a name"):
        Printer(str, None)(call(name, 1))


@pytest.mark.parametrize(
    "name", ["self.a", "self.a[0].b", 'self.a["0"]', 'getattr(self, "for").weight', "torch.float32"]
)
def test_paths_to_members_are_names(name: str) -> None:
    assert checked(name) == name


# --- functions -------------------------------------------------------------------------------------------------------


def test_a_loss_is_a_plain_function() -> None:
    text = (GOLDEN.parent.parent / "examples" / "fashion_mnist.nns").read_text("utf-8")
    training = compile_text(text, train=True).program.training
    assert training is not None
    tree = ast.parse(emit_training(training))
    functions = {node.name: ast.unparse(node.args) for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions == {"loss": "logits, label", "metric_accuracy": "logits, label"}


def test_a_function_reads_sizes_from_its_tensors() -> None:
    types = tuple(ir.Value(TensorType("float32", (symbol("N"), 4))) for _ in range(2))
    graph = ir.Graph((0,), types, (ir.Op("div", (ir.Ref(0), symbol("N")), {}, (1,)),), (ir.Ref(1),))
    assert body_of(emit_function(graph, "f", ["x"]), "f") == ["N = x.shape[0]", "return x / N"]


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "\n".join(f"x = x -> l{i}: Linear(8)" for i in range(n)) + "\noutput y = x",
        lambda n: "output y = x -> c: {" + "\n->".join("Linear(8) -> relu" for _ in range(n // 2)) + "}",
        lambda n: f"output y = x -> c: {{ Linear(8) -> relu }} * {n // 2}",
        lambda n: (
            "\n".join(f"h{i} = x * {i}" for i in range(n))
            + f"\noutput y = cat([{', '.join(f'h{i}' for i in range(n))}])"
        ),
        lambda n: "\n".join(
            [
                *(f"c{i} = [Linear(8), Linear(8)]\nx = x -> c{i}[0]" for i in range(n // 2)),
                *(f"x = relu(x) -> c{i}[1]" for i in range(n // 2)),
                "output y = x",
            ]
        ),
    ],
    ids=["statements", "chain", "repeat", "many live values", "pairs of layers, the second ones later"],
)
def test_time_grows_with_the_size_and_no_faster(make: Callable[[int], str]) -> None:
    small, large = (compile_text(model(make(n))).program for n in (500, 5000))
    # Ten times the size: something quadratic would take a hundred times as long.
    assert min(seconds(large) for _ in range(3)) < 30 * max(min(seconds(small) for _ in range(3)), 0.005)


def seconds(program: ir.Program) -> float:
    start = time.process_time()
    emit(program)
    return time.process_time() - start


def test_writing_source_loads_no_torch() -> None:
    code = "import sys; import nnspec.backends.source; print({'torch', 'numpy', 'onnx', 'pydantic'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
