"""Fails unless the last validation accuracy in a training log is high enough: `accuracy.py 0.95 LOG`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_ACCURACY = re.compile(r"\bval\w*[ /_.-]*acc\w*[^0-9\n\r]{0,12}([0-9]+(?:\.[0-9]+)?) ?(%?)", re.IGNORECASE)
_COLOR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def last_accuracy(log: str) -> float | None:
    """The last validation accuracy that a log mentions, as a fraction."""
    found = _ACCURACY.findall(_COLOR.sub("", log))
    if not found:
        return None
    number, percent = found[-1]
    return float(number) / (100 if percent else 1)


def main() -> None:
    """Compare and say so."""
    wanted = float(sys.argv[1])
    accuracy = last_accuracy(Path(sys.argv[2]).read_text("utf-8", errors="replace"))
    if accuracy is None or accuracy < wanted:
        sys.exit(f"validation accuracy: {accuracy}, wanted at least {wanted}")
    print(f"validation accuracy: {accuracy}, at least {wanted} as promised")


if __name__ == "__main__":
    main()
