"""A learned policy as ONNX, to be run without torch: observations (batch, size) in, greedy actions (batch, …) out.

    python -m agents.export runs/ppo.safetensors --out policy.onnx

The number of observations is free; users and servers are those that the policy was trained with. A network that decides
users one after another unrolls, a step a user, and takes as much longer.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor, nn

from agents.checkpoint import NetworkPolicy, load_policy
from agents.networks.placement import Exchange
from agents.policy import TASKS
from dtenv import presets
from dtenv.scenario import Scenario


@dataclass
class Export:
    """Settings of an export."""

    checkpoint: tyro.conf.Positional[Path]
    """policy to export (.safetensors, with its .json beside it)"""
    out: Path = Path("policy.onnx")
    """file to write"""


class Greedy(nn.Module):
    """A network's best action alone."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, obs: Tensor) -> Tensor:
        """Actions (B, …) for observations (B, size)."""
        return self.network(obs, greedy=True).action


def export(policy: NetworkPolicy, observations: Tensor, path: Path) -> None:
    """Write a policy's greedy actions as an ONNX graph from "obs" to "action".

    Args:
        policy: whose network is exported.
        observations: at least two of any kind (B, …), for their shape.
        path: file to write.

    Raises:
        ImportError: ONNX is not installed.
        ValueError: the network's decisions are no fixed graph.
    """
    if isinstance(policy.network, Exchange):
        raise ValueError(
            "network Exchange cannot be exported: it solves a market again for the rows whose hosts change"
        )
    try:
        import onnxscript  # noqa: F401 (torch.onnx needs it, and says so less plainly)
    except ImportError:
        raise ImportError('agents.export needs ONNX: pip install "dtenv[export]"') from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own deprecations
        torch.onnx.export(
            Greedy(policy.network).eval(),
            (observations,),
            path,
            input_names=["obs"],
            output_names=["action"],
            dynamic_shapes={"obs": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def scenario_of(about: dict[str, Any]) -> Scenario:
    """The scenario that a checkpoint's .json tells of, with synthetic walks in place of a recording."""
    fields = {name: value for name, value in about["scenario"].items() if name not in ("name", "recording")}
    if about["scenario"]["recording"] is not None:
        del fields["walk"]
    return presets.resolve(None, about["env_id"], **fields)


def main(args: Export) -> None:
    """Export a checkpoint, and say what was written.

    Raises:
        ValueError: the checkpoint is of a Stable-Baselines3 learner.
    """
    about = json.loads(args.checkpoint.with_suffix(".json").read_text())
    if about["name"] == "sb3":
        raise ValueError(f"{str(args.checkpoint)!r} is a policy of Stable-Baselines3, which has an export of its own")
    scenario = scenario_of(about)
    policy = load_policy(about["name"], about["env_id"], scenario, args.checkpoint)
    size = TASKS[type(scenario)][0](scenario.override(**policy.overrides)).layout.size
    export(policy, torch.zeros(2, size), args.out)
    print(f"{args.out}: obs (batch, {size}) -> action, {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(tyro.cli(Export))
