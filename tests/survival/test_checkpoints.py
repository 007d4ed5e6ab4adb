"""Checkpoints of runs that were killed between two files, and which one a run that goes on calls its best."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nnspec.training.listener import Listener, Outline
from nnspec.training.running import keep
from nnspec.training.runs.checkpoint import FOLDER, names_in, read_index, step_of
from nnspec.training.runs.resume import find
from tests.survival.test_resume import Stopping, run, same, spec, told

DIVERGING = "SGD(lr=2.0)"
"""By which an early epoch is the best."""


@pytest.fixture(autouse=True)
def _writes_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "SHORTEST", 0.0)


def test_the_best_is_known_where_the_index_is_older(tmp_path: Path) -> None:
    text = spec(optimizer=DIVERGING)
    whole, result = run(text, tmp_path)
    assert result.directory is not None
    assert result.best is not None
    folder = result.directory / FOLDER
    expected = read_index(folder)
    # As if it had been killed after the best checkpoint was moved to its place, and before the index was written.
    for name in names_in(folder):
        if step_of(name) > result.best.step:
            shutil.rmtree(folder / name)
    (folder / "index.json").write_text(json.dumps({"last": "step-00000000", "best": None}))
    again, resumed = run(text, tmp_path, resume="last")
    assert same(whole, again)
    assert read_index(folder) == expected
    assert resumed.best == result.best


def test_going_on_from_the_very_beginning_gives_up_all_that_came_after(tmp_path: Path) -> None:
    text = spec(settings="checkpoint = (every=8, keep=9)")
    fresh = tmp_path / "fresh"

    class Copying(Listener):
        def start(self, outline: Outline) -> None:
            assert outline.directory is not None
            shutil.copytree(outline.directory / FOLDER / "step-00000000", fresh)

    whole, result = run(text, tmp_path, listener=Copying())
    assert result.directory is not None
    folder = result.directory / FOLDER
    fresh.rename(folder / "step-00000000")  # as if it had been killed before it removed it
    shutil.copytree(folder / "step-00000008", folder / "step-00000999")
    again, resumed = run(text, tmp_path, resume=str(folder / "step-00000000"))
    assert same(whole, again)
    assert told(resumed) == told(result)
    assert max(map(step_of, names_in(folder))) == resumed.steps


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    _, result = run(spec(), tmp_path, listener=Stopping(10))
    assert result.directory is not None
    folder = result.directory / FOLDER
    for name in (".step-00000011.part", ".step-00000003.old"):
        (folder / name).mkdir()
        (folder / name / "state.pt").write_bytes(b"x")
    run(spec(), tmp_path, resume="last")
    assert not list(folder.glob(".step-*"))


def test_a_run_that_goes_on_is_not_over(tmp_path: Path) -> None:
    run(spec(), tmp_path)
    longer = spec().replace("epochs     = 4", "epochs     = 6")
    seen = []

    class Looking(Stopping):
        def checkpoint(self, directory: Path) -> None:
            seen.append((tmp_path / "Net-1" / "result.json").exists())

    run(longer, tmp_path, resume="last", accept_changes=True, listener=Looking(10**9))
    assert seen
    assert not any(seen)
    assert (tmp_path / "Net-1" / "result.json").exists()


def test_a_run_that_was_stopped_early_has_nothing_left_to_do_until_it_may_wait_longer(tmp_path: Path) -> None:
    text = spec("early_stopping = (patience=1)", "SGD(lr=5.0)")
    _, result = run(text, tmp_path)
    assert result.status == "stopped early"
    assert find("auto", tmp_path, "Net") is None
    _, same_end = run(text, tmp_path, resume="last")
    assert (same_end.status, same_end.steps) == ("stopped early", result.steps)
    patient = text.replace("patience=1", "patience=50")
    _, longer = run(patient, tmp_path, resume="last", accept_changes=True)
    assert (longer.status, longer.steps) == ("finished", 32)


def test_a_later_best_that_is_given_up_is_no_best(tmp_path: Path) -> None:
    text = spec(settings="checkpoint = (every=8, keep=1)", optimizer="Adam(lr=0.01)")
    _, result = run(text.replace("keep=1", "keep=9"), tmp_path)
    assert result.directory is not None
    folder = result.directory / FOLDER
    early = names_in(folder)[-3]
    other = text.replace("lr=0.01", "lr=10.0").replace("keep=1", "keep=9")
    _, worse = run(other, tmp_path, resume=str(folder / early), accept_changes=True)
    index = read_index(folder)
    assert worse.best is not None
    assert index["best"] == f"step-{worse.best.step:08}"
