"""Every class and function, sample by sample, as PyTorch's tables have them."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

from nnspec import registry
from nnspec.backends.onnx import MIN_OPSET

from ..opsets import NEWEST
from .classes import public_classes, reason_against, said_as
from .coverage import COMMAND, lacking, version
from .functions import entries, samples
from .judge import Sample, Verdict, judge
from .library import tables
from .rows import COLUMNS, Row, row_of_class, row_of_function

CLASSES = [name for name in public_classes() if said_as(name)]
FUNCTIONS = sorted(registry.index("function"))
PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
ROW = re.compile(r"^\| (`\w+`|total) \|.*?((?:\| \d+ )+)\|$", re.MULTILINE)
COUNTS = {name.strip("`"): int(n.split()[1]) for name, n in ROW.findall(PAGE.read_text(encoding="utf-8"))}
MANY = [name for name in FUNCTIONS if COUNTS.get(name, 0) > 100]
"""Those with so many samples that all of them take long."""
UNJUDGED = ("bernoulli", "normal", "rand_like", "randint", "randint_like", "randn_like")
"""Neither ONNX Runtime nor the reference evaluator has their operators from opset 22 on."""


@pytest.fixture(autouse=True)
def _tables() -> None:
    try:
        tables()
    except ImportError as fault:
        pytest.skip(f"PyTorch's tables cannot be imported: {fault}")


def written() -> str:
    """The page; tests that need it are skipped where it was made with another torch."""
    text = PAGE.read_text(encoding="utf-8")
    if f"PyTorch {version()};" not in text:
        pytest.skip("docs/coverage.md was written with another version of PyTorch")
    return text


def check(row: Row) -> None:
    """All that can be said agrees, each exception has a reason, and the page says so."""
    assert row.faults == []
    lines = written().splitlines()
    assert row.line() in lines, COMMAND
    assert all(any(_tells(line, reason, row.name, count) for line in lines) for reason, count in row.reasons().items())


def _tells(line: str, reason: str, name: str, count: int) -> bool:
    """Whether a line of the page has this exception."""
    return line.startswith(f"- {reason}: ") and f"`{name}` {count}" in line.removeprefix(f"- {reason}: ").split(", ")


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_torchs_in_every_sample(name: str) -> None:
    row = row_of_class(name)
    assert row.counts["samples"], "neither `module_db` nor tests/tables/own.py has samples of it"
    check(row)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in MANY)) for n in FUNCTIONS])
def test_a_function_is_torchs_in_every_sample(name: str) -> None:
    if entries(name):
        check(row_of_function(name))


@pytest.mark.parametrize("name", MANY)
def test_a_function_of_many_samples_is_torchs_in_some(name: str) -> None:
    row = Row(name)
    row.fill(islice(samples(name), 0, None, 10))
    assert row.counts["said"]
    assert row.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("opset", [MIN_OPSET, NEWEST])
@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_other_opsets_say_the_same(name: str, opset: int) -> None:
    if name in CLASSES:
        assert row_of_class(name, opset).faults == []
    elif entries(name) and name not in (*MANY, *UNJUDGED):
        assert row_of_function(name, opset).faults == []


def test_what_is_wrong_is_noticed() -> None:
    x = torch.linspace(-1, 1, 5)

    def judged(text: str, ask: Callable[[torch.Tensor], torch.Tensor]) -> Verdict:
        return judge(Sample("sin", lambda spec: text.replace("x", spec.value(x)), lambda: ask(x)))

    assert judged("sin(x)", torch.sin) == Verdict(symbolic=True)
    other = judged("cos(x)", torch.sin)
    assert other.differs.startswith("by ")
    assert other.onnx.startswith("differs: ")
    assert judged("sin(x)", lambda x: x.double().sin()).differs.startswith(
        "torch.float32 (5,) instead of torch.float64"
    )
    assert judged("sin(x, 1)", torch.sin).unsaid.startswith("NNS305: ")
    row = Row("sin")
    row.add(Sample("sin", lambda spec: f"cos({spec.value(x)})", x.sin))
    assert [fault.partition(":")[0] for fault in row.faults] == ["differs", "ONNX differs"]


def test_every_class_of_torch_is_said_or_has_a_reason() -> None:
    assert [name for name in public_classes() if not said_as(name) and not reason_against(name)] == []
    assert [name for name in public_classes() if said_as(name) and reason_against(name)] == []


def test_the_page_lists_all_and_adds_up() -> None:
    text = written()
    found = [(name.strip("`"), [int(n) for n in re.findall(r"\d+", numbers)]) for name, numbers in ROW.findall(text)]
    first, second = (at for at, (name, _) in enumerate(found) if name == "total")
    for rows, names in (
        (found[: first + 1], CLASSES),
        (found[first + 1 : second + 1], [name for name in FUNCTIONS if entries(name)]),
    ):
        assert [name for name, _ in rows] == [*names, "total"], COMMAND
        assert rows[-1][1] == [sum(numbers[i] for _, numbers in rows[:-1]) for i in range(len(COLUMNS))], COMMAND
    assert ", ".join(f"`{name}`" for name in lacking()) + "." in text, COMMAND
