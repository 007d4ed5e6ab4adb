"""A live progress bar, for terminals where `rich` is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from nnspec.training.progress import Lines, Outline, Progress, Row, number


def progress_on(stream: TextIO, *, quiet: bool = False) -> Progress:
    """The fitting kind: nothing if quiet, a live bar on a terminal if `rich` is installed, else lines."""
    if quiet:
        return Progress()
    if stream.isatty():
        try:
            return Bar(stream)
        except ImportError:
            return Lines(stream)
    return Lines(stream)


class Bar(Lines):
    """Lines for the epochs, above a bar with the loss, the speed and the time that is left."""

    def __init__(self, stream: TextIO) -> None:
        from rich import console, progress

        super().__init__(stream)
        self.console = console.Console(file=stream, highlight=False)
        self.bar = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(),
            progress.TextColumn("loss {task.fields[loss]}  {task.fields[speed]} samples/s"),
            progress.TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )

    def start(self, outline: Outline) -> None:
        super().start(outline)
        self.task = self.bar.add_task("", total=outline.steps, epoch=f"1/{outline.epochs}", loss="-", speed="-")
        self.bar.start()

    def step(self, epoch: int, step: int, loss: float, samples_per_second: float) -> None:
        place = f"{epoch}/{self.outline.epochs}"
        speed = f"{samples_per_second:,.0f}"
        self.bar.update(self.task, completed=step, epoch=place, loss=number(loss), speed=speed)

    def finish(self, rows: Mapping[str, Row], remark: str) -> None:
        self.bar.stop()
        super().finish(rows, remark)

    def close(self) -> None:
        self.bar.stop()

    def print(self, line: str) -> None:
        """Write a line above the bar."""
        self.console.print(line, markup=False, soft_wrap=True)
