"""What the author of a wrong spec sees: each file in `errors/` is reported as its last lines say, and no further.

The expectations are comments, one a diagnostic: `# error: NNS401 5:35` or `# warning: NNS230 3:3`, the code with line
and column of the place. The lines below it that begin with `#   ` are texts that the diagnostic shows, blanks aside.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from nnspec.compiler import Checked, check
from nnspec.diagnostics import Diagnostic, Severity
from nnspec.render import as_json, concise, render, render_all

FOLDER = Path(__file__).parent / "errors"
FILES = sorted(FOLDER.glob("*.nns"))
HEAD = re.compile(r"^# (error|warning): (NNS\d{3}) (\d+):(\d+)$")


class Expected(NamedTuple):
    """One diagnostic as a file announces it."""

    severity: str
    code: str
    line: int
    column: int
    texts: tuple[str, ...]


def expectations(text: str) -> list[Expected]:
    found: list[Expected] = []
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            found.append(Expected(head[1], head[2], int(head[3]), int(head[4]), ()))
        elif found and line.startswith("#   "):
            found[-1] = found[-1]._replace(texts=(*found[-1].texts, line[4:].strip()))
    return found


def place(diagnostic: Diagnostic, checked: Checked) -> tuple[Severity, str, int, int]:
    line, column = checked.sources[diagnostic.span.source].position(diagnostic.span.start)
    return diagnostic.severity, diagnostic.code, line, column


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrong_spec_is_reported_where_and_as_it_says(path: Path) -> None:
    text = path.read_text("utf-8")
    expected = expectations(text)
    checked = check(text, path.name, base=FOLDER)
    pages = [render(d, checked.sources) for d in checked.diagnostics]
    assert [place(d, checked) for d in checked.diagnostics] == [e[:4] for e in expected], "\n\n".join(pages)
    assert expected
    for diagnostic, page, wanted in zip(checked.diagnostics, pages, expected, strict=True):
        assert wanted.texts, f"{wanted.code} {wanted.line}:{wanted.column} names no text"
        for each in wanted.texts:
            assert squeezed(each) in squeezed(page), page
        head = concise(diagnostic, checked.sources)
        assert head.startswith(f"{path.name}:{wanted.line}:{wanted.column}: {wanted.severity}[{wanted.code}]: ")
        assert "\n" not in head


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_renderers_show_it(path: Path) -> None:
    checked = check(path.read_text("utf-8"), path.name, base=FOLDER)
    entries = json.loads(as_json(checked.diagnostics, checked.sources))["diagnostics"]
    assert [entry["code"] for entry in entries] == [d.code for d in checked.diagnostics]
    for color in (False, True):
        assert all(d.message in render_all(checked.diagnostics, checked.sources, color) for d in checked.diagnostics)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_messages_keep_to_the_style(path: Path) -> None:
    checked = check(path.read_text("utf-8"), path.name, base=FOLDER)
    for diagnostic in checked.diagnostics:
        sentences = [diagnostic.message, *diagnostic.notes, *diagnostic.helps, *(f.title for f in diagnostic.fixes)]
        sentences += [label.text for label in diagnostic.labels]
        assert diagnostic.primary is not None
        for sentence in sentences:
            assert not sentence.endswith("."), sentence
            assert not re.search(r"\b(\w+) \1\b", sentence), f"a word twice: {sentence}"
            assert not re.search(r"<class|NoneType|Traceback|object at 0x|Fraction\(|TensorType", sentence), sentence
            assert sentence == "" or not sentence[0].isupper() or sentence.split()[0].isupper(), sentence
        assert len(set(diagnostic.helps) | {f.title for f in diagnostic.fixes}) == len(diagnostic.helps) + len(
            diagnostic.fixes
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_safe_fixes_repair_what_they_are_about(path: Path) -> None:
    text = path.read_text("utf-8")
    checked = check(text, path.name, base=FOLDER)
    for diagnostic in checked.diagnostics:
        for fix in diagnostic.fixes:
            if not fix.safe:
                continue
            repaired = text
            for edit in sorted(fix.edits, key=lambda e: e.span.start, reverse=True):
                repaired = repaired[: edit.span.start] + edit.text + repaired[edit.span.end :]
            assert len(check(repaired, base=FOLDER).diagnostics) < len(checked.diagnostics)


def test_every_phase_has_its_cases() -> None:
    found = {e.code for path in FILES for e in expectations(path.read_text("utf-8"))}
    assert len(FILES) >= 60
    assert {code[:4] for code in found} == {"NNS1", "NNS2", "NNS3", "NNS4", "NNS6"}
