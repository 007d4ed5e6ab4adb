"""A live progress bar, for terminals where `rich` is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from nnspec.training.listener import Listener, Outline, Row, Step, Values
from nnspec.training.result import Result
from nnspec.training.watching.notebook import Notebook, in_notebook
from nnspec.training.watching.progress import Lines, number

_LEAST_BAR = 8
_TIMES = 8
"""Width of the time that is left."""


def progress_on(stream: TextIO, *, quiet: bool = False) -> Listener:
    """The fitting kind: nothing if quiet, a live bar on a terminal if `rich` is installed, else lines."""
    if quiet:
        return Listener()
    if stream.isatty():
        try:
            return Bar(stream)
        except ImportError:
            return Lines(stream)
    return Notebook() if in_notebook() else Lines(stream)


class Bar(Lines):
    """Lines for the epochs, above a bar with the losses, the last validation, the speed and the time that is left."""

    def __init__(self, stream: TextIO) -> None:
        from rich import console, progress

        super().__init__(stream)
        self.console = console.Console(file=stream, highlight=False)
        self.bar = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.fields[text]}"),
            progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
            transient=True,
            expand=True,
        )
        self.validation: Values = {}

    def start(self, outline: Outline) -> None:
        super().start(outline)
        first = min(outline.done // max(outline.steps_per_epoch, 1) + 1, outline.epochs)
        epoch = f"{first}/{outline.epochs}"
        self.task = self.bar.add_task("", total=outline.steps, completed=outline.done, epoch=epoch, text="")
        self.bar.start()

    def step(self, now: Step) -> None:
        place = f"{now.epoch}/{self.outline.epochs}"
        room = self.console.width - len(f"epoch {place}") - _LEAST_BAR - _TIMES - 3
        self.bar.update(self.task, completed=now.step, epoch=place, text=fitting(self._parts(now), room))

    def epoch(self, row: Row) -> None:
        self.validation = row.validation
        super().epoch(row)

    def finish(self, result: Result) -> None:
        self.bar.stop()

    def close(self) -> None:
        self.bar.stop()

    def print(self, line: str) -> None:
        """Write a line above the bar."""
        self.console.print(line, markup=False, soft_wrap=True)

    def _parts(self, now: Step) -> Iterator[str]:
        """What there is to say, what matters most first."""
        yield from (f"{name} {number(value)}" for name, value in now.losses.items())
        yield f"{now.samples_per_second:,.0f} samples/s"
        yield from (f"val/{name} {number(value)}" for name, value in self.validation.items())


def fitting(parts: Iterator[str], room: int) -> str:
    """As many of the parts as there is room for."""
    text = ""
    for part in parts:
        longer = f"{text}  {part}" if text else part
        if len(longer) > room:
            break
        text = longer
    return text
