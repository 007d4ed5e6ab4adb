"""Pages about the library of blocks for the terminal, written from their declarations and doc comments."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from nnspec import registry_std
from nnspec.diagnostics import Sink
from nnspec.syntax import ast
from nnspec.syntax.parse import parse

_WIDTH = 88
_EXAMPLE = re.compile(r"Example: `(.*)` with (.*)\.")
_NEXT_INPUT = re.compile(r", (?=\w+: )")


@dataclass(frozen=True)
class Part:
    """A hyperparameter, an input or an output of a block: as it is declared, on one line, and what that says."""

    text: str
    doc: str
    name: str
    type: str | None = None
    default: str | None = None


@dataclass(frozen=True)
class Page:
    """What there is to say about a block: of what it says itself, each part as it is written, on one line."""

    module: str
    name: str
    signature: str
    paragraphs: tuple[str, ...]
    """What it computes, from what, and its source."""
    arguments: tuple[Part, ...]
    """Its hyperparameters, each with its comment."""
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]
    examples: tuple[tuple[str, tuple[str, ...]], ...]
    """Uses of it, each with the inputs of a model that is this use."""
    text: str


def known_topics() -> list[str]:
    """What there are pages about: blocks, and modules."""
    return [*registry_std.modules(), *sorted(registry_std.blocks())]


def pages(topic: str) -> list[str]:
    """What there is to say about a block (`FeedForward`, `std.feedforward.FeedForward`), a module, or `std`."""
    if topic == "std":
        return [overview()]
    if topic in registry_std.modules():
        return [_module_page(topic)]
    module, _, name = topic.rpartition(".")
    found = registry_std.blocks().get(name, ())
    homes = [home for home in found if module in ("", home)]
    return [_block_page(page) for home in homes for page in entries(home) if page.name == name]


def entries(module: str) -> list[Page]:
    """The blocks of a module, in the order in which they are declared."""
    text = registry_std.text_of(module)
    declared = parse(text, Sink()).declarations
    return [_entry(module, text, each) for each in declared if isinstance(each, ast.Block)]


def overview() -> str:
    """Every module with its blocks."""
    lines = []
    for module in registry_std.modules():
        names = ", ".join(name for name, homes in registry_std.blocks().items() if module in homes)
        lines.append(textwrap.fill(f"{module}: {names}", _WIDTH, initial_indent="  ", subsequent_indent="    "))
    return "\n".join(["Blocks of the library, to import:", *lines])


def _entry(module: str, text: str, block: ast.Block) -> Page:
    def words(node: ast.Node) -> str:
        return _words(text[node.span.start : node.span.end])

    def part(node: ast.Hyperparameter | ast.Input) -> Part:
        type_, default = (None if each is None else words(each) for each in (node.type, node.default))
        return Part(words(node).removeprefix("input "), _words(node.doc), node.name.id, type_, default)

    statements = block.body.statements
    paragraphs = [" ".join(part.split()) for part in block.doc.split("\n\n")]
    uses = [match for part in paragraphs if (match := _EXAMPLE.fullmatch(part))]
    outputs = [each for each in statements if isinstance(each, ast.Output) and (each.name or each.type)]
    return Page(
        module,
        block.name.id,
        _signature(text, block),
        tuple(part for part in paragraphs if part and not _EXAMPLE.fullmatch(part)),
        tuple(map(part, block.hyperparameters)),
        tuple(part(each) for each in statements if isinstance(each, ast.Input)),
        tuple(Part(_output(text, each), "", each.name.id if each.name else "") for each in outputs),
        tuple((use[1], tuple(_NEXT_INPUT.split(use[2]))) for use in uses),
        text[block.span.start : block.span.end],
    )


def _module_page(module: str) -> str:
    about = registry_std.about(module)
    lines = [f"{module}    (a module of the library)", ""]
    if about:
        lines += [textwrap.fill(about, _WIDTH), ""]
    for page in entries(module):
        lines += [f"  {page.signature}", *_indented(page.paragraphs[0] if page.paragraphs else "", "      ")]
    return "\n".join(lines)


def _block_page(page: Page) -> str:
    parts = [f"{page.signature}    (a block of {page.module})"]
    parts += [textwrap.fill(part, _WIDTH) for part in page.paragraphs]
    for title, given in (("Arguments:", page.arguments), ("Inputs:", page.inputs), ("Outputs:", page.outputs)):
        if given:
            parts.append("\n".join([title, *(line for each in given for line in _item(each.text, each.doc))]))
    if page.examples:
        shown = (f"  {use}    with {', '.join(inputs)}" for use, inputs in page.examples)
        parts.append("\n".join(["Examples:", *shown]))
    parts.append(f"Import it:\n  from {page.module} import {page.name}")
    parts.append("Its text, to read or to copy:\n" + textwrap.indent(page.text, "  "))
    return "\n\n".join(parts)


def _signature(text: str, block: ast.Block) -> str:
    hyper = ", ".join(_words(text[h.span.start : h.span.end]) for h in block.hyperparameters)
    return f"{block.name.id}({hyper})" if hyper else block.name.id


def _output(text: str, node: ast.Output) -> str:
    name = node.name.id if node.name is not None else ""
    return f"{name}: {text[node.type.span.start : node.type.span.end]}" if node.type is not None else name


def _item(head: str, doc: str) -> list[str]:
    return [f"  {head}", *_indented(doc, "      ")]


def _indented(text: str, indent: str) -> list[str]:
    return [textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)] if text else []


def _words(text: str) -> str:
    """A text on one line, without its comments."""
    lines = (line for line in text.split("\n") if not line.lstrip().startswith("#"))
    return " ".join(" ".join(lines).split())
