"""Every layer and function, from its examples alone, through the whole pipeline against torch and ONNX."""

from __future__ import annotations

import re

import pytest

from nnspec import registry
from nnspec.compiler import compile_text
from nnspec.layer import Example

from .contract import judge

KINDS = ("layer", "function")


_MULTIPLE = re.compile(r"(\d+) \* ([A-Z])\b")


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


def _is_starred(names: tuple[str, ...]) -> bool:
    """Whether inputs have no names of their own: they are those of a layer that is wrapped."""
    return any(name.startswith("*") for name in names)


def spec(kind: str, example: Example) -> str:
    """A model that holds the example and nothing else."""
    declared: list[str] = []
    flowing: list[str] = []
    cls = registry.find(kind, example.text.split("(")[0])
    order = cls.input_names() if cls is not None else ()
    for position, (name, type_) in enumerate(example.inputs.items()):
        parts = [type_] if isinstance(type_, str) else list(type_)
        names = [name] if isinstance(type_, str) else [f"{name}_{i}" for i in range(len(parts))]
        declared += [f"  input {n}: {t}" for n, t in zip(names, parts, strict=True)]
        value = names[0] if len(names) == 1 else f"({', '.join(names)})"
        by_name = kind == "layer" and order[position : position + 1] != (name,) and not _is_starred(order)
        flowing.append(f"{name}={value}" if by_name else value)
    if example.assume:
        declared.append(f"  assert {example.assume}")
    head = f"({', '.join(flowing)})" if len(flowing) > 1 else "".join(flowing)
    flow = f"{head} -> {example.text}" if kind == "layer" else example.text
    declared, flow = bind_multiples(declared, flow)
    body = "\n".join(declared)
    return f"model Example {{\n{body}\n  result = {flow}\n  output y = result\n}}\n"


def cases() -> list[object]:
    found: list[object] = []
    for kind in KINDS:
        for name in sorted(registry.index(kind)):
            cls = registry.find(kind, name)
            assert cls is not None
            found += [pytest.param(kind, e, id=f"{name}-{i}") for i, e in enumerate(cls.examples)]
    return found


@pytest.mark.parametrize(("kind", "example"), cases())
def test_an_example_means_the_same_everywhere(kind: str, example: Example) -> None:
    probabilities = example.text.startswith("binary_cross_entropy(")
    functions = [registry.find("function", name) for name in re.findall(r"\w+(?=\()", example.text)]
    draws = any(cls.draws for cls in functions if cls is not None)
    judge(compile_text(spec(kind, example)).program, with_onnx=example.onnx, squeeze=probabilities, draws=draws)


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_documented_and_has_an_example(kind: str) -> None:
    for name in registry.index(kind):
        cls = registry.find(kind, name)
        assert cls is not None
        assert cls.__doc__, name
        assert cls.examples, name
        for field in cls.fields.values():
            assert field.doc, f"{name}.{field.name}"
