"""Pages about the library of blocks for the terminal, written from their declarations and doc comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from nnspec import registry_std
from nnspec.diagnostics import Sink
from nnspec.syntax import ast
from nnspec.syntax.parse import parse

_WIDTH = 88


def known_topics() -> list[str]:
    """What there are pages about: blocks, and modules."""
    return [*registry_std.modules(), *sorted(registry_std.blocks())]


def pages(topic: str) -> list[str]:
    """What there is to say about a block (`FeedForward`, `std.feedforward.FeedForward`) or a module."""
    if topic in registry_std.modules():
        return [_module_page(topic)]
    module, _, name = topic.rpartition(".")
    found = registry_std.blocks().get(name, ())
    return [
        _block_page(each, text, block) for each in found if module in ("", each) for text, block in _named(each, name)
    ]


def overview() -> str:
    """Every module with its blocks."""
    lines = []
    for module in registry_std.modules():
        names = ", ".join(name for name, homes in registry_std.blocks().items() if module in homes)
        lines.append(textwrap.fill(f"{module}: {names}", _WIDTH, initial_indent="  ", subsequent_indent="    "))
    return "\n".join(["Blocks of the library, to import:", *lines])


def _declared(module: str) -> tuple[str, list[ast.Block]]:
    text = registry_std.text_of(module)
    file = parse(text, Sink())
    return text, [d for d in file.declarations if isinstance(d, ast.Block)]


def _named(module: str, name: str) -> Iterator[tuple[str, ast.Block]]:
    text, blocks = _declared(module)
    yield from ((text, block) for block in blocks if block.name.id == name)


def _module_page(module: str) -> str:
    text, blocks = _declared(module)
    lines = [f"{module}    (a module of the library)", ""]
    for block in blocks:
        lines += [f"  {_signature(text, block)}", *_indented(block.doc.split("\n\n")[0], "      ")]
    return "\n".join(lines)


def _block_page(module: str, text: str, block: ast.Block) -> str:
    parts = [f"{_signature(text, block)}    (a block of {module})", *_paragraphs(block.doc)]
    hyper = [(text[h.span.start : h.span.end], h.doc) for h in block.hyperparameters]
    inputs = [s for s in block.body.statements if isinstance(s, ast.Input)]
    taken = [(_words(text[s.span.start : s.span.end]).removeprefix("input "), s.doc) for s in inputs]
    outputs = [s for s in block.body.statements if isinstance(s, ast.Output)]
    given = [(_output(text, s), "") for s in outputs if s.name is not None or s.type is not None]
    for title, entries in (("Arguments:", hyper), ("Inputs:", taken), ("Outputs:", given)):
        if entries:
            parts.append("\n".join([title, *(line for entry in entries for line in _entry(*entry))]))
    name = block.name.id
    parts.append(f"Import it:\n  from {module} import {name}")
    parts.append("Its text, to read or to copy:\n" + textwrap.indent(text[block.span.start : block.span.end], "  "))
    return "\n\n".join(parts)


def _signature(text: str, block: ast.Block) -> str:
    hyper = ", ".join(_words(text[h.span.start : h.span.end]) for h in block.hyperparameters)
    return f"{block.name.id}({hyper})" if hyper else block.name.id


def _output(text: str, node: ast.Output) -> str:
    name = node.name.id if node.name is not None else ""
    return f"{name}: {text[node.type.span.start : node.type.span.end]}" if node.type is not None else name


def _entry(head: str, doc: str) -> list[str]:
    return [f"  {_words(head)}", *_indented(doc, "      ")]


def _indented(doc: str, indent: str) -> list[str]:
    text = _words(doc)
    return [textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)] if text else []


def _paragraphs(doc: str) -> list[str]:
    return [textwrap.fill(_words(part), _WIDTH) for part in doc.split("\n\n") if part.strip()]


def _words(text: str) -> str:
    """A text on one line, without its comments."""
    lines = (line for line in text.split("\n") if not line.lstrip().startswith("#"))
    return " ".join(" ".join(lines).split())
