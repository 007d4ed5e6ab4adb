"""What comes in: a spec or an IR from a file or from standard input, and the program that it is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnspec import ir, registry
from nnspec.compiler import Checked, Compiled, check, compile_text
from nnspec.compiler_files import Files, plain_text
from nnspec.diagnostics import NnspecError, Sources, error
from nnspec.elaborate.overrides import Written
from nnspec.suggest import closest

STDIN = "<stdin>"

_MAX_BYTES = 256 * 1024 * 1024
"""Far more than the largest spec or IR; an endless file such as /dev/zero ends here."""


@dataclass(frozen=True, slots=True)
class Input:
    """A text with the name that messages call it by, and the folder that paths in it start from.

    What it imports is read by `files`; a text that comes from nowhere imports from the library only.
    """

    name: str
    text: str
    base: Path
    files: Files = field(default_factory=Files)

    @property
    def is_ir(self) -> bool:
        """Whether it is an IR in JSON and not a spec."""
        return self.name.endswith(".json") or (self.name == STDIN and self.text.lstrip()[:1] == "{")


def read_input(file: str | Path) -> Input:
    """Read a file, or standard input for `-`; raises `NnspecError` for one that is missing or is no text."""
    name = STDIN if str(file) == "-" else str(file)
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with open(file, "rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as fault:
        reason = (getattr(fault, "strerror", None) or str(fault)).lower()
        raise _unreadable(f"cannot read `{name}`: {reason}", _similar(Path(file))) from None
    if len(content) > _MAX_BYTES:
        raise _unreadable(f"`{name}` has more than {_MAX_BYTES >> 20} MiB")
    try:
        text = plain_text(content)
    except UnicodeDecodeError as fault:
        raise _unreadable(f"`{name}` is not UTF-8 text (byte {fault.start:,})") from None
    if name == STDIN:
        return Input(name, text, Path(), Files(Path()))
    return Input(name, text, Path(file).parent, Files(Path(file).parent, Path(file).name))


def check_input(given: Input, *, allow_extern: bool = False) -> Checked:
    """Everything that is to be said about a spec or an IR."""
    if not given.is_ir:
        return check(given.text, given.name, base=given.base, reader=given.files, allow_extern=allow_extern)
    try:
        compiled = _from_ir(given, allow_extern)
    except NnspecError as fault:
        return Checked(fault.diagnostics, fault.sources)
    return Checked(compiled.diagnostics, compiled.sources)


def compile_input(
    given: Input,
    *,
    model: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    written: Mapping[str, str] | None = None,
    train: bool = False,
    with_optimizer: bool = False,
    allow_extern: bool = False,
) -> Compiled:
    """The program of a spec or an IR; raises `NnspecError` when it has errors.

    `overrides` are values of Python, `written` ones are texts of the language (hyperparameters, and `train.NAME`).
    """
    setting = next((name for name in (*(overrides or {}), *(written or {})) if name.startswith("train.")), None)
    if setting is not None and not train:
        why = "is a setting of the training, which only `nnspec run` looks at"
        raise NnspecError([error("NNS314", f"`{setting}` {why}", None)])
    if given.is_ir:
        return _chosen(_from_ir(given, allow_extern), given, model, {**(overrides or {}), **(written or {})})
    texts = {name: Written(text) for name, text in (written or {}).items()}
    return compile_text(
        given.text,
        given.name,
        model=model,
        overrides={**(overrides or {}), **texts},
        train=train,
        with_optimizer=with_optimizer,
        base=given.base,
        reader=given.files,
        allow_extern=allow_extern,
    )


def _from_ir(given: Input, allow_extern: bool) -> Compiled:
    from nnspec import ir_json
    from nnspec.verify import too_large, verify

    try:
        program = ir_json.loads(given.text)
    except ir_json.IRFormatError as fault:
        raise _no_ir(given, [f"{place}: {why}" if place else why for place, why in fault.faults]) from None
    refused = None if allow_extern else _in_python(program)
    if refused is not None:
        message = f"`{refused}` in `{given.name}` is written in Python, and running Python must be allowed"
        helps = ("if you trust it: `--allow-extern`, or `allow_extern=True` in Python",)
        raise NnspecError([error("NNS222", message, None, helps=helps)])
    problems = verify(program)
    if problems or not program.entries:
        raise _no_ir(given, problems or ["it holds no model"])
    endless = too_large(program)
    if endless is not None:
        raise _no_ir(given, [endless])
    sources = Sources()
    for name, text in program.sources:
        sources.add(name, text)
    optimizer = None if program.training is None else program.training.updates[0].optimizer
    return Compiled(program, (), sources, optimizer)


def _in_python(program: ir.Program) -> str | None:
    """The first layer or data set of a program that is written in Python."""
    for module in program.modules:
        if module.kind == "extern":
            return module.name
    training = program.training
    for data in () if training is None else (training.data, training.validation):
        cls = registry.find("dataset", data.name) if data is not None else None
        if data is not None and cls is not None and cls.runs_code:
            return str(data.arguments.get(cls.runs_code))
    return None


def _no_ir(given: Input, problems: list[str]) -> NnspecError:
    return NnspecError([error("NNS507", f"`{given.name}` is not an IR that can be used: {p}", None) for p in problems])


def _chosen(compiled: Compiled, given: Input, model: str | None, overrides: Mapping[str, Any]) -> Compiled:
    """An IR has its model and hyperparameters settled: others cannot be asked for."""
    entry = compiled.program.main
    if overrides:
        name = next(iter(overrides))
        raise NnspecError([error("NNS314", f"`{name}` cannot be set: `{given.name}` is compiled already", None)])
    if model not in (None, entry.name):
        raise NnspecError([error("NNS210", f"`{given.name}` holds `{entry.name}` and no model `{model}`", None)])
    return compiled


def _unreadable(message: str, helps: tuple[str, ...] = ()) -> NnspecError:
    return NnspecError([error("NNS601", message, None, helps=helps)])


def _similar(path: Path) -> tuple[str, ...]:
    """For a file that is not there: specs beside it with a similar name."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".nns", ".json")]
    except OSError:
        return ()
    near = closest(path.name, names)
    return (f"there is `{path.with_name(near[0])}`",) if near and near[0] != path.name else ()
