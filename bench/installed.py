"""The package as a wheel installs it: its files, the grammar inside, and compiled bytecode beside every module."""

from __future__ import annotations

import compileall
import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
SPECS = Path(__file__).parent / "specs"
EXAMPLES = ROOT / "examples"


def install(folder: Path) -> dict[str, str]:
    """Install this checkout into a folder; returns the environment in which Python finds it there, and no other.

    A checkout itself would be timed with whatever bytecode lies around: none, where Python must not write any.
    """
    site = folder / "site"
    shutil.copytree(ROOT / "nnspec", site / "nnspec", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "grammar", site / "nnspec" / "grammar", dirs_exist_ok=True)
    shutil.copytree(ROOT / "bench", site / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    if not compileall.compile_dir(site, quiet=1):
        raise RuntimeError("the package does not compile")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(folder / "cache")}
