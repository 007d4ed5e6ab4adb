"""What training and data say when something is wrong; whoever knows the place turns it into a diagnostic."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from nnspec.diagnostics import Diagnostic, Span, error

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
    number, reason = None, str(error)
    if isinstance(error, OSError) and error.strerror:
        number, reason = error.errno, error.strerror.lower()
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or isinstance(error, RuntimeError):  # torch's: a full disk
        helps = ("what was written before is whole: make room, and go on with `--resume`",)
    else:
        helps = ("--out DIR keeps runs in another folder",)
    shown = str(place)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
    return Fault(f"{shown} cannot be written: {reason}", code="NNS623", helps=helps)
