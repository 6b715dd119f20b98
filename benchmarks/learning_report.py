"""Tables of a study: learners over training seeds beside heuristics, all on the same held-out episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.reports import REPORTS
from benchmarks.statistics import score_matrix, two_way_interval, two_way_ratio
from benchmarks.studies import Cell

Rows = Sequence[Mapping[str, Any]]


def tables(cell: Cell, rows: Rows, trainings: Rows, said: str) -> list[str]:
    """The lines of one cell's table, best score first.

    Args:
        cell: what was compared.
        rows: of all agents, an episode each.
        trainings: summaries, those of other cells among them.
        said: a line on the bound, or nothing.
    """
    report = REPORTS[cell.env_id]
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    scores = {agent: score_matrix(rows, agent) for agent in agents}
    episodes = next(iter(scores.values())).shape[1]
    seeds = max(len(matrix) for matrix in scores.values())
    title = f"{cell.title}, {episodes} held-out episodes of {cell.resolve().value('num_slots')} slots"
    fewer = "".join(f", {t.seeds} of {t.label}" for t in cell.trainings if t.seeds is not None and t.seeds < seeds)
    lines = [f"{title}, {seeds} trainings of every learner{fewer}:", ""]
    heads = ["agent", "score a slot [95 %]", *(f"paired, minus {name}" for name in cell.references)]
    if cell.way is not None:
        heads.append(f"way (0 {cell.way[0]}, 1 {cell.way[1]})")
    bounds = bound_of(rows)
    if bounds:
        heads.append(f"gap to bound (0 {report.zero}, 1 bound)")
    if report.ratio:
        heads.append(f"{report.ratio[0].replace('_', ' ')} / {report.ratio[1]}'s")
    heads += [figure.head for figure in report.figures]
    heads += ["steps", "minutes"]
    rules = ["---"] * (len(heads) - len(report.figures) - 2) + ["---:"] * (len(report.figures) + 2)
    lines += [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    for agent in sorted(agents, key=lambda name: -scores[name].mean()):
        own = [row for row in rows if row["agent"] == agent]
        cells = [agent, str(two_way_interval(scores[agent]))]
        for name in cell.references:
            cells.append("" if name == agent else f"{two_way_interval(scores[agent] - scores[name]):+.4f}")
        if cell.way is not None:
            cells.append(f"{way(scores, agent, *cell.way):.3f}")
        if bounds:
            cells.append(f"{to_bound(rows, agent, report.zero, bounds):.3f}")
        if report.ratio:
            column, best = report.ratio
            ours, theirs = score_matrix(rows, agent, column), score_matrix(rows, best, column)
            cells.append(f"{two_way_ratio(ours, np.broadcast_to(theirs, ours.shape)):.4f}")
        cells += [format(figure.mean(own), figure.spec) for figure in report.figures]
        mine = [t for t in trainings if t["agent"] == agent and cell.holds(t)]
        steps, seconds = ([float(t[name]) for t in mine] for name in ("steps", "seconds"))
        cells += [f"{np.mean(steps):,.0f}", f"{np.mean(seconds) / 60:.1f}"] if mine else ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *([said, ""] if said else [])]


def way(scores: Mapping[str, np.ndarray], agent: str, zero: str, one: str) -> Any:
    """How far an agent is from heuristic `zero` to heuristic `one`, with interval."""
    ours = scores[agent] - scores[zero]
    return two_way_ratio(ours, np.broadcast_to(scores[one] - scores[zero], ours.shape))


def bound_of(rows: Rows) -> dict[int, float]:
    """Bounds by episode, of those that have one."""
    return {row["seed"]: row["bound"] for row in rows if row.get("bound") is not None}


def to_bound(rows: Rows, agent: str, zero: str, bounds: Mapping[int, float]) -> Any:
    """How far an agent is from `zero` to the bound, over the episodes that have one, with interval."""
    bounded = [row for row in rows if row["seed"] in bounds]
    ours, base = score_matrix(bounded, agent), score_matrix(bounded, zero)
    limit = np.array([[bounds[seed] for seed in sorted(bounds)]])
    return two_way_ratio(ours - base, np.broadcast_to(limit - base, ours.shape))
