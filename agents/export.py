"""Export of a policy to ONNX, to run without torch: observations (batch, size) to greedy actions (batch, …).

    python -m agents.export runs/ppo.safetensors --out policy.onnx

The batch size is free; the numbers of users and servers are those of training, unless a network that takes the blocks
of an observation by name leaves them free (`write`). A network that decides users one after another is unrolled into
one step per user, and its export takes accordingly longer.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import tyro
from torch import Tensor, nn

from agents.networks.placement import SequentialMarket
from agents.training.checkpoint import NetworkPolicy, load_policy
from agents.training.files import sibling
from dtenv import presets
from dtenv.scenario import Scenario
from dtenv.tasks.registry import task_of


@dataclass
class Export:
    """Settings of an export."""

    checkpoint: tyro.conf.Positional[Path]
    """policy to export (.safetensors, with its .json in the same folder)"""
    out: Path = Path("policy.onnx")
    """file to write"""


class Greedy(nn.Module):
    """The greedy action of a network."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, obs: Tensor) -> Tensor:
        """Actions (B, …) for observations (B, size)."""
        return self.network(obs, greedy=True).action


class GreedyBlocks(Greedy):
    """The greedy action of a network for the blocks of DTAssociation-v0, so that the number of servers may vary."""

    def forward(self, users: Tensor, servers: Tensor, links: Tensor) -> Tensor:  # type: ignore[override]
        """Actions (B, U) for blocks (B, U, …), (B, S, …), (B, U, S, …)."""
        return self.network({"users": users, "servers": servers, "links": links}, greedy=True).action


def export(policy: NetworkPolicy, observations: Tensor, path: Path) -> None:
    """Write a policy's greedy actions as an ONNX graph from "obs" to "action".

    Args:
        policy: the policy whose network is exported.
        observations: at least two observations (B, …), for their shape.
        path: file to write.

    Raises:
        ImportError: ONNX is not installed.
        ValueError: the network's decisions are not a fixed graph.
    """
    check(policy.network)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(Greedy(policy.network), {"obs": observations}, path)


def check(network: nn.Module) -> None:
    """Raise ValueError if a network's decisions are not a fixed graph."""
    if isinstance(network, SequentialMarket):
        raise ValueError("network Exchange cannot be exported: it solves a market again for rows whose hosts change")


def write(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    path: Path,
    free: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
) -> None:
    """Write a module as an ONNX graph with the output "action".

    Args:
        module: takes its inputs by position and returns actions.
        inputs: an example of each input by name, in order, at least two rows (B, …).
        path: file to write.
        free: names of the axes after the first whose size is free, per input; axes of the same name have the same size.

    Raises:
        ImportError: ONNX is not installed.
    """
    try:
        import onnxscript  # noqa: F401 (torch.onnx needs it, with a less clear message)
    except ImportError:
        raise ImportError('agents.export needs ONNX: pip install "dtenv[export]"') from None
    sizes = {name: torch.export.Dim(name) for name in ["batch", *{n for axes in free.values() for n in axes.values()}]}
    shapes = [{0: sizes["batch"], **{a: sizes[n] for a, n in free.get(name, {}).items()}} for name in inputs]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own deprecations
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=["action"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def scenario_of(about: dict[str, Any]) -> Scenario:
    """The scenario in a checkpoint's .json, with synthetic walks in place of a recording."""
    fields = {name: value for name, value in about["scenario"].items() if name not in ("name", "recording")}
    if about["scenario"]["recording"] is not None:
        del fields["walk"]
    return presets.resolve(None, about["env_id"], **fields)


def main(args: Export) -> None:
    """Export a checkpoint and print a summary; raises ValueError for one of a Stable-Baselines3 learner."""
    about = json.loads(sibling(args.checkpoint, ".json").read_text())
    if about["name"] == "sb3":
        raise ValueError(f"{str(args.checkpoint)!r} is a policy of Stable-Baselines3, which has an export of its own")
    scenario = scenario_of(about)
    policy = load_policy(about["name"], about["env_id"], scenario, args.checkpoint)
    size = task_of(scenario.override(**policy.overrides)).layout.size
    export(policy, torch.zeros(2, size), args.out)
    print(f"{args.out}: obs (batch, {size}) -> action, {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(tyro.cli(Export))
