"""Results as marl-eval's JSON (Gorsane et al. 2022), which its plots and BenchMARL's read.

    python -m benchmarks marl-eval runs/smoke --out runs/smoke/marl_eval.json

    environment -> task -> algorithm -> run -> "step_0" …: {"step_count", metric: [value]}
                                               "absolute_metrics": {metric: [value of every episode]}

Tasks are cells, algorithms are agents, runs are trainings. Steps are points of the learning curves; absolute metrics
are the held-out episodes of the final policy. marl-eval compares what has equal tasks, runs and steps only, so within
an environment curves are thinned to the shortest, and agents and runs that are not everywhere are left out, and told.
A heuristic does not train: it stands at every step of every run as it is.

"Towards a standardised performance evaluation protocol for cooperative MARL", NeurIPS 2022.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.reports import REPORTS
from benchmarks.results import load

Row = Mapping[str, Any]


@dataclass
class MarlEval:
    """Settings of the export."""

    folder: tyro.conf.Positional[Path]
    """of results, which `python -m benchmarks run` wrote"""
    out: Path
    """the file to write (.json), which must not exist"""
    agents: tuple[str, ...] = ()
    """some of the agents, as tables call them; by default all that marl-eval takes"""


def export(
    rows: Sequence[Row],
    trainings: Sequence[Row],
    agents: Sequence[str] = (),
    leave_out: Callable[[str], Any] = lambda told: None,
) -> dict[str, Any]:
    """Rows and trainings as marl-eval's dict.

    Args:
        rows: of final policies on held-out episodes, and of heuristics.
        trainings: with "curve".
        agents: by default all that were run in every cell of their environment.
        leave_out: called with what is left out, and why.

    Raises:
        ValueError: an agent that was not run, or not in every cell; learners without a training seed in common.
    """
    for agent in agents:
        if agent not in (known := dict.fromkeys(row["agent"] for row in rows)):
            raise ValueError(f"agent {agent!r} was not run; known: {', '.join(known)}")
    data = {}
    for env_id in dict.fromkeys(row["env_id"] for row in rows):
        own = [row for row in rows if row["env_id"] == env_id]
        cells = dict.fromkeys(row["cell"] for row in own)
        chosen = _everywhere(own, list(cells), agents, leave_out)
        own = [row for row in own if row["agent"] in chosen]
        if own:
            taught = [t for t in trainings if t["cell"] in cells and t["agent"] in chosen]
            data[env_id] = _environment(env_id, own, taught, leave_out)
    return data


def _everywhere(
    rows: Sequence[Row], cells: Sequence[str], agents: Sequence[str], leave_out: Callable[[str], Any]
) -> list[str]:
    """The agents that were run in every cell."""
    found = []
    for agent in dict.fromkeys(row["agent"] for row in rows if not agents or row["agent"] in agents):
        played = {row["cell"] for row in rows if row["agent"] == agent}
        missing = [cell for cell in cells if cell not in played]
        if missing and agents:
            raise ValueError(f"agent {agent!r} was not run in cell {missing[0]!r}: marl-eval wants it in every cell")
        if missing:
            leave_out(f"{agent!r}, which was not run in cell {missing[0]!r}")
        else:
            found.append(agent)
    return found


def _environment(
    env_id: str, rows: Sequence[Row], trainings: Sequence[Row], leave_out: Callable[[str], Any]
) -> dict[str, Any]:
    names = [name for name in REPORTS[env_id].columns if all(name in t["curve"][-1] for t in trainings)]
    curves = {
        (t["cell"], t["agent"], t["training_seed"]): [
            point for point in t["curve"] if all(name in point for name in names)
        ]
        for t in trainings
    }
    runs = _common_runs(curves, leave_out)
    count = min((len(curve) for curve in curves.values()), default=1)
    data: dict[str, Any] = {}
    for cell in dict.fromkeys(row["cell"] for row in rows):
        # where a heuristic stands: at the steps of one of the cell's learners
        steps = next((_thinned(curve, count) for (task, *_), curve in curves.items() if task == cell), [])
        at = [point["steps"] for point in steps] or [0]
        data[cell] = {}
        for agent in dict.fromkeys(row["agent"] for row in rows if row["cell"] == cell):
            own = [row for row in rows if row["cell"] == cell and row["agent"] == agent]
            learned = any(row["training_seed"] for row in own)
            told = {}
            for run in runs:
                played = [row for row in own if not learned or row["training_seed"] == run]
                final = {name: [float(row[name]) for row in played] for name in names}
                if learned and (cell, agent, run) not in curves:
                    raise ValueError(f"agent {agent!r} from seed {run} on {cell!r} has no learning curve")
                if learned:
                    points = _thinned(curves[cell, agent, run], count)
                else:
                    level = {name: float(np.mean(values)) for name, values in final.items()}
                    points = [{"steps": step, **level} for step in at]
                told[f"seed_{run}"] = {
                    **{f"step_{k}": _step(point, names) for k, point in enumerate(points)},
                    "absolute_metrics": final,
                }
            data[cell][agent.replace(",", ";")] = told  # marl-eval refuses commas
    return data


def _common_runs(curves: Mapping[tuple[str, str, int], Any], leave_out: Callable[[str], Any]) -> list[int]:
    """Training seeds that all learners have on all cells; a heuristic's 0 where nothing is trained."""
    if not curves:
        return [0]
    seeds: dict[tuple[str, str], set[int]] = {}
    for cell, agent, seed in curves:
        seeds.setdefault((cell, agent), set()).add(seed)
    common = set.intersection(*seeds.values())
    if not common:
        told = "; ".join(f"{agent!r} on {cell!r}: {sorted(own)}" for (cell, agent), own in seeds.items())
        raise ValueError(f"agents have no training seed in common, name some that have: {told}")
    for (cell, agent), own in seeds.items():
        if own - common:
            leave_out(f"{agent!r} on {cell!r} from seeds {sorted(own - common)}, which other learners do not have")
    return sorted(common)


def _thinned(curve: Sequence[Row], count: int) -> list[Row]:
    """So many points of a curve, evenly by their number, the first and the last among them."""
    return [curve[round(i)] for i in np.linspace(0, len(curve) - 1, count)] if count > 1 else [curve[-1]]


def _step(point: Row, names: Sequence[str]) -> dict[str, Any]:
    return {"step_count": int(point["steps"]), **{name: [float(point[name])] for name in names}}


def main(settings: MarlEval) -> None:
    """Write the file."""
    if settings.out.exists():
        raise SystemExit(f"out: {str(settings.out)!r} exists, and is not overwritten")
    try:
        results = load(settings.folder)
        data = export(results.rows, results.trainings, settings.agents, lambda told: print(f"left out: {told}"))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.out.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
    tasks = sum(map(len, data.values()))
    print(f"{tasks} tasks in {len(data)} environments, written to {settings.out}")


if __name__ == "__main__":
    main(tyro.cli(MarlEval))
