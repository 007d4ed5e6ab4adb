"""Codes 6xx of several updates in one `train` section, and of the several models that they are about."""

from __future__ import annotations

from nnspec.codes import Code

_MODELS = """
model Generator {
  input z: float[N, 4]
  output x = z -> Linear(8) -> ReLU -> Linear(2)
}
model Critic {
  input x: float[N, 2]
  output score = x -> Linear(8) -> ReLU -> Linear(1)
}
"""


def _spec(critic: str = "D", loss: str = "mean(detach(fake) -> D)", generator: str = "G", head: str = "") -> str:
    """A spec of two models that are trained against each other."""
    return f"""{_MODELS}
train ({head or "G = Generator(), D = Critic()"}) {{
  data = Moons()
  fake = randn(N, 4) -> G
  update critic {{
    params    = {critic}
    loss      = {loss} - mean(features -> D)
    optimizer = Adam(lr=1e-3)
  }}
  update generator {{
    params    = {generator}
    loss      = -mean(fake -> D)
    optimizer = Adam(lr=1e-3)
  }}
}}
"""


_LATE = """
train (G = Generator(), D = Critic()) {
  data = Moons()
  fake = randn(N, 4) -> G
  update generator {
    params    = G
    loss      = -mean(fake -> D)
    optimizer = Adam(lr=1e-3)
  }
  update again {
    params    = G
    loss      = mean(fake * fake)
    optimizer = Adam(lr=1e-4)
  }
  update critic {
    params    = D
    loss      = mean(detach(fake) -> D) - mean(features -> D)
    optimizer = Adam(lr=1e-3)
  }
}
"""

_AFRESH = _LATE.replace(
    "loss      = mean(fake * fake)", "again     = randn(N, 4) -> G\n    loss      = mean(again * again)"
)

CODES = (
    Code(
        "NNS616",
        "a section of several models or updates that is put together wrongly",
        """
        `train (G = Generator(), D = Critic()) { ... }` gives each model a name, and trains them by updates in turn:
        `update NAME { params = ... loss = ... optimizer = ... }`. What belongs to one of them (its loss, its optimizer,
        its `params PATTERN`) stands in it, and not around it. The section itself owns no layers: they are parts of a
        model.
        """,
        _spec(head="Generator(), D = Critic()"),
        _spec(),
    ),
    Code(
        "NNS617",
        "parameters of an update that it cannot train",
        """
        `params` says whose parameters an update trains: models (`D`, `(E, G)`), what is in one (`G.head`), or patterns
        of names (`"G.*.bias"`). Each must mean a parameter, and the loss must depend on some of them: what stands in
        `detach(...)` does not count.
        """,
        _spec("H"),
        _spec("D"),
    ),
    Code(
        "NNS618",
        "a gradient through weights that have changed",
        """
        What a section binds is worked out once a batch, and its updates share it. The first update changes weights; a
        later one whose gradient passes through the model of these weights would mix old values and new ones, which
        torch refuses. Bind it in the update itself: there it is worked out afresh.
        """,
        f"{_MODELS}{_LATE}",
        f"{_MODELS}{_AFRESH}",
    ),
    Code(
        "NNS635",
        "a model that no update trains",
        """
        Several models are in the head of `train`, and no update says that it trains this one: it keeps the weights
        that it starts from. If that is meant, let an update name it and say so: `params = (D, F)` and
        `params "F.*" { freeze = true }`. This is a warning.
        """,
        _spec(generator="D"),
        _spec(),
    ),
)
