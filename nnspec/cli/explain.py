"""`nnspec explain`: what a diagnostic code means, or how a layer, a function or another library name is used."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from nnspec import registry_std_pages as std
from nnspec.cli.report import reported
from nnspec.codes import all_codes, explain_text, lookup
from nnspec.diagnostics import NnspecError, error
from nnspec.elaborate.builtins import BUILTINS
from nnspec.registry_pages import STATEMENTS, known_names, overview, pages, setting_pages, train_page
from nnspec.suggest import DATA_SIZED, ELSEWHERE, NEAREST, suggest
from nnspec.synonyms import key_of
from nnspec.syntax.lexer import HEADS, RESERVED
from nnspec.training.settings import Settings


class _Topic(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """A diagnostic code or a library name."""

    name = "topic"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Codes and names that begin like this."""
        codes = [code.code for code in all_codes()]
        return [CompletionItem(name) for name in (*codes, *_names(), "train") if name.startswith(incomplete)]


@click.command("explain")
@click.argument("topics", metavar="CODE|NAME...", nargs=-1, type=_Topic())
@click.option("--markdown", is_flag=True, help="Write the reference of all library names, or of `std`, in Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Write names, arguments and documentation as data, for editors.")
@reported
def command(topics: tuple[str, ...], markdown: bool, as_json: bool, **_: Any) -> None:
    """Explain a diagnostic code (NNS401), or a layer, function, optimizer, data set or metric (Conv2d), or `train`,
    or a block of the library (FeedForward) or a module of it (std.feedforward).

    Without a name, list everything that there is to explain.
    """
    if markdown:
        from nnspec import reference, reference_std

        page = reference_std if topics == ("std",) else reference
        click.echo(page.markdown(), nl=False)
        return
    if as_json:
        from nnspec.reference_json import as_json as written

        for topic in topics:
            _explain(topic)  # says what is unknown
        click.echo(written(topics, {*HEADS, *RESERVED, *BUILTINS, "scan"}))
        return
    if not topics:
        click.echo(f"{overview()}\n\n{std.overview()}\n\n{_codes()}\n\nThe section: train")
        return
    found = [text for topic in topics for text in _explain(topic)]
    click.echo("\n\n\n".join(found))


def _names() -> list[str]:
    """Everything but codes that has a page."""
    return [*dict.fromkeys((*known_names(), *std.known_topics(), *STATEMENTS, *Settings.fields))]


def _codes() -> str:
    """Every code with its title, by phase: the first digit."""
    phases: dict[str, list[str]] = {}
    for code in all_codes():
        phases.setdefault(f"{code.code[:4]}xx", []).append(f"  {code.code}  {code.title}")
    return "\n\n".join("\n".join([f"Codes {phase}:", *lines]) for phase, lines in phases.items())


def _explain(topic: str) -> list[str]:
    code = lookup(topic)
    if code is not None:
        return [explain_text(code)]
    if topic == "train":
        return [train_page(Settings)]
    found = [*pages(topic), *std.pages(topic), *setting_pages(topic, Settings, Settings.records)]
    if found:
        return found
    if topic in HEADS or topic in RESERVED or topic in BUILTINS or topic == "scan":
        message = f"`{topic}` is a word of the language, without a page"
        raise NnspecError([error("NNS201", message, None, helps=("docs/language.md has them all, rule by rule",))])
    word = topic.rpartition(".")[2] or topic  # nn.Linear
    near = word if word in _names() else suggest(word, (*_names(), *(code.code for code in all_codes())))
    helps = (f"did you mean `{near}`?",) if near else ("nnspec explain NNS401", "nnspec explain Conv2d")
    helps = next(((table[word],) for table in (NEAREST, DATA_SIZED) if word in table), helps)
    helps = (ELSEWHERE[key_of(word)],) if key_of(word) in ELSEWHERE else helps
    raise NnspecError([error("NNS201", f"there is nothing called `{topic}` to explain", None, helps=helps)])
