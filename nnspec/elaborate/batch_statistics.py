"""Layers that learn statistics of the batch: at each step of a scan they would learn others."""

from __future__ import annotations

from nnspec import ir, registry
from nnspec.diagnostics import Label, error
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import Fault


def refuse_statistics(frame: Frame, body: ir.Graph) -> None:
    """Raise a fault for a layer in a scan that has statistics of the batch in training, or holds such a layer."""
    for node in body.nodes:
        place = _place(frame, node.path) if isinstance(node, ir.Call) else None
        if place is None or place.module is None:
            continue
        found = _learning(frame.session, place.module)
        if found is None:
            continue
        module = frame.session.modules[found]
        inside = module.span is not None and found != place.module
        raise Fault(
            error(
                "NNS224",
                f"`{module.name}` cannot stand in a scan: it learns statistics of the batch, which differ at each step",
                node.span,
                "in the body of a scan",
                others=(Label(module.span, "this one"),) if inside and module.span is not None else (),
                helps=("`LayerNorm` and `GroupNorm` treat each sample by itself", "or apply it to all steps at once"),
            )
        )


def _place(frame: Frame, path: str) -> Place | None:
    place: Place | None = frame.root
    for name in path.split("."):
        if place is None:
            return None
        steady = place.steady
        place = place.children.get(name) or (steady.model if steady is not None else None)
    return place


def _learning(session: Session, number: int) -> int | None:
    """The first layer at or below a module that learns statistics, by its module's number."""
    if number not in session.statistics:
        session.statistics[number] = _look(session, number)
    return session.statistics[number]


def _look(session: Session, number: int) -> int | None:
    module = session.modules[number]
    if module.kind == "layer":
        cls = registry.find("layer", module.name)
        layer = cls(**{name: attr.value for name, attr in module.arguments.items()}) if cls is not None else None
        return number if layer is not None and layer.learns_statistics() else None
    below = (_learning(session, m.module) for m in module.members if m.module is not None)
    return next((found for found in below if found is not None), None)
