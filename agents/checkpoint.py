"""Learned policies on disk: weights as safetensors, everything else as JSON beside them. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from agents.networks import NETWORKS
from dtenv.scenario import AssociationScenario

SHIPPED = Path(__file__).parent / "checkpoints"


class NetworkPolicy:
    """The greedy policy of a network."""

    overrides: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, name: str, network: torch.nn.Module):
        self.name = name
        self.network = network

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget, and nothing random."""

    @torch.no_grad()
    def act(self, obs: np.ndarray) -> np.ndarray:
        """Most likely servers, (U,) or (B, U)."""
        batch = torch.as_tensor(np.atleast_2d(obs), dtype=torch.float32)
        action = self.network(batch, greedy=True).action.numpy()
        return action.reshape(*np.shape(obs)[:-1], -1)


def save_policy(path: Path, network: torch.nn.Module, about: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors) and, beside it, a .json with the network's kind and what it is about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), path)
    kinds = {kind: name for name, kind in NETWORKS.items()}
    text = json.dumps({"network": kinds[type(network)], **about}, indent=1, default=str)
    path.with_suffix(".json").write_text(text + "\n")


def load_policy(name: str, env_id: str, scenario: AssociationScenario, checkpoint: str | Path | None) -> NetworkPolicy:
    """The policy saved in `checkpoint`, or else the one shipped for this learner, environment and preset.

    Raises:
        ValueError: nothing is shipped for them, or the weights do not fit the scenario.
    """
    shipped = SHIPPED / f"{name}-{env_id}-{scenario.name}.safetensors"
    path = Path(checkpoint) if checkpoint is not None else shipped
    if checkpoint is None and not path.exists():
        have = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.safetensors"))) or "none"
        raise ValueError(f"scenario {scenario.name!r} has no shipped checkpoint of {name!r}; shipped: {have}")
    if not path.exists():
        raise FileNotFoundError(f"checkpoint {str(path)!r} does not exist")
    about = json.loads(path.with_suffix(".json").read_text())
    network = NETWORKS[about["network"]](scenario)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        size = f"num_users={scenario.network.num_users}, num_servers={scenario.network.num_servers}"
        raise ValueError(f"checkpoint {str(path)!r} does not fit {size}: {error}") from None
    return NetworkPolicy(name, network.eval())
