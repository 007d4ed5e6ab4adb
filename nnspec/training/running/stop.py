"""Ctrl-C and SIGTERM ask a run to stop after the step it is in; a second Ctrl-C stops it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from nnspec.training.processes.world import is_launched


class Stopper:
    """While entered, `asked` turns true at the first signal; outside the main thread it only ever stays false."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def ask(self) -> None:
        """Stop after the step that is under way."""
        self.asked = True

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT and not is_launched():  # a launcher repeats what it is told
            raise KeyboardInterrupt
        self.asked = True
