"""From text to numbers: by bytes, by characters, or by a tokenizer's file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.training.dataset import check_size, locate
from nnspec.training.fault import DataError, MissingData, SettingError

if TYPE_CHECKING:
    import numpy as np

_WIDTH = 4
"""Bytes of a token in memory."""

_SHOWN = 5

_MOST_WORDS = 16 << 20
"""Most tokens of a vocabulary; each takes its place in a list, whether it has a word or not."""

_LONGEST_WORD = 1_000


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as numbers, and what each number stands for (empty for bytes, which are their own)."""

    ids: np.ndarray
    vocabulary: tuple[str, ...]


def encode(base: Path, path: str, tokenizer: str, alphabet: str | None) -> Encoded:
    """The text of a file in tokens. `tokenizer` is "byte", "character", or a file."""
    place = locate(base, path, "path")
    if tokenizer == "byte":
        return _by_byte(_content(place), alphabet)
    text = read_text(place, "path")
    if tokenizer == "character":
        return _by_character(text, alphabet, place)
    if alphabet is not None:
        raise SettingError("an alphabet is for characters; a tokenizer's file has its own", at="alphabet")
    file = locate(base, tokenizer, "tokenizer")
    return _by_file(text, file)


def read_text(place: Path, at: str) -> str:
    """A file as text, as it is: no line ending is changed."""
    try:
        return _content(place).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place.name} is not a text in UTF-8",
            at=at,
            notes=(f"byte {error.start:,} is {error.object[error.start]:02x}: {error.reason}",),
            helps=('convert it, or take its bytes as they are: tokenizer="byte"',),
        ) from None


def encode_characters(text: str, alphabet: str, what: str, at: str) -> np.ndarray:
    """Each character's number in the alphabet."""
    import numpy as np

    if len(set(alphabet)) != len(alphabet):
        twice = next(character for character in alphabet if alphabet.count(character) > 1)
        raise SettingError(f"the alphabet has {twice!r} twice", at="alphabet")
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    table = np.full(0x110000, -1, dtype=np.int32)
    table[[ord(character) for character in alphabet]] = np.arange(len(alphabet), dtype=np.int32)
    ids: np.ndarray = table[points]
    if (ids < 0).any():
        unknown = sorted({chr(point) for point in np.unique(points[ids < 0])})
        listed = ", ".join(map(repr, unknown[:_SHOWN])) + (", ..." if len(unknown) > _SHOWN else "")
        raise DataError(f"{what} has characters that the alphabet lacks: {listed}", at=at)
    return ids


def _content(place: Path) -> bytes:
    try:
        check_size((place.stat().st_size,), _WIDTH, place.name, "path")
        return place.read_bytes()
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror}", at="path") from None


def _by_byte(content: bytes, alphabet: str | None) -> Encoded:
    import numpy as np

    if alphabet is not None:
        raise SettingError('an alphabet is for characters: tokenizer="character"', at="alphabet")
    return Encoded(np.frombuffer(content, dtype=np.uint8), ())


def _by_character(text: str, alphabet: str | None, place: Path) -> Encoded:
    characters = "".join(sorted(set(text))) if alphabet is None else alphabet
    return Encoded(encode_characters(text, characters, place.name, "alphabet"), tuple(characters))


# --- tokenizer files -------------------------------------------------------------------------------------------------


def _by_file(text: str, place: Path) -> Encoded:
    import numpy as np

    content = _content(place).decode("utf-8", "replace")
    held = _json(content, place) if content.lstrip()[:1] == "{" else None
    if held is not None and "model" in held:
        numbers, words = _by_library(text, content, place)
    else:
        numbers, words = _by_list(text, _listed(content, held, place), place)
    return Encoded(np.asarray(numbers, dtype=np.int32), words)


def _json(content: str, place: Path) -> dict[str, Any]:
    try:
        held = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place.name} is damaged: it begins as JSON and is none", at="tokenizer", notes=(str(error)[:200],)
        ) from None
    assert isinstance(held, dict)  # it begins with a brace
    return held


def _by_library(text: str, content: str, place: Path) -> tuple[list[int], tuple[str, ...]]:
    """By a `tokenizer.json` of Hugging Face's tokenizers."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingData(
            f"{place.name} is read by the package tokenizers, which is not installed",
            code="NNS605",
            at="tokenizer",
            helps=('pip install "nnspec[media]"',),
        ) from None
    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise DataError(
            f"{place.name} is no tokenizer that can be read", at="tokenizer", notes=(str(error)[:200],)
        ) from None
    words = tokenizer.get_vocab(with_added_tokens=True)
    last = max(words.values(), default=-1)
    if last >= _MOST_WORDS:
        raise DataError(f"{place.name} has a token {last:,}; {_MOST_WORDS:,} tokens are the limit", at="tokenizer")
    names = [""] * (last + 1)
    for word, number in words.items():
        names[number] = word
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.encode(text, add_special_tokens=False).ids, tuple(names)


def _listed(content: str, held: dict[str, Any] | None, place: Path) -> list[str]:
    """The words of a plain vocabulary: a line each, or a JSON object of numbers from 0."""
    if held is None:
        words = content.split("\n")
        return words[:-1] if words[-1] == "" else words
    numbers = list(held.values())
    if sorted(n for n in numbers if type(n) is int) != list(range(len(held))) or not held:
        raise DataError(
            f"{place.name} is neither a tokenizer nor a vocabulary",
            at="tokenizer",
            helps=('a vocabulary is an object with a number from 0 for each word: {"a": 0, "b": 1}',),
        )
    return sorted(held, key=held.__getitem__)


def _by_list(text: str, words: list[str], place: Path) -> tuple[list[int], tuple[str, ...]]:
    """The longest word of the vocabulary that comes next, again and again."""
    number = {word: i for i, word in enumerate(words) if word}
    if len(number) != len(words):
        raise DataError(f"{place.name} has an empty word, or one twice", at="tokenizer")
    lengths = sorted({len(word) for word in number}, reverse=True)
    if lengths and lengths[0] > _LONGEST_WORD:
        longest = f"a word of {lengths[0]:,} characters; {_LONGEST_WORD:,} are the limit"
        raise DataError(f"{place.name} has {longest}", at="tokenizer")
    ids, at = [], 0
    while at < len(text):
        found = next((word for n in lengths if (word := text[at : at + n]) in number), None)
        if found is None:
            raise DataError(
                f"the vocabulary in {place.name} has no word for {text[at : at + 10]!r}",
                at="tokenizer",
                notes=(f"at character {at:,} of the text",),
            )
        ids.append(number[found])
        at += len(found)
    return ids, tuple(words)
