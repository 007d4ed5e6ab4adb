"""Writes `docs/coverage.md` to standard output, or the rows of some classes and functions."""

from __future__ import annotations

import argparse
import sys

from .classes import public_classes
from .coverage import COMMAND, exceptions, page
from .rows import row_of_class, row_of_function


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.tables", description=f"{__doc__} The page: {COMMAND}")
    parser.add_argument("name", nargs="*", help="a class of torch.nn or a function: its row and exceptions alone")
    names = parser.parse_args().name
    rows = [row_of_class(name) if name in public_classes() else row_of_function(name) for name in names]
    lines = [line for row in rows for line in (row.line(), *exceptions([row]))] if names else page()
    sys.stdout.write("\n".join(lines).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
