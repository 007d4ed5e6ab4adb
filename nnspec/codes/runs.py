"""Codes of phase 6, training: runs that are used afterwards."""

from __future__ import annotations

from nnspec.codes import Code

_SPEC = """
model Net {
  input features: float[N, 4]
  output scores = features -> Linear(3)
}

train {
  data      = Iris(standardize=true)
  loss      = cross_entropy(scores, label)
  optimizer = SGD(lr=0.1)
}
"""

CODES = (
    Code(
        "NNS628",
        "a run cannot be continued",
        """
        `nnspec run --resume` goes on with a run that was stopped or killed: `auto` with the newest one of the model's
        name that is not finished (and begins a new one if there is none), `last` and `best` with that checkpoint of the
        newest run, anything else is the path of a run's directory or of a checkpoint in it. What it names is not
        there, or is damaged: then an earlier checkpoint of the run can be named.
        """,
        _SPEC,
        _SPEC,
        "run",
    ),
    Code(
        "NNS629",
        "the spec is not the one of the run",
        """
        A run is continued as the spec of its directory says, to the bit; with another network, other data or other
        settings it would be another run. The message shows what differs. `--accept-changes` goes on all the same (to
        train longer, with a smaller learning rate, ...), as long as the weights fit.
        """,
        _SPEC,
        _SPEC,
        "run",
    ),
    Code(
        "NNS650",
        "a process of the run died",
        """
        A run of several processes ends when one of them does. What a process has to say of its end is shown; this one
        was ended from outside, most often by the system, for want of memory. Checkpoints are as they were: `--resume`
        goes on from the last one.
        """,
        _SPEC,
        _SPEC,
        "run",
    ),
    Code(
        "NNS640",
        "a run cannot be used",
        """
        `nnspec predict`, `evaluate`, `compile` and `load` take the directory of a run, such as `runs/Net-1`, one of the
        checkpoints in it, or its name. What they name is not there or is no run, or files that they need are missing or
        damaged: a run that was killed before its first checkpoint has no weights.
        """,
        _SPEC,
        _SPEC,
        "run",
    ),
    Code(
        "NNS641",
        "the input does not suit the run",
        """
        `nnspec predict` reads new samples in the way in which the run read those that it was trained on: a table needs
        the columns of its features, an array the shape of a sample. A file of another kind, or of other columns, cannot
        be made sense of.
        """,
        _SPEC,
        _SPEC,
        "run",
    ),
    Code(
        "NNS642",
        "a logger cannot be used",
        """
        `--log` takes the name of a logger: tensorboard, wandb or mlflow. Such a service may need more before a run
        begins: an account, a server that answers, a setting in an environment variable. Its own words say what.
        """,
        _SPEC,
        _SPEC,
        "run",
    ),
)
