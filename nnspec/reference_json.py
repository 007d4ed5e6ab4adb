"""The library as data for editors and other tools, written from its classes: what completion and hovers need."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import Any

from nnspec import registry, registry_std, registry_std_pages
from nnspec.arguments import Field, describe_kind
from nnspec.codes import all_codes
from nnspec.layer import Function, Operation
from nnspec.registry_pages import input_words, signature, spell

JSON_VERSION = 1
"""Grows when a field goes or changes its meaning; fields may be added within a version."""


def as_json(names: Iterable[str], words: Iterable[str]) -> str:
    """One JSON object: `version`, the `words` of the language, diagnostic `codes`, and the `entries` of these names.

    An entry has `kind` (layer, function, optimizer, dataset, metric, initializer, block), `name`, `signature`, `doc`,
    `inputs` and `examples`. Each of its `arguments` has `name`, `type` in words, `default` as it is written (null for
    none), whether it is `required`, `keyword` (given by name only) or `inferred`, `doc`, and the bounds `ge`, `gt`,
    `le` and `lt` where there are some.
    """
    wanted = set(names)
    codes = [{"code": each.code, "title": each.title, "meaning": _words(each.meaning)} for each in all_codes()]
    entries = [*_classes(wanted), *_blocks(wanted)]
    return json.dumps({"version": JSON_VERSION, "words": sorted(words), "codes": codes, "entries": entries}, indent=1)


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
                "inputs": input_words(cls) if operation else [],
                "positional": list(cls.order) if issubclass(cls, Function) and cls.order else None,
                "arguments": list(map(_argument, cls.fields.values())),
                "examples": [each.text for each in getattr(cls, "examples", ())],
            }


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
    """The blocks of `std`; their arguments are as their authors wrote them."""
    for module in registry_std.modules():
        for page in registry_std_pages.entries(module):
            if page.name in wanted:
                yield {
                    "kind": "block",
                    "name": page.name,
                    "module": module,
                    "signature": page.signature,
                    "doc": "\n\n".join(page.paragraphs),
                    "inputs": [text for text, _ in page.inputs],
                    "arguments": [{"name": text.split("=")[0].strip(), "doc": doc} for text, doc in page.arguments],
                    "examples": [text for text, _ in page.examples],
                }


def _words(text: str) -> str:
    return " ".join(text.split())
