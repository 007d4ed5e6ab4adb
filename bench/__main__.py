"""`python -m bench`: all tables, or those that are named; exit code 1 when a bound is missed."""

from __future__ import annotations

import argparse
import importlib
import platform
import random
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.table import table

BENCHES = ("start", "scale", "module", "onnx", "graphs", "zoo", "optimize", "training")
PACKAGES = ("nnspec", "click", "torch", "onnx", "onnxscript", "numpy", "torchvision", "transformers", "lightning")


def main() -> int:
    """Run the benches and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"some of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--rounds", type=int, help="how often everything is measured, instead of a number for each")
    parser.add_argument("--seed", type=int, default=0, help="of the order within a round")
    parser.add_argument("--device", default="cpu", help="what is trained on; only `training` asks (default: cpu)")
    options = parser.parse_args()
    for name in options.benches:
        if name not in BENCHES:
            parser.error(f"there is no bench `{name}`; there are {', '.join(BENCHES)}")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    missed = False
    for name in options.benches or BENCHES:
        bench = importlib.import_module(f"bench.{name}")
        rounds = options.rounds or bench.ROUNDS
        print(f"\n{name} ({rounds} rounds): {(bench.__doc__ or '').strip()}\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            given = {"device": options.device} if getattr(bench, "ON_DEVICES", False) else {}
            rows = bench.measure(rounds, random.Random(options.seed), Path(folder), **given)
        print(table(rows), flush=True)
        missed |= any(row.missed for row in rows)
    return 1 if missed else 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
