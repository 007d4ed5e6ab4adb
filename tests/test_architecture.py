"""Who may import whom, what stays out of `nnspec check`, and how long files may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nnspec"
EXAMPLES = sorted((ROOT / "examples").glob("*.nns"))
LONGEST_FILE = 400
LONGER = {"nnspec.syntax.ast": "one class for each form of the grammar, and nothing else"}
"""Files that may be longer, with the reason."""

ROWS = (
    ("nnspec.version",),
    ("nnspec.diagnostics",),
    ("nnspec.suggest", "nnspec.synonyms"),
    ("nnspec.dims",),
    ("nnspec.types",),
    ("nnspec.facts",),
    ("nnspec.syntax",),
    ("nnspec.ir",),
    ("nnspec.patterns",),
    ("nnspec.arguments",),
    ("nnspec.layer",),
    ("nnspec.proof",),
    ("nnspec.registry",),
    ("nnspec.layers", "nnspec.functions", "nnspec.initializers"),
    (
        *("nnspec.training.fault", "nnspec.training.dataset", "nnspec.training.optimizer", "nnspec.training.settings"),
        *("nnspec.training.scheduler", "nnspec.training.transform", "nnspec.training.average"),
        *("nnspec.training.metric", "nnspec.training.updating.pieces"),
    ),
    ("nnspec.elaborate",),
    ("nnspec.snippet", "nnspec.patch"),
    ("nnspec.render",),
    ("nnspec.codes",),
    ("nnspec.verify",),
    ("nnspec.ir_json",),
    ("nnspec.passes",),
    ("nnspec.backends",),
    ("nnspec.summary", "nnspec.memory"),
    ("nnspec.training",),
    ("nnspec.compiler",),
    ("nnspec.reference",),
    ("nnspec",),
    ("nnspec.cli", "nnspec.__main__"),
)
"""A module imports from its own row and from those above it. `nnspec.dims` stands for `nnspec.dims_algebra` as well."""

HOMES = {
    "IPython": ("nnspec.training.watching",),
    "PIL": ("nnspec.training.files",),
    "click": ("nnspec.cli",),
    "datasets": ("nnspec.training.datasets",),
    "lark": ("nnspec.syntax",),
    "mlflow": ("nnspec.training.loggers",),
    "ml_dtypes": ("nnspec.backends.onnx",),
    "numpy": ("nnspec.backends.onnx", "nnspec.training"),
    "onnx": ("nnspec.backends.onnx",),
    "onnxruntime": ("nnspec.backends.onnx",),
    "pyarrow": ("nnspec.training.tables", "nnspec.training.datasets"),
    "pydantic": ("nnspec.ir_json",),
    "rich": ("nnspec.cli", "nnspec.training.watching"),
    "safetensors": ("nnspec.backends", "nnspec.training"),
    "sklearn": ("nnspec.training.datasets",),
    "tensorboard": ("nnspec.training.loggers",),
    "tokenizers": ("nnspec.training.files",),
    "torch": ("nnspec.backends.torch", "nnspec.training"),
    "torchmetrics": ("nnspec.training",),
    "torchvision": ("nnspec.training.datasets",),
    "typing_extensions": ("nnspec.ir_json",),
    "wandb": ("nnspec.training.loggers",),
}
"""The only places that may import a library; no other library may be imported at all."""

LATE = {
    ("nnspec.render", "json"): "JSON is written on request only",
    ("nnspec.syntax", "lark"): "a parser that comes from the cache needs none of Lark's code that builds one",
    ("nnspec.layers", "numpy"): "a lowering computes constants, and checking a layer must not load numpy",
    ("nnspec.functions", "numpy"): "as for layers",
    ("nnspec.layers", "nnspec.layers._attention_memory"): "only a summary asks for memory",
    ("nnspec.layers", "nnspec.layers._recurrent_memory"): "as above",
    ("nnspec.layers", "nnspec.layers._transformer_memory"): "as above",
    ("nnspec.functions", "nnspec.layers._attention_memory"): "as above",
    ("nnspec.compiler", "nnspec.elaborate"): "what reads a `train` section is for specs that have one",
    ("nnspec.compiler", "nnspec.backends"): "checking loads no backend",
    ("nnspec.compiler", "nnspec.ir_json"): "checking loads no pydantic",
    ("nnspec.compiler", "nnspec.training"): "checking loads nothing of training",
    ("nnspec.compiler", "nnspec.summary"): "only a budget asks for the numbers of a model",
    ("nnspec.compiler", "nnspec.verify"): "only an IR from a file needs to be verified",
    ("nnspec", "nnspec.backends"): "importing nnspec must not load torch",
    ("nnspec", "nnspec.compiler"): "importing nnspec loads nothing that is not asked for",
    ("nnspec", "nnspec.compiler_input"): "as above",
    ("nnspec", "nnspec.compiler_optimize"): "as above",
    ("nnspec", "nnspec.compiler_output"): "as above",
    ("nnspec", "nnspec.compiler_run"): "as above",
    ("nnspec", "nnspec.compiler_trained"): "as above",
    ("nnspec.cli", "nnspec"): "a command loads what it needs and no more",
    ("nnspec.backends", "onnx"): "sources and weights are written without it",
    ("nnspec.backends", "onnxruntime"): "`--verify` alone needs it",
    ("nnspec.backends", "torch"): "an ONNX model is built from a checkpoint without torch",
    ("nnspec.training", "datasets"): "only some data is in its form",
    ("nnspec.training", "pyarrow"): "only the rows of Parquet files need it",
    (
        "nnspec.training.metrics",
        "nnspec.training.running.borrowed",
    ): "a metric is checked without torch; counting needs it",
    ("nnspec.training.metrics", "nnspec.training.running.meters"): "as above",
    ("nnspec.training", "PIL"): "only folders of pictures need Pillow",
    ("nnspec.training", "tokenizers"): "only texts with a tokenizer's file need it",
    ("nnspec.training", "torchvision"): "only a data set of torchvision's needs it",
    ("nnspec.training", "numpy"): "a data set's fields are checked without it; reading the data needs it",
    ("nnspec.training", "rich"): "the progress bar is for terminals",
    ("nnspec.training.watching.notebook", "IPython"): "only a notebook has it",
    ("nnspec.training.loggers", "mlflow"): "each logger imports what it is for, when it is asked for",
    ("nnspec.training.loggers", "tensorboard"): "as above",
    ("nnspec.training.loggers", "wandb"): "as above",
    ("nnspec.training.feeding.headroom", "resource"): "only Unix has it",
    (
        "nnspec.training.processes.spread",
        "nnspec.training.processes.sharding",
    ): "torch's FSDP2 takes long to import, and few runs need it",
    ("nnspec.training", "sklearn"): "only some data comes with scikit-learn",
    ("nnspec.training", "torch"): "a loss or an optimizer is checked without it; training needs it",
}
"""Imports inside functions that are allowed, with the reason: (who, what)."""


class Import(NamedTuple):
    """One imported module: who imports it, on which line, inside a function or not, for type checkers only or not."""

    module: str
    name: str
    line: int
    late: bool
    typing: bool

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: imports {self.name}"


@cache
def modules() -> dict[str, Path]:
    """The package's modules by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import statement of the package."""
    return tuple(
        each
        for name, path in modules().items()
        for each in _imports(name, path.name == "__init__.py", ast.parse(path.read_text("utf-8")))
    )


def _imports(
    module: str, is_package: bool, node: ast.AST, late: bool = False, typing: bool = False
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module, alias.name, child.lineno, late, typing)
        elif isinstance(child, ast.ImportFrom):
            for name in _imported_from(module, is_package, child):
                yield Import(module, name, child.lineno, late, typing)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _imports(module, is_package, ast.Module(child.body, []), late, True)
            yield from _imports(module, is_package, ast.Module(child.orelse, []), late, typing)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(module, is_package, child, late or inside, typing)


def _imported_from(module: str, is_package: bool, node: ast.ImportFrom) -> set[str]:
    """`from nnspec import ir` imports `nnspec.ir`; `from nnspec.ir import Node` imports that as well."""
    base = node.module or ""
    if node.level:
        package = module.split(".") if is_package else module.split(".")[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
    return {full if (full := f"{base}.{alias.name}") in modules() else base for alias in node.names}


def within(name: str, prefix: str) -> bool:
    """`nnspec.dims_text` and `nnspec.dims` are within `nnspec.dims`; within `nnspec`, is only itself."""
    return name == prefix or (prefix != "nnspec" and name.startswith((f"{prefix}.", f"{prefix}_")))


def row(name: str) -> int | None:
    """The row of a module: that of its longest prefix."""
    matches = [(len(prefix), at) for at, prefixes in enumerate(ROWS) for prefix in prefixes if within(name, prefix)]
    return max(matches)[1] if matches else None


def allowed_late(each: Import) -> bool:
    """Whether an import inside a function is on the list."""
    return any(
        within(each.module, who) and (each.name == what or each.name.startswith(f"{what}.")) for who, what in LATE
    )


def test_every_module_has_a_row() -> None:
    assert [name for name in modules() if row(name) is None] == []


def test_modules_import_only_from_their_row_and_above() -> None:
    wrong = []
    for each in imports():
        mine, other = row(each.module), row(each.name)
        if mine is not None and other is not None and other > mine:
            wrong.append(str(each))
    assert wrong == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {name: {each.name for each in imports() if _at_import(each, name)} for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(reversed(circle.args[1])))


def _at_import(each: Import, name: str) -> bool:
    """Whether importing a module runs this import of another one (an outer package runs first in any case)."""
    return each.module == name and not each.late and not each.typing and each.name in modules() and each.name != name


def test_libraries_are_imported_at_home_only() -> None:
    wrong = []
    for each in imports():
        library = each.name.partition(".")[0]
        known = library in ("nnspec", "__future__") or library in sys.stdlib_module_names
        at_home = any(within(each.module, home) for home in HOMES.get(library, ()))
        if not (known or at_home or each.typing or (each.late and allowed_late(each) and library in HOMES)):
            wrong.append(str(each))
    assert wrong == []


def test_imports_inside_functions_have_a_reason() -> None:
    assert [str(each) for each in imports() if each.late and not each.typing and not allowed_late(each)] == []


def test_nothing_imports_the_tests() -> None:
    assert [str(each) for each in imports() if each.name.partition(".")[0] in ("tests", "conftest", "pytest")] == []


def test_files_stay_short() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE and name not in LONGER} == {}


def test_checking_the_examples_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from nnspec.cli import main\n"
        "try:\n"
        "    main(['check', *sys.argv[1:]])\n"
        "except SystemExit as done:\n"
        "    assert not done.code, done.code\n"
        "print('loaded', *{'torch', 'onnx', 'onnxruntime', 'numpy', 'pydantic', 'rich'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", program, *map(str, EXAMPLES)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "loaded"
