"""Codes 3xx: arguments, numbers and other compile-time values."""

from __future__ import annotations

from nnspec.codes import Code


def _model(body: str, inputs: str = "input x: float[N, 8]", head: str = "Net") -> str:
    """A model with these inputs and this body."""
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    return f"model {head} {{\n  {inputs}\n{lines}\n}}\n"


_IMAGE = "input x: float[N, 3, 32, 32]"
_TRAINED = (
    _model("output scores = x -> Linear(width)", "input x: float[N, 2]", "Net(width = 2)")
    + """
train {
  data      = Moons()
  inputs    = (x=features)
  loss      = cross_entropy(scores, label)
  optimizer = Adam(lr=1e-2)
}
"""
)

CODES = (
    Code(
        "NNS301",
        "an unknown argument",
        """
        Arguments are named as in torch, less the sizes that are inferred, and none is ever ignored. Where the name is
        close to a known one, or is that of another framework (`units`, `use_bias`), the right one is offered.
        """,
        _model("output y = x -> Conv2d(8, 3, strides=2)", _IMAGE),
        _model("output y = x -> Conv2d(8, 3, stride=2)", _IMAGE),
    ),
    Code(
        "NNS302",
        "a missing argument",
        """
        A layer, a function or a block is lacking an argument that has no default.
        """,
        _model("output y = x -> Conv2d(8)", _IMAGE),
        _model("output y = x -> Conv2d(8, 3)", _IMAGE),
    ),
    Code(
        "NNS303",
        "a value of the wrong kind",
        """
        The argument, hyperparameter or dimension takes another kind of value: a whole number, true or false, one of
        some words, a tuple of a certain length. Nothing is converted silently.
        """,
        _model('output y = x -> Linear("four")'),
        _model("output y = x -> Linear(4)"),
    ),
    Code(
        "NNS304",
        "a value out of bounds",
        """
        The value is of the right kind, and too small, too large, or at odds with another argument.
        """,
        _model("output y = x -> Dropout(1.5)"),
        _model("output y = x -> Dropout(0.5)"),
    ),
    Code(
        "NNS305",
        "too many arguments",
        """
        More values are given by position than there are arguments. Sizes that torch wants first are inferred here:
        torch's `Linear(784, 512)` is `Linear(512)`.
        """,
        _model("output y = x -> ReLU(1, 2, 3)"),
        _model("output y = x -> ReLU"),
    ),
    Code(
        "NNS306",
        "an argument that is given twice",
        """
        Once by position and once by name, or twice by name.
        """,
        _model("output y = x -> Linear(4, out_features=4)"),
        _model("output y = x -> Linear(4)"),
    ),
    Code(
        "NNS307",
        "a fraction where a size is needed",
        """
        `/` of numbers is exact: `7 / 2` is three and a half, and no size. Where rounding down is meant, `//` says so.
        """,
        _model("output y = x -> Linear(width / 2)", head="Net(width = 7)"),
        _model("output y = x -> Linear(width // 2)", head="Net(width = 7)"),
    ),
    Code(
        "NNS308",
        "not known at compile time",
        """
        `if`, loops, and indices of lists are worked out when the spec is compiled. A condition on a symbol that may
        have any size is neither true nor false then. State what holds as a fact (`assert T <= 64`), or give the input
        a fixed size.
        """,
        _model("if T > 4 { x = relu(x) }\noutput y = x", "input x: float[N, T]"),
        _model("assert T > 4\nif T > 4 { x = relu(x) }\noutput y = x", "input x: float[N, T]"),
    ),
    Code(
        "NNS309",
        "an operation that does not go with these values",
        """
        The operator, index, loop or function of compile-time values takes other kinds of values than these.
        """,
        _model('output y = x -> Linear(4 + "1")'),
        _model("output y = x -> Linear(4 + 1)"),
    ),
    Code(
        "NNS310",
        "a limit is reached",
        """
        A spec is refused when it asks for more than any network needs: a million steps to work out, lists of more than
        100,000 items, numbers beyond 64 bits, blocks nested more than 64 deep, parameters of more than 2 ** 36
        elements. So a slip, or a hostile file, cannot take the machine's memory.
        """,
        _model("output y = x -> Linear(1_000_000_000_000)"),
        _model("output y = x -> Linear(1_000)"),
    ),
    Code(
        "NNS311",
        "a value of another kind is needed here",
        """
        Tensors flow along arrows into layers; layers are configured by arguments. One stands where the other belongs:
        a layer called like a function, a number that flows, a chain that begins with a layer.
        """,
        _model("a = Linear(4)\noutput y = a(x)"),
        _model("a = Linear(4)\noutput y = x -> a"),
    ),
    Code(
        "NNS312",
        "division by zero",
        """
        A division, a remainder or a step of `range` by zero.
        """,
        _model("output y = x -> Linear(8 // groups)", head="Net(groups = 0)"),
        _model("output y = x -> Linear(8 // groups)", head="Net(groups = 2)"),
    ),
    Code(
        "NNS313",
        "an index outside of a list",
        """
        Items are counted from 0, and from the end by negative numbers.
        """,
        _model("output y = x -> Linear(widths[2])", head="Net(widths = [8, 16])"),
        _model("output y = x -> Linear(widths[1])", head="Net(widths = [8, 16])"),
    ),
    Code(
        "NNS314",
        "nothing of this name can be set",
        """
        `--set NAME=VALUE` sets a hyperparameter of the model, `--set train.NAME=VALUE` a setting of its training. The
        model, or the `train` section, has none of this name; or the value cannot be read.
        """,
        "# nnspec run net.nns --set widht=32\n" + _TRAINED,
        "# nnspec run net.nns --set width=32\n" + _TRAINED,
        when="run",
    ),
    Code(
        "NNS315",
        "an assertion fails",
        """
        What `assert` states is false for these values, or contradicts what is known of the sizes already.
        """,
        _model("assert width % heads == 0\noutput y = x -> Linear(width)", head="Net(width = 10, heads = 4)"),
        _model("assert width % heads == 0\noutput y = x -> Linear(width)", head="Net(width = 12, heads = 4)"),
    ),
    Code(
        "NNS316",
        "a repetition that cannot be",
        """
        `Layer(...) * n` makes n copies of a recipe. The count is a whole number that is known, never a symbol, and a
        layer that has its place and its weights cannot be copied.
        """,
        _model("output y = x -> Linear(8) * T", "input x: float[N, T, 8]"),
        _model("output y = x -> Linear(8) * depth", "input x: float[N, T, 8]", "Net(depth = 4)"),
    ),
    Code(
        "NNS318",
        "a parameter that cannot start like this",
        """
        An initialiser fills only some tensors: `xavier_normal` counts inputs and outputs and needs two dimensions,
        `eye` fills matrices, `dirac` kernels; a constant tensor has the parameter's own type. Of several `params` that
        match a parameter, the last one counts.
        """,
        _model("output y = x -> fc: Linear(8)\nparams Linear { init = xavier_normal }"),
        _model("output y = x -> fc: Linear(8)\nparams Linear.weight { init = xavier_normal }"),
    ),
    Code(
        "NNS319",
        "a pattern that matches no parameter",
        """
        What stands behind `params` is a whole name in quotes, relative to the body and with `*` for any characters; or
        the path of a member; or a kind of layer, with the path of a parameter in it. One that matches nothing would
        hide a mistake. Buffers are not meant, and a tied parameter goes by its first name.
        """,
        _model('output y = x -> fc: Linear(8)\nparams "bias" { init = zeros }'),
        _model('output y = x -> fc: Linear(8)\nparams "*.bias" { init = zeros }'),
    ),
    Code(
        "NNS320",
        "a budget that does not hold",
        """
        An assert of the file says how many parameters a model may have, or how many multiply-adds it may take; it has
        or takes others. Only `nnspec check` looks at budgets.
        """,
        _model("output y = x -> Linear(32)") + "assert parameters(Net()) <= 100\n",
        _model("output y = x -> Linear(10)") + "assert parameters(Net()) <= 100\n",
    ),
    Code(
        "NNS321",
        "a budget that cannot be worked out",
        """
        `parameters(Net())` and `macs(Net(), N=1)` ask for the numbers of a model, in an assert of the file. The cost
        depends on the model's symbols, so that each of them needs a size.
        """,
        _model("output y = x -> Linear(8)") + "assert macs(Net()) < 1e6\n",
        _model("output y = x -> Linear(8)") + "assert macs(Net(), N=1) < 1e6\n",
    ),
)
