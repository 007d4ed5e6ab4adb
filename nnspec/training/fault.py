"""What training and data say when something is wrong; whoever knows the place turns it into a diagnostic."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

from nnspec.diagnostics import Diagnostic, Span, error

_IN_PROCESS = "in process"
_LONGEST = 200
"""Letters of a path that are shown."""


class Fault(Exception):
    """Something the author can repair. `at` names the argument that it is about, if it is about one."""

    code = "NNS604"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        at: str | None = None,
        label: str = "",
        notes: Sequence[str] = (),
        helps: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.at = at
        self.label = label
        self.notes = tuple(notes)
        self.helps = tuple(helps)

    def of_process(self, number: int, of: int) -> Fault:
        """This fault, saying which of several processes it came up in (unless it does already)."""
        if of > 1 and not any(note.startswith(_IN_PROCESS) for note in self.notes):
            self.notes += (f"{_IN_PROCESS} {number} of {of}, counted from 0",)
        return self

    def diagnostic(self, span: Span | None) -> Diagnostic:
        """This fault at a place in the spec."""
        return error(self.code, self.message, span, self.label, notes=self.notes, helps=self.helps)


class DataError(Fault):
    """Data that is missing or malformed, or an argument that does not fit it."""

    code = "NNS602"


class MissingData(DataError):
    """A file that is not there, or that cannot be read."""

    code = "NNS601"


class SettingError(Fault):
    """Arguments that are fine one by one and do not go together."""

    code = "NNS603"


def unwritable(place: Path, error: Exception) -> Fault:
    """What to say of a place that cannot be written: a full disk, a folder that is read-only."""
    if isinstance(error, Fault):
        return error
    number, reason = _system_error(error)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        helps = ("what was written before is whole: make room, and go on with `--resume`",)
    else:
        helps = ("--out DIR keeps runs in another folder",)
    shown = str(place)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
    return Fault(f"{shown} cannot be written: {reason}", code="NNS623", helps=helps)


def _system_error(error: Exception) -> tuple[int | None, str]:
    """What the system said, by number and in words; writers of tensors say it in a text of their own."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return error.errno, "there is a file where a folder is needed"
    if isinstance(error, OSError) and error.strerror:
        return error.errno, error.strerror.lower()
    if found := re.search(r"\(os error (\d{1,4})\)", str(error)):  # safetensors
        return int(found[1]), os.strerror(int(found[1])).lower()
    if isinstance(error, RuntimeError):  # torch, whose words are about places in its own code
        return errno.ENOSPC, "not all of it could be written"
    return None, str(error)
