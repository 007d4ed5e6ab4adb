"""Codes 5xx: what becomes of a checked spec, as PyTorch, ONNX or JSON, and its weights."""

from __future__ import annotations

from nnspec.codes import Code

_NET = """
model Net {
  input x: float[N, 8]
  output y: float[N, 2] = x -> fc: Linear(2)
}
"""

_EXTERN = """
extern block Fast(width) from "mine.layers:Fast" {
  input x: float[N, D]
  output y: float[N, width]
}

model Net {
  input x: float[N, 8]
  output y: float[N, 2] = x -> Fast(2)
}
"""


def _command(command: str, spec: str = _NET) -> str:
    """A spec with the command that it is given to."""
    return f"# {command}\n{spec}"


CODES = (
    Code(
        "NNS501",
        "a layer has no form in ONNX",
        """
        The operators of ONNX cannot express this layer with these arguments. The spec is valid, and PyTorch runs it.
        The message names what comes nearest; every such layer of a model is reported in one run.
        """,
        _command(
            "nnspec compile net.nns -o net.onnx",
            """
model Net {
  input x: float[N, 3, 32, 32]
  output y = x -> FractionalMaxPool2d(2, 8)
}
""",
        ),
        _command(
            "nnspec compile net.nns -o net.onnx",
            """
model Net {
  input x: float[N, 3, 32, 32]
  output y = x -> AdaptiveMaxPool2d(8)
}
""",
        ),
        when="run",
    ),
    Code(
        "NNS502",
        "weights do not fit the model",
        """ Every
        parameter and buffer of the model must be in the weights, under its name or that of one that it is tied to,
        with the same shape, and nothing else may be there. Floats of another precision are converted.

        Names are those of the spec: `fc: Linear(2)` owns `fc.weight` and `fc.bias`. A layer that was renamed in the
        spec has another name in weights that were saved before.
        """,
        _command("nnspec compile net.nns -o net.onnx --weights old.safetensors", _NET.replace("fc:", "head:")),
        _command("nnspec compile net.nns -o net.onnx --weights old.safetensors"),
        when="run",
    ),
    Code(
        "NNS503",
        "this opset cannot be written",
        """
        An ONNX model states the version of the operators that it uses. The installed package `onnx` knows versions up
        to some number, and below 17 operators that nnspec relies on are missing. Leave the option out for one that
        every recent ONNX Runtime serves.
        """,
        _command("nnspec compile net.nns -o net.onnx --opset 9"),
        _command("nnspec compile net.nns -o net.onnx"),
        when="run",
    ),
    Code(
        "NNS504",
        "a package is missing",
        """
        Checking a spec and writing PyTorch source need nothing but nnspec. Other outputs need packages of others:
        torch for live modules and training, onnx for models in ONNX, onnxruntime to compare them. The help says what
        to install.
        """,
        _command("nnspec compile net.nns -o net.onnx --verify"),
        _command("nnspec compile net.nns -o net.py"),
        when="run",
    ),
    Code(
        "NNS505",
        "a file of weights cannot be read",
        """
        Weights are read from safetensors files (without torch) and from torch checkpoints that hold tensors only:
        nothing in the file is run.
        """,
        _command("nnspec compile net.nns -o net.onnx --weights notes.txt"),
        _command("nnspec compile net.nns -o net.onnx --weights net.safetensors"),
        when="run",
    ),
    Code(
        "NNS506",
        "the comparison with ONNX Runtime could not be made",
        """
        A comparison runs the model in ONNX Runtime at several small sizes. Either no small sizes satisfy what the
        model requires of them, or ONNX Runtime refused the model: it may be older than the opset that was asked for.
        """,
        _command(
            "nnspec compile net.nns -o net.onnx --verify", _NET.replace("output", "assert N % 1000 == 0\n  output")
        ),
        _command("nnspec compile net.nns -o net.onnx --verify"),
        when="run",
    ),
    Code(
        "NNS507",
        "an IR that cannot be used",
        """
        A file of the IR is checked before anything is made of it: its form, its version, that every number in it
        points somewhere, and that all types are those that the layers give. The message says where it is broken.
        Compile the spec again instead of editing the file.
        """,
        _command("nnspec compile edited.json -o net.py"),
        _command("nnspec compile net.nns -o net.json"),
        when="run",
    ),
    Code(
        "NNS508",
        "ONNX Runtime and torch disagree",
        """
        The outputs of the ONNX model differ from those of the PyTorch module on the same input by more than rounding.
        The notes list the differences for each output and size. A threshold or an argmax may flip on a rounding
        error; any other difference is a fault of nnspec: please report it with the spec.
        """,
        _command("nnspec compile net.nns -o net.onnx --verify"),
        _command("nnspec compile net.nns -o net.onnx"),
        when="run",
    ),
    Code(
        "NNS509",
        "a file cannot be written",
        """
        The folder is missing or may not be written to, or the disk is full. A file that was there before is left as
        it was: files are written under another name and moved into place when they are complete.
        """,
        _command("nnspec compile net.nns -o missing/net.onnx"),
        _command("nnspec compile net.nns -o net.onnx"),
        when="run",
    ),
    Code(
        "NNS510",
        "Python code of a spec cannot be used",
        """
        The class that an `extern block` names is imported when the model is built. The module is missing where Python
        looks (installed packages, and the folders of PYTHONPATH), lacks the class, or fails in it: with these
        arguments, or for inputs that its declaration allows.
        """,
        _command("nnspec run net.nns --allow-extern", _EXTERN),
        _command("PYTHONPATH=src nnspec run net.nns --allow-extern", _EXTERN),
        when="run",
    ),
    Code(
        "NNS512",
        "the model has no such optional input",
        """
        An ONNX file has a fixed list of inputs. Those that a model does not need (`input mask: bool[N, T] = none`) are
        left out of the file, unless `--with` names them: then they are among its inputs, and must be given.
        """,
        _command("nnspec compile net.nns -o net.onnx --with maks"),
        _command("nnspec compile net.nns -o net.onnx --with mask"),
        when="run",
    ),
)
