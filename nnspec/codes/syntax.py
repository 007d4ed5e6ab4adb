"""Codes 1xx: syntax."""

from __future__ import annotations

from nnspec.codes import Code

_GOOD = """
model Net {
  input x: float[N, 4]
  output y = x -> Linear(3) -> ReLU
}
"""


def _body(*lines: str) -> str:
    """A model whose body holds these lines."""
    return "model Net {\n  input x: float[N, 4]\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


CODES = (
    Code(
        "NNS101",
        "a bracket is never closed",
        """
        A bracket was opened, and the statement, the next declaration or the file ends before it is closed. For round
        and square brackets the place is the bracket itself; for braces it is where the missing `}` was noticed.

        Lines that are not indented deeper than their statement do not belong into its brackets, and a declaration in
        column 1 closes everything: so one lost bracket does not hide the rest of the file.
        """,
        _body("y = x -> Linear(3", "output relu(y)"),
        _body("y = x -> Linear(3)", "output y2 = relu(y)"),
    ),
    Code(
        "NNS102",
        "something cannot stand where it stands",
        """
        The text is complete up to a word or sign that cannot follow. The label says what could stand there instead.
        """,
        _body("y x -> Linear(3)", "output z = relu(y)"),
        _body("y = x -> Linear(3)", "output z = relu(y)"),
    ),
    Code(
        "NNS103",
        "a string has no end",
        """
        A string ends on the line where it starts. A quote inside a string is written with a backslash in front of it.
        """,
        _body('output y = x -> "first: Linear(3)'),
        _body('output y = x -> "first": Linear(3)'),
    ),
    Code(
        "NNS104",
        "a character is no part of the language",
        """
        Names are made of the letters a-z and A-Z, digits and `_`; strings stand between double quotes; statements end
        at line ends and need no `;`. Any character may stand in a string or a comment.
        """,
        _body("y = relu(x);", "output z = y -> Linear(3)"),
        _body("y = relu(x)", "output z = y -> Linear(3)"),
    ),
    Code(
        "NNS105",
        "an operator stands next to an arrow",
        """
        `x + x -> ln` could mean `(x + x) -> ln` or `x + (x -> ln)`. The language takes neither: an operator or an
        `if else` beside `->` needs brackets that say which was meant.
        """,
        _body("output y = x + x -> Linear(4)"),
        _body("output y = x + (x -> Linear(4))"),
    ),
    Code(
        "NNS106",
        "the result of a statement is not used",
        """
        A value that is neither bound nor returned does nothing. Bind it with `name = ...`, return it with
        `output ...`, or put `->` in front of a layer that should go on with the flow of the line above.
        """,
        _body("x -> Linear(3)", "output y = relu(x)"),
        _body("h = x -> Linear(3)", "output y = relu(h)"),
    ),
    Code(
        "NNS107",
        "one `=` in a condition",
        """
        `=` binds a name. Values are compared with `==`.
        """,
        "depth = 2\n" + _body("if depth = 2 { x = relu(x) }", "output y = x -> Linear(3)"),
        "depth = 2\n" + _body("if depth == 2 { x = relu(x) }", "output y = x -> Linear(3)"),
    ),
    Code(
        "NNS108",
        "a bracket closes nothing",
        """
        A closing bracket stands where none is open: it is one too many, or an earlier one closed too much.
        """,
        _body("output y = x -> Linear(3))"),
        _body("output y = x -> Linear(3)"),
    ),
    Code(
        "NNS109",
        "a reserved word as a name",
        """
        `if`, `else`, `for`, `in`, `and`, `or`, `not`, `true`, `false` and `none` are reserved everywhere but behind a
        dot. Every other word of the language may also be a name.
        """,
        _body("in = relu(x)", "output y = x -> Linear(3)"),
        _body("inner = relu(x)", "output y = inner -> Linear(3)"),
    ),
    Code(
        "NNS110",
        "a word of another language",
        """
        The word means something in Python or elsewhere, and not here: constants are `true`, `false` and `none`, blocks
        are declared with `block` and return with `output`, a further branch is `else if`.
        """,
        _body("output y = x -> Linear(3, bias=False)"),
        _body("output y = x -> Linear(3, bias=false)"),
    ),
    Code(
        "NNS111",
        "a number is spelled wrongly",
        """
        Numbers are decimal: `64`, `1_000_000`, `0.5`, `1e-3`. They have digits on both sides of the point, no leading
        zeros, and `_` only between two digits.
        """,
        _body("output y = x -> Linear(3) -> Dropout(.5)"),
        _body("output y = x -> Linear(3) -> Dropout(0.5)"),
    ),
    Code(
        "NNS112",
        "a number is too large",
        """
        Integers have 64 bits; decimal numbers have at most 400 digits and exponents.
        """,
        _body("output y = x * 99999999999999999999"),
        _body("output y = x * 1e20"),
    ),
    Code(
        "NNS113",
        "an arrow is missing",
        """
        Layers of a chain are joined by `->`. A line end is no arrow: a flow goes on with the next line only if that
        line begins with `->`.
        """,
        _body("output y = x -> {", "  Linear(8)", "  ReLU", "}"),
        _body("output y = x -> {", "  Linear(8)", "  -> ReLU", "}"),
    ),
    Code(
        "NNS114",
        "a limit of the language",
        """
        A file has at most 4 MiB, a line 256 KiB, a string 64 KiB; brackets nest at most 100 deep, and so do branches
        of one `if`; expressions have at most 400 levels. What is larger is almost always an accident.
        """,
        f"value = {'(' * 101}1{')' * 101}\n{_GOOD}",
        f"value = 1\n{_GOOD}",
    ),
    Code(
        "NNS115",
        "a version of the language that is not supported",
        """
        `nnspec 1` in front of everything else says for which version of the language a file was written.
        """,
        f"nnspec 2\n{_GOOD}",
        f"nnspec 1\n{_GOOD}",
    ),
    Code(
        "NNS116",
        "a statement or a declaration in the wrong place",
        """
        Blocks, models, `train` and imports stand side by side in a file. `input`, `output`, `if`, `for` and the other
        statements stand inside their braces.
        """,
        "output y = 3\n" + _GOOD,
        _GOOD,
    ),
    Code(
        "NNS117",
        "a comma is missing",
        """
        The values between brackets are separated by commas.
        """,
        _body("output y = x -> Linear(3 bias=false)"),
        _body("output y = x -> Linear(3, bias=false)"),
    ),
    Code(
        "NNS118",
        "something that is no name is bound",
        """
        In front of `=` stand names, or names in brackets to unpack several values: `y, (h, c) = ...`.
        """,
        _body("relu(x) = x", "output y = x -> Linear(3)"),
        _body("x = relu(x)", "output y = x -> Linear(3)"),
    ),
    Code(
        "NNS119",
        "a label that is no name",
        """
        In front of `:` stands a name, a dotted name such as `attention.output.dense`, or a string such as
        `"layer{i}"`.
        """,
        _body("output y = x -> fc(1): Linear(3)"),
        _body("output y = x -> fc1: Linear(3)"),
    ),
    Code(
        "NNS120",
        "a string that cannot be read",
        """
        In strings, `{` and `}` enclose an expression whose value is inserted; as text they are written `{{` and `}}`.
        A backslash begins one of the escapes \\n, \\t, \\r, \\", \\\\ and \\u with four hexadecimal digits.
        """,
        _body('output y = x -> "fc{1 +}": Linear(3)'),
        _body('output y = x -> "fc{1 + 1}": Linear(3)'),
    ),
    Code(
        "NNS121",
        "an argument without a name behind one with a name",
        """
        Arguments that are given by position come first.
        """,
        _body("output y = x -> Linear(bias=false, 3)"),
        _body("output y = x -> Linear(3, bias=false)"),
    ),
    Code(
        "NNS122",
        "an `else` without an `if`",
        """
        `else` follows the `}` of an `if`, on the same line or at the beginning of the next.
        """,
        _body("x = relu(x)", "else { x = tanh(x) }", "output y = x -> Linear(3)"),
        _body("if training { x = relu(x) }", "else { x = tanh(x) }", "output y = x -> Linear(3)"),
    ),
    Code(
        "NNS123",
        "a type that cannot be read",
        """
        A type is a dtype and its dimensions, `float[N, 3, H, W]`; `...` stands for any number of dimensions and comes
        first; `list[...]` takes one type.
        """,
        "block scale {\n  input x: float[N, ...]\n  output 2 * x\n}\n" + _GOOD,
        "block scale {\n  input x: float[..., N]\n  output 2 * x\n}\n" + _GOOD,
    ),
)
