"""python -m dtenv list | describe | score | optimum | render."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

import dtenv
from dtenv import instance, traces
from dtenv.cli import report
from dtenv.instance.reading import finite
from dtenv.observation import Layout
from dtenv.presets import PRESETS
from dtenv.validation import integer

INFEASIBLE = 3
"""Exit status if the instance is proven infeasible."""

RESTING = {"DTPlacementMA-v0": {"action": "association"}}
"""Scenario fields with which `info["server"]` is an action, so that playing it moves no twin."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 2 for invalid input, 3 for an infeasible instance."""
    parser = argparse.ArgumentParser(prog="python -m dtenv", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="environments and their presets")
    describe = commands.add_parser("describe", help="spaces, every entry of the observation, and all settings")
    describe.add_argument("id", choices=PRESETS)
    about = "the model's terms for one instance, as JSON"
    scope = "An instance is one slot of DTAssociation-v0 or DTPlacementMA-v0; DTMigration-v0 has none."
    score = commands.add_parser("score", help=about, description=f"Print {about}. {scope}")
    score.add_argument("file", help="a JSON file, or - for standard input")
    optimum = commands.add_parser("optimum", help="the best decision for one instance, with its proof, as JSON")
    optimum.add_argument("file", help="a JSON file, or - for standard input; its action is ignored")
    optimum.add_argument("--deadlines", choices=("ignore", "hard"), help="deadlines of a placement (default ignore)")
    optimum.add_argument("--time-limit", type=float, default=60.0, help="seconds (default 60); Ctrl-C stops earlier")
    render = commands.add_parser("render", help="draw an episode in which no twin moves, as PNG or GIF")
    render.add_argument("id", choices=PRESETS)
    render.add_argument("--out", type=Path, default=Path("dtenv.png"), help=".png: one slot; .gif: all slots up to it")
    render.add_argument("--slot", type=int, default=20, help="slots to play (default 20)")
    render.add_argument("--seed", type=int, default=0)
    for command in (describe, render):
        command.add_argument("--scenario", help="a preset's name (default: the environment's first)")
        command.add_argument("--sites", help="file of station sites, with --trace")
        command.add_argument("--trace", help="file or folder of recorded walks, with --sites")
        command.add_argument("--columns", nargs="*", default=(), help="columns of the trace, such as user=taxi time=t")
    options = parser.parse_args(arguments)
    run: Any = {"list": _list, "describe": _describe, "score": _score, "optimum": _optimum, "render": _render}
    return report(lambda: run[options.command](options))


def _list(_: argparse.Namespace) -> None:
    for env_id, known in PRESETS.items():
        print(env_id)
        for name, scenario in known.items():
            what = scenario.SITES.removeprefix("num_")
            print(f"  {name:<14} {scenario.network.num_users} users, {scenario.num_sites} {what}, ", end="")
            print(f"{scenario.episode.num_slots} slots, reward {scenario.objective.reward}")


def _describe(options: argparse.Namespace) -> None:
    scenario = traces.scenario_from_options(options.scenario, options.sites, options.trace, options.id, options.columns)
    env: Any = gym.make(options.id, scenario=scenario).unwrapped
    print(f"{options.id}, scenario {scenario.name}\n\naction       {env.action_space}")
    print(f"observation  {_short(env.observation_space)}\n")
    _print_layout(env.layout)
    if options.id == "DTPlacementMA-v0" and scenario.episode.action != "association":
        stations = dtenv.parallel_env(options.id, scenario=scenario)
        print(f"\nParallel view, a station\naction       {stations.action_space('station_0')}")
        print(f"observation  {_short(stations.observation_space('station_0'))}\n")
        _print_layout(stations.layouts["station_0"])
    print("\nsettings")
    values = {name: scenario.value(name) for name in scenario.fields()}
    for name, value in ({"name": scenario.name} | values | scenario.as_dict()).items():
        print(f"  {name:<26} {value}")


def _short(space: Any) -> str:
    """Format a Box with entry-wise bounds on one line."""
    return f"Box({space.low.min():g} … {space.high.max():g}, {space.shape}, {space.dtype})"


def _print_layout(layout: Layout) -> None:
    start = 0
    for block in layout.blocks:
        width = len(block.entries)
        print(f"{block.name} {' x '.join(map(str, block.shape)) or '1'}, entries {start} to {start + block.size - 1}")
        for offset, (name, meaning) in enumerate(block.entries):
            print(f"  {start + offset:>5} + {width}i  {name:<18} {meaning}")
        start += block.size


def _instance(options: argparse.Namespace) -> dict[str, Any]:
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    return instance.loads(text)


def _score(options: argparse.Namespace) -> None:
    print(json.dumps(instance.score(_instance(options)), indent=1, allow_nan=False))


def _optimum(options: argparse.Namespace) -> int:
    settings = {} if options.deadlines is None else {"deadlines": options.deadlines}
    solution = instance.optimum(
        _instance(options), time_limit=options.time_limit, progress=sys.stderr.isatty(), **settings
    )
    report = {name: finite(v) if isinstance(v, float) else v for name, v in solution.as_dict().items()}
    print(json.dumps(report, indent=1, allow_nan=False))
    if solution.infeasible:
        print(solution.proof, file=sys.stderr)
        return INFEASIBLE
    return 0


def _render(options: argparse.Namespace) -> None:
    if options.out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out must end in .png or .gif, got {str(options.out)!r}")
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("render needs Pillow and pygame: pip install 'dtenv[render]'") from None

    resting = RESTING.get(options.id, {})
    scenario = traces.scenario_from_options(
        options.scenario, options.sites, options.trace, options.id, options.columns, **resting
    )
    integer("--slot", options.slot, 1, scenario.episode.num_slots)
    env = gym.make(options.id, scenario=scenario, render_mode="rgb_array")
    _, info = env.reset(seed=options.seed)
    frames: list[Image.Image] = []
    for _ in range(options.slot):
        env.step(info["server"])
        if options.out.suffix == ".gif":
            frames.append(Image.fromarray(env.render()))  # type: ignore[arg-type]
    frames = frames or [Image.fromarray(env.render())]  # type: ignore[arg-type]
    if options.out.suffix == ".png":
        frames[-1].save(options.out)
    else:
        frames[0].save(options.out, save_all=True, append_images=frames[1:], duration=200, loop=0)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    sys.exit(main())
