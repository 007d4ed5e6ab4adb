"""Pages about library names for the terminal, written from their classes: arguments, inputs, examples."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from nnspec import registry
from nnspec.arguments import Arguments, Field, describe_kind
from nnspec.layer import Function, Operation

_WIDTH = 88
_WORDS = {
    "layer": "a layer",
    "function": "a function",
    "optimizer": "an optimizer",
    "dataset": "data",
    "metric": "a metric",
    "scheduler": "a schedule of the learning rate",
    "transform": "a transform of a field",
    "average": "an average of the weights",
    "initializer": "an initialiser",
}


def known_names() -> list[str]:
    """Every library name, in order."""
    return sorted({name for kind in registry.FOLDERS for name in registry.index(kind)})


def overview() -> str:
    """Every library name, by kind."""
    titles = {"layer": "Layers", "function": "Functions", "optimizer": "Optimizers"}
    titles |= {"scheduler": "Schedules of the learning rate", "average": "Averages of the weights"}
    titles |= {"dataset": "Data sets", "transform": "Transforms of a field", "metric": "Metrics"}
    titles |= {"initializer": "Initialisers"}
    return "\n\n".join(
        f"{title}:\n" + textwrap.indent(textwrap.fill(", ".join(sorted(registry.index(kind))), _WIDTH - 2), "  ")
        for kind, title in titles.items()
    )


TRAIN = (
    "train { data = ..., loss = ..., optimizer = ... }",
    "`data` is a data set and `optimizer` an optimizer; `loss` and `metrics` are expressions over the model's "
    "outputs and the data's fields; `inputs = (x=features)` says which field feeds which input.",
)
"""How a `train` section is written, and what its objects and expressions are."""

STATEMENTS = {
    "data": ("a data set", 'what is trained on: `data = CSV("a.csv", target="y")`'),
    "validation": ("a data set", "what is validated on, where that is data of its own, and no part of `data`"),
    "inputs": ("fields of the data by the names of inputs", "which field feeds which input: `inputs = (x=pixels)`"),
    "transform": (
        "lists of transforms by field",
        "what is done to fields, always and when predicting too: "
        "`transform = (image=[Normalize(mean=0.13, std=0.31)])`",
    ),
    "augment": (
        "lists of transforms by field",
        "what is done to fields in training only, anew each time: `augment = (image=[RandomHorizontalFlip()])`",
    ),
    "loss": ("an expression", "the number that is to become small, over outputs of the model and fields of the data"),
    "optimizer": ("an optimizer", "how the weights are changed: `optimizer = AdamW(lr=1e-3)`"),
    "params": (
        "settings of some parameters",
        'what else counts for these: `params "*.bias" { weight_decay = 0 }`, `params Linear.weight { lr = 1e-4 }`, '
        "`freeze = true`, or an `optimizer` of their own; the last match wins (in a model it says how they begin)",
    ),
    "schedule": ("a schedule", "how the learning rate goes on: `schedule = CosineAnnealingLR()`"),
    "average": ("an average of the weights", "what is validated and kept instead of the weights: `average = EMA()`"),
    "metrics": ("expressions", "numbers that are followed: `metrics = [accuracy(logits, label)]`, or by name"),
    "update": (
        "a section in `train`",
        "one of several updates, taken in turn, with `params`, `loss` and `optimizer` of its own: "
        "`update critic { ... }`",
    ),
}
"""The statements of a `train` section that are no plain settings: what stands there in words, and what it is for."""


def train_page(settings: type[Arguments]) -> str:
    """What a `train` section says: its objects and expressions, and its plain settings."""
    form, words = TRAIN
    objects = [line for name in STATEMENTS for line in _statement(name)]
    lines = [line for field in settings.fields.values() for line in _field(field)]
    parts = ["\n".join(["Objects and expressions:", *objects]), "\n".join(["Settings:", *lines])]
    return "\n\n".join([f"{form}    (a section)", _wrap(words), *parts])


def setting_pages(name: str, settings: type[Arguments], records: Mapping[str, type[Arguments]]) -> list[str]:
    """What there is to say about a setting of `train`, or about another statement in it."""
    if name in STATEMENTS:
        return ["\n\n".join([f"{name}    (in a `train` section)", "\n".join(_statement(name))])]
    field = settings.fields.get(name)
    if field is None:
        return []
    parts = [f"{name}    (a setting of `train`)", "\n".join(_field(field))]
    if name in records:
        lines = [line for part in records[name].fields.values() for line in _field(part)]
        parts += [*_paragraphs(records[name]), "\n".join(["In it:", *lines])]
    return ["\n\n".join(parts)]


def _statement(name: str) -> Iterator[str]:
    kind, words = STATEMENTS[name]
    yield f"  {name}"
    yield textwrap.fill(words, _WIDTH, initial_indent="      ", subsequent_indent="      ")
    yield f"      ({kind})"


def pages(name: str) -> list[str]:
    """What there is to say about a name, for each kind of thing that it names; none when it is unknown."""
    found = [(kind, registry.find(kind, name)) for kind in registry.FOLDERS]
    return [_page(kind, cls) for kind, cls in found if cls is not None]


def _page(kind: str, cls: type[Any]) -> str:
    written = written_fields(cls)
    filled = [f for f in cls.fields.values() if f.inferred]
    parts = [f"{signature(cls)}    ({_WORDS[kind]})", *_paragraphs(cls)]
    if written:
        parts.append("\n".join(["Arguments:", *(line for f in written for line in _field(f))]))
    if filled:
        names = ", ".join(f.name for f in filled)
        parts.append(_wrap(f"Worked out from the input, and checked when given by name: {names}."))
    if issubclass(cls, Operation) and not issubclass(cls, Function):
        parts.append("Inputs: " + ", ".join(input_words(cls)))
    examples = list(_examples(cls))
    if examples:
        parts.append("\n".join(["Examples:", *examples]))
    return "\n\n".join(parts)


def signature(cls: type[Any]) -> str:
    """How it is written: `Conv2d(out_channels, kernel_size, stride=1, ...)`."""
    inputs = input_words(cls) if issubclass(cls, Function) else []
    shown = {
        f.name: f.name if f.required else f"{f.name}={spell(f.default)}" for f in cls.fields.values() if not f.inferred
    }
    order = (cls.order if issubclass(cls, Function) else ()) or (
        *(name.partition("=")[0] for name in inputs),
        *(name for name in shown if not cls.fields[name].keyword),
    )
    given = {name.partition("=")[0]: name for name in inputs}
    parts = [shown.get(name) or given.get(name, name) for name in order]
    by_name = [text for name, text in (given | shown).items() if name not in order and f"*{name}" not in order]
    # What stands behind a star is given by name, as in Python; a list of operands is such a star already.
    star = ["*"] if by_name and not any(part.startswith("*") for part in parts) else []
    return f"{cls.__name__}({', '.join([*parts, *star, *by_name])})"


def written_fields(cls: type[Any]) -> list[Field]:
    """The arguments that are not worked out from the input, in the order of the signature."""
    order = cls.order if issubclass(cls, Function) else ()
    places = {name: place for place, name in enumerate(order)}
    fields = [f for f in cls.fields.values() if not f.inferred]
    return sorted(fields, key=lambda f: places.get(f.name, len(order) + f.keyword))


def input_words(cls: type[Operation]) -> list[str]:
    """The names of what flows in, optional ones as `mask=none`."""
    names, required = cls.input_names(), cls.required_inputs()
    return [name if i < required or name.startswith("*") else f"{name}=none" for i, name in enumerate(names)]


def _paragraphs(cls: type[Any]) -> Iterator[str]:
    for part in inspect.cleandoc(cls.__doc__ or "").split("\n\n"):
        if part:
            yield _wrap(part)


def bounds_of(field: Field) -> list[str]:
    """The bounds of a number, in words."""
    return [
        f"{word} {spell(bound)}"
        for word, bound in (
            ("at least", field.ge),
            ("greater than", field.gt),
            ("at most", field.le),
            ("less than", field.lt),
        )
        if bound is not None
    ]


def _field(field: Field) -> Iterator[str]:
    kind = ", ".join([describe_kind(field.kind), *bounds_of(field)])
    head = field.name if field.required else f"{field.name} = {spell(field.default)}"
    yield f"  {head}"
    yield textwrap.fill(field.doc, _WIDTH, initial_indent="      ", subsequent_indent="      ")
    yield textwrap.fill(f"({kind})", _WIDTH, initial_indent="      ", subsequent_indent="      ")


def _examples(cls: type[Any]) -> Iterator[str]:
    for example in getattr(cls, "examples", ()):
        types = [f"{name}: {_types(given)}" for name, given in example.inputs.items()]
        yield f"  {example.text}" + (f"    with {', '.join(types)}" if types else "")


def _types(given: str | tuple[str, ...]) -> str:
    return given if isinstance(given, str) else f"[{', '.join(given)}]"


def spell(value: Any) -> str:
    """A value in the language's notation."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(spell, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"({', '.join(f'{name}={spell(each)}' for name, each in value.items())})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrap(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH)
