"""What the author of a wrong spec sees: each file in `errors/` is reported as its last lines say, and no further.

The expectations are comments, one a diagnostic: `# error: NNS401 5:35` or `# warning: NNS230 3:3`, the code with line
and column of the place, or `# error: NNS401 blocks.nns:5:35` for a place in a file that is imported. The lines below it
that begin with `#   ` are texts that the diagnostic shows, blanks aside.

A case that needs other files is a folder with a `main.nns`. `# --allow-extern` allows layers written in Python.
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
FILES = sorted([*FOLDER.glob("*.nns"), *FOLDER.glob("*/main.nns")])
HEAD = re.compile(r"^# (error|warning): (NNS\d{3}) (?:([\w./]+):)?(\d+):(\d+)$")
ALLOWED = "# --allow-extern"


class Expected(NamedTuple):
    """One diagnostic as a file announces it."""

    severity: str
    code: str
    file: str
    line: int
    column: int
    texts: tuple[str, ...]


def title(path: Path) -> str:
    """What a case is called: its file, or its folder."""
    return path.stem if path.parent == FOLDER else path.parent.name


def checked_case(path: Path, text: str | None = None) -> Checked:
    """What is said about a case."""
    text = path.read_text("utf-8") if text is None else text
    return check(text, path.name, base=path.parent, allow_extern=ALLOWED in text.splitlines())


def expectations(path: Path) -> list[Expected]:
    found: list[Expected] = []
    for line in path.read_text("utf-8").splitlines():
        head = HEAD.match(line)
        if head:
            found.append(Expected(head[1], head[2], head[3] or path.name, int(head[4]), int(head[5]), ()))
        elif found and line.startswith("#   "):
            found[-1] = found[-1]._replace(texts=(*found[-1].texts, line[4:].strip()))
    return found


def place(diagnostic: Diagnostic, checked: Checked) -> tuple[Severity, str, str, int, int]:
    source = checked.sources[diagnostic.span.source]
    line, column = source.position(diagnostic.span.start)
    return diagnostic.severity, diagnostic.code, source.name, line, column


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("path", FILES, ids=title)
def test_a_wrong_spec_is_reported_where_and_as_it_says(path: Path) -> None:
    expected = expectations(path)
    checked = checked_case(path)
    pages = [render(d, checked.sources) for d in checked.diagnostics]
    assert [place(d, checked) for d in checked.diagnostics] == [e[:5] for e in expected], "\n\n".join(pages)
    assert expected
    for diagnostic, page, wanted in zip(checked.diagnostics, pages, expected, strict=True):
        assert wanted.texts, f"{wanted.code} {wanted.line}:{wanted.column} names no text"
        for each in wanted.texts:
            assert squeezed(each) in squeezed(page), page
        head = concise(diagnostic, checked.sources)
        assert head.startswith(f"{wanted.file}:{wanted.line}:{wanted.column}: {wanted.severity}[{wanted.code}]: ")
        assert "\n" not in head


@pytest.mark.parametrize("path", FILES, ids=title)
def test_all_renderers_show_it(path: Path) -> None:
    checked = checked_case(path)
    entries = json.loads(as_json(checked.diagnostics, checked.sources))["diagnostics"]
    assert [entry["code"] for entry in entries] == [d.code for d in checked.diagnostics]
    for color in (False, True):
        assert all(d.message in render_all(checked.diagnostics, checked.sources, color) for d in checked.diagnostics)


@pytest.mark.parametrize("path", FILES, ids=title)
def test_messages_keep_to_the_style(path: Path) -> None:
    checked = checked_case(path)
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


@pytest.mark.parametrize("path", FILES, ids=title)
def test_safe_fixes_repair_what_they_are_about(path: Path) -> None:
    text = path.read_text("utf-8")
    checked = checked_case(path)
    for diagnostic in checked.diagnostics:
        for fix in diagnostic.fixes:
            if not fix.safe:
                continue
            repaired = text
            assert all(edit.span.source == 0 for edit in fix.edits)
            for edit in sorted(fix.edits, key=lambda e: e.span.start, reverse=True):
                repaired = repaired[: edit.span.start] + edit.text + repaired[edit.span.end :]
            assert len(checked_case(path, repaired).diagnostics) < len(checked.diagnostics)


def test_every_phase_has_its_cases() -> None:
    found = {e.code for path in FILES for e in expectations(path)}
    assert len(FILES) >= 60
    assert {code[:4] for code in found} == {"NNS1", "NNS2", "NNS3", "NNS4", "NNS6"}
