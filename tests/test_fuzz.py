"""No text crashes the checker, holds it up, or becomes code."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.backends.source import emit, emit_training
from nnspec.compiler import check, compile_text
from nnspec.diagnostics import NnspecError
from nnspec.render import as_json, render_all

from .generate.mutations import mutated, words_of

ROOT = Path(__file__).parent.parent
FOLDERS = ("examples", "nnspec/std", "tests/errors")
TEXTS = [path.read_text("utf-8") for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.nns"))]
WORDS = words_of(TEXTS)
SECONDS = 5.0

EVIL = "\"); import os; os.system('x') #"


def survives(text: str) -> None:
    start = time.process_time()
    checked = check(text, base=ROOT / "nowhere")
    pages = render_all(checked.diagnostics, checked.sources)
    json.loads(as_json(checked.diagnostics, checked.sources))
    assert time.process_time() - start < SECONDS
    for diagnostic in checked.diagnostics:
        assert diagnostic.code in pages
        assert diagnostic.code != "NNS901"
        for span in (label.span for label in diagnostic.labels):
            assert 0 <= span.start <= span.end <= len(checked.sources[span.source].text)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.sampled_from(TEXTS), random=st.randoms(use_true_random=False))
def test_a_mutated_spec_yields_diagnostics_and_never_a_crash(text: str, random: Random) -> None:
    survives(mutated(text, random, WORDS))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_yields_diagnostics_and_never_a_crash(text: str) -> None:
    survives(text)
    survives(f"model A {{\n  input x: float[N, 8]\n  output y = {text}\n}}\n")


# --- limits ----------------------------------------------------------------------------------------------------------


def model(body: str, before: str = "", inputs: str = "x: float[N, 8]") -> str:
    return f"{before}model A {{\n  input {inputs}\n{body}\n}}\n"


DEEP = 100_000
BOMBS = {
    "copies": model("  output y = x -> Linear(8) * 1_000_000_000"),
    "copies of copies": model("  output y = x -> { Linear(8) * 100_000 } * 100_000"),
    "width": model("  output y = x -> Linear(10**12)"),
    "tower of powers": model("  output y = x -> Linear(10**10**10**10)"),
    "parameter": model("  param w: float[1_000_000, 1_000_000] = zeros()\n  output y = x + w"),
    "constant": model("  output y = zeros(1_000_000, 1_000_000)"),
    "infinite range": model("  output y = arange(0, 1e300, 1e-300)"),
    "loops": model(
        "  for i in range(100_000) {\n    for j in range(100_000) {\n      a = 1\n    }\n  }\n  output y = x"
    ),
    "long loop": model(
        "  for i in range(100_000) {\n    for j in range(99) {\n      x = relu(x)\n    }\n  }\n  output y = x"
    ),
    "lists": model("  b = [len(range(100_000)) for i in range(100_000)]\n  output y = x"),
    "strings": model('  for i in range(100_000) {\n    s = "abcdefgh" * 12_000\n  }\n  output y = x'),
    "doubling lists": "a0 = [1, 1]\n" + "".join(f"a{i + 1} = [a{i}, a{i}]\n" for i in range(60)) + model("  output x"),
    "doubling blocks": model(
        "  output y = x -> T(40, 1)",
        "block T(n, k) {\n  input x: float[N, D]\n  if n > 0 {\n    x = x -> a: T(n - 1, 2 * k)\n"
        "    x = x -> b: T(n - 1, 2 * k + 1)\n  }\n  output x\n}\n",
    ),
    "doubling functions": model(
        "  output y = t(x, n=40)",
        "block t(n) {\n  input x: float[N, D]\n  if n > 0 {\n    x = t(x, n=n - 1)\n    x = t(x, n=n - 1)\n  }\n"
        "  output x\n}\n",
    ),
    "endless block": model(
        "  output y = x -> T(0)",
        f"block T(n) {{\n  input x: float[N, D]\n  output {'-(' * 90}x -> T(n + 1){')' * 90}\n}}\n",
    ),
    "growing size": model("".join(f"  a{i + 1} = a{i} * a{i} + 1\n" for i in range(60)) + "  output y = x", "a0 = 3\n"),
    "growing dimension": model(
        "  a0 = N\n" + "".join(f"  a{i + 1} = a{i} * a{i} + 1\n" for i in range(60)) + "  output x"
    ),
    "round brackets": model(f"  output y = x -> Linear({'(' * DEEP}8{')' * DEEP})"),
    "square brackets": model(f"  y = {'[' * DEEP}8{']' * DEEP}\n  output x"),
    "braces": model(f"  output y = x -> {'{ ' * DEEP}ReLU{' }' * DEEP}"),
    "open brackets": "(" * 3_000_000,
    "signs": model(f"  output y = {'-' * DEEP}x"),
    "calls": model(f"  y = f{'()' * DEEP}\n  output x"),
    "members": model(f"  y = x{'.a' * DEEP}\n  output x"),
    "bodies": "".join(f"block B{i} {{\n" for i in range(DEEP)),
    "groups": model("g: {\n" * DEEP + "x = relu(x)\n" + "}\n" * DEEP + "  output x"),
    "a long line": model(f"  output y = x -> Linear({'1' * 10_000_000})"),
    "a long string": f'a = "{"a" * 10_000_000}"\n',
    "a long comment": "#" * 10_000_000,
    "many lines": "x = 1\n" * 700_000,
    "nonsense": "@!$%^&* \n" * 100_000,
    "a long pattern": model(f'  output y = rearrange(x, "{"(" * 50_000} n d -> n d")'),
    "many interpolations": model(f'  output y = x -> "{"{1}" * 20_000}{"{" * 9}": Linear(3)'),
    "many unknown names": model("".join(f"  a{i} = x -> Linaer(3)\n" for i in range(10_000)) + "  output y = x"),
    "many wrong shapes": model(
        "".join(f"  x{i} = x -> Linear(3) -> Linear(4, in_features=5)\n" for i in range(5_000)) + "  output y = x"
    ),
}

LIMITED = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from nnspec.compiler import check
from nnspec.render import render_all
start = time.process_time()
checked = check(sys.stdin.read())
render_all(checked.diagnostics, checked.sources)
print(time.process_time() - start, *(diagnostic.code for diagnostic in checked.diagnostics[:3]))
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon_and_with_little_memory(name: str) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", LIMITED]
    result = subprocess.run(
        command, input=BOMBS[name], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    seconds, *codes = result.stdout.split()
    assert codes, "nothing was refused"
    assert set(codes) & {"NNS114", "NNS310", "NNS411", "NNS409", "NNS101", "NNS102", "NNS201", "NNS401", "NNS120"}
    assert float(seconds) < SECONDS


# --- strings that would like to be code ------------------------------------------------------------------------------


def quoted(text: str) -> str:
    return (
        '"'
        + text.translate({ord(a): b for a, b in zip('\\"\n{}', ("\\\\", '\\"', "\\n", "{{", "}}"), strict=True)})
        + '"'
    )


POISONS = [EVIL, "'" + EVIL, '"""' + EVIL, "\n" + "import os", "\\" + EVIL, "x\u2028import os", "{__import__('os')}"]
PLACES = {
    "label": "output y = x -> {}: Linear(2)",
    "computed label": 'name = {}\noutput y = x -> "{{name}}": Linear(2)',
    "group": "{}: {{ x = x -> Linear(3) }}\noutput y = x",
    "assert": "assert N >= 3, {}\noutput y = relu(x)",
    "pattern": "output y = rearrange(x, {})",
    "equation": "output y = einsum({}, x)",
    "mode": "output y = x -> Embedding(3, 4, padding_idx={})",
    "padding mode": "output y = x -> Conv1d(3, 3, padding_mode={})",
    "argument": "output y = x -> GELU(approximate={})",
    "constant": "s = {}\noutput y = relu(x)",
    "hyperparameter": "output y = x -> B({})",
    "reduction": "output y = mse_loss(x, x, reduction={})",
    "params": "output y = x -> fc: Linear(2)\nparams {} {{{{ init = zeros }}}}",
    "params of what is named so": "output y = x -> {0}: Linear(2)\nparams {0} {{{{ init = zeros }}}}",
    "params that match": 'n = {}\noutput y = x -> "{{n}}": Linear(2)\nparams "{{n}}.*" {{{{ init = zeros }}}}',
    "wrapped": "output y = x -> weight_norm(Linear(8), name={})",
    "in a scan": "y = scan p in x over dim=0 with h = zeros(8) {{{{\nh = h + (p -> {}: Linear(8))\n}}}}\noutput y",
    "text": "output y = x -> B({0}) -> B({0})",
    "list": 'for name in [{0}] {{{{ x = x -> "{{name}}": Linear(8) }}}}\noutput y = x',
}
BLOCK = "block B(name) {\n  input x: float[N, D]\n  assert D == D, name\n  assert N >= 2, name\n  output relu(x)\n}\n"


def assert_harmless(source: str) -> None:
    """No import but torch's, and nothing that a string could have smuggled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] in ("torch", "math") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] in ("torch", "__future__", "math")
        if isinstance(node, (ast.Name, ast.Attribute)):
            word = node.id if isinstance(node, ast.Name) else node.attr
            assert word not in ("os", "system", "__import__", "eval", "exec")


@pytest.mark.parametrize(("place", "poison"), list(itertools.product(PLACES, POISONS)))
def test_a_string_never_becomes_code(place: str, poison: str) -> None:
    text = f"{BLOCK}## {poison!a}\n" + model("  " + PLACES[place].format(quoted(poison)))
    try:
        source = emit(compile_text(text).program)
    except NnspecError:
        return
    assert_harmless(source)


@pytest.mark.parametrize("poison", POISONS)
def test_documentation_and_comments_never_become_code(poison: str) -> None:
    line = poison.replace("\n", " ")
    text = (
        f"## {line}\nmodel A {{\n  # {line}\n  ## {line}\n  input x: float[N, 8]\n  output y = x -> fc: Linear(2)\n}}\n"
    )
    assert_harmless(emit(compile_text(text, line).program))


class Poisoned:
    """Reads one file, whatever it is called."""

    main = ""

    def __init__(self, text: str, key: str) -> None:
        self._text = text
        self._key = key

    def locate(self, path: str, importer: str) -> str:
        """Every path is this one."""
        return self._key

    def locate_library(self, name: str) -> str:
        """No library here."""
        raise AssertionError(name)

    def read(self, key: str) -> str:
        """The text, under any name."""
        return self._text


@pytest.mark.parametrize("poison", POISONS)
def test_names_and_documentation_of_imported_files_never_become_code(poison: str) -> None:
    line = poison.replace("\n", " ")
    blocks = f"## {line}\nblock B(name) {{\n  ## {line}\n  input x: float[N, D]\n  output x -> fc: Linear(3)\n}}\n"
    text = 'from "blocks.nns" import B\n' + model("  output y = x -> B(1) -> B(2)")
    program = compile_text(text, line, reader=Poisoned(blocks, f"/{poison}/{poison}.nns")).program
    assert_harmless(emit(program))


@pytest.mark.parametrize("poison", [*POISONS, "os:system", "os.path:join", "mine:eval", "mine:__import__"])
def test_the_place_of_an_extern_never_becomes_other_code(poison: str) -> None:
    fast = f"extern block Fast from {quoted(poison)} {{\n  input x: float[N, D]\n  output y: float[N, D]\n}}\n"
    text = fast + model("  output y = x -> Fast")
    with pytest.raises(NnspecError):
        compile_text(text)  # allowed by nobody
    try:
        source = emit(compile_text(text, allow_extern=True).program)
    except NnspecError:
        return
    module, name = poison.split(":")
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    found = [(node.module, [alias.name for alias in node.names]) for node in imports if node.module != "torch"]
    assert found == [(module, [name])]


@pytest.mark.parametrize("poison", POISONS)
def test_strings_in_train_never_become_code(poison: str) -> None:
    loss = "cross_entropy(s, label)"
    for data, expression in (
        ("Iris()", loss.replace(")", f", reduction={quoted(poison)})")),
        (f"CSV({quoted(poison)})", loss),
    ):
        text = (
            "model A {\n  input features: float[N, 4]\n  output s = features -> Linear(3)\n}\n"
            f"train {{\n  data = {data}\n  loss = {expression}\n  optimizer = Adam(lr=1e-2)\n}}\n"
        )
        try:
            training = compile_text(text, train=True).program.training
        except NnspecError:
            continue
        if training is not None:
            assert_harmless(emit_training(training))
