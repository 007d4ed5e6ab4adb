"""The library as data for editors and other tools, written from its classes: what completion and hovers need."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import Any

from nnspec import registry, registry_std, registry_std_pages
from nnspec.arguments import Field, describe_kind
from nnspec.codes import all_codes, lookup
from nnspec.layer import Function, Operation
from nnspec.registry_pages import STATEMENTS, TRAIN, input_words, known_names, signature, spell
from nnspec.registry_std_pages import Part
from nnspec.training.settings import Settings

JSON_VERSION = 1
"""Grows when a field goes or changes its meaning; fields may be added within a version."""


def as_json(topics: Iterable[str], words: Iterable[str]) -> str:
    """One JSON object: `version`, and what these topics are: diagnostic `codes` and `entries`.

    Without topics it is all that there is, with the `words` of the language.

    An entry has `kind` (layer, function, optimizer, dataset, metric, initializer, block, section), `name`, `signature`,
    `doc`, `inputs` and `examples`. An input has its `name`, whether it is `optional`, and in a block its `type`. Each
    of the `arguments` has `name`, `type` in words (in a block as it is written), `default` as it is written (null for
    none), whether it is `required`, `keyword` (given by name only) or `inferred`, `doc`, and the bounds `ge`, `gt`,
    `le` and `lt` where there are some.
    """
    asked = list(topics)
    wanted = set(asked or (*known_names(), *registry_std_pages.known_topics(), "train"))
    known = dict.fromkeys(filter(None, map(lookup, asked)) if asked else all_codes())
    found: dict[str, Any] = {"version": JSON_VERSION}
    if not asked:
        found["words"] = sorted(words)
    if known:
        found["codes"] = [{"code": c.code, "title": c.title, "meaning": _words(c.meaning)} for c in known]
    found["entries"] = [*_classes(wanted), *_blocks(wanted), *([_train()] if "train" in wanted else [])]
    return json.dumps(found, indent=1)


def _classes(wanted: set[str]) -> Iterator[dict[str, Any]]:
    for kind in registry.FOLDERS:
        for name in sorted(wanted & registry.index(kind).keys()):
            cls = registry.find(kind, name)
            assert cls is not None
            operation = issubclass(cls, Operation)
            yield {
                "kind": kind,
                "name": name,
                "signature": signature(cls),
                "doc": inspect.cleandoc(cls.__doc__ or ""),
                "inputs": list(map(_input, input_words(cls))) if operation else [],
                "positional": list(cls.order) if issubclass(cls, Function) and cls.order else None,
                "arguments": list(map(_argument, cls.fields.values())),
                "examples": [each.text for each in getattr(cls, "examples", ())],
            }


def _input(word: str) -> dict[str, Any]:
    """An input of a class: `mask=none` may be left out."""
    name, _, default = word.partition("=")
    return {"name": name, "optional": bool(default)}


def _argument(field: Field) -> dict[str, Any]:
    bounds = {name: getattr(field, name) for name in ("ge", "gt", "le", "lt") if getattr(field, name) is not None}
    return {
        "name": field.name,
        "type": describe_kind(field.kind),
        "default": None if field.required or field.inferred else spell(field.default),
        "required": field.required,
        "keyword": field.keyword,
        "inferred": field.inferred,
        "doc": field.doc,
        **bounds,
    }


def _blocks(wanted: set[str]) -> Iterator[dict[str, Any]]:
    """The blocks of `std`, called by their names, by `std.feedforward.FeedForward`, or by their module."""
    for module in registry_std.modules():
        for page in registry_std_pages.entries(module):
            if wanted & {"std", page.name, module, f"{module}.{page.name}"}:
                yield {
                    "kind": "block",
                    "name": page.name,
                    "module": module,
                    "signature": page.signature,
                    "doc": "\n\n".join(page.paragraphs),
                    "inputs": [_declared_input(each) for each in page.inputs],
                    "arguments": [_hyperparameter(each) for each in page.arguments],
                    "examples": [text for text, _ in page.examples],
                }


def _declared_input(part: Part) -> dict[str, Any]:
    return {"name": part.name, "optional": part.default is not None, "type": part.type, "doc": part.doc}


def _hyperparameter(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "type": part.type,
        "default": part.default,
        "required": part.default is None,
        "keyword": False,
        "inferred": False,
        "doc": part.doc,
    }


def _train() -> dict[str, Any]:
    """The section `train`: its settings are its arguments."""
    form, words = TRAIN
    settings = Settings.fields.values()
    return {
        "kind": "section",
        "name": "train",
        "signature": form,
        "doc": words,
        "inputs": [],
        "positional": None,
        "arguments": [*map(_statement, STATEMENTS), *({**_argument(f), "keyword": True} for f in settings)],
        "examples": [],
    }


def _statement(name: str) -> dict[str, Any]:
    kind, words = STATEMENTS[name]
    required = name in ("data", "loss", "optimizer")
    flags = {"required": required, "keyword": True, "inferred": False, "doc": words}
    return {"name": name, "type": kind, "default": None, **flags}


def _words(text: str) -> str:
    return " ".join(text.split())
