"""All networks of the zoo, family by family."""

from __future__ import annotations

from . import language, others, vision
from .network import Network

NETWORKS: tuple[Network, ...] = (*vision.NETWORKS, *language.NETWORKS, *others.NETWORKS)
