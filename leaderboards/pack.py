"""Export a trained policy as a submission: its greedy actions as policy.onnx, with a manifest.

Checkpoints of this repository, including those of agents.sb3:

    python -m leaderboards pack runs/ppo.safetensors --track migration-balanced --name my-ppo --authors "A. Turing" \\
        --code https://github.com/me/agent --licence MIT --out leaderboards/submissions/my-ppo

A Stable-Baselines3 model, or any torch module that maps observations (batch, size) to actions (batch, …), such as
CleanRL's agents:

    from leaderboards.pack import pack, sb3

    pack(sb3(PPO.load("model.zip")), "leaderboards/submissions/my-ppo", "migration-balanced", algorithm="PPO", …)

    class Greedy(torch.nn.Module):
        def __init__(self, agent):
            super().__init__()
            self.actor = agent.actor

        def forward(self, obs):
            return self.actor(obs).argmax(-1)

    pack(Greedy(agent), "leaderboards/submissions/my-agent", "migration-balanced", algorithm="PPO (CleanRL)", …)

A module whose forward names blocks of the observation (such as users, servers, links) instead of "obs" receives those.
The track association-topology, whose observations have several sizes, requires it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import Tensor, nn

import dtenv
from agents import export
from agents.networks.association import Equivariant
from agents.training.checkpoint import NetworkPolicy, load_policy
from agents.training.files import sibling
from benchmarks.evaluate import TUNING_SEEDS
from dtenv.wrappers import Relaxation
from leaderboards import policy_io as interface
from leaderboards import tracks
from leaderboards.submission import MANIFEST, POLICY, read
from leaderboards.track_spec import Spec, spec_of
from leaderboards.tracks import Track

SLOTS = 10
"""Number of observations per scenario on which ONNX Runtime is compared with torch."""

TOLERANCE = 1e-5
"""Allowed difference between continuous actions of ONNX Runtime and torch, which sum in different orders."""


@dataclass
class Pack:
    """Settings of a submission."""

    checkpoint: tyro.conf.Positional[Path]
    """policy (.safetensors, with its .json in the same folder)"""
    track: str
    """track to submit to"""
    name: str
    """name of the entry: a-z, 0-9 and -"""
    authors: list[str]
    """names of the authors"""
    code: str
    """https address of the training code"""
    licence: str
    """SPDX id, such as MIT"""
    out: Path
    """folder of the submission, named like the entry"""
    algorithm: str | None = None
    """name of the algorithm in the tables; by default the learner's name"""
    description: str = ""
    """description of the policy, one paragraph"""
    training_seeds: list[int] | None = None
    """training seeds; by default the checkpoint's"""
    env_steps: int | None = None
    """number of environment steps of the training; by default the checkpoint's"""
    hardware: str = "not stated"
    """hardware of the training"""
    differing: float = 0.0
    """allowed share of choices that differ between ONNX Runtime and torch: a policy that is nearly indifferent between
    two choices decides by rounding"""


def pack(
    policy: nn.Module | NetworkPolicy,
    folder: str | Path,
    track: str | Track,
    *,
    name: str,
    authors: Sequence[str],
    algorithm: str,
    training_seeds: Sequence[int],
    env_steps: int,
    hardware: str,
    code: str,
    licence: str,
    description: str = "",
    overrides: Mapping[str, str] | None = None,
    differing: float = 0.0,
) -> Path:
    """Write a submission and validate it.

    Args:
        policy: module from observations (batch, size), or from their blocks by name, to actions (batch, …); or a
            learner's policy.
        folder: folder of the submission, named like it; its two files are overwritten.
        track: track to submit to.
        overrides: scenario fields that the policy needs, such as {"action": "price"}; by default the learner's.
        differing: allowed share of choices that differ between ONNX Runtime and torch.
        name, authors, algorithm, training_seeds, env_steps, hardware, code, licence, description: manifest fields; see
            leaderboards/manifest.schema.json.

    Raises:
        ValueError: the policy cannot be exported, or ONNX Runtime gives other actions than torch.
        SubmissionError: the submission is not valid; the message lists all reasons.
    """
    folder, track = Path(folder), tracks.find(track) if isinstance(track, str) else track
    if overrides is None:
        overrides = dict(policy.overrides) if isinstance(policy, NetworkPolicy) else {}
    spec = spec_of(track, overrides)
    module = _greedy(policy, track) if isinstance(policy, NetworkPolicy) else policy.eval()
    names = _inputs(module, spec)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write(module, names, spec, folder / POLICY)
        compare(module, names, spec, folder / POLICY, differing)
    except BaseException:
        (folder / POLICY).unlink(missing_ok=True)  # leave no incomplete submission
        raise
    about = {
        "schema": 1,
        "name": name,
        "authors": list(authors),
        "description": description,
        "dtenv": dtenv.__version__,
        "env_id": track.env_id,
        "track": track.name,
        "scenario": track.cells[0].scenario,
        "overrides": dict(overrides),
        "spec_sha256": spec.sha256,
        "policy_sha256": hashlib.sha256((folder / POLICY).read_bytes()).hexdigest(),
        "algorithm": algorithm,
        "training": {"seeds": list(training_seeds), "env_steps": int(env_steps), "hardware": hardware},
        "code": code,
        "licence": licence,
    }
    (folder / MANIFEST).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    read(folder)
    return folder


def _greedy(policy: NetworkPolicy, track: Track) -> nn.Module:
    export.check(policy.network)
    if track.fixed_size:
        return export.Greedy(policy.network).eval()
    if not isinstance(policy.network, Equivariant):
        raise ValueError(
            f"network {type(policy.network).__name__} cannot be exported for the track {track.name!r}: "
            "it does not support a variable number of servers"
        )
    return export.GreedyBlocks(policy.network).eval()


def _inputs(module: nn.Module, spec: Spec) -> list[str]:
    """Inputs of the graph: the blocks that the module's forward names, or the flat observation.

    Raises ValueError for flat observations in a track where they have several sizes.
    """
    blocks = {block.name for block in spec.layouts[0].blocks}
    named = list(inspect.signature(module.forward).parameters)
    if named and set(named) <= blocks:
        return named
    if not spec.track.fixed_size:
        raise ValueError(
            f"policy must take blocks of observations by name ({', '.join(sorted(blocks))}) in the track "
            f"{spec.track.name!r}, whose observations have several sizes; its forward takes {', '.join(named)}"
        )
    return [interface.FLAT]


def _write(module: nn.Module, names: list[str], spec: Spec, path: Path) -> None:
    """Write the graph without traces of the machine that made it."""
    import onnx

    layout = spec.layouts[len(spec.layouts) // 2]
    example = interface.graph_inputs(layout, names, np.zeros((2, layout.size), np.float32))
    inputs = {name: torch.as_tensor(values) for name, values in example.items()}
    export.write(module, inputs, path, _free(names, spec))
    model = onnx.ModelProto.FromString(path.read_bytes())
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    path.write_bytes(model.SerializeToString(deterministic=True))


def _free(names: list[str], spec: Spec) -> dict[str, dict[int, str]]:
    """Axes whose sizes differ between scenarios; axes that vary together share a name."""
    called: dict[tuple[int, ...], str] = {}
    free: dict[str, dict[int, str]] = {}
    for place, block in enumerate(spec.layouts[0].blocks):
        if block.name not in names:
            continue
        for axis, sizes in enumerate(zip(*(layout.blocks[place].full_shape for layout in spec.layouts), strict=True)):
            if len(set(sizes)) > 1:
                free.setdefault(block.name, {})[axis + 1] = called.setdefault(sizes, f"size{len(called)}")
    return free


def compare(module: nn.Module, names: list[str], spec: Spec, path: Path, differing: float = 0.0) -> None:
    """Raise ValueError unless ONNX Runtime and torch choose the same valid actions on the track's environments."""
    import onnxruntime

    others = []
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for cell, layout, space in zip(spec.track.cells, spec.layouts, spec.actions, strict=True):
        env = gym.make(cell.env_id, scenario=cell.resolve().override(**spec.overrides), disable_env_checker=True)
        obs, _ = env.reset(seed=TUNING_SEEDS[0])
        for slot in range(SLOTS):
            shown = interface.graph_inputs(layout, names, obs[None])
            expected = _actions(module, {name: torch.as_tensor(values) for name, values in shown.items()})
            (action,) = session.run([interface.ACTION], shown)
            wrong = interface.action_problem(action, space)
            if wrong is not None:
                raise ValueError(f"policy's {wrong}, in {cell.name!r}, slot {slot}")
            near = TOLERANCE if isinstance(space, gym.spaces.Box) else 0.0
            others.append(np.mean(~np.isclose(action, expected, rtol=0.0, atol=near)))
            obs, _, terminated, truncated, _ = env.step(expected[0])
            if terminated or truncated:
                obs, _ = env.reset()
        env.close()
    if np.mean(others) > differing:
        raise ValueError(
            f"ONNX Runtime must choose as torch does, but differs in {np.mean(others):.1%} of choices; "
            f"the allowed share is differing = {differing:g}"
        )


@torch.no_grad()
def _actions(module: nn.Module, inputs: Mapping[str, Tensor]) -> np.ndarray:
    return module(*inputs.values()).numpy()


def main(settings: Pack) -> None:
    """Export a checkpoint as a submission."""
    path = settings.checkpoint
    try:
        about = json.loads(sibling(path, ".json").read_text())
        args = about.get("args", {"seed": about.get("seed"), "total_steps": about.get("total_steps")})
        folder = pack(
            _load(about, path, tracks.find(settings.track)),
            settings.out,
            settings.track,
            name=settings.name,
            authors=settings.authors,
            algorithm=settings.algorithm or about.get("algorithm", about["name"]),
            training_seeds=[args["seed"]] if settings.training_seeds is None else settings.training_seeds,
            env_steps=args["total_steps"] if settings.env_steps is None else settings.env_steps,
            hardware=settings.hardware,
            code=settings.code,
            licence=settings.licence,
            description=settings.description,
            differing=settings.differing,
            overrides=about["overrides"],
        )
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    print(f"{folder}: valid. Next: python -m leaderboards evaluate {folder}")


def _load(about: Mapping[str, Any], path: Path, track: Track) -> nn.Module | NetworkPolicy:
    scenario = track.cells[0].resolve().override(**about["overrides"])
    if about["name"] != "sb3":
        return load_policy(about["name"], track.env_id, scenario, path)
    from agents.sb3 import load_policy as load_sb3

    return sb3(load_sb3(track.env_id, scenario, path))


def sb3(model: Any, relaxed: Relaxation | None = None) -> nn.Module:
    """Deterministic policy of a Stable-Baselines3 model as a module; see leaderboards.sb3.Deterministic."""
    from leaderboards.sb3 import Deterministic

    return Deterministic(model, relaxed)
