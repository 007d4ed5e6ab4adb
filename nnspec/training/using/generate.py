"""Writing on: a model that was trained to say the next token goes on from a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from nnspec.training.runs.listing import RunError
from nnspec.training.using.predict import Predictor
from nnspec.training.using.unseen import InputError

_BYTES = 256


def write_on(
    predictor: Predictor, prompt: str, length: int, *, temperature: float = 1.0, seed: int | None = None
) -> Iterator[str]:
    """Pieces of text, a token each, that follow the prompt. With a temperature of 0 always the likeliest token.

    The model is taken to look at earlier tokens only, so that behind the last one anything may stand. Raises `Fault`
    for a model that says no next token, and for a prompt that it has no tokens for.
    """
    name, output, axis, context = _checked(predictor)
    vocabulary = predictor.preparation.classes.get(name, ())
    tokens = _encoded(prompt, vocabulary)
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    pending = b""
    for _ in range(length):
        seen = tokens[-context:]
        batch = torch.zeros(1, context, dtype=torch.int64)
        batch[0, : len(seen)] = torch.tensor(seen)
        answer = predictor.predict({name: batch.numpy()})[output].movedim(axis, -1)
        if answer.ndim != 3 or answer.shape[1] != context:
            raise RunError("the run's model does not score a token after each of its inputs")
        scores = answer[0, len(seen) - 1]
        if not vocabulary and scores.shape != (_BYTES,):
            raise RunError("nothing says what the tokens of the run stand for")
        tokens.append(_drawn(scores, temperature, generator))
        if vocabulary:
            yield vocabulary[tokens[-1]]
            continue
        pending += bytes([tokens[-1]])
        text = pending.decode("utf-8", "ignore")
        if text or len(pending) >= 4:  # a character of several bytes comes when it is whole
            yield text or "\N{REPLACEMENT CHARACTER}"
            pending = b""


def _checked(predictor: Predictor) -> tuple[str, str, int, int]:
    """The field of the tokens, the output that scores the next ones, where its classes stand, and the context."""
    fields, found = predictor.fields, list(predictor.meanings.items())
    if len(fields) == 1 and len(found) == 1 and found[0][1].likelihood == "softmax":
        stored, shape = predictor.preparation.stored[fields[0]]
        if stored == "int64" and len(shape) == 1 and shape[0]:
            return fields[0], found[0][0], found[0][1].axis, shape[0]
    raise RunError(
        "the run's model does not write on: it would take tokens alone, and score the next one by a cross_entropy",
    )


def _encoded(prompt: str, vocabulary: Sequence[str]) -> list[int]:
    """The tokens of a text: always the longest word that fits; bytes where there is no vocabulary."""
    if not prompt:
        raise InputError("the prompt is empty", helps=('begin with something, such as `--prompt " "`',))
    if not vocabulary:
        return list(prompt.encode("utf-8"))
    number = {word: i for i, word in enumerate(vocabulary) if word}
    longest = max(map(len, number))
    tokens, at = [], 0
    while at < len(prompt):
        word = next((w for n in range(longest, 0, -1) if (w := prompt[at : at + n]) in number), None)
        if word is None:
            raise InputError(f"the run knows no token for {prompt[at]!r} in the prompt")
        tokens.append(number[word])
        at += len(word)
    return tokens


def _drawn(scores: torch.Tensor, temperature: float, generator: torch.Generator) -> int:
    if not temperature:
        return int(scores.argmax())
    shares = (scores.double() / temperature).softmax(0)
    return int(torch.multinomial(shares, 1, generator=generator))
