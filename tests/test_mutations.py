"""Every spec that ships, spoiled at random: diagnostics, and soon, and never a traceback.

What is still right after a mutation is compiled, and what can be read is formatted, as any spec is.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import pytest

from nnspec.backends.source import emit
from nnspec.compiler import check, compile_text
from nnspec.diagnostics import NnspecError, Sink
from nnspec.render import as_json, render_all
from nnspec.syntax.format import format_text

from .generate.mutations import mutated, words_of

ROOT = Path(__file__).parent.parent
FILES = [path for folder in ("examples", "nnspec/std") for path in sorted((ROOT / folder).rglob("*.nns"))]
TEXTS = {path: path.read_text("utf-8") for path in FILES}
WORDS = words_of(list(TEXTS.values()))
IDS = [str(path.relative_to(ROOT).with_suffix("")) for path in FILES]

FEW = 2
MANY = 200
SECONDS = 5.0
"""Of processor time; on an idle machine no check took more than a quarter of one."""


def survives(path: Path, seed: int) -> None:
    """A mutated file is judged in bounded time, by all that looks at texts."""
    text = mutated(TEXTS[path], Random(seed), WORDS)
    start = time.process_time()
    checked = check(text, path.name, base=path.parent, allow_extern=True)
    render_all(checked.diagnostics, checked.sources)
    json.loads(as_json(checked.diagnostics, checked.sources))
    assert time.process_time() - start < SECONDS, text
    assert not any(d.code == "NNS901" for d in checked.diagnostics), text
    assert len({(d.message, d.span) for d in checked.diagnostics}) == len(checked.diagnostics), text
    is_formatted_or_left(text)
    if checked.ok:
        compiles(path, text)


def compiles(path: Path, text: str) -> None:
    """What passed the check is written as source, unless there are several models, or none without arguments."""
    try:
        program = compile_text(text, path.name, base=path.parent, allow_extern=True).program
    except NnspecError as fault:
        if {d.code for d in fault.diagnostics} <= {"NNS210", "NNS302"}:
            return
        raise
    emit(program)


def is_formatted_or_left(text: str) -> None:
    """What can be read is formatted stably; nothing else is said about it than that it cannot be read."""
    sink = Sink()
    once = format_text(text, sink)
    assert not any(d.code == "NNS901" for d in sink.diagnostics), text
    assert sink.failed or format_text(once, Sink()) == once, text


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_spoiled_spec_gives_diagnostics(path: Path) -> None:
    for seed in range(FEW):
        survives(path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_spec_spoiled_in_many_ways_gives_diagnostics(path: Path) -> None:
    for seed in range(FEW, MANY):
        survives(path, seed)
