"""The version of nnspec: packaging, the command line and what is written into files read it here."""

from __future__ import annotations

__version__ = "0.1.0"
