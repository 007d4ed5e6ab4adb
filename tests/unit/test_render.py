"""How diagnostics look: the mock-ups of the design, and what must hold of every one."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Sources, Span, Step, error
from nnspec.render import as_json, concise, render, render_all
from nnspec.snippet import LINE_WIDTH

LENET = """\
model LeNet {
  input image: float[N, 1, 28, 28]
  c = image -> Conv2d(6, 5, padding=2) -> relu -> MaxPool2d(2)
  h = c -> Conv2d(16, 5) -> relu -> MaxPool2d(2)
  z = h -> Flatten -> Linear(120, in_features=256) -> relu
}
"""


def sources(*texts: str, name: str = "net.nns") -> Sources:
    result = Sources()
    for number, text in enumerate(texts):
        result.add(name if number == 0 else f"other{number}.nns", text)
    return result


def at(text: str, part: str, source: int = 0) -> Span:
    start = text.index(part)
    return Span(start, start + len(part), source)


def drawn(text: str, *labels: Label) -> str:
    """The excerpt alone, without the message and the arrow."""
    lines = render(Diagnostic("NNS100", "m", labels), sources(text)).split("\n")
    return "\n".join(lines[3:]) + "\n"


def expected(text: str) -> str:
    """The text between the quotes, less the indentation of the tests here."""
    return "".join(line[8:] for line in text.splitlines(keepends=True)[1:])


def mismatch() -> Diagnostic:
    return error(
        "NNS401",
        "`Linear(in_features=256)` cannot follow a tensor of shape [N, 400]",
        at(LENET, "in_features=256"),
        "expects the last dimension to be 256",
        others=[
            Label(at(LENET, "float[N, 1, 28, 28]"), "the chain starts here"),
            Label(at(LENET, "Flatten"), "produces float[N, 400]"),
        ],
        fixes=[Fix("let the compiler infer it", (Edit(at(LENET, ", in_features=256"), ""),), safe=True)],
        trace=[
            Step("image", "float[N, 1, 28, 28]", at(LENET, "image")),
            Step("Conv2d(6, 5, padding=2)", "float[N, 6, 28, 28]", at(LENET, "Conv2d(6")),
            Step("relu, MaxPool2d(2)", "float[N, 6, 14, 14]", at(LENET, "relu")),
            Step("Conv2d(16, 5)", "float[N, 16, 10, 10]", at(LENET, "Conv2d(16"), "(14 - 5) / 1 + 1 = 10"),
            Step("relu, MaxPool2d(2)", "float[N, 16, 5, 5]"),
            Step("Flatten", "float[N, 400]", at(LENET, "Flatten"), "16 * 5 * 5 = 400"),
        ],
    )


def test_a_shape_fault_shows_both_places_the_way_of_the_shapes_and_the_repair() -> None:
    assert render(mismatch(), sources(LENET, name="lenet.nns")) + "\n" == expected(
        """
        error[NNS401]: `Linear(in_features=256)` cannot follow a tensor of shape [N, 400]
          --> lenet.nns:5:35
           |
         2 |   input image: float[N, 1, 28, 28]
           |                ------------------- the chain starts here
         5 |   z = h -> Flatten -> Linear(120, in_features=256) -> relu
           |            -------                ^^^^^^^^^^^^^^^ expects the last dimension to be 256
           |            |
           |            produces float[N, 400]
           |
           = note: shapes on the way to this layer:
                     image                     float[N, 1, 28, 28]    line 2
                     Conv2d(6, 5, padding=2)   float[N, 6, 28, 28]    line 3
                     relu, MaxPool2d(2)        float[N, 6, 14, 14]
                     Conv2d(16, 5)             float[N, 16, 10, 10]   line 4   (14 - 5) / 1 + 1 = 10
                     relu, MaxPool2d(2)        float[N, 16, 5, 5]
                     Flatten                   float[N, 400]          line 5   16 * 5 * 5 = 400
           = help: let the compiler infer it
           |
         5 -   z = h -> Flatten -> Linear(120, in_features=256) -> relu
         5 +   z = h -> Flatten -> Linear(120) -> relu
        """
    )


def test_an_unknown_name_is_underlined_and_its_help_follows() -> None:
    text = "model M {\n  input x: float[N, 4]\n\n  x\n    -> Linaer(84)\n}\n"
    diagnostic = error(
        "NNS201",
        "unknown layer `Linaer`",
        at(text, "Linaer"),
        "not a layer, a function or a block in scope",
        helps=["a layer with a similar name exists: `Linear`"],
    )
    assert render(diagnostic, sources(text)) + "\n" == expected(
        """
        error[NNS201]: unknown layer `Linaer`
          --> net.nns:5:8
           |
         5 |     -> Linaer(84)
           |        ^^^^^^ not a layer, a function or a block in scope
           = help: a layer with a similar name exists: `Linear`
        """
    )


def test_an_inserted_line_is_shown_alone() -> None:
    text = "model A {\n  input x: float[N]\n  output y = x\n\nmodel C {\n}\n"
    start = text.index("model C")
    diagnostic = error(
        "NNS101",
        "missing `}` to close model `A`",
        Span(start, start + 5),
        "a model cannot start inside another model",
        others=[Label(at(text, "{"), "this block is never closed")],
        fixes=[Fix("insert `}` on line 4", (Edit(Span(start - 1, start - 1), "}\n"),))],
    )
    assert render(diagnostic, sources(text)) + "\n" == expected(
        """
        error[NNS101]: missing `}` to close model `A`
          --> net.nns:5:1
           |
         1 | model A {
           |         - this block is never closed
         5 | model C {
           | ^^^^^ a model cannot start inside another model
           = help: insert `}` on line 4
           |
         4 + }
        """
    )


def test_a_fix_may_change_several_places() -> None:
    text = "a = 1\nb = a\nc = 3\nd = 4\ne = a\n"
    edits = (
        Edit(Span(0, 1), "width"),
        Edit(Span(10, 11), "width"),
        Edit(Span(18, 24), ""),
        Edit(Span(len(text) - 2, len(text) - 1), "width"),
    )
    diagnostic = error("NNS201", "m", Span(0, 1), fixes=[Fix("rename it", edits)])
    assert render(diagnostic, sources(text)).split("rename it\n")[1] + "\n" == expected(
        """
           |
         1 - a = 1
         2 - b = a
         1 + width = 1
         2 + b = width
           |
         4 - d = 4
         5 - e = a
         4 + e = width
        """
    )


def test_several_labels_on_a_line_hang_on_bars() -> None:
    text = "y = alpha(beta, gamma)\n"
    assert drawn(
        text,
        Label(at(text, "alpha"), "first"),
        Label(at(text, "beta"), "second", primary=True),
        Label(at(text, "gamma"), "third"),
    ) == expected(
        """
         1 | y = alpha(beta, gamma)
           |     ----- ^^^^  ----- third
           |     |     |
           |     |     second
           |     first
        """
    )


def test_a_label_inside_another_one_hangs_too() -> None:
    text = "y = alpha(beta, gamma)\n"
    labels = (Label(at(text, "beta"), "inner", primary=True), Label(at(text, "alpha(beta, gamma)"), "outer"))
    assert drawn(text, *labels) == expected(
        """
         1 | y = alpha(beta, gamma)
           |     ------^^^^--------
           |     |     |
           |     |     inner
           |     outer
        """
    )


def test_a_label_over_several_lines_is_a_bracket_in_the_margin() -> None:
    text = "model A {\n  a = 1\n  b = 2\n}\nc = 3\n"
    labels = (Label(Span(8, text.index("}") + 1), "this body"), Label(at(text, "2"), "here", primary=True))
    assert drawn(text, *labels) == expected(
        """
         1 |   model A {
           |  _________-
         2 | |   a = 1
         3 | |   b = 2
           | |       ^ here
         4 | | }
           | |_- this body
        """
    )


def test_long_brackets_are_elided_and_overlapping_ones_lie_side_by_side() -> None:
    text = "".join(f"line{n}\n" for n in range(1, 13))
    labels = (Label(Span(0, len(text)), "all", primary=True), Label(at(text, "line3\nline4\n"), "some"))
    assert drawn(text, *labels) == expected(
        """
          1 |     line1
            |  ___^
        ... | |
          3 | |   line3
            | |  _-
          4 | | | line4
            | | |_____- some
        ... | |
         12 | |   line12
            | |________^ all
        """
    )


def test_a_bracket_that_begins_where_another_ends_gets_its_own_column() -> None:
    text = "a = {\n} -> {\n}\n"
    labels = (Label(Span(4, 7), "first", primary=True), Label(Span(11, 14), "second"))
    assert drawn(text, *labels) == expected(
        """
         1 |     a = {
           |  _______^
         2 | |   } -> {
           | |___^ first
           |    ______-
         3 |   | }
           |   |_- second
        """
    )


def test_lines_after_an_insertion_count_from_there() -> None:
    text = "a\nb\nc\nd\ne\n"
    edits = (Edit(Span(0, 0), "x\ny\n"), Edit(at(text, "d"), "D"))
    diagnostic = error("NNS100", "m", Span(0, 1), fixes=[Fix("f", edits)])
    assert render(diagnostic, sources(text)).split("help: f\n")[1] + "\n" == expected(
        """
           |
         1 + x
         2 + y
           |
         4 - d
         6 + D
        """
    )


def test_labels_in_several_files_name_each_file() -> None:
    diagnostic = error("NNS205", "m", Span(0, 1, 1), "here", others=[Label(Span(4, 5), "and there")])
    assert render(diagnostic, sources("abc\ndef\n", "xyz\n")) + "\n" == expected(
        """
        error[NNS205]: m
          --> other1.nns:1:1
           |
         1 | xyz
           | ^ here
          ::: net.nns:2:1
           |
         2 | def
           | - and there
        """
    )


def test_tabs_and_wide_characters_keep_underlines_in_place() -> None:
    text = '\tx = "日本" -> e\u0301b\n'
    assert drawn(text, Label(at(text, "x")), Label(at(text, '"日本"')), Label(at(text, "b"), "b", primary=True)) == (
        ' 1 |     x = "日本" -> e\u0301b\n   |     -   ------     ^ b\n'
    )


def test_a_long_line_is_cut_around_its_labels() -> None:
    text = "a" * 5_000_000 + "BAD" + "c" * 5_000_000
    line, marks = drawn(text, Label(at(text, "BAD"), "this", primary=True)).splitlines()
    assert len(line) <= LINE_WIDTH + 12
    assert line[5:8] == line[-3:] == "..."
    assert marks.index("^^^") == line.index("BAD")


def test_an_underline_longer_than_the_window_ends_at_its_edge() -> None:
    text = "a" * 50 + "b" * 10_000
    line, marks = drawn(text, Label(at(text, "b" * 10_000), "this", primary=True)).splitlines()
    assert line.index("b") == marks.index("^")
    assert line.rindex("b") == marks.rindex("^")


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2066", "\u2028", "\ud800", "\r"])
def test_control_characters_are_spelled_out_everywhere(character: str) -> None:
    bad = f"a{character}b"
    diagnostic = error(
        "NNS100",
        bad,
        Span(0, 1),
        bad,
        notes=[bad],
        helps=[bad],
        fixes=[Fix(bad, (Edit(Span(0, 1), bad),))],
        trace=[Step(bad, bad, Span(0, 1), bad)],
    )
    known = sources(f"x{bad}\n", name=bad)
    text = render_all([diagnostic], known) + concise(diagnostic, known) + as_json([diagnostic], known)
    assert character not in text
    assert f"a{ascii(character)[1:-1].replace('r', 'x0d')}b" in text


def test_notes_of_several_lines_are_indented() -> None:
    diagnostic = error("NNS100", "m", Span(0, 1), notes=["one\n  two\nthree"])
    assert render(diagnostic, sources("x\n")).endswith("\n   |\n   = note: one\n             two\n           three")


def test_without_a_place_there_is_no_excerpt() -> None:
    diagnostic = error("NNS900", "it broke", None, helps=["report it"])
    assert render(diagnostic, Sources()) == "error[NNS900]: it broke\n   = help: report it"
    assert concise(diagnostic, Sources()) == "error[NNS900]: it broke"
    assert json.loads(as_json([diagnostic], Sources()))["diagnostics"][0]["labels"] == []


def test_the_end_of_the_text_can_be_pointed_at() -> None:
    assert drawn("model A {\n", Label(Span(10, 10), "expected `}`", primary=True)) == " 2 |\n   | ^ expected `}`\n"


def test_the_closing_line_counts_errors_and_warnings() -> None:
    fault, remark = error("NNS100", "m", None), error("NNS300", "w", None, severity="warning")
    closings = [
        render_all(many, Sources()).split("\n")[-1]
        for many in ([fault], [remark], [fault, fault, remark], [remark, remark])
    ]
    assert closings == ["1 error", "1 warning", "2 errors, 1 warning", "2 warnings"]
    assert render_all([], Sources()) == ""


def test_one_line_form_has_file_line_and_column() -> None:
    assert concise(mismatch(), sources(LENET)) == (
        "net.nns:5:35: error[NNS401]: `Linear(in_features=256)` cannot follow a tensor of shape [N, 400]"
    )


def test_json_has_everything_with_places_in_both_forms() -> None:
    document = json.loads(as_json([mismatch()], sources(LENET)))
    assert document["version"] == 1
    [entry] = document["diagnostics"]
    span = at(LENET, "in_features=256")
    assert entry["labels"][0] == {
        "text": "expects the last dimension to be 256",
        "primary": True,
        "file": "net.nns",
        "start": span.start,
        "end": span.end,
        "line": 5,
        "column": 35,
        "end_line": 5,
        "end_column": 50,
    }
    assert entry["fixes"][0]["safe"] is True
    assert entry["fixes"][0]["edits"][0]["text"] == ""
    assert entry["trace"][3]["rule"] == "(14 - 5) / 1 + 1 = 10"
    assert "line" not in entry["trace"][4]
    assert set(entry) == {"code", "severity", "message", "labels", "notes", "helps", "fixes", "trace"}


def uncolored(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_color_adds_nothing_but_color() -> None:
    known = sources(LENET)
    painted = render_all([mismatch()], known, color=True)
    assert painted != uncolored(painted) == render_all([mismatch()], known)
    assert "\x1b[1;31m^^^^^^^^^^^^^^^\x1b[0m \x1b[1;31mexpects" in painted
    assert "\x1b[32m+" in painted


TEXTS = st.text(st.sampled_from("ab \t\n\r日\u0301\x1b{}"), max_size=60)


@given(st.data())
def test_any_labels_and_fixes_on_any_text_can_be_shown(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    ends = st.integers(0, len(text) + 2)
    spans = st.tuples(ends, ends).map(lambda pair: Span(min(pair), max(pair)))
    labels = data.draw(st.lists(st.builds(Label, spans, TEXTS, st.booleans()), max_size=5))
    edits = data.draw(st.lists(st.builds(Edit, spans, TEXTS), max_size=4))
    diagnostic = Diagnostic("NNS100", "m", tuple(labels), fixes=(Fix("f", tuple(edits)),))
    plain = render(diagnostic, sources(text))
    assert uncolored(render(diagnostic, sources(text), color=True)) == plain
    assert all(line == line.rstrip() for line in plain.split("\n"))
    for label in labels:
        assert render(Diagnostic("NNS100", "m", (label,)), sources(text)).count("\n") >= 3
