"""Several models that one `train` section binds: members of one module, in every graph of the section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec import ir
from nnspec.diagnostics import error
from nnspec.dims import Dim, show
from nnspec.elaborate import freeze
from nnspec.elaborate.blocks import complete_block
from nnspec.elaborate.carried import essential
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.flows import plant
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.overrides import value_of
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import UNKNOWN, BlockRecipe, Fault, Record, Silent, Tensor, describe
from nnspec.suggest import suggest
from nnspec.syntax import ast


def several(node: ast.Train | None) -> ast.Tuple | None:
    """The head of a section that binds several models: `train (G = Generator(), D = Discriminator())`."""
    return node.model if node is not None and isinstance(node.model, ast.Tuple) else None


class Models:
    """The models of a section, and the module whose members they are.

    Every graph of the section is a body of that module: what one of them calls is what the others call. As with a model
    by itself, training comes first: the module owns what is called there, and inference uses a part of it.
    """

    def __init__(self, session: Session, node: ast.Train, hyperparameters: Mapping[str, Any]) -> None:
        head = several(node)
        assert head is not None
        self.session = session
        self.recipes: dict[str, BlockRecipe] = {}
        self.failed = False
        """Whether a model or a graph of the section has a fault, which was reported."""
        self.bound: dict[str, Any] = {}
        """What the section binds for all of its updates; tensors as the names of the inputs that they are there."""
        self.latest: Frame | None = None
        """The frame that was entered last."""
        self.module: int | None = None
        """The number of the module, once it is complete."""
        self._head = head
        self._bind(hyperparameters)
        title = ast.Name(head.span, "_".join(self.recipes) or "_")
        block = ast.Block(head.span, "model", title, (), ast.Body(head.span, ()), head.span)
        self.recipe = BlockRecipe(block, {}, {}, head.span)
        self._bodies: dict[ir.Mode, Frame] = {}

    @property
    def title(self) -> str:
        """What the module is called."""
        return self.recipe.title

    @property
    def arguments(self) -> dict[str, Any]:
        """What `model.G.width` means: hyperparameters by model."""
        return {name: Record(recipe.arguments) for name, recipe in self.recipes.items()}

    # --- the head ---

    def _bind(self, hyperparameters: Mapping[str, Any]) -> None:
        """The recipe of each model; faults are reported."""
        frame = Frame(self.session, "the head of `train`")
        for item in self._head.items:
            try:
                self._bind_one(frame, item, hyperparameters)
            except Fault as fault:
                self.failed = True
                frame.report(fault.diagnostic)
            except Silent:
                self.failed = True
        self._check_outside(hyperparameters)

    def _bind_one(self, frame: Frame, item: ast.Argument, hyperparameters: Mapping[str, Any]) -> None:
        text = self.session.text(item.value.span)
        if item.name is None:
            helps = (f"give it a name: `train (model = {text}, ...)`",)
            raise Fault(error("NNS616", "each of several models has a name", item.span, "no name", helps=helps))
        if item.name in self.recipes:
            raise Fault(error("NNS202", f"there are two models `{item.name}`", item.span, "named again here"))
        recipe = evaluate(frame, item.value)
        if not isinstance(recipe, BlockRecipe):
            message = f"`{item.name}` is {describe(recipe)}, and what is trained is a model"
            raise Fault(error("NNS616", message, item.value.span, "not a model"))
        self.recipes[item.name] = self._complete(recipe, item, hyperparameters)

    def _complete(self, recipe: BlockRecipe, item: ast.Argument, outside: Mapping[str, Any]) -> BlockRecipe:
        """The recipe with the hyperparameters that are set from outside: `G.width`."""
        block, start = recipe.block, f"{item.name}."
        defaults = {h.name.id: h.default for h in block.hyperparameters}
        given = {} if recipe.bare else {n: (v, recipe.span) for n, v in recipe.arguments.items() if n in defaults}
        for path, written in outside.items():
            name = path.removeprefix(start)
            if path.startswith(start):
                if name not in defaults:
                    close = suggest(name, defaults)
                    helps = [f"did you mean `{start}{close}`?"] if close else [f"they are {', '.join(defaults)}"]
                    message = f"`{block.name.id}` has no hyperparameter `{name}`"
                    raise Fault(error("NNS314", message, block.head, helps=helps if defaults else ()))
                given[name] = (value_of(self.session, path, written, defaults[name]), block.head)
        if not recipe.bare and not any(path.startswith(start) for path in outside):
            return recipe
        return complete_block(self.session, block, given, recipe.exprs, recipe.span)

    def _check_outside(self, hyperparameters: Mapping[str, Any]) -> None:
        names = [item.name for item in self._head.items if item.name is not None]
        for path in hyperparameters:
            if path.partition(".")[0] not in names:
                example = f"{names[0]}.{path.rpartition('.')[2]}" if names else ""
                message = f"`train` has several models, and `{path}` is a hyperparameter of none"
                helps = (f"say whose it is: `{example}`",) if names else ()
                self.failed = True
                self.session.sink.report(error("NNS314", message, self._head.span, helps=helps))

    # --- graphs ---

    def enter(self, frame: Frame, mode: ir.Mode) -> None:
        """Make a frame a body of the module: its layers are the models."""
        body = self._body(mode)
        frame.mode = mode
        frame.facts, frame.proof, frame.requires = body.facts, body.proof, body.requires
        frame.root = frame.home = body.root
        frame.ties, frame.outer_ties, frame.layer_cache = body.ties, body.outer_ties, body.layer_cache
        frame.expected = body.expected
        bound = frame.scope["model"]
        frame.scope.update({name: _tensors_as(bound, value) for name, value in self.bound.items()})
        frame.scope.update(body.scope)
        frame.fixed.update(body.fixed)
        self.latest = frame

    def _body(self, mode: ir.Mode) -> Frame:
        """What all graphs of a mode share: places, facts, and what is required on entry."""
        found = self._bodies.get(mode)
        if found is None:
            found = self._bodies[mode] = Frame(self.session, "`train`", mode=mode)
            found.block = self.recipe.block
            found.expected = self.module
            for item in self._head.items:
                name, recipe = item.name or "_", self.recipes.get(item.name or "_")
                found.scope[name] = UNKNOWN
                try:
                    if recipe is not None:
                        found.scope[name] = plant(found.root.child(name, "block", "bound", item.span), recipe)
                        found.fixed[name] = "layer"
                except Fault as fault:
                    found.report(fault.diagnostic)
        return found

    def check_kept(self, mode: ir.Mode) -> None:
        """Refuse layers that the graphs of a mode made besides the models: nobody keeps them."""
        body = self._body(mode)
        for place in list(body.root.children.values()):
            if place.name not in self.recipes:
                del body.root.children[place.name]
                body.report(_unkept(place))
        self.failed |= body.failed

    def complete(self) -> int | None:
        """The module, now that all graphs of training are there; None if there was a fault."""
        self.check_kept("train")
        body = self._body("train")
        if not self.failed:
            self.module = freeze.module(body, self.recipe, None)
            self.failed |= body.failed
        return self.module

    def method(self, mode: ir.Mode, frame: Frame, names: Mapping[str, int], outputs: Mapping[str, Tensor]) -> int:
        """The method of the module that a frame's graph is: `names` are its inputs."""
        assert self.module is not None
        assert frame.graph is not None
        graph = frame.graph.finish(tuple(names.values()), tuple(ir.Ref(tensor.id) for tensor in outputs.values()))
        found: dict[str, ir.Symbol] = {}
        for at, value in enumerate(names.values()):
            for axis, dim in enumerate(graph.values[value].type.dims):
                if isinstance(dim, Dim) and show(dim).isidentifier():
                    found.setdefault(show(dim), ir.Symbol(show(dim), at, axis))
        requires = essential(self._body(mode).requires)
        self.session.methods.append(
            ir.Method(
                self.module,
                mode if frame.uses_training else "both",
                tuple(names),
                tuple(outputs),
                tuple(found.values()),
                requires,
                graph,
            )
        )
        return len(self.session.methods) - 1


def _unkept(place: Place) -> Any:
    helps = ("let it be a part of a model, or bind it in the head: `train (..., name = ...) {`",)
    return error("NNS616", f"`train` owns no layers, and `{place.name}` would be one", place.span, helps=helps)


class Shared(str):
    """The name of a tensor that is worked out once a batch, in the place of the tensor."""

    __slots__ = ()


def _tensors_as(bound: Mapping[str, Any], value: Any) -> Any:
    """A binding with the tensors of a graph in the place of their names."""
    if isinstance(value, Shared):
        return bound.get(value, UNKNOWN)
    if isinstance(value, dict):
        return type(value)((name, _tensors_as(bound, part)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(_tensors_as(bound, part) for part in value)
    return value
