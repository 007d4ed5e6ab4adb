"""What a method calls, as a tree of names: each part with its output types and its multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec import ir, registry
from nnspec.dims import Dim, DimTooLarge, Size, substitute
from nnspec.layer import Operation
from nnspec.summary_weights import Count, count_member
from nnspec.types import Operand, Scalar, TensorType

Sizes = tuple[tuple[str, Size], ...]
"""What the symbols of a method stand for."""


class Part:
    """A layer, a block, a container, a bare parameter or a costly function, in the body that has it."""

    __slots__ = ("_content", "children", "kind", "macs", "name", "outputs", "own", "uses")

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.outputs: tuple[TensorType, ...] = ()
        self.macs: Size | None = 0
        self.own = Count()
        self.uses = 0
        self.children: dict[str, Part] = {}
        self._content: tuple[Any, ...] | None = None

    def content(self) -> tuple[Any, ...]:
        """Everything but the name: equal for copies. To be asked when the part is complete."""
        if self._content is None:
            children = tuple((name, child.content()) for name, child in self.children.items())
            self._content = (self.kind, self.outputs, self.macs, self.uses, self.own.parameters, children)
        return self._content

    def spend(self, macs: Size | None) -> None:
        """Add to the cost."""
        try:
            self.macs = None if self.macs is None or macs is None else self.macs + macs
        except DimTooLarge:
            self.macs = None


class Calls:
    """Walks the methods of a program; a method that is called often for equal sizes is walked once."""

    def __init__(self, program: ir.Program) -> None:
        self._program = program
        self._bodies: dict[tuple[int, Sizes], Part] = {}
        self._instances: dict[int, Any] = {}

    def body(self, number: int, sizes: Mapping[str, Size]) -> Part:
        """The parts of a method whose symbols stand for these sizes."""
        key = (number, tuple(sizes.items()))
        found = self._bodies.get(key)
        if found is None:
            found = self._bodies[key] = _Walk(self, self._program, self._program.methods[number], sizes).body()
        return found

    def layer(self, number: int) -> Any:
        """The instance of a library layer's class that a module describes."""
        if number not in self._instances:
            module = self._program.modules[number]
            cls = registry.find("layer", module.name)
            assert cls is not None, module.name
            self._instances[number] = cls(**{name: attr.value for name, attr in module.arguments.items()})
        return self._instances[number]


class _Walk:
    """One method, node by node."""

    def __init__(self, calls: Calls, program: ir.Program, method: ir.Method, sizes: Mapping[str, Size]) -> None:
        self.calls = calls
        self.program = program
        self.method = method
        self.sizes = sizes
        self.types = [self.sized(value.type) for value in method.graph.values]
        self.turns: Size | None = 1
        """How often the nodes that are walked now are computed: a scan's body once for each step."""
        self.root = Part("", "block")

    def body(self) -> Part:
        self.nodes(self.method.graph)
        self.add_unused(self.root, self.method.module)
        return self.root

    def nodes(self, graph: ir.Graph) -> None:
        """Walk the nodes of a graph."""
        for node in graph.nodes:
            if isinstance(node, ir.Call):
                self.call(node)
            elif isinstance(node, ir.Op):
                self.function(node)
            elif isinstance(node, ir.Scan):
                self.scan(node)
            elif isinstance(node, ir.Read):
                self.read(node)

    def scan(self, node: ir.Scan) -> None:
        """What a scan computes, as often as there are steps."""
        outside = self.types, self.turns
        (sequence,) = ir.refs(node.sequences[0])
        self.turns = self.each_turn(self.types[sequence].dims[node.axis])
        self.types = [self.sized(value.type) for value in node.body.values]
        self.nodes(node.body)
        self.types, self.turns = outside

    def each_turn(self, macs: Size | None) -> Size | None:
        """The cost of all turns, given that of one."""
        try:
            return None if macs is None or self.turns is None else macs * self.turns
        except DimTooLarge:
            return None

    def cost(self, operation: Operation, inputs: list[Operand], outputs: tuple[Any, ...]) -> Size | None:
        """What one call computes; None if that is too long an expression."""
        try:
            return operation.macs(inputs, self.result(outputs))
        except DimTooLarge:
            return None

    def sized(self, type_: TensorType) -> TensorType:
        return TensorType(type_.dtype, tuple(substitute(d, self.sizes) for d in type_.dims)) if self.sizes else type_

    def operand(self, value: ir.Operand) -> Operand:
        """The type of an operand."""
        if isinstance(value, ir.Ref):
            return self.types[value.id]
        if isinstance(value, tuple):
            return tuple(map(self.operand, value))
        if isinstance(value, Dim):
            size = substitute(value, self.sizes)
            return Scalar(size)
        return None if value is None else Scalar(value)

    def result(self, outputs: tuple[Any, ...]) -> Any:
        """The types of a node's outputs, as the shape rule gave them."""
        return self._typed(ir.result_of(outputs))

    def _typed(self, result: Any) -> Any:
        return self.types[result] if isinstance(result, int) else tuple(map(self._typed, result))

    def call(self, node: ir.Call) -> None:
        *holders, name = node.path.split(".")
        parts = [self.root]
        module = self.method.module
        for path in holders:
            module = self.program.module_at(module, path)
            parts.append(self.child(parts[-1], path, self.program.modules[module].kind))
        module = self.program.module_at(module, name)
        part = self.child(parts[-1], name, self.program.modules[module].name)
        outputs = tuple(self.types[v] for v in ir.flat(node.outputs))
        if node.method is None:
            inputs = [self.operand(x) for x in node.inputs]
            macs = self.cost(self.calls.layer(module), inputs, node.outputs)
        else:
            inner = {name: substitute(size, self.sizes) for name, size in node.dims.items()}
            body = self.calls.body(node.method, inner)
            macs = body.macs
            part.children = part.children or body.children
        macs = self.each_turn(macs)
        part.outputs = part.outputs or outputs
        part.uses += 1
        part.spend(macs)
        for holder in parts:
            # What comes out of a container is what its last layer gives.
            holder.outputs, holder.uses = outputs, 1
            holder.spend(macs)

    def function(self, node: ir.Op) -> None:
        """A function gets a row when it costs something."""
        cls = registry.find("function", node.function)
        assert cls is not None, node.function
        macs = self.cost(cls(**node.attributes), [self.operand(x) for x in node.inputs], node.outputs)
        if macs == 0:
            return
        macs = self.each_turn(macs)
        # Brackets keep it apart from members of that name; calls of one function in a body share a row.
        part = self.child(self.root, f"{node.function}()", "function")
        part.outputs = part.outputs or tuple(self.types[v] for v in ir.flat(node.outputs))
        part.uses += 1
        part.spend(macs)
        self.root.spend(macs)

    def read(self, node: ir.Read) -> None:
        """A bare parameter or buffer."""
        *holders, name = node.path.split(".")
        parent, module = self.root, self.method.module
        for holder in holders:
            module = self.program.module_at(module, holder)
            if self.program.modules[module].kind in ir.CALLED:
                return
            parent = self.child(parent, holder, self.program.modules[module].kind)
        self.add_bare(parent, self.program.find(module, name)).uses += 1

    def child(self, parent: Part, name: str, kind: str) -> Part:
        found = parent.children.get(name)
        if found is None:
            found = parent.children[name] = Part(name, kind)
        return found

    def add_bare(self, parent: Part, member: ir.Member) -> Part:
        part = self.child(parent, member.name, "parameter" if member.kind == "param" else "buffer")
        part.own = count_member(member)
        part.outputs = (member.type,) if member.type is not None else ()
        return part

    def add_unused(self, part: Part, number: int, path: str = "") -> None:
        """Rows for members that nothing called: they are stored all the same, and others may be tied to them."""
        owners = [tie.owner for tie in self.program.modules[self.method.module].ties]
        for member in self.program.modules[number].members:
            if member.module is None:
                if member.name not in part.children:
                    self.add_bare(part, member)
                continue
            module = self.program.modules[member.module]
            held = module.kind not in ir.CALLED
            child = self.child(part, member.name, module.kind if held else module.name)
            if held:
                self.add_unused(child, member.module, f"{path}{member.name}.")
            if child.uses == 0 and any(owner.startswith(f"{path}{member.name}.") for owner in owners):
                child.uses = 1
