"""A model in the head of `train` that no update trains."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec import ir
from nnspec.diagnostics import Diagnostic, error
from nnspec.patterns import matches, owned


def update_warnings(program: ir.Program) -> Iterator[Diagnostic]:
    """Warnings about models that keep the weights that they start from."""
    training = program.training
    if training is None or not training.models:
        return
    root = program.modules[program.entries[training.entry].module]
    patterns = [pattern for update in training.updates for pattern in update.params]
    found = [each.path for each in owned(program.modules, root.members, root.ties) if each.member.kind == "param"]
    for member in root.members:
        own = [path for path in found if path.startswith(f"{member.name}.")]
        if own and not any(matches(pattern, path) for pattern in patterns for path in own):
            yield error(
                "NNS635",
                f"no update trains `{member.name}`: it keeps the weights that it starts from",
                member.span,
                "not trained",
                helps=(
                    f"name it in the `params` of an update: `params = {member.name}`",
                    f'and if it stays as it is, say so there: `params "{member.name}.*" {{ freeze = true }}`',
                ),
                severity="warning",
            )
