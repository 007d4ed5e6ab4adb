"""`docs/layers.md` is what the classes say."""

from __future__ import annotations

from pathlib import Path

from nnspec import registry
from nnspec.reference import markdown

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


def test_the_page_is_written_from_the_classes_as_they_are() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == markdown(), "nnspec explain --markdown > docs/layers.md"


def test_every_name_has_an_entry_and_every_example_a_result() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    entries = [line.removeprefix("#### ") for line in lines if line.startswith("#### ")]
    assert sorted(entries) == sorted(name for kind in registry.FOLDERS for name in registry.index(kind))
    assert "| `Conv2d(8, 3)` | `x: float[N, 3, 16, 16]` | `float[N, 8, 14, 14]` |" in lines
