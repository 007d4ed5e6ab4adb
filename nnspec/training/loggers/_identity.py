"""Under which name a service knows a run: written down in the run's directory, so that a resumed run goes on there."""

from __future__ import annotations

from pathlib import Path

_LONGEST = 200


def known(directory: Path | None, service: str) -> str | None:
    """The identity that the service gave, if the run has one."""
    try:
        text = "" if directory is None else (directory / f"{service}.id").read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    return text if 0 < len(text) <= _LONGEST else None


def remember(directory: Path | None, service: str, identity: str) -> None:
    """Write the identity down."""
    if directory is not None:
        (directory / f"{service}.id").write_text(identity + "\n", encoding="utf-8")
