"""The reference of the library of blocks in Markdown, written from their files: `docs/std.md`.

What an example gives is worked out by the compiler, as in `reference.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nnspec import ir, registry_std
from nnspec.compiler import compile_text
from nnspec.registry_std_pages import Page, entries


def markdown() -> str:
    """Every module of `std`, and its blocks with their inputs and examples."""
    modules = list(registry_std.modules())
    parts = [
        "# std: the library of blocks",
        "Written from the files in [`nnspec/std`](../nnspec/std) by `nnspec explain --markdown std`; `nnspec explain "
        "NAME` shows a page of it in the terminal, with the block's text. Blocks are imported (`from std.attention "
        "import Attention`), or copied and changed: all of them are written in the language itself.",
        "Capitalised names are layers, the others functions. Dropout and stochastic depth are off unless asked for. "
        "Parameters have the names of the code that most checkpoints come from.",
        "\n".join(f"- [{module}](#{module.replace('.', '')}): {', '.join(_names(module))}" for module in modules),
    ]
    for module in modules:
        file = f"{module.removeprefix('std.')}.nns"
        parts += [f"## {module}", f"{registry_std.about(module)} Text: [`{file}`](../nnspec/std/{file})."]
        parts += [part for page in entries(module) for part in _entry(page)]
    return "\n\n".join(parts) + "\n"


def _names(module: str) -> list[str]:
    return [f"`{name}`" for name, homes in registry_std.blocks().items() if module in homes]


def _entry(page: Page) -> Iterator[str]:
    yield f"### {page.name}"
    yield f"```text\n{page.signature}\n```"
    yield from page.paragraphs
    for word, given in (("argument", page.arguments), ("input", page.inputs)):
        if any(each.doc for each in given):
            yield _table((word, ""), ((f"`{_cell(each.text)}`", _cell(each.doc)) for each in given))
        elif word == "input" and given:
            yield "Inputs: " + ", ".join(f"`{each.text}`" for each in given) + "."
    uses = ((f"`{_cell(use)}`", ", ".join(f"`{i}`" for i in given), result(use, given)) for use, given in page.examples)
    yield _table(("example", "with", "gives"), uses)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def result(use: str, inputs: Iterable[str]) -> str:
    """The type of what an example gives."""
    program = compile_text(example_spec(use, inputs)).program
    graph = program.methods[program.main.methods["infer"]].graph
    return ", ".join(f"`{graph.values[number].type}`" for number in ir.refs(graph.outputs))


def example_spec(use: str, inputs: Iterable[str]) -> str:
    """A model that is one use of a block, behind the imports of what stands in it."""
    declared = "".join(f"  input {each}\n" for each in inputs)
    return importing(f"model Example {{\n{declared}  output y = {use}\n}}\n")


def importing(text: str) -> str:
    """A text behind the imports of all names of `std` that stand in it."""
    words = set(re.findall(r"\w+", text))
    homes = ((name, home) for name, (home, *_) in registry_std.blocks().items() if name in words)
    return "".join(f"from {home} import {name}\n" for name, home in homes) + text
