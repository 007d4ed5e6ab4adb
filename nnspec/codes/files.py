"""Codes 2xx, continued: other files, and layers that are written in Python."""

from __future__ import annotations

from nnspec.codes import Code

_NET = """
model Net {
  input x: float[N, 8]
  output y: float[N, 8] = x -> FeedForward(32)
}
"""
_OWN = """
block FeedForward(hidden) {
  input x: float[N, D]
  output x -> Linear(hidden) -> GELU -> Linear(D)
}
"""

CODES = (
    Code(
        "NNS218",
        "a file that cannot be imported",
        """
        An import names a spec by its path, relative to the file that imports (`"blocks/resnet.nns"`), or a module of
        the library (`std.feedforward`). The file must be there, be UTF-8 text and end in `.nns`; parts of a path are
        separated by `/` on every system. A text that comes from no file imports from the library only.
        """,
        f"from std.fedforward import FeedForward\n{_NET}",
        f"from std.feedforward import FeedForward\n{_NET}",
    ),
    Code(
        "NNS219",
        "an import that leaves the project",
        """
        A spec reaches the files of its own project and no others: what a spec says must not depend on one machine, and
        reading somebody's spec must not read the rest of the disk. The project's root is the nearest folder above the
        main file that has a `pyproject.toml` or a `.git`, else the main file's own folder. Links are followed first.
        """,
        f'from "/home/me/blocks.nns" import FeedForward\n{_NET}',
        f"{_OWN}{_NET}",
    ),
    Code(
        "NNS220",
        "a name that a file does not have",
        """
        An import brings in what another file declares: its blocks, models and constants. Names that it imports itself
        are not passed on: take those from the file that declares them.
        """,
        f"from std.feedforward import FeedFoward\n{_NET.replace('FeedForward', 'FeedFoward')}",
        f"from std.feedforward import FeedForward\n{_NET}",
    ),
    Code(
        "NNS221",
        "files that import each other",
        """
        A file is read when it is first imported, and everything that it declares is known before the file that imports
        it goes on. So files cannot import each other in a circle. Move what both need into a file of its own.
        """,
        f'# net.nns, where blocks.nns says: from "net.nns" import width\nfrom "blocks.nns" import FeedForward\n{_NET}',
        f'# net.nns, where both say: from "sizes.nns" import width\nfrom "blocks.nns" import FeedForward\n{_NET}',
        when="run",
    ),
    Code(
        "NNS222",
        "Python code that was not allowed",
        """
        An `extern block` names a class in Python, and so does the data set `Python`. Building the model, or loading the
        data, imports it, and whatever the module does happens then, so it is refused unless the
        caller allows it: `--allow-extern` on the command line, `allow_extern=True` in Python. Everything else in a spec
        is data, and never runs code. Checking, the summary and the emitted source import nothing even then.
        """,
        'extern block FeedForward(hidden) from "mine.layers:FeedForward" {\n'
        f"  input x: float[N, D]\n  output y: float[N, D]\n}}\n{_NET}",
        f"{_OWN}{_NET}",
    ),
    Code(
        "NNS223",
        "a declaration that does not fit Python",
        """
        An `extern block` has a capitalised name, says where its class is (`"package.module:Class"`, names and dots
        only), and what goes in and comes out: inputs, outputs with their types, and asserts. Every size of an output is
        known, from symbols of the inputs and hyperparameters. Its hyperparameters become the named arguments of the
        class, so they are called as Python can call them.
        """,
        'extern block FeedForward(hidden) from "mine/layers.py" {\n'
        f"  input x: float[N, D]\n  output y: float[N, D]\n}}\n{_NET}",
        f"{_OWN}{_NET}",
    ),
)
