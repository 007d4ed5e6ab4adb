"""Codes 4xx: shapes and element types."""

from __future__ import annotations

from nnspec.codes import Code


def _model(body: str, *inputs: str) -> str:
    """A model with these inputs and this body."""
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    declared = "\n".join(f"  input {each}" for each in inputs or ("x: float[N, 8]",))
    return f"model Net {{\n{declared}\n{lines}\n}}\n"


_HALVE = "block Halve {\n  input x: float[N, T, 8]\n  output x[:, 4:]\n}\n\n"
_SEQUENCES = ("x: float[N, T, 8]", "z: float[N, S, 8]")

CODES = (
    Code(
        "NNS401",
        "sizes disagree",
        """
        A size that was given, or that another input has, is not the one that flows in here. The shapes on the way are
        listed, with the sums behind them, so that the step that made the size can be found. Input sizes of layers
        need not be written: they are inferred.
        """,
        _model("output y = x -> Linear(4, in_features=9)"),
        _model("output y = x -> Linear(4)"),
    ),
    Code(
        "NNS402",
        "another number of dimensions",
        """
        The layer or function takes tensors with another number of dimensions, or one tensor where several came. A
        convolution takes [N, C, H, W] and a linear layer the features last: in between stands `Flatten`, or a mean.
        """,
        _model("output y = x -> Conv2d(4, 3)", "x: float[N, 784]"),
        _model("output y = x -> Conv2d(4, 3)", "x: float[N, 1, 28, 28]"),
    ),
    Code(
        "NNS403",
        "a kernel larger than its input",
        """
        No window of the kernel fits, padding included. Mostly pools and strides further up have made the input small:
        the step that took most of it is pointed at.
        """,
        _model("output y = x -> MaxPool2d(4) -> Conv2d(4, 3)", "x: float[N, 1, 8, 8]"),
        _model("output y = x -> MaxPool2d(2) -> Conv2d(4, 3)", "x: float[N, 1, 8, 8]"),
    ),
    Code(
        "NNS404",
        "a division that leaves a remainder",
        """
        Heads must divide the width, groups the channels, pieces the size that is cut. For symbols this must hold for
        every size; an `assert` states it where it does, and the model checks it when it is entered. Next to a tensor,
        `T / 2` is no size but a number, and may have a fraction.
        """,
        _model("y, _ = x -> MultiheadAttention(8, batch_first=true)\noutput y", "x: float[N, T, 100]"),
        _model("y, _ = x -> MultiheadAttention(10, batch_first=true)\noutput y", "x: float[N, T, 100]"),
    ),
    Code(
        "NNS405",
        "a number is needed, and this is a symbol",
        """
        Sizes of parameters and buffers, and hyperparameters, are numbers: the module is built before any input is
        seen. A symbol may have any size. Give the input a fixed size there, or a parameter a fixed bound that is
        sliced.
        """,
        _model("output y = x -> Linear(4)", "x: float[N, T]"),
        _model("output y = x -> Linear(4)", "x: float[N, 16]"),
    ),
    Code(
        "NNS406",
        "another element type",
        """
        Nothing is converted silently where torch would refuse it. Whole numbers that stand for words or classes
        become vectors by `Embedding`; `to(x, float)` converts.
        """,
        _model("output y = x -> Linear(4)", "x: int[N, 8]"),
        _model("output y = to(x, float) -> Linear(4)", "x: int[N, 8]"),
    ),
    Code(
        "NNS407",
        "shapes that do not broadcast",
        """
        In an operation of each element with each, dimensions are compared from the last one on: two sizes must be
        equal, or one of them the literal 1. In a residual both branches must have one shape: a projection of the
        shorter one brings it there.
        """,
        _model("output y = x + (x -> Linear(16))"),
        _model("output y = (x -> Linear(16)) + (x -> Linear(16))"),
    ),
    Code(
        "NNS408",
        "elements that do not fill a shape",
        """
        A reshape keeps the number of elements, for every value of the symbols. One size may be -1 and is worked out.
        """,
        _model("output y = reshape(x, (N, 3, 3))"),
        _model("output y = reshape(x, (N, 2, 4))"),
    ),
    Code(
        "NNS409",
        "a pattern that does not fit",
        """
        The pattern of `rearrange`, or the equation of `einsum`, cannot be read, or does not describe the tensors that
        it is applied to: it names another number of dimensions, or a name has two sizes.
        """,
        _model('output y = rearrange(x, "n (h d) -> n h d")'),
        _model('output y = rearrange(x, "n (h d) -> n h d", h=2)'),
    ),
    Code(
        "NNS410",
        "not proved",
        """
        Two sizes must agree, or a division must be exact, and that is neither proved nor refuted for every value of
        the symbols. If two symbols are one size, write one symbol. If it holds by other means, state it before with
        `assert`: it becomes a fact here, and the model checks it when it is entered.
        """,
        _model("output y = a + b", "a: float[N, T]", "b: float[N, S]"),
        _model("output y = a + b", "a: float[N, T]", "b: float[N, T]"),
    ),
    Code(
        "NNS411",
        "a dimension or an index out of range",
        """
        Dimensions are counted from 0, and from the end by negative numbers; an index or a slice must lie within its
        dimension.
        """,
        _model("output y = softmax(x, dim=2)"),
        _model("output y = softmax(x, dim=1)"),
    ),
    Code(
        "NNS412",
        "inputs that do not match",
        """
        Too few or too many values flow into a layer, or one by a name that it does not have. Several flow by
        position, then by name: `(q, k, v, attn_mask=m) -> MultiheadAttention(8)`.
        """,
        _model("y, state = x -> LSTM(16)\noutput z = (y, y, y) -> Linear(4)", "x: float[N, T, 8]"),
        _model("y, state = x -> LSTM(16)\noutput z = y -> Linear(4)", "x: float[N, T, 8]"),
    ),
    Code(
        "NNS413",
        "a declared type that is not the one",
        """
        `x: float[N, 4] = ...` and `output y: float[N, 4] = ...` check what stands behind `=`: element type, number of
        dimensions, and every size but `_`.
        """,
        _model("output y: float[N, 10] = x -> Linear(4)"),
        _model("output y: float[N, 10] = x -> Linear(10)"),
    ),
    Code(
        "NNS414",
        "values that do not unpack",
        """
        The names on the left of `=` are as many as the values on the right. An LSTM gives its outputs and a pair of
        states: `y, (h, c) = x -> LSTM(128)`.
        """,
        _model("y, h, c = x -> LSTM(16)\noutput y", "x: float[N, T, 8]"),
        _model("y, (h, c) = x -> LSTM(16)\noutput y", "x: float[N, T, 8]"),
    ),
    Code(
        "NNS415",
        "a shared layer that does not fit here",
        """
        A layer that is bound by `=` has one set of weights, and its first use fixes their sizes. Another use needs
        others.
        """,
        _model("fc = Linear(8)\ny = x -> fc\noutput z = cat([x, y], dim=1) -> fc"),
        _model("fc = Linear(8)\ny = x -> fc\noutput z = y -> fc"),
    ),
    Code(
        "NNS416",
        "a tie between different shapes",
        """
        `weight=PATH` makes two layers share one parameter, which must have the shape that both need.
        """,
        _model(
            "table = Embedding(100, 16)\nh = tokens -> table\n"
            "output y = h -> Linear(50, bias=false, weight=table.weight)",
            "tokens: int[N, T]",
        ),
        _model(
            "table = Embedding(100, 16)\nh = tokens -> table\n"
            "output y = h -> Linear(100, bias=false, weight=table.weight)",
            "tokens: int[N, T]",
        ),
    ),
    Code(
        "NNS417",
        "a tensor as a condition",
        """
        `if`, `and`, `or` and `not` are worked out when the spec is compiled, and the values of a tensor are known
        only when the model runs. `where` chooses between values, `logical_and` and its like combine masks.
        """,
        _model("y = relu(x) if x > 0 else x\noutput y"),
        _model("y = where(x > 0, relu(x), x)\noutput y"),
    ),
    Code(
        "NNS418",
        "sizes that a block cannot take",
        """
        A block states what it needs of its sizes by `assert`, or needs it for a slice or a kernel. For a size of any
        number the model checks it when it is entered; in this use it is known not to hold.
        """,
        _HALVE + _model("a = x -> Halve\nassert S <= 2\nb = z -> Halve\noutput y = cat([a, b], dim=1)", *_SEQUENCES),
        _HALVE + _model("a = x -> Halve\nassert S >= 8\nb = z -> Halve\noutput y = cat([a, b], dim=1)", *_SEQUENCES),
    ),
    Code(
        "NNS419",
        "no such symbol, or a size that it cannot have",
        """
        Sizes of a model's symbols can be given where numbers are wanted, as in `nnspec summary net.nns --size T=16`:
        each must be a symbol of an input, and a whole number that the asserts of the model allow.
        """,
        "# nnspec summary net.nns --size S=16\n" + _model("output y = relu(x)", "x: float[N, T]"),
        "# nnspec summary net.nns --size T=16\n" + _model("output y = relu(x)", "x: float[N, T]"),
        when="run",
    ),
)
