"""Saved policies: weights as safetensors, everything else as JSON in the same folder. No pickle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import dtenv
from agents.networks import build
from agents.shipped import CHECKPOINTS
from agents.training.files import sibling, write_durably
from agents.training.run import MAY_CHANGE, RunArgs
from dtenv.scenario import Scenario

NONE: Mapping[str, Any] = MappingProxyType({})


class NetworkPolicy:
    """Greedy policy of a network, which gives a Decision for (obs, greedy=True); `name` is the learner's.

    `overrides` are the scenario fields that the environment needs for its actions, such as {"action": "price"}.
    """

    def __init__(self, name: str, network: nn.Module, overrides: Mapping[str, Any] = NONE):
        self.name, self.network, self.overrides = name, network, overrides

    def reset(self, seed: int | None = None) -> None:
        """Do nothing: the policy has no memory and no randomness."""

    @torch.no_grad()
    def act(self, obs: np.ndarray) -> np.ndarray:
        """The network's best action for an observation (size,), or actions (B, …) for a batch (B, size)."""
        single = np.ndim(obs) == 1
        batch = torch.as_tensor(np.atleast_2d(obs), dtype=torch.float32)
        action = self.network(batch, greedy=True).action.numpy()
        return action[0] if single else action


def save_policy(path: Path, policy: NetworkPolicy, args: Any, scenario: Scenario, **options: Any) -> None:
    """Write the weights to `path` (.safetensors), and a .json of the same name that describes the network.

    Args:
        path: file of the weights.
        policy: the policy to save.
        args: settings of its training, env_id and network among them.
        scenario: the scenario it was trained on.
        **options: further arguments with which the network is built.
    """
    write_durably(path, lambda partial: save_file(policy.network.state_dict(), partial))
    about = {
        "name": policy.name,
        "env_id": args.env_id,
        "network": args.network,
        "options": options,
        "overrides": dict(policy.overrides),
        "args": {name: value for name, value in dataclasses.asdict(args).items() if name not in MAY_CHANGE},
        "scenario": scenario.as_dict(),
        "dtenv": dtenv.__version__,
    }
    text = json.dumps(about, indent=1, default=str) + "\n"
    write_durably(sibling(path, ".json"), lambda partial: partial.write_text(text))


def finish(
    args: RunArgs, network: nn.Module, scenario: Scenario, overrides: Mapping[str, Any] = NONE, **options: Any
) -> NetworkPolicy:
    """Return the greedy policy of a trained network, saved to `args.save` if that is given; see `save_policy`."""
    policy = NetworkPolicy(args.learner, network.eval(), overrides)
    if args.save is not None:
        save_policy(args.save, policy, args, scenario, **options)
    return policy


def load_policy(name: str, env_id: str, scenario: Scenario, checkpoint: str | Path | None) -> NetworkPolicy:
    """Load the policy saved in `checkpoint`, by default the one shipped for this learner, environment and preset.

    Raises:
        ValueError: none is shipped, or the weights are for another environment or do not fit the scenario.
        FileNotFoundError: the file does not exist.
    """
    shipped = CHECKPOINTS / f"{name}-{env_id}-{scenario.name}.safetensors"
    path = Path(checkpoint) if checkpoint is not None else shipped
    if checkpoint is None and not path.exists():
        have = ", ".join(sorted(p.stem for p in CHECKPOINTS.glob("*.safetensors"))) or "none"
        raise ValueError(f"scenario {scenario.name!r} has no shipped checkpoint of {name!r}; shipped: {have}")
    about = read_about(path, env_id)
    overrides = about["overrides"]
    network = build(env_id, about["network"], scenario.override(**overrides), **about["options"])
    load_weights(network, path, scenario)
    return NetworkPolicy(name, network.eval(), overrides)


def read_about(path: Path, env_id: str) -> dict[str, Any]:
    """Return the JSON description saved with the weights at `path`.

    Raises:
        ValueError: the weights are for another environment.
        FileNotFoundError: the file does not exist.
    """
    if not path.exists():
        raise FileNotFoundError(f"checkpoint {str(path)!r} does not exist")
    about = json.loads(sibling(path, ".json").read_text())
    if about["env_id"] != env_id:
        raise ValueError(f"checkpoint {str(path)!r} is for {about['env_id']}, not for {env_id}")
    return about


def load_weights(network: nn.Module, path: Path, scenario: Scenario) -> None:
    """Load the weights at `path` into a network built for the scenario; raises ValueError if they do not fit."""
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        size = ", ".join(f"{field}={scenario.value(field)}" for field in ("num_users", scenario.SITES))
        raise ValueError(f"checkpoint {str(path)!r} does not fit {size}: {error}") from None
