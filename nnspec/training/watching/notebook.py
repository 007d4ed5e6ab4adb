"""Progress in a notebook: a bar, the last epochs as a table and the curves, all in the cell's output."""

from __future__ import annotations

import base64
import sys
import time
from html import escape
from typing import Any

from nnspec.training.listener import Listener, Outline, Row, Step
from nnspec.training.result import Result
from nnspec.training.watching.curves import drawn
from nnspec.training.watching.progress import ending, number

_SHOWN = 8
"""Epochs in the table."""
_DRAW_EVERY = 1.0
"""Seconds between pictures."""


def in_notebook() -> bool:
    """Whether this Python is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    current: Any = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return current is not None and hasattr(current, "kernel")


class Notebook(Listener):
    """One output that changes in place."""

    def __init__(self) -> None:
        self.outline = Outline(0, 0, 0, 0)
        self.rows: list[Row] = []
        self.status = ""
        self._handle: Any = None
        self._picture = ""
        self._drawn = 0.0

    def start(self, outline: Outline) -> None:
        from IPython.display import HTML, display

        self.outline = outline
        self._html = HTML
        self._handle = display(HTML(self.page(outline.done)), display_id=True)

    def step(self, now: Step) -> None:
        losses = "  ".join(f"{name} {number(value)}" for name, value in now.losses.items())
        self.status = f"epoch {now.epoch}/{self.outline.epochs}  {losses}  {now.samples_per_second:,.0f} samples/s"
        self._show(now.step)

    def epoch(self, row: Row) -> None:
        self.rows.append(row)
        self._draw(None)
        self._show(row.step)

    def finish(self, result: Result) -> None:
        self.rows, self.status = list(result.rows), ending(result)[-1]
        self._drawn = 0.0
        self._draw(result.best.epoch if result.best else None)
        self._show(result.steps)

    def page(self, done: int) -> str:
        """What is shown."""
        notes = "".join(f"<div>note: {escape(note)}</div>" for note in self.outline.notes)
        bar = f'<progress value="{done}" max="{self.outline.steps}" style="width: 16em"></progress>'
        status = f'<span style="white-space: pre">{escape(self.status)}</span>'
        head = f"<div>{escape(self.outline.headline)}</div>{notes}"
        return f"{head}<div>{bar} {status}</div>{self._table()}{self._picture}"

    def _table(self) -> str:
        if not self.rows:
            return ""
        shown = self.rows[-_SHOWN:]
        names = list(shown[-1].values())
        cells = [["epoch", *names]]
        for row in shown:
            values = row.values()
            cells.append([str(row.epoch), *(number(values[name]) if name in values else "" for name in names)])
        lines = ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in cells]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

    def _draw(self, best: int | None) -> None:
        if self.rows and time.monotonic() - self._drawn > _DRAW_EVERY:
            # As an image of its own: the styles of an SVG would be those of the whole page.
            content = base64.b64encode(drawn([row.json() for row in self.rows], best=best).encode()).decode()
            self._picture = f'<img src="data:image/svg+xml;base64,{content}" alt="curves">'
            self._drawn = time.monotonic()

    def _show(self, done: int) -> None:
        if self._handle is not None:
            self._handle.update(self._html(self.page(done)))
