"""The grammar is free of conflicts, and its tables come from a cache that nobody else can write."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from lark import Lark

from nnspec.syntax import tables

ROOT = Path(__file__).parents[2]
GRAMMAR = Path(tables.grammar_path()).read_text("utf-8")
WARM_START = """
import sys
from nnspec.diagnostics import Sink
from nnspec.syntax.parse import parse
sink = Sink()
parse("width = 64\\n", sink)
assert not sink.failed
print(sorted({"lark", "torch", "numpy", "pydantic"} & set(sys.modules)))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "nnspec"


def cached(cache: Path) -> Path:
    (path,) = cache.glob("*.json")
    return path


def test_the_grammar_has_no_conflicts() -> None:
    Lark(GRAMMAR, parser="lalr", lexer="basic", start=list(tables.STARTS), strict=True)


def test_a_conflict_would_be_found() -> None:
    ambiguous = GRAMMAR.replace("?minus: power", "?minus: power | minus POWER minus")
    with pytest.raises(Exception, match=r"conflict|collision"):
        Lark(ambiguous, parser="lalr", lexer="basic", start=list(tables.STARTS), strict=True)


def test_the_cache_gives_what_building_gives(cache: Path) -> None:
    built = tables.load()
    assert tables.load() == built
    assert json.loads(cached(cache).read_text("utf-8"))["grammar"] == GRAMMAR


def test_a_warm_start_imports_no_parser_generator(cache: Path) -> None:
    tables.load()
    done = subprocess.run([sys.executable, "-c", WARM_START], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(os.name == "nt", reason="rights are kept otherwise there")
def test_the_cache_is_private(cache: Path) -> None:
    tables.load()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(cached(cache).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="rights are kept otherwise there")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_cache_that_others_can_write_is_not_believed(cache: Path, what: str) -> None:
    right = tables.load()
    data = json.loads(cached(cache).read_text("utf-8"))
    data["tables"]["rules"] = []
    cached(cache).write_text(json.dumps(data), "utf-8")
    assert tables.load() != right
    (cache if what == "folder" else cached(cache)).chmod(0o777)
    assert tables.load() == right


def test_a_cache_folder_that_is_a_link_is_not_used(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.symlink_to(elsewhere)
    tables.load()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"grammar": 1}', "null"])
def test_a_damaged_cache_is_built_anew(cache: Path, content: str) -> None:
    right = tables.load()
    cached(cache).write_text(content, "utf-8")
    assert tables.load() == right
    assert json.loads(cached(cache).read_text("utf-8"))["grammar"] == GRAMMAR


def test_a_cache_of_another_grammar_is_not_used(cache: Path) -> None:
    right = tables.load()
    data = json.loads(cached(cache).read_text("utf-8"))
    data["grammar"] += " "
    data["tables"]["rules"] = []
    cached(cache).write_text(json.dumps(data), "utf-8")
    assert tables.load() == right


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert tables.load().rules
