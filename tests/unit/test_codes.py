"""Every diagnostic code is explained, and its explanation is true."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import nnspec
from nnspec.codes import Code, all_codes, explain_text, lookup

PACKAGE = Path(next(iter(nnspec.__path__)))
CODES = all_codes()
CODE = Code(
    "NNS999",
    "a title",
    "One sentence\nin two lines.\n\nAnother part.",
    """
    model A {
    }
    """,
    "model B {\n}\n",
)


def reported(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in import_module("nnspec.compiler").check_text(text)]


@pytest.mark.parametrize("code", [code for code in CODES if code.when == "check"], ids=lambda code: code.code)
def test_the_example_is_reported_with_its_code_and_the_repair_is_clean(code: Code) -> None:
    assert code.code in reported(code.example)
    assert reported(code.repair) == []


def test_codes_are_unique_and_in_order() -> None:
    names = [code.code for code in CODES]
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"NNS[1-69]\d\d", name) for name in names)


def test_every_code_that_the_package_reports_is_explained() -> None:
    texts = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "codes"}
    used = {code for text in texts.values() for code in re.findall(r"\"(NNS\d{3})\"", text)}
    assert used - {code.code for code in CODES} == set()


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
def test_an_explanation_has_all_its_parts(code: Code) -> None:
    assert all(part.strip() for part in (code.title, code.meaning, code.example, code.repair))
    assert not code.title.endswith(".")


def test_a_code_is_found_as_people_write_it() -> None:
    assert lookup("NNS000") is None
    assert lookup("nonsense") is None
    for code in CODES:
        assert lookup(code.code) is lookup(code.code.lower()) is lookup(code.code[3:]) is code


def test_the_page_of_a_code_shows_example_and_repair() -> None:
    assert explain_text(CODE) == (
        "NNS999: a title\n\nOne sentence in two lines.\n\nAnother part.\n\n"
        "Example:\n\n    model A {\n    }\n\nRepaired:\n\n    model B {\n    }"
    )
