"""The numbers of a run, epoch by epoch, in its directory: `metrics.jsonl`, `metrics.csv` and `curves.svg`.

Lines are appended, so that a run that is killed loses at most the last one, which readers leave out. A run that goes on
from a checkpoint first drops what was written after it.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

from nnspec.training.fault import Fault, unwritable
from nnspec.training.listener import Listener, Outline, Row
from nnspec.training.result import Result
from nnspec.training.watching.curves import drawn

LINES = "metrics.jsonl"
TABLE = "metrics.csv"
PICTURE = "curves.svg"

DRAW_EVERY = 10.0
"""Seconds between pictures."""

_MOST_BYTES = 256 << 20
"""Longest file of lines that is read: millions of epochs."""

Numbers = Mapping[str, Any]


def read_lines(directory: Path) -> list[dict[str, Any]]:
    """The rows that a run wrote, in order; a last line that is torn is left out."""
    rows: list[dict[str, Any]] = []
    try:
        with (directory / LINES).open("rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError:
        return rows
    for line in content.split(b"\n")[:-1]:
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not isinstance(row, dict) or not all(isinstance(row.get(name), int) for name in ("epoch", "step")):
            break
        rows.append(row)
    return rows


class History(Listener):
    """Writes the numbers of each epoch into the run's directory, and draws them now and then."""

    def __init__(self) -> None:
        self.rows: list[Numbers] = []
        self.columns: list[str] = []
        self.directory: Path | None = None
        self._drawn = 0.0

    def start(self, outline: Outline) -> None:
        self.directory = outline.directory
        if self.directory is None:
            return
        self.rows = [row for row in read_lines(self.directory) if row["step"] <= outline.done]
        self._drawn = time.monotonic()
        self._rewrite()

    def epoch(self, row: Row) -> None:
        if self.directory is None:
            return
        numbers = row.json()
        again = bool(self.rows) and self.rows[-1]["epoch"] >= numbers["epoch"]
        self.rows = [each for each in self.rows if each["epoch"] < numbers["epoch"]] if again else self.rows
        self.rows.append(numbers)
        if again or any(name not in self.columns for name in numbers):
            self._rewrite()
        else:
            self._append(LINES, _line(numbers))
            self._append(TABLE, _cells([numbers.get(name) for name in self.columns]))
        if time.monotonic() - self._drawn > DRAW_EVERY:
            self._draw(None)

    def finish(self, result: Result) -> None:
        self._draw(result.best.epoch if result.best else None)

    def close(self) -> None:
        if self.directory is not None and self.rows and not (self.directory / PICTURE).exists():
            with suppress(Fault):  # a run that fails has said why already
                self._draw(None)

    def _rewrite(self) -> None:
        self.columns = _columns(self.rows)
        self._replace(LINES, "".join(map(_line, self.rows)))
        head = _cells(self.columns) if self.columns else ""
        self._replace(TABLE, head + "".join(_cells([row.get(name) for name in self.columns]) for row in self.rows))

    def _draw(self, best: int | None) -> None:
        if self.directory is not None and self.rows:
            self._replace(PICTURE, drawn(self.rows, best=best))
        self._drawn = time.monotonic()

    def _append(self, name: str, line: str) -> None:
        assert self.directory is not None
        try:
            with (self.directory / name).open("a", encoding="utf-8", newline="") as file:
                file.write(line)
        except OSError as error:
            raise unwritable(self.directory / name, error) from None

    def _replace(self, name: str, content: str) -> None:
        assert self.directory is not None
        place, temporary = self.directory / name, self.directory / f".{name}.part"
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise unwritable(place, error) from None


def _columns(rows: Sequence[Numbers]) -> list[str]:
    """All names, in the order in which rows have them: what is new in a later row stands before what follows it."""
    columns: list[str] = []
    for row in rows:
        at = 0
        for name in row:
            if name in columns:
                at = columns.index(name) + 1
            else:
                columns.insert(at, name)
                at += 1
    return columns


def _line(row: Numbers) -> str:
    return json.dumps(row) + "\n"


def _cells(values: Sequence[Any]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return text.getvalue()
