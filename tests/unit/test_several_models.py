"""Several models in one `train`: what is learned is what a loop learns that is written by hand, to the last bit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nnspec
from nnspec import ir, ir_json
from nnspec.backends.source import emit
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.elaborate.overrides import Written
from nnspec.training.build import dataset
from nnspec.training.feeding.feed import Fields
from nnspec.training.listener import Listener, Outline, Row, Step
from nnspec.training.processes.spread import Spread
from nnspec.training.running.assemble import Assembled, assemble, kinds_of, objective_of
from nnspec.training.running.fit import fit
from nnspec.training.running.meters import meters
from nnspec.training.running.run import Wanted, train
from nnspec.training.runs.resolved import resolved
from nnspec.types import TensorType
from nnspec.verify import verify

CPU = torch.device("cpu")

MODELS = """
block bce(target) {
  input logits: float[N, 1]
  output binary_cross_entropy_with_logits(logits, full_like(logits, target))
}
model Generator(latent=3, width=8) {
  input z: float[N, latent]
  output x = z -> Linear(width) -> BatchNorm1d -> ReLU -> Linear(2)
}
model Discriminator(width=8) {
  input x: float[N, 2]
  output logit = x -> Linear(width) -> LeakyReLU(0.2) -> Dropout(0.3) -> Linear(1)
}
model Encoder(latent=3) {
  input x: float[N, 2]
  output z = x -> Linear(latent) -> Tanh
}
"""

SETTINGS = """
  data       = NPZ("points.npz")
  split      = 0
  epochs     = 2
  batch_size = 12
  seed       = 5
"""


def spec(train: str, models: str = MODELS) -> str:
    head, _, body = textwrap.dedent(train).strip().partition("\n")
    return f"{models}\n{head}\n{SETTINGS}{body}\n"


def points(folder: Path) -> Path:
    """A folder with the data."""
    rng = np.random.default_rng(1)
    np.savez(folder / "points.npz", x=rng.normal(size=(40, 2)).astype("float32"))
    return folder


class Trained:
    """A spec that was trained: the models before and after, and every batch that they saw."""

    def __init__(self, text: str, folder: Path) -> None:
        points(folder)
        self.program = compile_text(text, train=True, base=folder).program
        training = self.program.training
        assert training is not None
        self.training: ir.Training = training
        self.batches: list[torch.Tensor] = []
        seed = training.settings["seed"]
        torch.manual_seed(seed)
        self.module: Any = build(self.program, self.program.entries[training.entry])
        torch.manual_seed(seed)
        self.before: Any = build(self.program, self.program.entries[training.entry])
        objective, measures = objective_of(self.program, training, self.module, Spread(self.module))
        plain = objective.loss
        seen: list[Fields] = []

        def watched(index: int, fields: Fields, clock: Any) -> Any:
            if not any(fields is each for each in seen):
                seen.append(fields)
                self.batches.append(fields["x"].clone())
            return plain(index, fields, clock)

        objective.loss = watched  # type: ignore[method-assign]
        loaded = dataset(training.data).load(folder)
        made: Assembled = assemble(
            training,
            objective,
            meters(training, measures, CPU),
            (loaded, None),
            CPU,
            Listener(),
            kinds=kinds_of(self.program, training),
        )
        self.rows: tuple[Row, ...] = fit(made, training, Listener()).rows

    def like(self, loop: Callable[[Any, Iterator[torch.Tensor]], None]) -> None:
        """Compare with what a loop makes of the models as they were, with the same batches and the same draws."""
        torch.manual_seed(self.training.settings["seed"])
        self.before.train()
        loop(self.before, iter(self.batches))
        wanted, found = self.before.state_dict(), self.module.state_dict()
        assert wanted.keys() == found.keys()
        for name, value in wanted.items():
            assert torch.equal(value, found[name]), name


def bce(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def backward(loss: torch.Tensor, *, retain: bool = False) -> None:
    torch.autograd.backward(loss, retain_graph=retain)


GAN = """
train (G = Generator(latent=4), D = Discriminator()) {
  fake = randn(N, 4) -> G
  update critic {
    params    = D
    loss      = bce(x -> D, target=1.0) + bce(detach(fake) -> D, target=0.0)
    optimizer = Adam(lr=2e-3, betas=(0.5, 0.999))
  }
  update generator {
    params         = G
    loss           = bce(fake -> D, target=1.0)
    optimizer      = Adam(lr=1e-3, betas=(0.5, 0.999))
    clip_grad_norm = 0.05
  }
}
"""


def gan_loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
    """As in PyTorch's tutorial on DCGAN."""
    G, D = models.G, models.D
    critic = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999), fused=True)
    generator = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
    for x in batches:
        fake = G(torch.randn(len(x), 4))
        critic.zero_grad()
        backward(bce(D(x), 1.0) + bce(D(fake.detach()), 0.0))
        critic.step()
        generator.zero_grad()
        backward(bce(D(fake), 1.0))
        nn.utils.clip_grad_norm_(G.parameters(), 0.05)
        generator.step()


def test_a_gan_learns_what_the_tutorials_loop_learns(tmp_path: Path) -> None:
    trained = Trained(spec(GAN), tmp_path)
    assert len(trained.batches) == 8
    trained.like(gan_loop)
    for row in trained.rows:
        assert set(row.train) == {"critic", "generator"}


def test_what_is_bound_in_an_update_is_worked_out_afresh(tmp_path: Path) -> None:
    text = """
    train (G = Generator(), D = Discriminator()) {
      update critic {
        params    = D
        fake      = randn(N, 3) -> G
        loss      = mean(detach(fake) -> D) - mean(x -> D)
        optimizer = RMSprop(lr=1e-3)
        clip_grad_value = 0.01
      }
      update generator {
        params    = G
        fake      = randn(N, 3) -> G
        loss      = -mean(fake -> D)
        optimizer = RMSprop(lr=2e-3)
        schedule  = StepLR(step_size=1, gamma=0.5)
        schedule_unit = "step"
        every     = 3
      }
    }
    """

    def loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
        G, D = models.G, models.D
        critic = torch.optim.RMSprop(D.parameters(), lr=1e-3)
        generator = torch.optim.RMSprop(G.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.StepLR(generator, step_size=1, gamma=0.5)
        for number, x in enumerate(batches, 1):
            critic.zero_grad()
            backward(D(G(torch.randn(len(x), 3)).detach()).mean() - D(x).mean())
            nn.utils.clip_grad_value_(D.parameters(), 0.01)
            critic.step()
            if number % 3 == 0:
                generator.zero_grad()
                backward(-D(G(torch.randn(len(x), 3))).mean())
                generator.step()
                schedule.step()

    trained = Trained(spec(text), tmp_path)
    trained.like(loop)
    assert trained.training.updates[1].every == 3


def test_three_models_of_which_two_are_trained_together(tmp_path: Path) -> None:
    text = """
    train (E = Encoder(), G = Generator(), D = Discriminator(width=4)) {
      recon = x -> E -> G
      beta  = 0.1
      update critic {
        params    = D
        loss      = bce(x -> D, target=1.0) + bce(detach(recon) -> D, target=0.0)
        optimizer = SGD(lr=0.1)
      }
      update coder {
        params    = (E, G)
        params "*.bias" { lr = 0.01 }
        loss      = mse_loss(recon, x) + beta * bce(recon -> D, target=1.0)
        optimizer = SGD(lr=0.1, momentum=0.9)
      }
    }
    """

    def loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
        E, G, D = models.E, models.G, models.D
        named = [*E.named_parameters(), *G.named_parameters()]
        weights = [p for name, p in named if not name.endswith("bias")]
        biases = [p for name, p in named if name.endswith("bias")]
        critic = torch.optim.SGD(D.parameters(), lr=0.1)
        groups: list[dict[str, Any]] = [{"params": weights}, {"params": biases, "lr": 0.01}]
        coder = torch.optim.SGD(groups, lr=0.1, momentum=0.9, fused=True)  # as we do: its sums round otherwise
        for x in batches:
            recon = G(E(x))
            critic.zero_grad()
            backward(bce(D(x), 1.0) + bce(D(recon.detach()), 0.0))
            critic.step()
            coder.zero_grad()
            backward(F.mse_loss(recon, x) + 0.1 * bce(D(recon), 1.0))
            coder.step()

    Trained(spec(text), tmp_path).like(loop)


def test_two_updates_may_go_back_through_one_binding(tmp_path: Path) -> None:
    text = """
    train (A = Encoder(latent=2), B = Encoder(latent=2)) {
      both = (x -> A) * (x -> B)
      update first  { params = A  loss = mse_loss(both, x)         optimizer = SGD(lr=0.2) }
      update second { params = B  loss = mean(both * both)  optimizer = SGD(lr=0.1) }
    }
    """

    def loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
        A, B = models.A, models.B
        first, second = torch.optim.SGD(A.parameters(), lr=0.2), torch.optim.SGD(B.parameters(), lr=0.1)
        for x in batches:
            both = A(x) * B(x)
            models.zero_grad()
            backward(F.mse_loss(both, x), retain=True)
            first.step()
            models.zero_grad()
            backward((both * both).mean())
            second.step()

    Trained(spec(text.replace("  loss", "\n loss").replace("  optimizer", "\n optimizer")), tmp_path).like(loop)


def test_several_batches_make_a_step_of_each_update(tmp_path: Path) -> None:
    text = GAN.replace("fake =", "accumulate = 2\n  fake =").replace("    clip_grad_norm = 0.05\n", "")

    def loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
        G, D = models.G, models.D
        critic = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999), fused=True)
        generator = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
        for number, x in enumerate(batches):
            # 40 samples: batches of 12, 12, 12 and 4, of which two make a step.
            share = (0.5, 0.5, 0.75, 0.25)[number % 4]
            fake = G(torch.randn(len(x), 4))
            if number % 2 == 0:
                critic.zero_grad()
            loss = bce(D(x), 1.0) + bce(D(fake.detach()), 0.0)
            torch.autograd.backward(loss * share, inputs=list(D.parameters()))
            if number % 2:
                critic.step()
            if number % 2 == 0:
                generator.zero_grad()
            torch.autograd.backward(bce(D(fake), 1.0) * share, inputs=list(G.parameters()))
            if number % 2:
                generator.step()

    Trained(spec(text.replace("    clip_grad_norm = 0.05\n", "")), tmp_path).like(loop)


def test_one_model_may_be_updated_in_several_ways(tmp_path: Path) -> None:
    models = """
    model Coder {
      input x: float[N, 2]
      output z = x -> "encoder": Linear(3)
      output y = tanh(z) -> "decoder": Linear(2)
    }
    """
    text = """
    train Coder {
      update forth {
        params    = decoder
        loss      = mse_loss(y, x)
        optimizer = SGD(lr=0.1)
      }
      update back {
        params    = "encoder.*"
        small     = mean(z * z)
        loss      = small + mse_loss(y, x)
        optimizer = SGD(lr=0.2)
      }
    }
    """

    def loop(model: Any, batches: Iterator[torch.Tensor]) -> None:
        forth = torch.optim.SGD(model.decoder.parameters(), lr=0.1)
        back = torch.optim.SGD(model.encoder.parameters(), lr=0.2)
        for x in batches:
            _, y = model(x)
            model.zero_grad()
            backward(F.mse_loss(y, x))
            forth.step()
            z, y = model(x)
            model.zero_grad()
            backward((z * z).mean() + F.mse_loss(y, x))
            back.step()

    trained = Trained(spec(text, models), tmp_path)
    trained.like(loop)
    assert verify(trained.program) == []


def test_a_loss_may_follow_the_clock(tmp_path: Path) -> None:
    text = """
    train (E = Encoder(latent=2)) {
      weight = min(1.0, step / 4)
      update only {
        params    = E
        loss      = weight * mse_loss(x -> E, x) + 0.01 * epoch * mean(x -> E)
        optimizer = SGD(lr=0.5)
      }
    }
    """

    def loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
        optimizer = torch.optim.SGD(models.E.parameters(), lr=0.5)
        for number, x in enumerate(batches):
            step, epoch = torch.tensor(float(number)), torch.tensor(float(number // 4))
            optimizer.zero_grad()
            loss = torch.clamp(step / 4, max=1.0) * F.mse_loss(models.E(x), x) + 0.01 * epoch * models.E(x).mean()
            backward(loss)
            optimizer.step()

    Trained(spec(text), tmp_path).like(loop)


def test_an_optimizer_that_searches_works_bindings_out_again(tmp_path: Path) -> None:
    text = """
    train (E = Encoder(latent=2), F = Encoder(latent=2)) {
      z = x -> E
      update first {
        params    = E
        loss      = mse_loss(z, x)
        optimizer = LBFGS(lr=0.5, max_iter=3)
      }
      update second {
        params    = F
        loss      = mse_loss(detach(z) -> F, x)
        optimizer = SGD(lr=0.1)
      }
    }
    """

    def loop(models: Any, batches: Iterator[torch.Tensor]) -> None:
        first = torch.optim.LBFGS(models.E.parameters(), lr=0.5, max_iter=3)
        second = torch.optim.SGD(models.F.parameters(), lr=0.1)
        for x in batches:
            looks: list[torch.Tensor] = []

            def look(x: torch.Tensor = x, looks: list[torch.Tensor] = looks) -> Any:
                first.zero_grad()
                looks.append(models.E(x))
                loss = F.mse_loss(looks[-1], x)
                backward(loss)
                return loss

            first.step(look)  # type: ignore[no-untyped-call]
            second.zero_grad()
            backward(F.mse_loss(models.F(looks[-1].detach()), x))
            second.step()

    Trained(spec(text), tmp_path).like(loop)


# --- what is written -------------------------------------------------------------------------------------------------


def compiled(text: str, folder: Path) -> ir.Program:
    np.savez(folder / "points.npz", x=np.zeros((8, 2), "float32"))
    return compile_text(text, train=True, base=folder).program


def test_what_is_emitted_is_a_class_with_the_models_and_a_method_for_each_loss(tmp_path: Path) -> None:
    program = compiled(spec(GAN), tmp_path)
    text = emit(program)
    source = text[text.index("class G_D") :]
    assert "self.G = Generator()" in source
    assert "def forward(self, x):  # [batch, 2]" in source
    assert "fake = self.G(torch.randn(batch, 4, device=x.device))" in source
    assert "def loss_critic(self, fake, x):" in source
    assert "self.D(fake.detach())" in source
    assert "def loss_generator(self, fake):" in source


def test_stored_as_json_it_is_the_same_and_in_order(tmp_path: Path) -> None:
    metrics = "metrics = (spread=mean(abs(fake)), fooled=mean(sigmoid(fake -> D)))\n  fake ="
    program = compiled(spec(GAN.replace("fake =", metrics, 1)), tmp_path)
    assert verify(program) == []
    assert ir_json.loads(ir_json.dumps(program)) == program


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda u: (replace(u[0], name="generator"), u[1]), "has a name of its own"),
        (lambda u: (replace(u[0], params=("E.*",)), u[1]), "matches no parameter"),
        (lambda u: (replace(u[0], every=0), u[1]), "every"),
        (lambda u: (replace(u[0], settings={"epochs": 3}), u[1]), "of its own"),
        (lambda u: (replace(u[0], loss=without_method(u[0].loss)), u[1]), "a call of a block has a method"),
    ],
)
def test_a_stored_program_with_faulty_updates_is_refused(change: Any, problem: str, tmp_path: Path) -> None:
    program = compiled(spec(GAN), tmp_path)
    assert program.training is not None
    changed = replace(program, training=replace(program.training, updates=change(program.training.updates)))
    assert any(problem in each for each in verify(changed)), verify(changed)


def without_method(graph: ir.Graph) -> ir.Graph:
    return replace(graph, nodes=tuple(replace(n, method=None) if isinstance(n, ir.Call) else n for n in graph.nodes))


def test_the_models_are_entries_of_their_own(tmp_path: Path) -> None:
    program = compiled(spec(GAN), tmp_path)
    assert [entry.name for entry in program.entries] == ["G_D", "G", "D"]
    members = {m.name: m.module for m in program.modules[program.main.module].members}
    assert [entry.module for entry in program.entries[1:]] == [members["G"], members["D"]]
    assert program.training is not None
    assert program.training.models == ("G", "D")


def test_hyperparameters_and_settings_of_updates_are_set_from_outside(tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", x=np.zeros((8, 2), "float32"))
    outside = {"G.width": 5, "train.critic.optimizer.lr": "0.5", "train.generator.every": "3"}
    program = compile_text(spec(GAN), train=True, base=tmp_path, overrides=outside).program
    assert program.member(program.main.module, "G.linear.weight").type == TensorType("float32", (5, 4))
    assert program.training is not None
    critic, generator = program.training.updates
    assert critic.optimizer.arguments["lr"] == 0.5
    assert generator.every == 3


def test_the_resolved_spec_is_the_same_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", x=np.zeros((8, 2), "float32"))
    outside = {"G.width": Written("5"), "train.critic.optimizer.lr": Written("0.5")}
    program = compile_text(spec(GAN), train=True, base=tmp_path, overrides=outside).program
    again = compile_text(resolved(program), train=True, base=tmp_path).program
    assert program.training is not None
    assert again.training is not None
    assert again.training.settings == program.training.settings
    assert [u.optimizer.arguments.get("lr") for u in again.training.updates] == [0.5, None]
    assert again.member(again.main.module, "G.linear.weight").type == TensorType("float32", (5, 4))


# --- running ---------------------------------------------------------------------------------------------------------


class Stop(Listener):
    """Asks the run to stop after some steps."""

    every_step = True

    def __init__(self, after: int) -> None:
        self.after = after

    def start(self, outline: Outline) -> None:
        self.ask = outline.stop

    def step(self, step: Step) -> None:
        if step.step == self.after:
            self.ask()


def test_a_run_that_was_stopped_goes_on_to_the_very_same_weights(tmp_path: Path) -> None:
    points(tmp_path)
    found = compile_text(spec(GAN), train=True, base=tmp_path)
    whole, _ = train(found.program, found.sources, Wanted(tmp_path, root=tmp_path / "whole"))
    stopped, half = train(found.program, found.sources, Wanted(tmp_path, root=tmp_path / "runs", listener=Stop(3)))
    assert half.status == "interrupted"
    resumed, _ = train(found.program, found.sources, Wanted(tmp_path, root=tmp_path / "runs", resume="auto"))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert any(not torch.equal(value, stopped.state_dict()[name]) for name, value in whole.state_dict().items())


def test_metrics_that_call_a_model_are_for_validation(tmp_path: Path) -> None:
    metrics = "metrics = (fooled=mean(sigmoid(fake -> D)))\n  fake ="
    text = spec(GAN.replace("fake =", metrics, 1)).replace("split      = 0", "split = 0.25")
    points(tmp_path)
    found = compile_text(text, train=True, base=tmp_path)
    _, result = train(found.program, found.sources, Wanted(tmp_path))
    for row in result.rows:
        assert set(row.train) == {"critic", "generator"}
        assert set(row.validation) == {"critic", "generator", "fooled"}
        assert 0 < row.validation["fooled"] < 1


def test_a_model_that_differs_in_training_is_validated_as_in_inference(tmp_path: Path) -> None:
    models = """
    model Net {
      input x: float[N, 2]
      y = x -> Linear(2)
      if training { y = y + 100.0 }
      output y
    }
    """
    text = """
    train (A = Net()) {
      split = 0.5
      y = x -> A
      update only {
        params    = A
        loss      = mean(y) + mean(x -> A)
        optimizer = SGD(lr=1e-4)
      }
      metrics = (seen=mean(y))
    }
    """
    points(tmp_path)
    found = compile_text(spec(text, models).replace("  split      = 0\n", ""), train=True, base=tmp_path)
    assert verify(found.program) == []
    _, result = train(found.program, found.sources, Wanted(tmp_path))
    row = result.rows[0]
    assert row.train["only"] > 190
    assert abs(row.validation["only"]) < 10
    assert row.train["seen"] > 90
    assert abs(row.validation["seen"]) < 5


def test_one_of_the_models_is_taken_out_of_a_run(tmp_path: Path) -> None:
    found = compile_text(spec(GAN), train=True, base=points(tmp_path))
    whole, result = train(found.program, found.sources, Wanted(tmp_path, root=tmp_path / "runs"))
    assert result.directory is not None
    model: Any = nnspec.load(result.directory, model="G")
    noise = torch.randn(3, 4)
    models: Any = whole.eval()
    assert torch.equal(model(noise), models.G(noise))
    with pytest.raises(nnspec.NnspecError, match="no model `E`"):
        nnspec.load(result.directory, model="E")


def test_the_example_comes_to_draw_what_its_data_draws() -> None:
    path = Path(__file__).parents[2] / "examples" / "gan.nns"
    found = compile_text(path.read_text(encoding="utf-8"), path.name, train=True)
    _, result = train(found.program, found.sources, Wanted(path.parent))
    distances = [row.validation["distance"] for row in result.rows]
    assert distances[0] > 0.4
    assert distances[-1] < 0.15
