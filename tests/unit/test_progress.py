"""What one sees of a run: lines, a live bar on a terminal, and how it ended."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from nnspec.training.listener import Listener, Listeners, Outline, Row, Step
from nnspec.training.result import Result, Status
from nnspec.training.watching.bar import Bar, progress_on
from nnspec.training.watching.progress import Ending, Lines, number


def row(epoch: int, loss: float = 0.5) -> Row:
    return Row(epoch, epoch * 3, {"loss": loss, "accuracy": 0.75}, {"loss": 1.0, "accuracy": 0.5}, 0.2, 12_345.6)


def told(listener: Listener, epochs: int, status: Status = "finished", directory: Path | None = None) -> None:
    """Let a listener hear of a whole run."""
    listener.start(Outline(epochs, 3, 3 * epochs, 16, "Net: 10 samples", ("a remark",)))
    rows = tuple(row(epoch, 0.5 if epoch < epochs else float("inf")) for epoch in range(1, epochs + 1))
    for each in rows:
        listener.step(Step(each.epoch, each.step, {"loss": 0.5}, {"lr": 0.1}, 100.0))
        listener.epoch(each)
    listener.finish(Result(status, epochs, 3 * epochs, 1.25, rows, rows[0], directory))
    listener.close()


def test_without_a_terminal_there_is_a_line_for_each_epoch() -> None:
    stream = io.StringIO()
    progress = progress_on(stream)
    assert type(progress) is Lines
    told(progress, 2)
    assert stream.getvalue().splitlines() == [
        "Net: 10 samples",
        "note: a remark",
        "epoch 1/2  loss 0.5000  accuracy 0.7500  val/loss 1.0000  val/accuracy 0.5000  12,346 samples/s",
        "epoch 2/2  loss inf  accuracy 0.7500  val/loss 1.0000  val/accuracy 0.5000  12,346 samples/s",
    ]


@pytest.mark.parametrize(("status", "how"), [("finished", "finished"), ("interrupted", "stopped")])
def test_the_end_is_a_table_and_a_sentence(status: Status, how: str) -> None:
    stream = io.StringIO()
    told(Ending(stream), 2, status, Path("runs/net-1"))
    assert stream.getvalue().splitlines() == [
        "      epoch    loss  accuracy  val/loss  val/accuracy",
        "best      1  0.5000    0.7500    1.0000        0.5000",
        "last      2     inf    0.7500    1.0000        0.5000",
        f"{how} after 6 steps in 1.2 s; weights in runs/net-1",
    ]


def test_several_listeners_hear_the_same_in_order() -> None:
    one, two = io.StringIO(), io.StringIO()
    told(Listeners((Lines(one), Listeners((Lines(two), Ending(two))))), 2)
    assert two.getvalue().startswith(one.getvalue())
    assert two.getvalue() != one.getvalue() != ""


def test_many_epochs_have_some_twenty_lines() -> None:
    stream = io.StringIO()
    told(Lines(stream), 1000)
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("epoch ")]
    assert len(lines) == 21
    assert lines[-1].startswith("epoch 1000/1000")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_unless_it_is_to_be_quiet() -> None:
    stream = Terminal()
    progress = progress_on(stream)
    assert type(progress) is Bar
    told(progress, 2)
    assert "val/accuracy" in stream.getvalue()
    quiet = Terminal()
    told(progress_on(quiet, quiet=True), 2)
    assert quiet.getvalue() == ""


def test_without_rich_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    assert type(progress_on(Terminal())) is Lines


def test_numbers_that_are_not_finite_are_null_in_json() -> None:
    assert row(1, float("nan")).json()["loss"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.12345, "0.1235"), (1e-5, "1.000e-05"), (-3.5, "-3.5000"), (12345.678, "12346")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
