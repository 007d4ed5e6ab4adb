"""What the zoo's networks take in memory, as the IR says it and as torch shows it; and their multiply-adds.

`pytest tests/zoo/test_memory.py -s` prints the table.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nnspec import ir
from nnspec.backends.torch import build
from nnspec.compiler_input import compile_input, read_input
from nnspec.memory import Memory, measurer
from nnspec.summary import summarize
from nnspec.training.optimizer import Optimizer

from ..measured_memory import Held, measured, optimizer, sizes_of
from .network import ZOO, Case, Inputs, Network
from .table import NETWORKS

TOLERANCE = 0.15
"""How far from what is measured the numbers may be."""

NATIVE = ("vit_b_16",)
"""Networks whose attention runs as one operator in inference, within which no tensor is seen."""

ALONE = ("deeplabv3_resnet50", "inception_v3", "pointnet")
"""Networks with a batch norm of single places, which cannot be trained on one sample alone."""

LARGER = {"inception_v3": (299, 299)}
"""Sizes for networks that need more in training than in inference."""

BATCHES = (1, 4)


def cases() -> list[object]:
    """The cases of all networks, each at its first size and two batches; those that are not quick are slow."""
    return [
        pytest.param(
            network, case, batch, id=f"{network.name}-{number}-{batch}", marks=() if case.quick else pytest.mark.slow
        )
        for network in NETWORKS
        for number, case in enumerate(network.cases)
        for batch in BATCHES
        if batch > 1 or network.name not in ALONE
    ]


def compiled(network: Network, case: Case, batch: int) -> tuple[ir.Program, Inputs, dict[str, int]]:
    """The program of a case, inputs for it, and the sizes of its symbols."""
    program = compile_input(read_input(str(network.path)), overrides=dict(case.hyperparameters)).program
    torch.manual_seed(0)
    inputs = network.inputs(batch, *LARGER.get(network.name, case.sizes[0]))
    try:
        sizes = sizes_of(program, inputs)
        summarize(program, sizes=sizes)
    except ValueError:  # hyperparameters that only the original has a name for
        pytest.skip("its first size is for another form")
    return program, inputs, sizes


def memory_of(program: ir.Program, sizes: dict[str, int], chosen: Optimizer) -> Memory:
    """What nnspec says."""
    found = measurer(program, program.main, chosen)(sizes)
    assert found is not None
    return found


@pytest.mark.parametrize(("network", "case", "batch"), cases())
def test_memory_is_what_is_measured(network: Network, case: Case, batch: int) -> None:
    program, inputs, sizes = compiled(network, case, batch)
    module = build(program)
    names = program.methods[program.main.methods_with(program.main.optional)["infer"]].input_names
    needed = measured(module, lambda: [inputs.get(name) for name in names])
    memory = memory_of(program, sizes, optimizer("SGD"))
    base = memory.weights + memory.inputs
    assert memory.weights == sum(x.nbytes for x in (*module.parameters(), *module.buffers()))
    ratios = {
        "activations in inference": (memory.inference - base) / needed.inference,
        "inference": memory.inference / (needed.inference + base),
        "activations and gradients": (memory.training - base) / needed.training,
        "training": memory.training / (needed.training + base),
    }
    print(f"\n{network.name:20} batch {batch}  " + "  ".join(f"{what} {ratio:.3f}" for what, ratio in ratios.items()))
    for what, ratio in ratios.items():
        if what != "activations in inference" or network.name not in NATIVE:
            assert abs(ratio - 1) <= TOLERANCE, f"{what}: {ratio:.3f} of what is measured"


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # asked for by the flags of oneDNN, whatever they are
@pytest.mark.parametrize(("network", "case", "batch"), cases())
def test_multiply_adds_are_half_of_what_torch_counts(network: Network, case: Case, batch: int) -> None:
    program, inputs, sizes = compiled(network, case, batch)
    module = build(program).eval()
    names = program.methods[program.main.methods_with(program.main.optional)["infer"]].input_names
    # The counter knows no kernels that do attention or an LSTM as one operator.
    plainly = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
    with plainly[0], plainly[1], FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*[inputs.get(name) for name in names])
    assert summarize(program, sizes=sizes).macs == counter.get_total_flops() // 2


@pytest.mark.parametrize("name", ["lenet", "resnet18"])
@pytest.mark.parametrize(
    "chosen",
    [optimizer("SGD"), optimizer("SGD", momentum=0.9), optimizer("Adam"), optimizer("Adam", amsgrad=True)],
    ids=str,
)
def test_a_step_of_training_is_what_is_measured(name: str, chosen: Optimizer) -> None:
    network = next(each for each in NETWORKS if each.name == name)
    program, inputs, sizes = compiled(network, network.cases[0], 4)
    module = build(program).train()
    made = getattr(torch.optim, type(chosen).__name__)(module.parameters(), **chosen.options("cpu"))
    image = next(iter(inputs.values()))
    with Held() as held:
        for _ in range(2):
            made.zero_grad()
            module(image).square().sum().backward()
            made.step()
    memory = memory_of(program, sizes, chosen)
    base = memory.weights + memory.inputs
    assert memory.training - base == pytest.approx(held.most, rel=TOLERANCE)


def test_every_network_is_looked_at() -> None:
    assert {network.path.name for network in NETWORKS} == {path.name for path in ZOO.glob("*.nns")}
