"""Tables of a suite: learners over training seeds and heuristics, all on the same held-out episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bounds import bound_line
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.statistics import score_matrix, two_way_interval, two_way_ratio
from benchmarks.suites import curves as learning_plots
from benchmarks.suites.results import Results
from benchmarks.suites.suite import Cell
from dtenv.reporting.markdown import markdown_table

Rows = Sequence[Mapping[str, Any]]


def write_tables(results: Results) -> list[str]:
    """Write table.md and, with trainings, curves.png into the folder of the results; return the lines of the tables."""
    lines: list[str] = []
    for cell in results.suite.cells:
        lines += tables(cell, results.of(cell), results.trainings, bound_note(results, cell))
    (results.folder / "table.md").write_text("\n".join(lines) + "\n")
    if results.trainings:
        learning_plots.curves(results.folder / "curves.png", results.suite.cells, results.trainings, results.rows)
    return lines


def bound_note(results: Results, cell: Cell) -> str:
    """A line on a cell's bounds, empty without bounds."""
    bounds = [row["bound"] for row in results.bounds if cell.holds(row)]
    return bound_line(bounds, results.proofs(cell)) if bounds else ""


def tables(cell: Cell, rows: Rows, trainings: Rows, bound_note: str) -> list[str]:
    """Lines of one cell's table, best score first.

    Args:
        cell: the cell.
        rows: its rows, one per agent and episode.
        trainings: summaries of trainings, also of other cells.
        said: a line on the bounds, or an empty one.
    """
    report = ENV_SETTINGS[cell.env_id]
    if not rows:
        return []
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    scores = {agent: score_matrix(rows, agent) for agent in agents}
    episodes = next(iter(scores.values())).shape[1]
    seeds = max(len(matrix) for matrix in scores.values())
    title = f"{cell.title}, {episodes} held-out episodes of {cell.resolve().value('num_slots')} slots"
    fewer = "".join(f", {t.seeds} of {t.label}" for t in cell.trainings if t.seeds is not None and t.seeds < seeds)
    trained = f", {seeds} training{'s' if seeds > 1 else ''} of every learner{fewer}" if cell.trainings else ""
    lines = [f"{title}{trained}:", ""]
    references = [name for name in cell.references if name in agents]
    heads = ["agent", "score a slot [95 %]", *(f"paired, minus {name}" for name in references)]
    ends = cell.way if cell.way is not None and {*cell.way} <= {*agents} else None
    if ends:
        heads.append(f"way (0 {ends[0]}, 1 {ends[1]})")
    bounds = bound_of(rows) if report.zero in agents else {}
    if bounds:
        heads.append(f"gap to bound (0 {report.zero}, 1 bound)")
    ratio = report.ratio if report.ratio and report.ratio[1] in agents else None
    if ratio:
        heads.append(f"{ratio[0].replace('_', ' ')} / {ratio[1]}'s")
    heads += [*(figure.head for figure in report.figures), "steps", "minutes"]
    table = []
    for agent in sorted(agents, key=lambda name: -scores[name].mean()):
        own = [row for row in rows if row["agent"] == agent]
        cells = [agent, str(two_way_interval(scores[agent]))]
        for name in references:
            cells.append("" if name == agent else f"{two_way_interval(scores[agent] - scores[name]):+.4f}")
        if ends:
            cells.append(f"{progress_between(scores, agent, *ends):.3f}")
        if bounds:
            cells.append(f"{to_bound(rows, agent, report.zero, bounds):.3f}")
        if ratio:
            ours, theirs = (score_matrix(rows, name, ratio[0]) for name in (agent, ratio[1]))
            cells.append(f"{two_way_ratio(ours, np.broadcast_to(theirs, ours.shape)):.4f}")
        cells += [format(figure.mean(own), figure.spec) for figure in report.figures]
        mine = [t for t in trainings if t["agent"] == agent and cell.holds(t)]
        steps, seconds = ([float(t[name]) for t in mine] for name in ("steps", "seconds"))
        cells += [f"{np.mean(steps):,.0f}", f"{np.mean(seconds) / 60:.1f}"] if mine else ["", ""]
        table.append(cells)
    lines += markdown_table(heads, table, right=len(report.figures) + 2)
    return [*lines, "", *([bound_note, ""] if bound_note else [])]


def progress_between(scores: Mapping[str, np.ndarray], agent: str, zero: str, one: str) -> Any:
    """Progress of an agent from heuristic `zero` (0) to heuristic `one` (1), with its interval."""
    ours = scores[agent] - scores[zero]
    return two_way_ratio(ours, np.broadcast_to(scores[one] - scores[zero], ours.shape))


def bound_of(rows: Rows) -> dict[int, float]:
    """Bounds by seed, for episodes with a bound."""
    return {row["seed"]: row["bound"] for row in rows if row.get("bound") is not None}


def to_bound(rows: Rows, agent: str, zero: str, bounds: Mapping[int, float]) -> Any:
    """Progress of an agent from `zero` (0) to the bound (1), over episodes with a bound, with its interval."""
    bounded = [row for row in rows if row["seed"] in bounds]
    ours, base = score_matrix(bounded, agent), score_matrix(bounded, zero)
    limit = np.array([[bounds[seed] for seed in sorted(bounds)]])
    return two_way_ratio(ours - base, np.broadcast_to(limit - base, ours.shape))
