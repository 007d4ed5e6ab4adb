"""Live modules: equal to hand-written ones, copied, pickled, compiled, exported, distributed, and given weights."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import random
import subprocess
import sys
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from nnspec import ir
from nnspec.backends.source import emit
from nnspec.backends.torch import WeightsError, build, load_state, load_weights, training_functions, weights_of
from nnspec.compiler import compile_text
from nnspec.training.running.meters import meters

GOLDEN = Path(__file__).parent.parent / "golden"
SHAPES: dict[str, Callable[[int], tuple[torch.Tensor, ...]]] = {
    "residual": lambda n: (torch.randn(n, 3, 40, 36),),
    "decoder": lambda n: (torch.randint(0, 100, (n, 10)),),
    "modes": lambda n: (torch.randn(n, 6, 4), torch.randn(n, 8)),
}


def program_of(name: str) -> ir.Program:
    return compile_text((GOLDEN / f"{name}.nns").read_text("utf-8")).program


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(program_of(name)).eval()


def same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(torch.equal(a, b))


every_net = pytest.mark.parametrize("name", SHAPES)


# --- against hand-written modules ------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu((x if self.downsample is None else self.downsample(x)) + y)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16, 1))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        x = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return x


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            self.add_module(name, nn.Linear(32, 32, bias=False))

    def forward(self, x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        n, t, d = x.shape
        q, k, v = (self.get_submodule(f"{p}_proj")(x).view(n, t, 4, 8).transpose(1, 2) for p in "qkv")
        q, k = (rotated(q, angle), rotated(k, angle))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        result: torch.Tensor = self.get_submodule("o_proj")(y.transpose(1, 2).reshape(n, t, d))
        return result


def rotated(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, dim=-1)
    return x * angle.cos() + torch.cat((-b, a), -1) * angle.sin()


class DecoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(32)
        self.self_attn = Attention()
        self.norm2 = nn.LayerNorm(32)
        self.mlp = nn.Module()
        self.mlp.gate = nn.Linear(32, 128, bias=False)
        self.mlp.up = nn.Linear(32, 128, bias=False)
        self.mlp.down = nn.Linear(128, 32, bias=False)

    def forward(self, x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.norm1(x), angle)
        h = self.norm2(x)
        mlp: Any = self.mlp
        y: torch.Tensor = mlp.down(F.silu(mlp.gate(h)) * mlp.up(h))
        return x + y


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("angles", torch.outer(torch.arange(64), 1.0 / 10000.0 ** (torch.arange(8) / 8)))
        self.scale = nn.Parameter(torch.empty(32))
        nn.init.normal_(self.scale, std=0.02)
        self.model = nn.Module()
        self.model.embed = nn.Embedding(100, 32)
        self.model.layers = nn.ModuleList(DecoderLayer() for _ in range(3))
        self.model.norm = nn.LayerNorm(32)
        self.lm_head = nn.Linear(32, 100, bias=False)
        self.lm_head.weight = self.model.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        model: Any = self.model
        x = model.embed(tokens) * self.scale
        for layer in model.layers:
            x = layer(x, self.get_buffer("angles")[: tokens.shape[1]])
        result: torch.Tensor = self.lm_head(model.norm(x))
        return result


@pytest.mark.parametrize(("name", "hand"), [("residual", ResNet), ("decoder", Decoder)])
@pytest.mark.parametrize("training", [False, True])
def test_a_module_is_bit_equal_to_a_hand_written_one(name: str, hand: type[nn.Module], training: bool) -> None:
    ours = built(name).train(training)
    torch.manual_seed(0)
    theirs = hand().train(training)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    inputs = SHAPES[name](3)
    y, z = ours(*inputs), theirs(*inputs)
    assert torch.equal(y, z)
    y.square().sum().backward()
    z.square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None
        assert torch.equal(a.grad, b.grad if b.grad is not None else torch.empty(0))
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))


# --- against an interpreter ------------------------------------------------------------------------------------------

OPERATORS: dict[str, Callable[..., torch.Tensor]] = {
    name: getattr(torch, name) for name in ("add", "sub", "mul", "exp", "relu", "neg", "tanh")
}


def interpreted(program: ir.Program, module: nn.Module, method: int, inputs: tuple[Any, ...]) -> Any:
    """What a method computes, node by node, with the layers of a built module."""
    graph = program.methods[method].graph
    values = dict(zip(graph.inputs, inputs, strict=True))

    def operand(given: Any) -> Any:
        if isinstance(given, ir.Ref):
            return values[given.id]
        return tuple(map(operand, given)) if isinstance(given, tuple) else given

    for node in graph.nodes:
        if isinstance(node, ir.Read):
            values[node.outputs[0]] = module.get_parameter(node.path)
            continue
        operands = tuple(map(operand, node.inputs))
        if isinstance(node, ir.Op):
            result = OPERATORS[node.function](*operands, **node.attributes)
        elif not isinstance(node, ir.Call):
            raise TypeError(node)
        elif node.method is None:
            result = module.get_submodule(node.path)(*operands)
        else:
            result = interpreted(program, module.get_submodule(node.path), node.method, operands)
        values[node.outputs[0]] = result
    results = tuple(map(operand, graph.outputs))
    return results[0] if len(results) == 1 else results


class Writer:
    """Writes random models: operators, layers, chains and loops over variables that are bound again and again."""

    NAMES = ("x", "a", "b", "quite_a_long_name_of_a_value", "y2")
    LAYERS = (
        "Linear(8)",
        "Tanh",
        "{ Linear(8) -> relu }",
        "{ Linear(8) -> a: Tanh } * 3",
        "Linear(8) * 2",
        "B",
        "B * 2",
    )

    def __init__(self, seed: int) -> None:
        self._pick = random.Random(seed)
        self._known = ["x"]
        self._count = 0

    def spec(self) -> str:
        lines = [
            self._loop() if self._pick.random() < 0.3 else self._binding() for _ in range(self._pick.randrange(3, 14))
        ]
        lines += [f"output o{i} = {name} * 1.0" for i, name in enumerate(self._known)]
        block = "block B {\ninput x: float[N, D]\nparam p: float[D] = normal()\n"
        block += "output x + tanh(x -> fc: Linear(D)) * p\n}\n"
        body = "\n".join(lines)
        return f"{block}model M {{\ninput x: float[N, 8]\nparam p: float[8] = normal()\n{body}\n}}"

    def _bound(self, name: str) -> str:
        if name not in self._known:
            self._known.append(name)
        return name

    def _binding(self) -> str:
        value = self._value(0)
        return f"{self._bound(self._pick.choice(self.NAMES))} = {value}"

    def _loop(self) -> str:
        """One that can stay a loop, or not: members of one kind or two, values that go on or do not."""
        name = self._pick.choice(self._known)
        layer = self._pick.choice(("Linear(8)", "B", "Tanh", "{ Linear(8) -> Tanh }", "(B if i == 1 else Tanh)"))
        self._count += 1
        call = f'({name} -> "s{self._count}.{{i}}": {layer})'
        step = self._pick.choice((call, f"tanh({name}) + {call} * 0.5", f"{call} - {self._pick.choice(self._known)}"))
        target = self._bound(self._pick.choice((name, name, *self.NAMES)))
        extra = self._pick.choice(("", f"{name} = {name} * 0.5\n"))
        return f"for i in range(3) {{\n{extra}{target} = tanh({step})\n}}"

    def _value(self, depth: int) -> str:
        kind = self._pick.randrange(9 if depth < 5 else 1)
        if kind == 0:
            return self._pick.choice((*self._known, f"({self._known[0]} + p)"))
        if kind < 5:
            right = self._pick.choice((self._value(depth + 1), "0.5", "2", "p"))
            return f"({self._value(depth + 1)} {self._pick.choice('+-*')} {right})"
        if kind < 7:
            return f"{self._pick.choice(('relu', 'tanh', 'exp'))}(tanh({self._value(depth + 1)}))"
        if kind == 7:
            return f"(-{self._value(depth + 1)})"
        self._count += 1
        label = self._pick.choice((f'"l{self._count}": ', f'"g.{self._count}": ', f'"{self._count}": ', ""))
        return f"({self._pick.choice(self._known)} -> {label}{self._pick.choice(self.LAYERS)})"


@pytest.mark.parametrize("seed", range(60))
def test_source_does_what_the_graph_says(seed: int) -> None:
    program = compile_text(Writer(seed).spec()).program
    torch.manual_seed(seed)
    module = build(program).eval()
    x = torch.randn(3, 8)
    assert same(module(x), interpreted(program, module, program.main.methods["infer"], (x,)))


# --- memory ----------------------------------------------------------------------------------------------------------


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts the tensors that are alive after each operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.most: int = 0
        self._known: list[weakref.ref[torch.Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self._known = [known for known in self._known if known() is not None]
            self._known.append(weakref.ref(result))
            self.most = max(self.most, len(self._known))
        return result


@pytest.mark.parametrize(
    "line",
    [
        'x = x + (x -> "l{i}": Linear(8, bias=false) -> ReLU)',
        'x = relu(x -> "l{i}": Linear(8, bias=false)) * 2 + exp(x)',
        'h = x -> "l{i}": Linear(8, bias=false)\nx = tanh(h) * h',
        'x = x -> "l{i}": { Linear(8, bias=false) -> relu -> Linear(8, bias=false) }',
    ],
)
def test_no_tensor_stays_alive_that_nobody_needs(line: str) -> None:
    def most(depth: int) -> int:
        body = "\n".join(line.replace("{i}", str(i)) for i in range(depth))
        model = build(compile_text(f"model M {{\ninput x: float[N, 8]\n{body}\noutput y = x\n}}").program)
        alive = Alive()
        with torch.no_grad(), alive:
            model(torch.randn(2, 8))
        return alive.most

    assert most(40) == most(4) <= 7


# --- copies and pickles ----------------------------------------------------------------------------------------------


@every_net
def test_a_module_can_be_copied_and_pickled(name: str) -> None:
    model, inputs = built(name), SHAPES[name](2)
    expected = model(*inputs)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(twin) is type(model)
        assert same(twin(*inputs), expected)
        next(twin.parameters()).data.add_(1)
    assert same(model(*inputs), expected)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert same(torch.load(file, weights_only=False)(*inputs), expected)


def test_ties_survive_copies() -> None:
    twin: Any = copy.deepcopy(built("decoder"))
    assert twin.lm_head.weight is twin.model.embed.weight


def test_a_part_of_a_module_can_be_pickled() -> None:
    part: Any = built("residual").get_submodule("layer2.0")
    twin = pickle.loads(pickle.dumps(part))
    assert type(twin) is type(part)
    assert copy.copy(part) is not part


@every_net
def test_another_process_can_unpickle(name: str, tmp_path: Path) -> None:
    model, inputs = built(name), SHAPES[name](2)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, inputs, model(*inputs))))
    code = (
        "import pickle, sys, torch\n"
        "model, inputs, expected = pickle.load(open(sys.argv[1], 'rb'))\n"
        "found = model(*inputs)\n"
        "pairs = zip(found, expected) if isinstance(found, tuple) else [(found, expected)]\n"
        "assert all(torch.equal(a, b) for a, b in pairs)\n"
        "assert pickle.loads(pickle.dumps(model)) is not model\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model.pkl")], check=True)


def test_a_subclass_is_pickled_as_what_it_is() -> None:
    base = type(built("residual"))
    subclass = type("Mine", (base,), {"__module__": __name__})
    globals()["Mine"] = subclass
    try:
        assert type(pickle.loads(pickle.dumps(subclass()))) is subclass
    finally:
        del globals()["Mine"]


def test_source_is_seen_by_inspect_and_in_tracebacks() -> None:
    model = built("residual")
    source = emit(program_of("residual"))
    assert inspect.getsource(type(model)) in source
    assert inspect.getsource(type(model).forward) in source
    assert sys.modules[type(model).__module__].__dict__["ResNet"] is type(model)
    with pytest.raises(RuntimeError) as fault:
        model(torch.randn(1, 2, 40, 40))
    shown = "".join(traceback.format_exception(fault.value))
    assert "x = self.conv1(image)" in shown
    assert "<nnspec ResNet" in shown


def test_equal_sources_are_one_class() -> None:
    assert type(built("residual")) is type(built("residual"))


def test_threads_may_build_one_model_at_once() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for number in range(20):
                layers = "".join(f"  x = x -> l{i}: Linear(2)\n" for i in range(30))
                text = f"model Threads{number} {{\n  input x: float[N, 2]\n{layers}  output y = x\n}}\n"
                program = compile_text(text).program
                assert len({type(module) for module in pool.map(build, [program] * 4)}) == 1
    finally:
        sys.setswitchinterval(interval)


# --- torch's own machinery -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["residual", "decoder"])
def test_a_module_compiles_in_one_graph(name: str) -> None:
    torch._dynamo.reset()
    model = built(name)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for size in (2, 3):
        inputs = SHAPES[name](size)
        assert same(compiled(*inputs), model(*inputs))


@every_net
@pytest.mark.filterwarnings("ignore")
def test_a_module_exports_with_a_dynamic_batch(name: str) -> None:
    model, inputs = built(name), SHAPES[name](2)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(model, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    for size in (1, 5):
        again = SHAPES[name](size)
        expected = model(*again)
        found = program.module()(*again)
        for a, b in zip(_flat(found), _flat(expected), strict=True):
            torch.testing.assert_close(a, b)


def _flat(outputs: Any) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def test_a_module_moves_between_types_and_devices() -> None:
    model = built("residual").to(torch.float64)
    assert model(torch.randn(1, 3, 32, 32, dtype=torch.float64)).dtype == torch.float64
    assert all(p.is_meta for p in build(program_of("residual"), device="meta").parameters())


def test_entry_requirements_hold_at_run_time() -> None:
    model = built("decoder")
    model(torch.zeros(1, 64, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="the text is longer than 64"):
        model(torch.zeros(1, 65, dtype=torch.int64))


TRAIN = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
def work(rank, world, text, port):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    torch.manual_seed(0)
    model = build(compile_text(text).program)
    alone = build(compile_text(text).program, state=model.state_dict())
    wrapped = DistributedDataParallel(model)
    torch.manual_seed(1)
    x = torch.randn(2 * world, 8)
    wrapped(x[2 * rank:2 * rank + 2]).square().mean().backward()
    alone.load_state_dict(model.state_dict())
    alone(x).square().mean().backward()
    for a, b in zip(model.parameters(), alone.parameters()):
        torch.testing.assert_close(a.grad, b.grad)
    dist.destroy_process_group()
if __name__ == "__main__":
    world, text, port = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if world == 1:
        work(0, 1, text, port)
    else:
        torch.multiprocessing.spawn(work, (world, text, port), nprocs=world)
"""


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_a_module_trains_in_parallel(world: int, tmp_path: Path) -> None:
    text = "block B {\ninput x: float[N, D]\noutput x + (x -> Linear(D))\n}\nmodel M {\ninput x: float[N, 8]\n"
    text += "output y = x -> layers: B * 2 -> Linear(3)\n}"
    (tmp_path / "train.py").write_text(TRAIN)
    port = str(random.Random().randrange(20_000, 60_000))
    subprocess.run([sys.executable, str(tmp_path / "train.py"), str(world), text, port], check=True, timeout=120)


# --- weights ---------------------------------------------------------------------------------------------------------


@every_net
def test_given_weights_replace_initialisation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = built(name), SHAPES[name](2)
    state = {key: tensor.clone() for key, tensor in weights_of(model).items()}
    before = torch.get_rng_state()
    twin = build(program_of(name), state=state).eval()
    assert torch.equal(before, torch.get_rng_state())
    assert same(twin(*inputs), model(*inputs))
    assert all(p.requires_grad for p in twin.parameters())
    assert next(iter(twin.parameters())).data_ptr() == state[next(iter(dict(twin.named_parameters())))].data_ptr()


def test_a_seed_leaves_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = (build(program_of("residual"), seed=7) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


@pytest.mark.parametrize("name", ["model.embed.weight", "lm_head.weight"])
def test_tied_weights_are_saved_once_and_load_under_each_name(name: str) -> None:
    model = built("decoder")
    state = weights_of(model)
    assert "lm_head.weight" not in state
    state[name] = state.pop("model.embed.weight") + 1
    twin: Any = build(program_of("decoder"), state=state)
    assert twin.lm_head.weight is twin.model.embed.weight
    assert torch.equal(twin.lm_head.weight, state[name])
    load_state(model, state)
    assert torch.equal(model.get_parameter("lm_head.weight"), state[name])


def test_tied_weights_that_differ_are_an_error() -> None:
    state = dict(built("decoder").state_dict())
    build(program_of("decoder"), state=state)
    state["lm_head.weight"] = state["lm_head.weight"] + 1
    with pytest.raises(WeightsError, match="are one parameter in the model, but differ"):
        build(program_of("decoder"), state=state)


def test_all_faults_of_weights_are_listed() -> None:
    state = weights_of(built("residual"))
    state["fc.weight"] = torch.zeros(10, 17)
    state["fc.wait"] = state.pop("fc.bias")
    with pytest.raises(WeightsError) as fault:
        build(program_of("residual"), state=state)
    assert fault.value.missing == ("fc.bias",)
    assert fault.value.unexpected == ("fc.wait",)
    assert fault.value.mismatched == ("`fc.weight` has shape [10, 16] in the model and [10, 17] in the weights",)
    assert str(fault.value).startswith("the weights lack `fc.bias`; the weights hold `fc.wait`")
    with pytest.raises(WeightsError):
        load_state(built("residual"), state)


def test_old_checkpoints_lack_a_counter() -> None:
    state = {k: t for k, t in weights_of(built("residual")).items() if not k.endswith("num_batches_tracked")}
    model = build(program_of("residual"), state=state)
    assert model.get_buffer("bn1.num_batches_tracked").item() == 0


def test_weights_take_the_type_of_the_model() -> None:
    state = {k: t.half() if t.is_floating_point() else t for k, t in weights_of(built("residual")).items()}
    model = build(program_of("residual"), state=state)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


class Malicious:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('ran')",)


def test_weights_are_read_from_files(tmp_path: Path) -> None:
    state = weights_of(built("residual"))
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "nested.pt")
    for name in ("w.safetensors", "w.pt", "nested.pt"):
        found = load_weights(tmp_path / name)
        assert all(torch.equal(found[key], state[key]) for key in state)


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps(Malicious()), pickle.dumps([1])])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_what_holds_no_weights_is_an_error(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.(pt|safetensors)"):
        load_weights(tmp_path / name)
    with pytest.raises(WeightsError, match="there is no file"):
        load_weights(tmp_path / "missing.pt")


# --- training --------------------------------------------------------------------------------------------------------


def test_losses_and_metrics_are_functions() -> None:
    text = (GOLDEN.parent.parent / "examples" / "fashion_mnist.nns").read_text("utf-8")
    training = compile_text(text, train=True).program.training
    assert training is not None
    (loss,), measures = training_functions(training)
    scores, label = torch.tensor([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]]), torch.tensor([0, 0])
    torch.testing.assert_close(loss(scores, label).item(), (0.4170 + 1.8406) / 2, atol=1e-4, rtol=0)
    (accuracy,) = meters(training, measures).values()
    accuracy.update((scores, label), 2)
    assert accuracy.compute() == 0.5
