"""What may change in a text without changing what it says: blanks, line ends inside of brackets, comments."""

from __future__ import annotations

from random import Random

_CLOSED = {"(": 1, "[": 1, ")": -1, "]": -1}


def disturbed(text: str, random: Random, share: float = 0.1) -> str:
    """The text, written by somebody without manners."""
    lines = []
    for number, line in enumerate(text.split("\n")):
        if random.random() < share and not line.startswith(("block", "model")):
            lines.append(random.choice(["", f"  # remark {number}", "#", "\t# tab"]))
        lines.append(_line(line, random, share))
        if random.random() < share and "{" not in line and "#" not in line and line.strip():
            lines[-1] += f"  # why {number}"
    return "\n".join(lines)


def _line(line: str, random: Random, share: float) -> str:
    if line.lstrip().startswith("#") or " # " in line:
        return line
    found, depth, quoted = [], 0, False
    for i, character in enumerate(line):
        found.append(character)
        quoted ^= character == '"'
        if quoted:
            continue
        depth += _CLOSED.get(character, 0)
        if character == " " and found[:-1] and random.random() < share:
            found.append(random.choice(["  ", "\t", " "]))
        if character in ",([" and depth > 0 and random.random() < share / 2 and line[i : i + 2] != "[ ":
            found.append(random.choice(["\n      ", "  # inside\n  ", "\n\n"]))
    return "".join(found) + random.choice(["", "", " ", "\t"])
