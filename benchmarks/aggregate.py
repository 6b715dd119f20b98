"""Agents over all of a suite's scenarios: the metrics of (Agarwal et al. 2021) instead of a mean of means.

    python -m benchmarks aggregate runs/balanced

A task is a scenario of one environment, a run is a held-out episode, averaged over trainings. Where every scenario has
bounds, an episode scores 1 at its bound, and 0 where it misses the bound by as much as the environment's simplest
heuristic does on average. The probability that one agent is better than another needs no such scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import tyro

from benchmarks.aggregate_metrics import (
    METRICS,
    Band,
    curve_matrices,
    difference_interval,
    interval,
    iqm,
    normalise,
    performance_profile,
    probability_of_improvement,
    sample_efficiency,
    scales,
    score_matrices,
)
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.figures.drawing import tidy
from benchmarks.plotting import new_axes, save
from benchmarks.suites.curves import COLOURS
from benchmarks.suites.results import Results, load
from dtenv.reporting.markdown import markdown_table

THRESHOLDS = np.linspace(-0.5, 1.0, 61)
"""Normalised scores at which the profile is evaluated."""


@dataclass
class Aggregate:
    """Settings of the aggregate metrics."""

    folder: tyro.conf.Positional[Path]
    """folder of the results"""


def main(settings: Aggregate) -> None:
    """Print the tables, and write them and the profiles into the folder of the results."""
    try:
        results = load(settings.folder)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    env_ids = list(dict.fromkeys(cell.env_id for cell in results.suite.cells if results.of(cell)))
    text = "\n".join(line for env_id in env_ids for line in table(results, env_id))
    (settings.folder / "aggregate.md").write_text(text + "\n")
    print(text)
    for env_id in env_ids:
        if bounded(results, env_id):
            scale = f"normalised score (0 {ENV_SETTINGS[env_id].zero} on average, 1 bound)"
            path = settings.folder / f"profiles-{env_id}.png"
            draw(path, profiles(results, env_id), env_id, scale, "share of episodes above")
        curves = learning(results, env_id)
        if curves:
            path = settings.folder / f"efficiency-{env_id}.png"
            draw(path, curves, f"{env_id}, exploring", "environment steps", "interquartile mean of scores")


def bounded(results: Results, env_id: str) -> bool:
    """Whether every scenario of an environment has bounded episodes of the agent whose score counts 0."""
    cells = [results.of(cell) for cell in results.suite.cells if cell.env_id == env_id]
    zero = ENV_SETTINGS[env_id].zero
    return all(any(row["agent"] == zero and row["bound"] is not None for row in rows) for rows in cells if rows)


def scores(results: Results, env_id: str) -> dict[str, np.ndarray]:
    """Scores (episodes, scenarios) of the agents run in all scenarios of an environment, normalised if bounded.

    Raises:
        ValueError: scenarios of unequal numbers of episodes.
    """
    rows, column = [row for row in results.rows if row["env_id"] == env_id], "score"
    if bounded(results, env_id):
        rows, column = normalise(rows, ENV_SETTINGS[env_id].zero), "normalised"
    cells = {row["cell"] for row in rows}
    agents = dict.fromkeys(row["agent"] for row in rows)
    everywhere = [name for name in agents if {row["cell"] for row in rows if row["agent"] == name} == cells]
    return score_matrices(rows, everywhere, column)


def table(results: Results, env_id: str) -> list[str]:
    """Lines of an environment's table, sorted by the probability of a better episode."""
    found, report = scores(results, env_id), ENV_SETTINGS[env_id]
    reference = report.reference if report.reference in found else next(iter(found))
    episodes, scenarios = found[reference].shape
    metrics = METRICS if bounded(results, env_id) else {}
    heads = ["agent", *metrics]
    heads += [f"IQM, paired, minus {reference}'s"] if metrics else []
    heads.append(f"probability of a better episode than {reference}'s")
    rows = []
    better = {name: interval(probability_of_improvement, own, found[reference]) for name, own in found.items()}
    for name in sorted(found, key=lambda name: (-better[name].mean, -found[name].mean())):
        compared = [f"{difference_interval(iqm, found[name], found[reference]):+.3f}"] if metrics else []
        compared.append(f"{better[name]:.3f}")
        if name == reference:
            compared = [""] * len(compared)
        rows.append([name, *(f"{interval(metric, found[name]):.3f}" for metric in metrics.values()), *compared])
    scale = f"1 is an episode's proven bound, 0 as far below as {report.zero} is on average. " if metrics else ""
    return [
        f"{env_id}, {scenarios} scenario{'s' if scenarios > 1 else ''}, {episodes} episodes each:",
        "",
        *markdown_table(heads, rows),
        "",
        f"{scale}Brackets: 95 % stratified bootstrap intervals over episodes.",
        "",
    ]


def profiles(results: Results, env_id: str) -> dict[str, Band]:
    """Performance profile of each agent: share of episodes above each normalised score."""
    found = scores(results, env_id)
    return {name: performance_profile(own, THRESHOLDS, resamples=1000) for name, own in found.items()}


def learning(results: Results, env_id: str) -> dict[str, Band]:
    """Interquartile mean along training of each learner trained at least twice in each of an environment's scenarios.

    Scores are normalised as in the table where every scenario is bounded.
    """
    rows = [row for row in results.rows if row["env_id"] == env_id]
    of = scales(rows, ENV_SETTINGS[env_id].zero) if bounded(results, env_id) else None
    cells = {row["cell"] for row in rows}
    found = {}
    for agent in dict.fromkeys(training["agent"] for training in results.trainings):
        own = [training for training in results.trainings if training["agent"] == agent and training["cell"] in cells]
        counts = Counter(training["cell"] for training in own)
        if counts.keys() == cells and len({*counts.values()}) == 1 and min(counts.values()) > 1:
            steps, curves = curve_matrices(own, agent, of=of)
            found[agent] = sample_efficiency(curves, steps, resamples=1000)
    return found


def draw(path: Path, curves: Mapping[str, Band], title: str, xlabel: str, ylabel: str) -> None:
    """Plot one curve with its band for each agent."""
    figure, axes = new_axes(8.0, 4.2, title)
    for (name, band), (style, colour) in zip(curves.items(), product(("-", "--", ":"), COLOURS), strict=False):
        axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(band.x, band.y, color=colour, linestyle=style, label=name)
    tidy(axes)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    main(tyro.cli(Aggregate))
