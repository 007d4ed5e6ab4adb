"""Every layer and function, from its examples alone, through the whole pipeline against torch and ONNX."""

from __future__ import annotations

import re

import pytest

from nnspec import registry
from nnspec.compiler import compile_text
from nnspec.layer import Example
from nnspec.reference import example_spec

from .contract import judge

KINDS = ("layer", "function")


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
    named = re.findall(r"\w+(?=\()", example.text)
    draws = any(cls.draws for k in KINDS for name in named if (cls := registry.find(k, name)) is not None)
    judge(compile_text(example_spec(kind, example)).program, with_onnx=example.onnx, squeeze=probabilities, draws=draws)


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_documented_and_has_an_example(kind: str) -> None:
    for name in registry.index(kind):
        cls = registry.find(kind, name)
        assert cls is not None
        assert cls.__doc__, name
        assert cls.examples, name
        for field in cls.fields.values():
            assert field.doc, f"{name}.{field.name}"
