"""Examples of the library in random programs: of layers, functions and blocks of `std`."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from nnspec import registry, registry_std
from nnspec.layer import Example
from tests.generate.body import Body, Tensor

_SYMBOL = re.compile(r"\b[A-Z]\b")
_STD = re.compile(r"## Example: `([^`]*)` with\s+(?:##\s*)?x: (float\[[^\]]*\])\.")


@cache
def examples() -> list[tuple[str, str, str]]:
    """Flows from one tensor, with its type and what has to be imported."""
    found = []
    for kind in ("layer", "function"):
        for name in sorted(registry.index(kind)):
            cls = registry.find(kind, name)
            assert cls is not None
            found += [
                (e.text if kind == "function" else f"x -> {e.text}", _type(e), "")
                for e in cls.examples
                if _fits(cls, e)
            ]
    for name, homes in registry_std.blocks().items():
        for text, type_ in _STD.findall(registry_std.text_of(homes[0])):
            used = [n for n in registry_std.blocks() if re.search(rf"\b{n}\b", text)]
            if used == [name] and re.fullmatch(r"x -> .*", text):
                found.append((text, type_, f"from {homes[0]} import {name}"))
    return found


def _fits(cls: type, example: Example) -> bool:
    alone = list(example.inputs) == ["x"] and isinstance(example.inputs["x"], str) and not example.assume
    drawn = getattr(cls, "draws", False) or not example.onnx
    return alone and not drawn and "*" not in str(example.inputs["x"]) and not re.search(r"\bT\b.*bfloat", example.text)


def _type(example: Example) -> str:
    return str(example.inputs["x"])


def add_example(b: Body, inputs: list[str], random: Random) -> list[str]:
    """An input with the result of an example as an output; gives back what is imported."""
    text, type_, needed = random.choice(examples())
    name = b.fresh("given")
    renamed = {s: f"{s}9" for s in set(_SYMBOL.findall(type_))}
    replaced = _SYMBOL.sub(lambda m: renamed.get(m[0], m[0]), type_)
    flow = re.sub(r"\bx\b", name, _SYMBOL.sub(lambda m: renamed.get(m[0], m[0]), text))
    flow = re.sub(r"(?<=-> )(\w+): ", lambda m: f"{m[1]}_of_{name}: ", flow)  # a label that nobody else has
    inputs.append(f"  input {name}: {replaced}")
    result = b.fresh("made")
    b.line(f"{result} = {flow}")
    b.line(f"output {result}")
    b.let(result, Tensor("unknown", None))
    return [needed] if needed else []
