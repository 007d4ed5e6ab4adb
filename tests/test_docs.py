"""What the documentation shows is true: every spec in it is checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnspec.compiler import check

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```nns *(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snippets() -> list[object]:
    found: list[object] = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            found.append(pytest.param(match[1], match[2], id=f"{path.stem}-{line}"))
    return found


@pytest.mark.parametrize(("code", "text"), snippets())
def test_a_snippet_is_right_or_wrong_as_it_says(code: str, text: str) -> None:
    assert [d.code for d in check(text).diagnostics] == ([code] if code else [])
