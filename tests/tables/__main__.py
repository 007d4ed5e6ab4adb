"""Writes `docs/coverage.md` to standard output."""

from __future__ import annotations

import sys

from .coverage import page

if __name__ == "__main__":
    sys.stdout.write("\n".join(page()).rstrip("\n") + "\n")
