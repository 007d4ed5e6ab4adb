"""`params "*.bias" { init = zeros }`: how parameters start, by name or by the kind of layer that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nnspec import ir, registry
from nnspec.diagnostics import Diagnostic, Edit, Fix, Span, error
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.files import FileScope, Namespace
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.parameters import closed, initializer
from nnspec.elaborate.place import Place
from nnspec.elaborate.values import Fault, Silent, content
from nnspec.initializers import way
from nnspec.layer import ShapeError
from nnspec.patterns import Found, applies, is_pattern, matches, owned, strange_in, winners
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.types import TensorType

_TRAINED = ("lr", "weight_decay", "freeze")
"""Settings that a `train` section may give by pattern."""
_SHOWN = 6
"""How many names a message lists."""


class Noted(NamedTuple):
    """A `params` statement that was run; what it matches is known when the body is complete."""

    pattern: str
    """A pattern of names, or a path from the body or from a kind of layer."""
    is_path: bool
    init: ir.Initializer | None
    value: ir.Graph | None
    node: ast.Settings
    place: Span
    """Of what the parameters start from."""
    home: Place
    """The body or the group that the statement stands in."""


# --- statements ------------------------------------------------------------------------------------------------------


def note_settings(frame: Frame, node: ast.Settings) -> None:
    """Work out what a `params` statement says."""
    if frame.block is not None and frame.block.name.id[0].islower():
        message = f"`{frame.block.name.id}` is a function, and a function owns no parameters"
        raise Fault(error("NNS214", message, node.span, "whose parameters?"))
    pattern, is_path = read_pattern(frame, node.pattern)
    value = _init(node)
    init = initializer(frame, value, "`init`")
    graph = None if init is not None else closed(frame, value, "`init`", "param")
    frame.settings.append(Noted(pattern, is_path, init, graph, node, value.span, frame.home))


def read_pattern(frame: Frame, node: ast.Expr) -> tuple[str, bool]:
    """What stands behind `params`, and whether it is a path and no pattern in quotes."""
    if isinstance(node, ast.Name):
        return node.id, True
    pattern = evaluate(frame, node)
    strange = strange_in(pattern)
    if not is_pattern(pattern):
        why = f"no name of a parameter holds `{strange}`" if strange else "no parameter has an empty name"
        helps = ("`*` stands for any characters, and everything else for itself",)
        raise Fault(error("NNS319", why, node.span, "matches nothing", helps=helps))
    return pattern, False


def _init(node: ast.Settings) -> ast.Expr:
    """The value of the one setting that a body knows."""
    found: ast.Expr | None = None
    for statement in node.body.statements:
        if isinstance(statement, ast.Broken):
            raise Silent
        target = statement.target if isinstance(statement, ast.Assign) else None
        if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
            raise Fault(error("NNS217", "`params` holds settings: `init = ...`", statement.span, "not a setting"))
        if target.id != "init":
            raise _other(target)
        if found is not None:
            raise Fault(error("NNS202", "`init` is set twice here", target.span, "again here"))
        if isinstance(statement.value, ast.Scan):
            raise Fault(error("NNS318", "a parameter does not start from a `scan`", statement.value.span))
        found = statement.value
    if found is None:
        helps = ("write `init = ...`, or remove it",)
        raise Fault(error("NNS302", "this `params` sets nothing", node.span, "no `init`", helps=helps))
    return found


def _other(target: ast.Name) -> Fault:
    name = target.id
    if name in _TRAINED:
        message = f"`{name}` is a setting of the training, not of the model"
        why = ("write this `params` in the `train` section; a model says how parameters start: `init = ...`",)
        return Fault(error("NNS301", message, target.span, "belongs in `train`", helps=why))
    close = suggest(name, ["init", *_TRAINED])
    fixes = (Fix("write `init`", (Edit(target.span, "init"),)),) if close == "init" else ()
    helps = [] if fixes else ["a model says how parameters start: `init = ...`"]
    message = f"`params` has no setting `{name}`"
    return Fault(error("NNS301", message, target.span, "unknown setting", helps=helps, fixes=fixes))


# --- the complete body -----------------------------------------------------------------------------------------------


def settled(frame: Frame, members: tuple[ir.Member, ...]) -> tuple[ir.Setting, ...] | None:
    """The settings of a body whose members are known; None when one is at fault, which is reported."""
    if not frame.settings:
        return ()
    session = frame.session
    found = []
    for each in owned(session.modules, members, frame.ties):
        session.step(frame.settings[0].node.span, "`params`", len(frame.settings))
        found.append(each)
    settings: list[ir.Setting] = []
    failed = False
    for noted in frame.settings:
        setting = _setting(frame, noted, found)
        if not any(applies(setting, each) and each.member.kind == "param" for each in found):
            frame.report(nothing_matched(frame, noted.node, noted.pattern, setting, found))
            failed = True
        settings.append(setting)
    if failed:
        return None
    types = {each.path: each.member.type for each in found}
    for path, number in winners(settings, found).items():
        type_ = types[path]
        assert type_ is not None
        fault = _misfit(frame, frame.settings[number], path, type_)
        if fault is not None:
            frame.report(fault)
            return None
    return tuple(settings)


def content_of_settings(settings: tuple[ir.Setting, ...]) -> Any:
    """What settings say, hashable; places do not count."""
    return tuple(
        (s.layer, s.pattern, repr(s.value) if s.init is None else (s.init.function, content(s.init.arguments)))
        for s in settings
    )


def _setting(frame: Frame, noted: Noted, found: list[Found]) -> ir.Setting:
    """A statement as the IR has it."""
    layer, pattern = "", noted.pattern
    if noted.is_path:
        layer, pattern = _kind_of_layer(frame, noted.pattern, noted.home)
        pattern = pattern_of_path(pattern, layer, found)
    return ir.Setting(pattern, layer, noted.init, noted.value, noted.node.span)


def pattern_of_path(path: str, layer: str, found: Sequence[Found]) -> str:
    """A path as a pattern: of one parameter, or of all below a layer."""
    if not path:
        return "*"
    exact = ir.Setting(path, layer)
    return path if any(applies(exact, each) for each in found) else f"{path}.*"


def _kind_of_layer(frame: Frame, path: str, home: Place) -> tuple[str, str]:
    """The kind of layer that a path begins with, or "", and the rest: members of the group and the body come first."""
    first = path.partition(".")[0]
    owner = next((place for place in home.outward() if first in place.children), None)
    if owner is not None:
        return "", f"{owner.path}.{path}" if owner.path else path
    return layer_in(frame.file, path)


def layer_in(file: FileScope, path: str) -> tuple[str, str]:
    """The kind of layer of a file, or of the library, that a path begins with, or "", and the rest."""
    first, _, rest = path.partition(".")
    space = file.constants.get(first)
    if isinstance(space, Namespace):
        first, _, rest = rest.partition(".")
        file = space.file
    block = file.blocks.get(first)
    if block is not None:
        return block.name.id, rest
    return (first, rest) if registry.find("layer", first) is not None else ("", path)


def _misfit(frame: Frame, noted: Noted, path: str, type_: TensorType) -> Diagnostic | None:
    """Why a parameter cannot start like this."""
    span = noted.place
    helps = ("narrow the pattern, or say behind it how these start: the last one that matches counts",)
    if noted.init is not None:
        try:
            way(noted.init).check(type_)
        except ShapeError as fault:
            message = f"`{path}` cannot start like this: {fault.message}"
            return error(fault.code, message, span, f"`{path}` is {type_}", helps=helps)
        return None
    assert noted.value is not None
    value = noted.value.values[noted.value.outputs[0].id].type
    if value == type_:
        return None
    message = f"`{path}` cannot start like this: it is {type_}, and the tensor is {value}"
    return error("NNS318", message, span, f"this is {value}", helps=helps)


def nothing_matched(
    frame: Frame, node: ast.Settings, pattern: str, setting: ir.Setting | ir.Group, found: Sequence[Found]
) -> Diagnostic:
    """The diagnostic of a `params` whose pattern, or path, matches no parameter of the frame's body."""
    place, written = node.pattern.span, frame.session.text(node.pattern.span)
    is_path = isinstance(node.pattern, ast.Name)
    buffers = [each.path for each in found if applies(setting, each)]
    if buffers:
        message = f"{_quoted(written)} matches buffers only, and how a buffer starts is not for `params`"
        label = f"{_listed(buffers)}: not trained"
        return error("NNS319", message, place, label, helps=("a buffer says what it holds: `buffer NAME: TYPE = ...`",))
    tied = next((t for t in frame.ties if not setting.layer and matches(pattern, t.alias)), None)
    if tied is not None:
        message = f"`{tied.alias}` is tied to `{tied.owner}`, and goes by that name"
        fix = Fix(f"write `{tied.owner}`", (Edit(place, tied.owner if is_path else f'"{tied.owner}"'),))
        return error("NNS319", message, place, "matches no parameter", fixes=(fix,))
    names = [each.path for each in found if each.member.kind == "param"]
    if setting.layer:
        names = [p for each in found if each.member.kind == "param" for n, p in each.within if n == setting.layer]
        if not names:
            return _no_layer(setting.layer, found, place)
    kinds = [] if setting.layer else list(dict.fromkeys(n for each in found for n, _ in each.within))
    candidates = [f"{setting.layer}.{name}" if setting.layer else name for name in dict.fromkeys(names)]
    inner = [] if setting.layer else dict.fromkeys(name.rpartition(".")[0] for name in names if "." in name)
    close = suggest(pattern, [*candidates, *kinds, *inner])
    fixes = (Fix(f"write `{close}`", (Edit(place, close if is_path else f'"{close}"'),)),) if close else ()
    what = f"a `{setting.layer}`" if setting.layer else frame.title
    notes = [f"parameters of {what} are {_listed(names)}"] if names else [f"{what} has no parameters"]
    message = f"{_quoted(written)} matches no parameter of {what}"
    return error("NNS319", message, place, "matches nothing", notes=notes, fixes=fixes)


def _no_layer(layer: str, found: Sequence[Found], place: Span) -> Diagnostic:
    kinds = list(dict.fromkeys(name for each in found if each.member.kind == "param" for name, _ in each.within))
    notes = [f"there are {_listed(kinds)}"] if kinds else []
    message = f"there is no `{layer}` with parameters in this body"
    return error("NNS319", message, place, "matches nothing", notes=notes)


def _quoted(written: str) -> str:
    return written if written.startswith('"') else f"`{written}`"


def _listed(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = len(names) - _SHOWN
    return ", ".join(f"`{n}`" for n in names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
