"""`python -m nnspec` is the command line."""

from __future__ import annotations

from nnspec.cli import main

if __name__ == "__main__":
    main()
