"""Syntax errors in words: what was found, what was expected there, and a repair where one can be guessed.

`unexpected` asks a list of questions about the place; the first that recognises a common slip words the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span, error
from nnspec.syntax.fault import FORMS, Fault, expected, found, opened
from nnspec.syntax.lexer import CLOSERS, END, NEWLINE, OPENERS, RESERVED, starts_line

_OPERANDS = frozenset(("NAME", "NUMBER", "STRING", "BROKEN", "(", "[", "{", "true", "false", "none", "not"))
_DECLARATIONS = ("import", "from", "block", "model", "extern", "train")
_STATEMENTS = ("input", "output", "param", "buffer", "params", "update", "yield", "if", "for")
_WORD = re.compile(r"[A-Za-z_]\w*")
_TYPE = re.compile(r":[ \t]*(?:float|int|bool|bfloat|uint)\d*[ \t]*\Z")
_ROUND = re.compile(r"\(([^()\n]{0,200})\)")
_IMPORT = re.compile(r"from[ \t]+(?:\.+([\w.]+)|[\w.\"]+)[ \t]+import[ \t]*(\*)?")
_IS_NOT = re.compile(r"is[ \t]+not\b")
_NAMED = re.compile(r"[ \t]*(?:=(?!=)|:)")

# Words of other languages at the head of a statement, and what is written here.
_FOREIGN = {
    "def": "a block is declared with `block name(width) { ... }`",
    "fn": "a block is declared with `block name(width) { ... }`",
    "func": "a block is declared with `block name(width) { ... }`",
    "function": "a block is declared with `block name(width) { ... }`",
    "class": "a network is declared with `model Name(width = 64) { ... }`, a part of one with `block`",
    "module": "a network is declared with `model Name(width = 64) { ... }`, a part of one with `block`",
    "network": "a network is declared with `model Name(width = 64) { ... }`",
    "net": "a network is declared with `model Name(width = 64) { ... }`",
    "layer": "a layer is named where it is used: `x -> name: Linear(8)`",
    "return": "a block gives its result with `output`",
    "let": "a value is bound with `name = value` alone",
    "var": "a value is bound with `name = value` alone",
    "const": "a value is bound with `name = value` alone",
    "elif": "write `else if`",
    "while": "loops run a known number of times: `for i in range(4) { ... }`",
    "with": "a group is opened with `name: { ... }`",
    "lambda": "there are no functions without a name: declare a lower-case `block`",
    "del": "values need no deleting",
    "raise": 'conditions are stated with `assert test, "message"`',
    "print": "a spec computes nothing that could be printed: see `nnspec summary`",
}
# --- brackets --------------------------------------------------------------------------------------------------------


def unclosed(fault: Fault, stop: int) -> Diagnostic:
    """A bracket in a statement is never closed."""
    openers = [o for o in fault.inner if o.token.start < stop] or list(fault.inner)
    opener = openers[-1]
    if fault.wrong.type in CLOSERS:
        # A closing bracket ends the nearest one of its kind: only those inside that one are missing theirs.
        kinds = [o.token.type for o in openers]
        partner = CLOSERS[fault.wrong.type]
        openers = openers[len(kinds) - kinds[::-1].index(partner) :] if partner in kinds else openers
    closers = "".join(OPENERS[o.token.type] for o in reversed(openers))
    shown = OPENERS[opener.token.type]
    others = [Label(fault.span(stop, stop), f"`{closers}` is missing here")]
    others += [Label(fault.span(o.token.start, o.token.end), "neither is this one") for o in openers[:-1]]
    return error(
        "NNS101",
        f"missing `{shown}` to close {opened(fault, opener)}",
        fault.span(opener.token.start, opener.token.end),
        "this bracket is never closed",
        others=others,
        fixes=(Fix(f"insert `{closers}`", (Edit(fault.span(stop, stop), closers),)),),
    )


def open_bodies(fault: Fault) -> Diagnostic:
    """The file ends, or the next declaration begins, inside a body."""
    wrong, end = fault.wrong, fault.automaton.end
    names = " and ".join(opened(fault, o) for o in reversed(fault.outer))
    others = [Label(fault.span(o.token.start, o.token.end), "this block is never closed") for o in fault.outer]
    last_line = fault.text.count("\n", 0, end) + 1
    own_line = wrong.type == END or fault.text.count("\n", end, wrong.start) > 0
    closers = "".join("\n" + " " * _indent(fault.text, o.begin) + "}" for o in reversed(fault.outer))
    if wrong.type == END:
        place, label = fault.span(end, end), "the file ends here"
    else:
        place = fault.span(wrong.start, wrong.end)
        outer = fault.outer[0]
        what = "another model" if opened(fault, outer).startswith("model") else opened(fault, outer)
        label = f"{_article(wrong.text)} cannot start inside {what}"
    signs = "}" * len(fault.outer)
    return error(
        "NNS101",
        f"missing `{signs}` to close {names}",
        place,
        label,
        others=others,
        helps=(f"insert `{signs}` on line {last_line + own_line}",),
        fixes=(Fix(f"insert `{signs}`", (Edit(fault.span(end, end), closers),)),),
    )


def _article(word: str) -> str:
    if word in ("import", "from"):
        return "an import"
    return {"train": "a train section", "extern": "an extern block"}.get(word, f"a {word}")


def _indent(text: str, at: int) -> int:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return len(line) - len(line.lstrip(" \t"))


# --- tokens that do not fit ------------------------------------------------------------------------------------------


def unexpected(fault: Fault) -> Diagnostic:
    """The message for a token that does not fit: a known slip, or what was found and what was expected."""
    for question in _QUESTIONS:
        answer = question(fault)
        if answer:
            return answer
    return _general(fault)


def _closes_nothing(fault: Fault) -> Diagnostic | None:
    kind = fault.wrong.type
    if kind not in CLOSERS or any(o.token.type == CLOSERS[kind] for o in fault.inner):
        return None
    if kind == "}" and fault.outer:
        return None
    fix = Fix(f"remove the `{kind}`", (Edit(fault.place, ""),))
    return error("NNS108", f"`{kind}` closes nothing", fault.place, "no bracket is open here", fixes=(fix,))


def _assigns_in_condition(fault: Fault) -> Diagnostic | None:
    if fault.wrong.type != "=":
        return None
    if fault.head in RESERVED and not fault.text[fault.begin + len(fault.head) : fault.wrong.start].strip():
        return _reserved_word(fault.head, fault.span(fault.begin, fault.begin + len(fault.head)))
    before = fault.text[fault.begin : fault.wrong.start]
    if fault.head not in ("if", "assert") and " if " not in before and "else if" not in before:
        return None
    fix = Fix("compare with `==`", (Edit(fault.place, "=="),))
    return error("NNS107", "`=` binds a name; values are compared with `==`", fault.place, "write `==`", fixes=(fix,))


def _updates_in_place(fault: Fault) -> Diagnostic | None:
    wrong = fault.wrong
    last = fault.last
    if wrong.type != "=" or last is None or last.end != wrong.start or last.type not in "+-*/%@//**":
        return None
    name = fault.text[fault.begin : last.start].strip()
    place = fault.span(last.start, wrong.end)
    fixes = (Fix(f"write `{name} = {name} {last.text} ...`", (Edit(place, f"= {name} {last.text}"),)),)
    return error(
        "NNS110", f"`{last.text}=` is not part of the language", place, "an assignment is `=` alone", fixes=fixes
    )


def _foreign(fault: Fault) -> Diagnostic | None:
    wrong, head = fault.wrong, fault.head
    before = wrong.text if wrong.type == "NAME" and wrong.text in _FOREIGN else ""
    inside = fault.text[fault.begin + len(head) : wrong.start].strip() == ""
    if wrong.text == "elif":
        fix = Fix("write `else if`", (Edit(fault.place, "else if"),), safe=True)
        return error("NNS110", "`elif` is written `else if` here", fault.place, "write `else if`", fixes=(fix,))
    if head in _FOREIGN and inside and wrong.start > fault.begin:
        place = fault.span(fault.begin, fault.begin + len(head))
        fixes = (Fix("write `output`", (Edit(place, "output"),)),) if head == "return" else ()
        return error("NNS110", f"`{head}` is not part of the language", place, _FOREIGN[head], fixes=fixes)
    if wrong.text == "is":
        found = _IS_NOT.match(fault.text, wrong.start)
        place = fault.span(wrong.start, found.end() if found else wrong.end)
        sign = "!=" if found else "=="
        fix = Fix(f"write `{sign}`", (Edit(place, sign),), safe=True)
        return error("NNS110", "`is` is not part of the language", place, "values are compared with `==`", fixes=(fix,))
    previous = fault.text[fault.begin : wrong.start].split()[-1:]
    if previous == ["lambda"] or before == "lambda":
        return error("NNS110", "`lambda` is not part of the language", fault.place, _FOREIGN["lambda"])
    return None


def _misplaced(fault: Fault) -> Diagnostic | None:
    wrong = fault.wrong
    if wrong.type == "else" and (wrong.start == fault.begin or starts_line(fault.text, wrong.start)):
        helps = ("`else` follows the `}` of an `if`, on the same line or the next",)
        return error("NNS122", "`else` without an `if` in front of it", fault.place, "belongs to no `if`", helps=helps)
    if wrong.start != fault.begin:
        return None
    if wrong.type in _DECLARATIONS and fault.outer:
        what = opened(fault, fault.outer[0])
        message = f"{_article(wrong.text)} cannot stand inside {what}"
        helps = ("declarations stand side by side in a file, in column 1",)
        return error("NNS116", message, fault.place, "move it out of the braces", helps=helps)
    if wrong.type in _STATEMENTS and not fault.outer:
        message = f"`{wrong.text}` stands only inside a block, a model or a train section"
        helps = ("is a `}` in front of it one too many?",)
        return error("NNS116", message, fault.place, "outside of all braces", helps=helps)
    return None


def _bare_point(fault: Fault) -> Diagnostic | None:
    text, wrong = fault.text, fault.wrong
    if wrong.type == "." and text[wrong.end : wrong.end + 1].isdigit():
        fix = Fix("write the 0", (Edit(fault.span(wrong.start, wrong.start), "0"),), safe=True)
        message = "a number does not begin with its point"
        return error("NNS111", message, fault.place, "write the 0 in front of it", fixes=(fix,))
    last = fault.last
    if last is None or last.type != "." or not text[last.start - 1 : last.start].isdigit():
        return None
    place = fault.span(last.start, last.end)
    fix = Fix("write the 0", (Edit(fault.span(last.end, last.end), "0"),), safe=True)
    return error("NNS111", "a number does not end with its point", place, "write a 0 behind it", fixes=(fix,))


def _python_import(fault: Fault) -> Diagnostic | None:
    found = _IMPORT.match(fault.text, fault.begin)
    if fault.head != "from" or found is None or not (found[1] or found[2]):
        return None
    if found[2]:
        helps = ("name what is taken, `from std.attention import Attention`, or the file, `import std.norm as norm`",)
        place = fault.span(found.start(2), found.end(2))
        return error("NNS110", "an import says what it takes, and `*` is no name", place, "not a name", helps=helps)
    path = f'"{found[1].replace(".", "/")}.nns"'
    place = fault.span(fault.text.index(".", fault.begin), found.end(1))
    fix = Fix(f"write `{path}`", (Edit(place, path),))
    return error("NNS110", "a file is named by its path in quotes", place, "expected a path in quotes", fixes=(fix,))


def _no_arrow(fault: Fault) -> Diagnostic | None:
    wrong = fault.wrong
    if wrong.type not in _OPERANDS:
        return None
    last = fault.last
    fix = Fix("insert `->`", (Edit(fault.span(wrong.start, wrong.start), "-> "),))
    helps = ("a line end is no arrow: each layer of a chain but the first has `->` in front of it",)
    if fault.inner and fault.inner[-1].chain and (fault.automaton.accepts("->") or (last and last.type == NEWLINE)):
        message = "missing `->` between two layers of a chain"
        return error("NNS113", message, fault.place, "`->` was expected in front of this", helps=helps, fixes=(fix,))
    labelled = re.match(r"[\w.]+[ \t]*:[ \t]*[A-Z]\w*[ \t]*\Z", fault.text[fault.begin : wrong.start])
    if wrong.type == "(" and labelled and starts_line(fault.text, fault.begin):
        place = fault.span(fault.begin, fault.begin + len(fault.head))
        fix = Fix("insert `->`", (Edit(fault.span(fault.begin, fault.begin), "-> "),))
        message = f"the layer `{fault.head}` stands in no flow"
        return error("NNS113", message, place, "`->` was expected in front of this", helps=helps, fixes=(fix,))
    return None


def _reserved(fault: Fault) -> Diagnostic | None:
    wrong = fault.wrong
    if wrong.type not in RESERVED:
        return None
    # A line that begins with a reserved word goes on with the line above, unless the word is meant as a name.
    named = bool(_NAMED.match(fault.text, wrong.end)) and starts_line(fault.text, wrong.start)
    if not named and (not fault.automaton.accepts("NAME") or fault.automaton.accepts("NUMBER")):
        return None
    return _reserved_word(wrong.text, fault.place)


def _reserved_word(word: str, place: Span) -> Diagnostic:
    return error("NNS109", f"`{word}` is a reserved word and cannot be a name", place, "choose another name")


def _colon_for_brace(fault: Fault) -> Diagnostic | None:
    if fault.wrong.type != ":" or not fault.automaton.accepts("{"):
        return None
    fix = Fix("open a body", (Edit(fault.place, " {"),))
    return error("NNS102", "a body stands in braces, not behind `:`", fault.place, "expected `{` here", fixes=(fix,))


def _no_comma(fault: Fault) -> Diagnostic | None:
    automaton = fault.automaton
    inside = fault.inner and fault.inner[-1].token.type in "(["
    if not inside or fault.wrong.type not in _OPERANDS or not automaton.accepts(","):
        return None
    gap = fault.span(automaton.end, automaton.end)
    fix = Fix("insert `,`", (Edit(gap, ","),))
    what = found(fault)
    return error(
        "NNS117", f"missing `,` in front of {what}", fault.place, "expected `,` in front of this", fixes=(fix,)
    )


def _no_equals(fault: Fault) -> Diagnostic | None:
    head_end = fault.begin + len(fault.head)
    between = fault.text[head_end : fault.wrong.start]
    if not fault.head or between.strip() or fault.wrong.start <= fault.begin or fault.wrong.type not in _OPERANDS:
        return None
    if fault.head in FORMS or fault.wrong.type == "{":
        return None
    fix = Fix("insert `=`", (Edit(fault.span(fault.wrong.start, fault.wrong.start), "= "),))
    message = f"missing `=` behind `{fault.head}`"
    return error("NNS102", message, fault.place, "expected `=` in front of this", fixes=(fix,))


def _capital_keyword(fault: Fault) -> Diagnostic | None:
    word = fault.head.lower()
    head_end = fault.begin + len(fault.head)
    if word == fault.head or word not in FORMS or fault.wrong.type not in ("NAME", "STRING"):
        return None
    if fault.text[head_end : fault.wrong.start].strip():
        return None
    place = fault.span(fault.begin, head_end)
    fix = Fix(f"write `{word}`", (Edit(place, word),))
    return error("NNS102", f"`{word}` is written in lower case", place, f"write `{word}`", fixes=(fix,))


def _foreign_comment(fault: Fault) -> Diagnostic | None:
    if fault.wrong.type != "//" or not starts_line(fault.text, fault.wrong.start):
        return None
    fix = Fix("write `#`", (Edit(fault.place, "#"),))
    return error("NNS110", "a comment begins with `#`, not with `//`", fault.place, "write `#`", fixes=(fix,))


def _round_type(fault: Fault) -> Diagnostic | None:
    wrong = fault.wrong
    if wrong.type != "(" or not _TYPE.search(fault.text[max(fault.begin, wrong.start - 80) : wrong.start]):
        return None
    whole = _ROUND.match(fault.text, wrong.start)
    place = fault.span(wrong.start, whole.end() if whole else wrong.end)
    fixes = (Fix("write square brackets", (Edit(place, f"[{whole[1]}]"),)),) if whole else ()
    return error(
        "NNS102", "the dimensions of a type stand in `[ ]`, not in `( )`", place, "expected `[` here", fixes=fixes
    )


def _no_colon(fault: Fault) -> Diagnostic | None:
    head_end = fault.begin + len(fault.head)
    if fault.wrong.type != "{" or not fault.head or fault.text[head_end : fault.wrong.start].strip():
        return None
    if fault.head in FORMS:
        return None
    if not fault.outer:
        helps = tuple(f"the form is {FORMS[kind]}" for kind in ("block", "model"))
        message = f"`{fault.head}` does not begin a declaration"
        return error("NNS102", message, fault.span(fault.begin, head_end), "not a declaration", helps=helps)
    fix = Fix("insert `:`", (Edit(fault.span(head_end, head_end), ":"),))
    message = f"missing `:` behind the name of the group `{fault.head}`"
    return error("NNS102", message, fault.place, "expected `:` in front of this", fixes=(fix,))


def _second_statement(fault: Fault) -> Diagnostic | None:
    starts = fault.wrong.type in _OPERANDS or fault.wrong.type in _STATEMENTS or fault.wrong.type in _DECLARATIONS
    if not starts or fault.wrong.start <= fault.begin or not fault.automaton.accepts(NEWLINE):
        return None
    fix = Fix("start a new line", (Edit(fault.span(fault.automaton.end, fault.wrong.start), "\n"),))
    helps = ("each statement stands on its own line",)
    message = f"{found(fault)} follows a complete statement on the same line"
    return error("NNS102", message, fault.place, "expected the end of the line", helps=helps, fixes=(fix,))


_QUESTIONS: tuple[Callable[[Fault], Diagnostic | None], ...] = (
    _closes_nothing,
    _assigns_in_condition,
    _updates_in_place,
    _foreign,
    _misplaced,
    _bare_point,
    _round_type,
    _capital_keyword,
    _foreign_comment,
    _python_import,
    _no_arrow,
    _reserved,
    _colon_for_brace,
    _no_comma,
    _no_equals,
    _no_colon,
    _second_statement,
)


def _general(fault: Fault) -> Diagnostic:
    follows = expected(fault.automaton)
    helps = (f"the form is {FORMS[fault.head]}",) if fault.head in FORMS else ()
    if fault.wrong.text == "scan":
        helps = ("a scan is bound first, `ys = scan ...`, and used on the next line",)
    label = f"expected {follows}" if follows else "not expected here"
    message = f"{found(fault)} cannot stand here" if fault.wrong.type not in (NEWLINE, END) else _incomplete(fault)
    return error("NNS102", message, fault.place, label, helps=helps)


def interpolation(fault: Fault) -> Diagnostic:
    """What stands between the braces of a string is no expression."""
    helps = ("a brace as text is written `{{` or `}}`",)
    if fault.wrong.type == END:
        message = (
            "an expression in a string is incomplete" if fault.automaton.values else "`{}` in a string holds nothing"
        )
        place = fault.span(fault.wrong.start - 1, fault.wrong.end)
        return error("NNS120", message, place, "expected an expression between the braces", helps=helps)
    message = f"{found(fault)} cannot stand here, in an expression inside a string"
    return error("NNS120", message, fault.place, f"expected {expected(fault.automaton) or 'less'}", helps=helps)


def _incomplete(fault: Fault) -> str:
    what = "line" if fault.wrong.type == NEWLINE else "file"
    before = fault.text[max(fault.begin, fault.automaton.end - 30) : fault.automaton.end].split()
    return f"the {what} ends behind `{before[-1]}`, where more must follow" if before else f"the {what} ends too early"
