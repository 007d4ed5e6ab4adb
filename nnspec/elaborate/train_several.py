"""A `train` section of several models: what is bound once a batch, and updates that call the models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Label, Sink, error
from nnspec.elaborate.expressions import target_names
from nnspec.elaborate.frame import Frame, name_of
from nnspec.elaborate.names import walk
from nnspec.elaborate.overrides import Written
from nnspec.elaborate.program import elaborate_model, within_depth
from nnspec.elaborate.session import Session
from nnspec.elaborate.train import Given, read, training
from nnspec.elaborate.train_graphs import CLOCK, Names, check_functions, graph_frame, loss_graph, metric_graphs
from nnspec.elaborate.train_models import Models, Shared
from nnspec.elaborate.train_objects import setting_object
from nnspec.elaborate.train_optimizer import parameters
from nnspec.elaborate.train_section import Section, is_given, written
from nnspec.elaborate.train_updates import parts_of, prepare, update_of
from nnspec.elaborate.values import BlockRecipe, Fault, Silent, Tensor
from nnspec.ir_sharing import passed, taken
from nnspec.patterns import matches
from nnspec.syntax import ast
from nnspec.types import TensorType


class Several(NamedTuple):
    """Several models in training."""

    training: ir.Training
    entry: ir.Entry
    """That of the module whose members they are."""
    models: tuple[ir.Entry, ...]
    """Each of them that can be used by itself, under its name in the head."""


def elaborate_several(
    session: Session,
    node: ast.Train,
    *,
    base: Path,
    overrides: Mapping[str, Written],
    hyperparameters: Mapping[str, Any] | None = None,
    to_run: bool = False,
) -> Several | None:
    """The training of several models, and their entries; None when the section has errors."""
    models = Models(session, node, hyperparameters or {})
    section = Section(session, node, None, base, overrides)
    section.models = models
    section.recipe = BlockRecipe(models.recipe.block, models.arguments, {}, node.head)
    section.method = _stub(("field",))
    found = None
    try:
        elaboration = _Several(section, models, read(section, to_run))
        found = within_depth(session, elaboration.elaborate, "train", node.head)
    except Fault as fault:
        section.fail(fault)
    except Silent:
        pass
    if not section.computed:
        for part in (section, *section.parts):
            check_functions(part)
    if found is None:
        return None
    made, entry = found
    return Several(made, entry, tuple(_alone(session, models)))


def _alone(session: Session, models: Models) -> Iterator[ir.Entry]:
    """The models that are what they are in the section, with sizes that no data decided."""
    assert models.module is not None
    members = {member.name: member.module for member in session.modules[models.module].members}
    for name, recipe in models.recipes.items():
        sink, session.sink = session.sink, Sink()
        try:
            entry = elaborate_model(session, recipe)
        finally:
            session.sink = sink
        if entry is not None and entry.module == members[name]:
            yield replace(entry, name=name)


def _stub(inputs: Iterable[str]) -> ir.Method:
    """What is asked for the names of the model's inputs, where fields flow into several models."""
    return ir.Method(0, "both", tuple(inputs), (), (), (), ir.Graph((), (), (), ()))


class _Several:
    """The elaboration of one section; `given` is all of it but losses and metrics."""

    def __init__(self, section: Section, models: Models, given: Given) -> None:
        self.section = section
        self.models = models
        self.given = given
        self.fields = given.transforms.fields
        self.parts = parts_of(section)
        if is_given(section, "inputs"):
            message = "`inputs` is for one model: fields flow into several as `image -> G`"
            section.fail(Fault(error("NNS616", message, section.settings["inputs"].span, "several models")))
        if not section.updates:
            helps = ("write an `update NAME { params = ...  loss = ...  optimizer = ... }` for each in turn",)
            message = "several models are trained by updates in turn, and there is none"
            section.fail(Fault(error("NNS616", message, section.head, "no `update`", helps=helps)))
        self.bindings = tuple(section.bindings)
        metrics = written(section, "metrics")
        after: list[ast.Node] = [] if metrics is None else [metrics]
        for part in self.parts:
            loss = written(part, "loss")
            after += [*(binding.value for binding in part.bindings), *([] if loss is None else [loss])]
        self.later = _mentioned(after)
        """Names that updates and metrics mention."""
        self.used = self.later | _mentioned(binding.value for binding in self.bindings)

    def elaborate(self) -> tuple[ir.Training, ir.Entry] | None:
        """All of the section; training comes first."""
        section, models = self.section, self.models
        if self.given.raw is None or not section.parts or models.failed or self._hides():
            self._look_at_objects()
            return None
        inputs = self._inputs()
        before = section.failed
        section.forgive()
        section.computed = True
        shared = self._shared(inputs, "train")
        models.bound, outputs = self._bound(shared)
        names, types = self._names(outputs)
        losses = [self._loss(part, names, types) for part in self.parts]
        models.failed |= section.failed
        module = models.complete()
        section.frame.failed |= models.failed or before
        if module is None:
            self._look_at_objects()
            return None
        held = [
            loss_graph(p, names, types, "infer") if m else None for p, (_, m) in zip(self.parts, losses, strict=True)
        ]
        section.bindings = []
        metrics = metric_graphs(section, names, types)
        methods = self._methods(inputs, shared, outputs)
        entry = ir.Entry(models.title, module, methods, span=section.head)
        models.check_kept("infer")
        section.frame.failed |= models.failed
        updates = self._updates(entry, [loss for loss, _ in losses], held)
        self._check_order(names, updates, section.session.methods[methods.get("train", methods["infer"])])
        made = training(section, self.given, {n: n for n in inputs if n in self.fields}, names, updates, metrics)
        return None if made is None or section.failed else (made, entry)

    def _loss(self, part: Section, names: Names, types: list[TensorType]) -> tuple[ir.Graph | None, bool]:
        """The loss of an update in training, and whether it is another one in inference."""
        loss = loss_graph(part, names, types)
        frame = self.models.latest
        return loss, loss is not None and frame is not None and frame.uses_training

    def _look_at_objects(self) -> None:
        """Where no graphs can be made: optimizers and schedules are looked at all the same."""
        for part in self.section.parts:
            for name in ("optimizer", "schedule"):
                setting_object(part, name)

    def _hides(self) -> bool:
        """Whether a model is called like a field, which is refused: a name means one thing."""
        hidden = [name for name in self.models.recipes if name in self.fields]
        for name in hidden:
            message = f"`{name}` is a model here, and a field of the data"
            helps = ("give the model another name",)
            self.section.fail(Fault(error("NNS606", message, self.section.head, "which one?", helps=helps)))
        return bool(hidden)

    # --- names ---

    def _inputs(self) -> dict[str, TensorType]:
        """The fields and clocks that the section's bindings mention; at least the first field that is used at all."""
        own = _mentioned(binding.value for binding in self.bindings)
        fields = [n for n in self.fields if n in own] or self._fields()[:1]
        return {n: self.fields.get(n) or CLOCK[n] for n in (*fields, *self._clocks(own))}

    def _fields(self) -> list[str]:
        """The fields that are used anywhere; at least one, which tells the size of a batch."""
        return [name for name in self.fields if name in self.used] or list(self.fields)[:1]

    def _clocks(self, used: Collection[str]) -> list[str]:
        """`step` and `epoch`, where they are mentioned and nothing else has their names."""
        places = (self.bindings, *(part.bindings for part in self.parts))
        bound = {name.id for place in places for binding in place for name in target_names(binding.target)}
        hidden = {*self.fields, *bound, *self.models.recipes, *self.section.frame.file.constants}
        return [name for name in CLOCK if name in used and name not in hidden]

    def _names(self, outputs: Mapping[str, Tensor]) -> tuple[Names, list[TensorType]]:
        """What losses and metrics take: what is bound once a batch, fields, clocks."""
        fields, clocks = self._fields(), self._clocks(self.used)
        names: Names = (
            *(("model", name) for name in outputs),
            *(("data", name) for name in fields),
            *(("clock", name) for name in clocks),
        )
        self.section.offered = (*outputs, *self.fields)
        types = [*(t.type for t in outputs.values()), *(self.fields[n] for n in fields), *(CLOCK[n] for n in clocks)]
        return names, types

    # --- what is bound once a batch ---

    def _shared(self, inputs: Mapping[str, TensorType], mode: ir.Mode) -> Frame:
        """The section's bindings as a graph over fields and clocks."""
        names: Names = tuple(("data" if n in self.fields else "clock", n) for n in inputs)
        self.section.offered = tuple(self.fields)
        self.section.bindings = list(self.bindings)
        return graph_frame(self.section, names, list(inputs.values()), mode)

    def _bound(self, frame: Frame) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What the section binds, tensors by name, and the tensors that updates and metrics mention."""
        outputs: dict[str, Tensor] = {}

        def named(base: str, name: str, value: Any) -> Any:
            if isinstance(value, Tensor):
                if base in self.later:
                    outputs[name] = value
                return Shared(name)
            if isinstance(value, dict):
                return type(value)((key, named(base, f"{name}_{key}", part)) for key, part in value.items())
            if isinstance(value, (list, tuple)):
                return type(value)(named(base, f"{name}_{i}", part) for i, part in enumerate(value))
            return value

        targets = [name.id for binding in self.bindings for name in target_names(binding.target)]
        bound = {name: named(name, name, frame.scope[name]) for name in dict.fromkeys(targets) if name in frame.scope}
        return bound, outputs

    def _methods(
        self, inputs: Mapping[str, TensorType], shared: Frame, outputs: Mapping[str, Tensor]
    ) -> dict[str, int]:
        """The methods of the module by mode: what is bound. A section that binds nothing gives back its first input."""
        models, numbers = self.models, {name: at for at, name in enumerate(inputs)}
        first = next(iter(inputs))
        nothing = {first: Tensor(0, inputs[first])}
        train = models.method("train", shared, numbers, outputs or nothing)
        if not shared.uses_training:
            return {"infer": train}
        bound, models.bound = models.bound, {}
        frame = self._shared(inputs, "infer")
        models.bound = bound
        return {"infer": models.method("infer", frame, numbers, self._bound(frame)[1] or nothing), "train": train}

    # --- updates ---

    def _updates(
        self, entry: ir.Entry, losses: Sequence[ir.Graph | None], held: Sequence[ir.Graph | None]
    ) -> list[ir.Update | None]:
        updates = []
        for part, loss, validated in zip(self.parts, losses, held, strict=True):
            part.entry = entry
            updates.append(update_of(part, prepare(part, parameters(part)), loss, validated))
        return updates

    def _check_order(self, names: Names, updates: Sequence[ir.Update | None], shared: ir.Method) -> None:
        """Refuse a loss that its parameters do not change, and a gradient through weights that are others by then."""
        changed: dict[str, str] = {}
        for part, update in zip(self.parts, updates, strict=True):
            if update is None:
                return
            found = [each.path for each in parameters(part)]
            own = {path.partition(".")[0] for path in found if any(matches(p, path) for p in update.params)}
            reached = own & set(passed(update.loss, [0], own).values())
            for at in sorted(taken(update.loss)):
                kind, name = names[at]
                outputs = [shared.output_names.index(name)] if kind == "model" else []
                through = passed(shared.graph, outputs, own)
                reached |= own & set(through.values())
                stale = next((member for member in through.values() if member in changed), None)
                if stale is not None:
                    part.fail(Fault(_stale(part, self.bindings, name, stale, changed[stale])))
                    break
            if own and not reached:
                part.fail(Fault(_without_effect(part, update)))
            changed |= dict.fromkeys(own, update.name)


def _without_effect(part: Section, update: ir.Update) -> Diagnostic:
    loss, params = written(part, "loss"), written(part, "params")
    listed = " and ".join(f"`{pattern.removesuffix('.*')}`" for pattern in update.params)
    return error(
        "NNS617",
        f"the loss of `update {update.name}` does not depend on the parameters of {listed}, which it trains",
        part.head if loss is None else loss.span,
        "nothing to learn from",
        others=() if params is None else (Label(params.span, "trained by it"),),
        notes=("no gradient passes through `detach(...)`",) if _detaches(update.loss) else (),
    )


def _detaches(graph: ir.Graph) -> bool:
    return any(isinstance(node, ir.Op) and node.function == "detach" for node in graph.nodes)


def _stale(part: Section, bindings: Sequence[ast.Assign], name: str, member: str, before: str) -> Diagnostic:
    node = next((n for n in walk(part.node.body) if isinstance(n, ast.Name) and n.id == name), None)
    places = [b.target.span for b in bindings if name in (n.id for n in target_names(b.target))]
    message = f"`{name}` is from before `update {before}`, which has changed `{member}`: it has no gradient any more"
    return error(
        "NNS618",
        message,
        part.head if node is None else node.span,
        "its gradient would pass through other weights",
        others=tuple(Label(place, "worked out here, once a batch") for place in places),
        helps=(f"work it out afresh: move `{name} = ...` into the update", "or let this update come first"),
    )


def _mentioned(nodes: Iterable[ast.Node]) -> set[str]:
    """Names in expressions, and `data.NAME` as NAME."""
    found = set()
    for node in walk(tuple(nodes)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and name_of(node.value) in ("data", "model"):
            found.add(node.name)
    return found
