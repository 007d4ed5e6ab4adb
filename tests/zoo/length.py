"""How long a spec, an original and an emitted source are: lines that say something."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import textwrap
import tokenize
from typing import Any

from torch import nn

from .network import Network

_QUIET = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def spec_lines(network: Network) -> int:
    """Lines of the spec without blank ones and comments."""
    lines = (line.strip() for line in network.path.read_text(encoding="utf-8").splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))


def original_lines(network: Network, original: nn.Module) -> int:
    """Lines of the classes of the original's modules that are not torch's own, and of what is named besides."""
    classes = {type(module) for module in original.modules()}
    own = {each for each in classes if each.__module__.split(".")[0] != "torch"}
    code: list[Any] = [each for each in own if each.__name__ not in network.left_out]
    code += [_named(path) for path in network.extra_code]
    return sum(python_lines(inspect.getsource(each)) for each in code)


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def python_lines(source: str) -> int:
    """Lines of Python without blank ones, comments and docstrings."""
    source = textwrap.dedent(source)
    said: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _QUIET:
            said |= set(range(token.start[0], token.end[0] + 1))
    return len(said - _docstrings(source))


def _docstrings(source: str) -> set[int]:
    """Numbers of the lines on which strings stand for themselves."""
    alone = (each.value for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Expr))
    texts = (each for each in alone if isinstance(each, ast.Constant) and isinstance(each.value, str))
    return {number for text in texts for number in range(text.lineno, (text.end_lineno or text.lineno) + 1)}
