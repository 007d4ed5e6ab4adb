"""What the documentation shows is true: every spec in it is checked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from nnspec.backends.source import emit, emit_training
from nnspec.cli import main
from nnspec.compiler import check, compile_text
from nnspec.render import render

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


README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = next(match[2] for match in BLOCK.finditer(README))


def test_the_first_spec_of_the_readme_is_the_example_that_it_runs() -> None:
    example = (ROOT / "examples" / "digits_cnn.nns").read_text(encoding="utf-8")
    comment = "# Line for line as the example.\n"
    ours, theirs = (compile_text(text, train=True).program for text in (comment + FIRST, example))
    assert emit(ours) == emit(theirs)
    assert ours.training is not None
    assert theirs.training is not None
    assert emit_training(ours.training) == emit_training(theirs.training)
    assert ours.training.settings == theirs.training.settings
    assert ours.training.updates[0].optimizer.arguments == theirs.training.updates[0].optimizer.arguments


def test_the_mistakes_of_the_readme_are_reported_as_it_shows() -> None:
    """In the example, which begins with a comment."""
    good = "-> conv2: Conv2d(2 * width, 3, padding=1) -> ReLU\n    -> MaxPool2d(2)\n"
    bad = "-> conv2: Conv2d(2 * width, 5) -> ReLU -> MaxPool2d(2) -> conv3: Conv2d(width, 3)\n    -> ReLU\n"
    wrong = f"# What it shows.\n{FIRST}".replace(good, bad).replace("Dropout", "Droput")
    checked = check(wrong, "net.nns")
    shown = "\n\n".join(render(diagnostic, checked.sources) for diagnostic in checked.diagnostics)
    assert f"```text\n{shown}\n```" in README


TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def shown(wrong: str, name: str) -> str:
    """What `check` says of a spec of the tutorial, without the shapes on the way, which the page leaves out."""
    checked = check(wrong, name)
    lines = "\n\n".join(render(diagnostic, checked.sources) for diagnostic in checked.diagnostics).splitlines()
    notes = [at for at, line in enumerate(lines) if line.lstrip().startswith("= note")]
    if notes:
        helps = next(at for at, line in enumerate(lines) if line.lstrip().startswith("= help"))
        lines[notes[0] - 1 : helps] = ["    ..."]
    return "\n".join(lines)


def test_the_mistakes_of_the_tutorial_are_reported_as_it_shows() -> None:
    wrong = next(match[2] for match in BLOCK.finditer(TUTORIAL) if match[1])
    assert f"```text\n{shown(wrong, 'digits.nns')}\n```" in TUTORIAL
    residual = next(match[2] for match in BLOCK.finditer(TUTORIAL) if "block Residual" in match[2])
    broken = re.sub(r"  if stride != 1 or.*?\n  }\n", "", residual, flags=re.DOTALL)
    assert f"```text\n{shown(broken, 'resnet.nns')}\n```" in TUTORIAL


def test_the_training_page_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom: specs that say how their file is called, commands behind a `$`, and Python."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    done = {"nns": 0, "console": 0, "python": 0}
    for kind, text in re.findall(r"^```(nns|console|python)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        done[kind] += 1
        name = re.match(r"# (\w+\.nns)\n", text)
        if name:
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, "training.md", "exec"), names)
        elif kind == "console":
            for line in re.findall(r"^\$ nnspec (.*)", text, re.MULTILINE):
                with pytest.raises(SystemExit) as end:
                    main(shlex.split(line))
                assert not end.value.code, line
    assert min(done.values()) > 1
    assert (tmp_path / "answers.csv").read_text().startswith("label,p(0)")
