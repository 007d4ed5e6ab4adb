"""Texts that somebody spoiled: each mutation changes the tokens of a text in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|\d[\d_.e+-]*|->|\*\*|//|[=!<>]=|\n|[ \t]+|.', re.DOTALL)
_NUMBERS = ["0", "-1", "1_000_000_000", "10**12", "2**62", "9223372036854775807", "1e300", "1e-300", "0.5", "1 / 3"]
_OTHERS = ["inf", "none", "true", '"a"', "[]", "[1, [2]]", "(2, 3)", "(a=1)", "N", "relu", "Linear"]
VALUES = [*_NUMBERS, *_OTHERS, "{ Linear(3) -> relu }", "_"]
"""What stands in place of a number or a word."""

Mutation = Callable[[list[str], Random, Sequence[str]], None]


def _written(tokens: list[str]) -> list[int]:
    return [i for i, token in enumerate(tokens) if token.strip()] or [0]


def _lines(tokens: list[str]) -> list[str]:
    return "".join(tokens).split("\n")


def delete(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A token less."""
    del tokens[random.randrange(len(tokens))]


def double(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A token twice."""
    at = random.randrange(len(tokens))
    tokens.insert(at, tokens[at])


def swap(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """Two tokens in each other's place."""
    a, b = random.randrange(len(tokens)), random.randrange(len(tokens))
    tokens[a], tokens[b] = tokens[b], tokens[a]


def replace_word(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A word or a value in place of another."""
    tokens[random.choice(_written(tokens))] = random.choice([*words, *VALUES])


def replace_name(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A name of the text in place of another."""
    names = [i for i in _written(tokens) if tokens[i][0].isalpha()] or [0]
    tokens[random.choice(names)] = tokens[random.choice(names)]


def replace_number(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """Another value in place of a number."""
    numbers = [i for i in _written(tokens) if tokens[i][0].isdigit()] or [0]
    tokens[random.choice(numbers)] = random.choice(VALUES)


def drop_sign(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A bracket, a comma or an equals sign less."""
    del tokens[random.choice([i for i in _written(tokens) if tokens[i] in "()[]{},=:"] or [0])]


def drop_line(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A line less."""
    lines = _lines(tokens)
    del lines[random.randrange(len(lines))]
    tokens[:] = TOKEN.findall("\n".join(lines))


def move_line(tokens: list[str], random: Random, words: Sequence[str]) -> None:
    """A line a second time, somewhere else."""
    lines = _lines(tokens)
    lines.insert(random.randrange(len(lines)), lines[random.randrange(len(lines))])
    tokens[:] = TOKEN.findall("\n".join(lines))


MUTATIONS: tuple[Mutation, ...] = (
    delete,
    double,
    swap,
    replace_word,
    replace_name,
    replace_name,
    replace_number,
    drop_sign,
    drop_line,
    move_line,
)


def words_of(texts: Sequence[str]) -> list[str]:
    """The words that texts are made of."""
    return sorted({token for text in texts for token in TOKEN.findall(text) if token.strip()})


def mutated(text: str, random: Random, words: Sequence[str]) -> str:
    """The text with one to five mutations."""
    tokens: list[str] = TOKEN.findall(text)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        if tokens:
            random.choice(MUTATIONS)(tokens, random, words)
    return "".join(tokens)
