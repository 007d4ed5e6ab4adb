"""`nnspec fmt` on the command line: what is written, what is shown, exit codes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nnspec.cli.fmt import command

UGLY = "a=1\n"
GOOD = "a = 1\n"
BAD = "model A { input x: float[N\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a spec that is formatted and one, below, that is not; and files that are nobody's business."""
    (tmp_path / "good.nns").write_text(GOOD, "utf-8")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "ugly.nns").write_text(UGLY, "utf-8")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "ugly.nns").write_text(UGLY, "utf-8")
    (tmp_path / "runs" / "Net-1").mkdir(parents=True)
    (tmp_path / "runs" / "Net-1" / "run.json").write_text("{}", "utf-8")
    (tmp_path / "runs" / "Net-1" / "spec.nns").write_text(UGLY, "utf-8")
    (tmp_path / "notes.txt").write_text(UGLY, "utf-8")
    return tmp_path


def fmt(*arguments: str | Path, stdin: str | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments], input=stdin)


def test_a_folder_is_formatted_in_place_once(folder: Path) -> None:
    ugly = folder / "below" / "ugly.nns"
    ugly.chmod(0o750)
    result = fmt(folder)
    assert (result.exit_code, result.stdout) == (0, f"{ugly}: formatted\n")
    assert ugly.read_text("utf-8") == GOOD
    assert stat.S_IMODE(os.stat(ugly).st_mode) == 0o750
    assert (folder / ".hidden" / "ugly.nns").read_text("utf-8") == UGLY
    assert sorted(p.name for p in folder.iterdir()) == [".hidden", "below", "good.nns", "notes.txt", "runs"]
    assert (folder / "runs" / "Net-1" / "spec.nns").read_text("utf-8") == UGLY
    assert fmt(folder).stdout == ""


def test_check_and_diff_write_nothing(folder: Path) -> None:
    ugly = folder / "below" / "ugly.nns"
    result = fmt("--check", folder)
    assert (result.exit_code, result.stdout) == (1, f"{ugly}: not formatted\n")
    result = fmt("--diff", ugly)
    assert (result.exit_code, result.stdout.splitlines()[2:]) == (1, ["@@ -1 +1 @@", "-a=1", "+a = 1"])
    assert ugly.read_text("utf-8") == UGLY
    assert fmt("--check", folder / "good.nns").exit_code == 0


def test_standard_input_goes_to_standard_output() -> None:
    assert fmt("-", stdin=UGLY).stdout == GOOD
    assert fmt("-", stdin=GOOD).stdout == GOOD
    assert fmt("--check", "-", stdin=UGLY).exit_code == 1
    assert fmt("-", stdin=BAD).stdout == ""


def test_a_file_with_errors_is_left_alone_and_the_others_are_not(folder: Path) -> None:
    bad = folder / "bad.nns"
    bad.write_text(BAD, "utf-8")
    result = fmt(folder)
    assert result.exit_code == 1
    assert "error[NNS101]" in result.stderr
    assert bad.read_text("utf-8") == BAD
    assert (folder / "below" / "ugly.nns").read_text("utf-8") == GOOD


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, words in ((tmp_path / "none.nns", "cannot read"), (tmp_path / "empty", "there is no .nns file")):
        result = fmt(path)
        assert result.exit_code == 1
        assert words in result.stderr
