"""Codes 2xx: what names mean, and what a file declares."""

from __future__ import annotations

from nnspec.codes import Code


def _model(body: str, inputs: str = "input x: float[N, 8]") -> str:
    """A model with one input and this body."""
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    return f"model Net {{\n  {inputs}\n{lines}\n}}\n"


_TWO_MODELS = """
model Small {
  input x: float[N, 4]
  output scores: float[N, 3] = x -> Linear(3)
}

model Large {
  input x: float[N, 4]
  output scores: float[N, 3] = x -> Linear(64) -> ReLU -> Linear(3)
}
"""
_TRAIN = """
  data      = Iris()
  inputs    = (x=features)
  loss      = cross_entropy(scores, label)
  optimizer = Adam(lr=1e-2)
}
"""

CODES = (
    Code(
        "NNS201",
        "an unknown name",
        """
        Nothing of this name is in scope: no value of the body, no hyperparameter, no symbol that an input binds, no
        constant or block of the file, and no layer or function of the library. Layers and functions are spelled as in
        torch; where a name is close to a known one, or means the same elsewhere (`Dense`), that one is offered.

        A symbol is bound by an input's type only. A new capitalised name in another place is taken for a slip.
        """,
        _model("output y = x -> Linaer(4)"),
        _model("output y = x -> Linear(4)"),
    ),
    Code(
        "NNS202",
        "a name is taken",
        """
        Layers, parameters and buffers of a body have names of their own, for the names are those of the saved
        weights. So have the blocks of a file, the outputs of a model and the settings of `train`. In a loop each turn
        needs a name of its own: a computed one, such as `"layer{i}"`.
        """,
        _model("h = x -> fc: Linear(4)\noutput y = h -> fc: Linear(2)"),
        _model("h = x -> fc1: Linear(4)\noutput y = h -> fc2: Linear(2)"),
    ),
    Code(
        "NNS203",
        "a name that cannot be bound again",
        """
        Tensors, numbers, strings and lists may be bound again, to a value of the same kind. Hyperparameters, symbols,
        layers, parameters and buffers keep what they are, and a loop's variable hides nothing.
        """,
        "model Net(width = 8) {\n  input x: float[N, 8]\n  width = 16\n  output y = x -> Linear(width)\n}\n",
        "model Net(width = 8) {\n  input x: float[N, 8]\n  twice = 2 * width\n  output y = x -> Linear(twice)\n}\n",
    ),
    Code(
        "NNS204",
        "a layer or a kind of layer",
        """
        `norm = LayerNorm` does not say whether `norm` is one layer that its uses share, or another word for the kind,
        of which each use makes a new one. With `()` it is a layer.
        """,
        _model("norm = LayerNorm\noutput y = x -> norm"),
        _model("norm = LayerNorm()\noutput y = x -> norm"),
    ),
    Code(
        "NNS205",
        "a label that cannot stand here",
        """
        A label names a layer where it gets its place. A function owns nothing that could be named, and a layer that
        was bound before has its name.
        """,
        _model("output y = x -> act: relu"),
        _model("output y = x -> act: ReLU"),
    ),
    Code(
        "NNS206",
        "a name that a layer cannot have",
        """
        Layers become attributes of a torch module. Their names are made of letters, digits and `_` (dots make
        containers), and must not be those of attributes that every module has, such as `train` or `type`.
        """,
        _model("output y = x -> train: Linear(4)"),
        _model("output y = x -> train_: Linear(4)"),
    ),
    Code(
        "NNS208",
        "no such member",
        """
        A layer has the parameters and the layers inside it as members, a record has its names. Tensors have none:
        their sizes are the symbols of their types, and functions of them are called.
        """,
        _model("a = Linear(8)\ny = x -> a\noutput z = y -> Linear(8, weight=a.wieght)"),
        _model("a = Linear(8)\ny = x -> a\noutput z = y -> Linear(8, weight=a.weight)"),
    ),
    Code(
        "NNS210",
        "no such model",
        """
        A file that is compiled, run or shown needs a model, and `--model NAME` must name one of those that it has.
        Blocks are parts of models and cannot be compiled by themselves.
        """,
        "width = 64\n",
        "width = 64\n\n" + _model("output y = x -> Linear(width)"),
    ),
    Code(
        "NNS211",
        "several models",
        """
        Where a file has several models that no other uses, it must be said which one is meant: by `--model NAME`, or
        for training by its name behind `train`.
        """,
        f"{_TWO_MODELS}\ntrain {{{_TRAIN}",
        f"{_TWO_MODELS}\ntrain Large {{{_TRAIN}",
    ),
    Code(
        "NNS212",
        "a layer that nothing has flowed into",
        """
        Sizes of parameters come from what flows into a layer. One that is never used has none, and before its first
        use its parameters cannot be named.
        """,
        _model("a = Linear(8)\noutput y = x -> Linear(2)"),
        _model("a = Linear(8)\noutput y = x -> a -> Linear(2)"),
    ),
    Code(
        "NNS213",
        "outputs that cannot be",
        """
        Every block returns something. Outputs of a model have names, and so have those of a block with several. An
        output stands outside of loops, for it is returned once.
        """,
        _model("y = x -> Linear(2)"),
        _model("y = x -> Linear(2)\noutput y"),
    ),
    Code(
        "NNS214",
        "a function that owns a layer",
        """
        A block with a lower-case name is a function: calls of it compute, and keep nothing. Layers, parameters and
        buffers need a place in a module, which only a block with a capitalised name has.
        """,
        "block project {\n  input x: float[N, _]\n  output x -> Linear(4)\n}\n\n" + _model("output y = project(x)"),
        "block Project {\n  input x: float[N, _]\n  output x -> Linear(4)\n}\n\n" + _model("output y = x -> Project"),
    ),
    Code(
        "NNS215",
        "training and inference differ in their layers",
        """
        A body that asks for `training` is worked out for both modes, and its module owns what the training form uses.
        Inference uses a part of that: it cannot have a layer that training lacks, nor another one of the same name.
        """,
        _model("if not training { x = x -> extra: Linear(8) }\noutput y = x -> Linear(2)"),
        _model("if training { x = x -> extra: Linear(8) }\noutput y = x -> Linear(2)"),
    ),
    Code(
        "NNS216",
        "an input behind other statements",
        """
        Inputs come first in a body: their types bind the symbols that all other statements may use.
        """,
        _model("h = x -> Linear(4)\ninput bias: float[N, 4]\noutput y = h + bias"),
        _model("h = x -> Linear(4)\noutput y = h + bias", "input x: float[N, 8]\n  input bias: float[N, 4]"),
    ),
    Code(
        "NNS217",
        "a statement in the wrong place",
        """
        `yield` gives a step's result in the body of a `scan`, once and in no loop; `update` trains one of several
        models in `train`. Neither means anything in the body of a block or model.
        """,
        _model("y = x -> Linear(4)\nyield y\noutput y"),
        _model("y = x -> Linear(4)\noutput y"),
    ),
)
