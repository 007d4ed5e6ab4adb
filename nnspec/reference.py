"""The reference of the library in Markdown, written from its classes: `docs/layers.md`.

What an example gives is worked out by the compiler, so that the page cannot say what is not so.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from nnspec import ir, registry
from nnspec.arguments import Field, describe_kind
from nnspec.compiler import compile_text
from nnspec.layer import Example, Function, Operation
from nnspec.registry_pages import bounds_of, input_words, signature, spell, written_fields

_TITLES = {
    "layer": "Layers",
    "function": "Functions",
    "optimizer": "Optimizers",
    "scheduler": "Schedules of the learning rate",
    "average": "Averages of the weights",
    "dataset": "Data sets",
    "transform": "Transforms of a field",
    "metric": "Metrics",
    "initializer": "Initialisers",
}
_MULTIPLE = re.compile(r"(\d+) \* ([A-Z])\b")


def markdown() -> str:
    """Every library name with its arguments, inputs and examples."""
    parts = [
        "# The library: layers, functions and what trains them",
        "Written from the classes by `nnspec explain --markdown`; `nnspec explain NAME` shows a page of it in the "
        "terminal. Names, arguments and defaults are torch's; sizes that follow from the input are left out.",
        "\n".join(f"- [{title}](#{_anchor(title)})" for title in _TITLES.values()),
    ]
    for kind, title in _TITLES.items():
        parts.append(f"## {title}")
        for heading, names in _families(kind):
            parts.append(f"### {heading}")
            parts += [part for name in names for part in _entry(kind, name)]
    return "\n\n".join(parts) + "\n"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _families(kind: str) -> Iterator[tuple[str, list[str]]]:
    """The names of a kind, file by file, under what the file says that it holds."""
    files: dict[str, list[str]] = {}
    for name, module in registry.index(kind).items():
        files.setdefault(module, []).append(name)
    for module, names in files.items():
        words = (import_module(module).__doc__ or "").strip().split("\n\n")[0]
        yield " ".join(words.split()).rstrip("."), names


def _entry(kind: str, name: str) -> Iterator[str]:
    cls = registry.find(kind, name)
    assert cls is not None
    yield f"#### {name}"
    yield f"```text\n{signature(cls)}\n```"
    yield from (" ".join(part.split()) for part in inspect.cleandoc(cls.__doc__ or "").split("\n\n") if part)
    written = written_fields(cls)
    filled = [f"`{f.name}`" for f in cls.fields.values() if f.inferred]
    if written:
        yield "\n".join(["| argument | default | |", "|---|---|---|", *map(_row, written)])
    if filled:
        yield f"Worked out from the input, and checked when given by name: {', '.join(filled)}."
    if issubclass(cls, Operation) and not issubclass(cls, Function):
        yield "Inputs: " + ", ".join(f"`{word}`" for word in input_words(cls)) + "."
    examples = [_example(kind, example) for example in getattr(cls, "examples", ())]
    if examples:
        yield "\n".join(["| example | with | gives |", "|---|---|---|", *examples])


def _row(field: Field) -> str:
    default = "" if field.required else f"`{spell(field.default)}`"
    kind = ", ".join([describe_kind(field.kind), *bounds_of(field)])
    return f"| `{field.name}` | {default} | {_cell(field.doc)} ({_cell(kind)}) |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _example(kind: str, example: Example) -> str:
    types = [f"`{name}: {_types(given)}`" for name, given in example.inputs.items()]
    return f"| `{_cell(example.text)}` | {', '.join(types)} | {_result(kind, example)} |"


def _types(given: str | tuple[str, ...]) -> str:
    return given if isinstance(given, str) else f"[{', '.join(given)}]"


def _result(kind: str, example: Example) -> str:
    """The type of what an example gives, in its own symbols; several in brackets."""
    if kind not in ("layer", "function"):
        return ""
    program = compile_text(example_spec(kind, example)).program
    graph = program.methods[program.main.methods["infer"]].graph
    types = [str(graph.values[number].type) for number in ir.refs(graph.outputs)]
    return f"`{types[0]}`" if len(types) == 1 else ", ".join(f"`{each}`" for each in types)


# --- examples as specs -----------------------------------------------------------------------------------------------


def example_spec(kind: str, example: Example) -> str:
    """A model that holds a layer's or function's example and nothing else."""
    declared: list[str] = []
    flowing: list[str] = []
    cls: type[Any] | None = registry.find(kind, example.text.split("(")[0])
    order = cls.input_names() if cls is not None else ()
    for position, (name, type_) in enumerate(example.inputs.items()):
        parts = [type_] if isinstance(type_, str) else list(type_)
        names = [name] if isinstance(type_, str) else [f"{name}_{i}" for i in range(len(parts))]
        declared += [f"  input {n}: {t}" for n, t in zip(names, parts, strict=True)]
        value = names[0] if len(names) == 1 else f"({', '.join(names)})"
        starred = any(each.startswith("*") for each in order)  # the inputs are those of a layer that is wrapped
        by_name = kind == "layer" and order[position : position + 1] != (name,) and not starred
        flowing.append(f"{name}={value}" if by_name else value)
    if example.assume:
        declared.append(f"  assert {example.assume}")
    head = f"({', '.join(flowing)})" if len(flowing) > 1 else "".join(flowing)
    flow = f"{head} -> {example.text}" if kind == "layer" else example.text
    declared, flow = bind_multiples(declared, flow)
    body = "\n".join(declared)
    return f"model Example {{\n{body}\n  result = {flow}\n  output y = result\n}}\n"


def bind_multiples(declared: list[str], text: str) -> tuple[list[str], str]:
    """An input binds whole dims only: `2 * T` becomes a symbol of its own, with a fact about it."""
    whole = {s for line in declared for s in re.findall(r"\b[A-Z]\b", _MULTIPLE.sub("", line))}
    facts = []
    for factor, symbol in sorted({m for line in declared for m in _MULTIPLE.findall(line)}):
        multiple = f"{symbol}{factor}"
        if symbol in whole:
            facts.append(f"  assert {multiple} == {factor} * {symbol}")
        else:
            facts.append(f"  assert {multiple} % {factor} == 0")
            text = re.sub(rf"\b{symbol}\b", f"{multiple} / {factor}", text)
    return [_MULTIPLE.sub(r"\2\1", line) for line in declared] + facts, text
