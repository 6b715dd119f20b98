"""Agents over all of a suite's scenarios: what (Agarwal et al. 2021) reports in place of a mean of means.

    python -m benchmarks aggregate runs/balanced

A task is a scenario of one environment, a run a held-out episode, averaged over trainings. Where every scenario has
bounds, an episode counts 1 where its bound is reached, and 0 where it is missed by what an environment's simplest
heuristic misses bounds by on average. How often an agent is better than another needs no such scale.
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
from benchmarks.env_settings import REPORTS
from benchmarks.figures.drawing import tidy
from benchmarks.plotting import INK, plt
from benchmarks.suites.curves import COLOURS
from benchmarks.suites.results import Results, load
from dtenv.reporting.markdown import markdown_table

THRESHOLDS = np.linspace(-0.5, 1.0, 61)
"""Normalised scores at which the profile is taken."""


@dataclass
class Aggregate:
    """Settings of the aggregate metrics."""

    folder: tyro.conf.Positional[Path]
    """of the results"""


def main(settings: Aggregate) -> None:
    """Print the tables, and write them and the profiles beside the results."""
    try:
        results = load(settings.folder)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    lines = [line for env_id in environments(results) for line in table(results, env_id)]
    (settings.folder / "aggregate.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    for env_id in environments(results):
        if bounded(results, env_id):
            scale = f"normalised score (0 {REPORTS[env_id].zero} on average, 1 bound)"
            path = settings.folder / f"profiles-{env_id}.png"
            draw(path, profiles(results, env_id), env_id, scale, "share of episodes above")
        curves = learning(results, env_id)
        if curves:
            path = settings.folder / f"efficiency-{env_id}.png"
            draw(path, curves, f"{env_id}, exploring", "environment steps", "interquartile mean of scores")


def environments(results: Results) -> list[str]:
    """Those that have results, as the suite names them."""
    return list(dict.fromkeys(cell.env_id for cell in results.suite.cells if results.of(cell)))


def bounded(results: Results, env_id: str) -> bool:
    """Whether every scenario of an environment has bounded episodes, and the agent whose score counts 0."""
    cells = [results.of(cell) for cell in results.suite.cells if cell.env_id == env_id]
    zero = REPORTS[env_id].zero
    return all(any(row["agent"] == zero and row["bound"] is not None for row in rows) for rows in cells if rows)


def scores(results: Results, env_id: str) -> dict[str, np.ndarray]:
    """Scores (episodes, scenarios) of the agents run in all scenarios of an environment, normalised if bounded.

    Raises:
        ValueError: scenarios of unequal numbers of episodes.
    """
    rows = [row for row in results.rows if row["env_id"] == env_id]
    column = "score"
    if bounded(results, env_id):
        rows, column = normalise(rows, REPORTS[env_id].zero), "normalised"
    cells = {row["cell"] for row in rows}
    agents = dict.fromkeys(row["agent"] for row in rows)
    everywhere = [name for name in agents if {row["cell"] for row in rows if row["agent"] == name} == cells]
    return score_matrices(rows, everywhere, column, run="seed")


def table(results: Results, env_id: str) -> list[str]:
    """The lines of an environment's table, the agent that is most often better first."""
    found, report = scores(results, env_id), REPORTS[env_id]
    reference = report.reference if report.reference in found else next(iter(found))
    episodes, scenarios = found[reference].shape
    metrics = METRICS if bounded(results, env_id) else {}
    lines = [f"{env_id}, {scenarios} scenario{'s' if scenarios > 1 else ''}, {episodes} episodes each:", ""]
    heads = ["agent", *metrics]
    heads += [f"IQM, paired, minus {reference}'s"] if metrics else []
    heads.append(f"probability of a better episode than {reference}'s")
    rows = []
    better = {name: interval(probability_of_improvement, own, found[reference]) for name, own in found.items()}
    for name in sorted(found, key=lambda name: (-better[name].mean, -found[name].mean())):
        told = [f"{interval(metric, found[name]):.3f}" for metric in metrics.values()]
        compared = [f"{difference_interval(iqm, found[name], found[reference]):+.3f}"] if metrics else []
        compared.append(f"{better[name]:.3f}")
        told += [""] * len(compared) if name == reference else compared
        rows.append([name, *told])
    scale = f"1 is an episode's proven bound, 0 as far below as {report.zero} is on average. " if metrics else ""
    return [
        *lines,
        *markdown_table(heads, rows),
        "",
        f"{scale}Brackets: 95 % stratified bootstrap intervals over episodes.",
        "",
    ]


def profiles(results: Results, env_id: str) -> dict[str, Band]:
    """Share of episodes above each normalised score, agent by agent."""
    found = scores(results, env_id)
    return {name: performance_profile(own, THRESHOLDS, resamples=1000) for name, own in found.items()}


def learning(results: Results, env_id: str) -> dict[str, Band]:
    """Interquartile mean along training of every learner trained at least twice in each of an environment's scenarios.

    In scores normalised as in the table, where every scenario is bounded.
    """
    rows = [row for row in results.rows if row["env_id"] == env_id]
    of = scales(rows, REPORTS[env_id].zero) if bounded(results, env_id) else None
    cells = {row["cell"] for row in rows}
    found = {}
    for agent in dict.fromkeys(training["agent"] for training in results.trainings):
        own = [told for told in results.trainings if told["agent"] == agent and told["cell"] in cells]
        counts = Counter(told["cell"] for told in own)
        if counts.keys() == cells and len({*counts.values()}) == 1 and min(counts.values()) > 1:
            steps, curves = curve_matrices(own, agent, of=of)
            found[agent] = sample_efficiency(curves, steps, resamples=1000)
    return found


def draw(path: Path, curves: Mapping[str, Band], title: str, xlabel: str, ylabel: str) -> None:
    """Curves with their bands, one an agent."""
    figure, axes = plt.subplots(figsize=(8.0, 4.2), dpi=150, layout="constrained")
    for (name, band), (style, colour) in zip(curves.items(), product(("-", "--", ":"), COLOURS), strict=False):
        axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(band.x, band.y, color=colour, linestyle=style, label=name)
    tidy(axes)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Aggregate))
