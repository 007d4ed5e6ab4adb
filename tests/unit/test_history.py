"""What a run writes about its numbers: lines, a table and curves, which survive kills and go on after a resumption."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nnspec.training.fault import Fault
from nnspec.training.listener import Outline, Row
from nnspec.training.result import Result
from nnspec.training.runs import history
from nnspec.training.runs.history import History, read_lines
from nnspec.training.watching.curves import drawn, values


def row(epoch: int, loss: float = 0.5, validation: dict[str, float] | None = None) -> Row:
    return Row(epoch, epoch * 10, {"loss": loss}, validation or {}, 0.25, 100.0, {"lr": 0.1})


def outline(directory: Path | None, done: int = 0) -> Outline:
    return Outline(5, 10, 50, 16, directory=directory, done=done)


def written(directory: Path, *rows: Row, done: int = 0) -> History:
    """A listener that has heard of these epochs."""
    listener = History()
    listener.start(outline(directory, done))
    for each in rows:
        listener.epoch(each)
    return listener


def table(directory: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((directory / "metrics.csv").read_text())))


def test_each_epoch_is_a_line_and_a_row(tmp_path: Path) -> None:
    rows = [row(1, loss=0.7), row(2, float("nan"))]
    written(tmp_path, *rows)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [each.json() for each in rows]
    assert [each["loss"] for each in table(tmp_path)] == ["0.7", ""]
    assert list(table(tmp_path)[0]) == ["epoch", "step", "loss", "lr", "seconds", "samples_per_second"]


def test_a_number_that_is_new_gets_a_column_and_the_others_stay(tmp_path: Path) -> None:
    written(tmp_path, row(1), row(2, 0.4, {"accuracy": 0.9}), row(3))
    rows = table(tmp_path)
    assert list(rows[0]) == ["epoch", "step", "loss", "val/accuracy", "lr", "seconds", "samples_per_second"]
    assert [each["val/accuracy"] for each in rows] == ["", "0.9", ""]
    assert [each["loss"] for each in rows] == ["0.5", "0.4", "0.5"]


@pytest.mark.parametrize("torn", ['{"epoch": 4, "st', '{"epoch": 4}\n', "\x00\x00", "[1]\n"])
def test_a_torn_last_line_is_left_out(torn: str, tmp_path: Path) -> None:
    written(tmp_path, row(1), row(2), row(3))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    assert [each["epoch"] for each in read_lines(tmp_path)] == [1, 2, 3]
    written(tmp_path, row(4), done=30)
    assert [each["epoch"] for each in read_lines(tmp_path)] == [1, 2, 3, 4]


def test_going_on_from_a_checkpoint_drops_what_came_after_it(tmp_path: Path) -> None:
    written(tmp_path, row(1), row(2), row(3), row(4))
    listener = written(tmp_path, done=25)
    assert [each["epoch"] for each in read_lines(tmp_path)] == [1, 2]
    listener.epoch(row(3, loss=0.1))
    assert [(each["epoch"], each["loss"]) for each in read_lines(tmp_path)] == [(1, 0.5), (2, 0.5), (3, 0.1)]
    assert [each["epoch"] for each in table(tmp_path)] == ["1", "2", "3"]


def test_an_epoch_that_is_reported_again_is_there_once(tmp_path: Path) -> None:
    written(tmp_path, row(1), row(2))
    written(tmp_path, row(2, loss=0.25), done=20)  # saved at its last step, before it was validated
    assert [(each["epoch"], each["loss"]) for each in read_lines(tmp_path)] == [(1, 0.5), (2, 0.25)]


def test_a_full_disk_is_a_fault_and_not_a_traceback(tmp_path: Path) -> None:
    listener = written(tmp_path, row(1))
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(Fault, match=r"metrics\.jsonl cannot be written") as caught:
        listener.epoch(row(2))
    assert caught.value.code == "NNS623"


def test_curves_are_drawn_at_the_end_and_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = written(tmp_path, row(1), row(2))
    assert not (tmp_path / "curves.svg").exists()
    listener.finish(Result("finished", 2, 20, 0.5, (row(1), row(2)), row(1), tmp_path))
    assert ElementTree.parse(tmp_path / "curves.svg").getroot().tag.endswith("svg")
    (tmp_path / "curves.svg").unlink()
    monkeypatch.setattr(history, "DRAW_EVERY", -1.0)
    written(tmp_path, row(3), done=20)
    assert (tmp_path / "curves.svg").exists()


def test_a_run_that_fails_has_its_curves_too(tmp_path: Path) -> None:
    written(tmp_path, row(1), row(2)).close()
    assert (tmp_path / "curves.svg").exists()


def test_without_a_directory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listener = History()
    listener.start(outline(None))
    listener.epoch(row(1))
    listener.finish(Result("finished", 1, 10, 0.5, (row(1),), row(1), None))
    listener.close()
    assert list(tmp_path.iterdir()) == []


# --- curves ----------------------------------------------------------------------------------------------------------


def panels(text: str) -> list[tuple[str, list[str]]]:
    """Titles of panels, and the classes of what is drawn in each."""
    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(text)
    found = []
    for group in root.findall(f"{space}g"):
        title = next(t.text or "" for t in group.findall(f"{space}text") if t.get("class") == "title")
        drawn = [e.get("class") or "" for e in group if e.tag in (f"{space}path", f"{space}circle")]
        found.append((title, [each for each in drawn if each != "grid"]))
    return found


def test_each_number_has_a_panel_with_a_line_for_each_part() -> None:
    rows = [row(epoch, 1 / epoch, {"loss": 2 / epoch, "accuracy": 0.5}).json() for epoch in (1, 2, 3)]
    assert panels(drawn(rows, best=2)) == [
        ("loss", ["val", "train", "train", "dot train", "val", "dot val"]),
        ("accuracy", ["val", "val", "dot val"]),
    ]


def test_a_learning_rate_is_drawn_if_it_changes() -> None:
    rows = [row(epoch).json() | {"lr": 0.1 / epoch} for epoch in (1, 2, 3)]
    assert [title for title, _ in panels(drawn(rows))] == ["loss", "lr"]


def test_one_epoch_is_a_dot_and_names_are_escaped() -> None:
    found = panels(drawn([{"epoch": 1, "step": 3, "<b>&": 0.0, "loss": None}]))
    assert found == [("<b>&", ["train", "dot train"])]


def test_many_epochs_keep_their_extremes_and_a_small_file() -> None:
    rows = [{"epoch": e, "step": e, "loss": 100.0 if e == 7777 else 1.0 + e % 2} for e in range(1, 20_001)]
    text = drawn(rows)
    assert len(text) < 20_000
    assert 'd="M' in text
    assert ">100<" in text


@pytest.mark.parametrize(
    ("numbers", "ticks"),
    [
        ([0.0, 1.0], (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        ([0.31, 0.87], (0.2, 0.4, 0.6, 0.8, 1.0)),
        ([-3.0, 12.0], (-5.0, 0.0, 5.0, 10.0, 15.0)),
        ([1.0, 90.0], (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)),
        ([1e-9, 1.0], (1e-9, 1e-7, 1e-5, 1e-3, 0.1)),
    ],
)
def test_ticks_are_round_and_hold_all_numbers(numbers: list[float], ticks: tuple[float, ...]) -> None:
    scale = values(numbers, 100.0, 0.0)
    assert scale.ticks == pytest.approx(ticks)
    assert all(0 <= scale.place(number) <= 100 for number in numbers)
    assert [scale.place(t) for t in scale.ticks] == sorted((scale.place(t) for t in scale.ticks), reverse=True)
