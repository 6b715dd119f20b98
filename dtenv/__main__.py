"""python -m dtenv list | describe | score | render."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from dtenv import instance, presets, traces
from dtenv.observation import Layout
from dtenv.scenario import AssociationScenario

IDS = {"DTAssociation-v0": presets.ASSOCIATION}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, or 2 for input that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m dtenv", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="environments and their presets")
    describe = commands.add_parser("describe", help="spaces, every entry of the observation, and all settings")
    describe.add_argument("id", choices=IDS)
    score = commands.add_parser("score", help="the model's terms for one instance, as JSON")
    score.add_argument("file", help="a JSON file, or - for standard input")
    render = commands.add_parser("render", help="draw an episode of the resting association as PNG or GIF")
    render.add_argument("id", choices=IDS)
    render.add_argument("--out", type=Path, default=Path("dtenv.png"), help=".png: one slot; .gif: all slots up to it")
    render.add_argument("--slot", type=int, default=20, help="slots to play (default 20)")
    render.add_argument("--seed", type=int, default=0)
    for command in (describe, render):
        command.add_argument("--scenario", default="balanced")
        command.add_argument("--sites", help="file of station sites, with --trace")
        command.add_argument("--trace", help="file or folder of recorded walks, with --sites")
    options = parser.parse_args(arguments)
    try:
        {"list": _list, "describe": _describe, "score": _score, "render": _render}[options.command](options)
    except (ValueError, OSError) as error:
        print(f"{type(error).__name__}: {error}" if isinstance(error, OSError) else error, file=sys.stderr)
        return 2
    return 0


def scenario_of(options: argparse.Namespace) -> AssociationScenario:
    """The scenario that --scenario, --sites and --trace ask for."""
    return traces.scenario_from_options(options.scenario, options.sites, options.trace)


def _list(_: argparse.Namespace) -> None:
    for env_id, known in IDS.items():
        print(env_id)
        for name, scenario in known.items():
            network = scenario.network
            print(f"  {name:<12} {network.num_users} users, {network.num_servers} servers, ", end="")
            print(f"{scenario.episode.num_slots} slots, reward {scenario.objective.reward}")


def _describe(options: argparse.Namespace) -> None:
    scenario = scenario_of(options)
    env: Any = gym.make(options.id, scenario=scenario).unwrapped
    print(f"{options.id}, scenario {scenario.name}\n\naction       {env.action_space}")
    print(f"observation  {env.observation_space}\n")
    layout: Layout = env.layout
    start = 0
    for block in layout.blocks:
        width = len(block.entries)
        print(f"{block.name} {' x '.join(map(str, block.shape))}, entries {start} to {start + block.size - 1}")
        for offset, (name, meaning) in enumerate(block.entries):
            print(f"  {start + offset:>5} + {width}i  {name:<18} {meaning}")
        start += block.size
    print("\nsettings")
    for name, value in scenario.as_dict().items():
        print(f"  {name:<22} {value}")


def _score(options: argparse.Namespace) -> None:
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    print(json.dumps(instance.score(instance.loads(text)), indent=1, allow_nan=False))


def _render(options: argparse.Namespace) -> None:
    if options.out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out must end in .png or .gif, got {str(options.out)!r}")
    if options.slot < 1:
        raise ValueError(f"--slot must be at least 1, got {options.slot}")
    from PIL import Image

    env = gym.make(options.id, scenario=scenario_of(options), render_mode="rgb_array")
    _, info = env.reset(seed=options.seed)
    frames = []
    for _ in range(options.slot):
        *_, truncated, _ = env.step(info["server"])
        if options.out.suffix == ".gif":
            frames.append(Image.fromarray(env.render()))  # type: ignore[arg-type]
        if truncated:
            break
    frames = frames or [Image.fromarray(env.render())]  # type: ignore[arg-type]
    if options.out.suffix == ".png":
        frames[-1].save(options.out)
    else:
        frames[0].save(options.out, save_all=True, append_images=frames[1:], duration=200, loop=0)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    sys.exit(main())
