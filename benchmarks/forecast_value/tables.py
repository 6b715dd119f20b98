"""Tables and picture of the forecast-value benchmark, from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from benchmarks.plotting import GRID, INK, plt
from benchmarks.statistics import Interval, two_way_ratio
from dtenv.reporting.markdown import markdown_table

Rows = Sequence[Mapping[str, Any]]

COMPARED = 15
"""Horizon at which planners are compared: the best one for constant velocity by benchmarks/tune.py."""

REFERENCES = ("none", "constant velocity")
"""Forecasters with which all others are compared."""

CONTRASTS = (
    ("federated v", "local only"),
    ("federated v, ε = 8", "federated v"),
    ("federated w, ε = 8", "federated w"),
    ("federated v, ε = 8", "none"),
    ("federated v, ε = 8", "hour-Markov"),
    ("federated w", "Markov"),
)
"""Pairs of forecasters whose planners are compared at every horizon."""

DRAWN = {
    "none": ("#8a96a3", "-"),
    "constant velocity": ("#0072b2", "-"),
    "Markov": ("#e69f00", "-"),
    "hour-Markov": ("#d55e00", "-"),
    "federated v, ε = 8": ("#cc79a7", "-"),
    "trs-pre": ("#cc79a7", ":"),
    "oracle: position": ("#56b4e9", "--"),
    "noisy station, p = 0.5": ("#009e73", ":"),
    "oracle: station": ("#009e73", "--"),
    "oracle: all": ("#22303c", "--"),
}
"""Colours and line styles of the forecasters in the picture."""

SHADED = ("constant velocity", "oracle: all")
"""Forecasters whose intervals are drawn; all of them would hide each other."""


class Scores:
    """Scores of one case's rows, with "never" and "bound"; episodes of one walk or user are resampled together."""

    def __init__(self, rows: Rows):
        self.rows = rows
        (never,) = (row for row in rows if row["agent"] == "never")
        _, self._cluster = np.unique(never["clusters"], return_inverse=True)
        self.clusters = int(self._cluster.max()) + 1
        self.never, self.bound = self.of("never"), self.of("bound")

    def of(self, agent: str, forecaster: str | None = None, horizon: int | None = None) -> np.ndarray:
        """Scores (trainings, episodes) in the order of training seeds; (0, 0) without rows."""
        wanted = (agent, forecaster, horizon)
        own = [row for row in self.rows if (row["agent"], row["forecaster"], row["horizon"]) == wanted]
        own.sort(key=lambda row: row["seed"] or 0)
        return np.array([row["scores"] for row in own]) if own else np.zeros((0, 0))

    def mean(self, values: np.ndarray) -> Interval:
        """Mean of (trainings, episodes), with its interval."""
        return two_way_ratio(self._sums(values), self._sums(np.ones_like(values)))

    def share(self, scores: np.ndarray) -> Interval:
        """Progress of scores from never moving (0) to the bound (1)."""
        whole = np.broadcast_to(self.bound - self.never, scores.shape)
        return two_way_ratio(self._sums(scores - self.never), self._sums(whole))

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sum (trainings, episodes) to (trainings, clusters)."""
        sums = np.zeros((len(values), self.clusters))
        np.add.at(sums.T, self._cluster, values.T)
        return sums


def tables(rows: Rows) -> str:
    """Markdown of every case: possible gain, the planner by forecaster and horizon, the learner."""
    lines: list[str] = []
    for name in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == name]
        scores = Scores(own)
        lines += [f"## {own[0]['title']}", "", head(scores), "", *planner_lines(scores), *learner_lines(scores)]
    return "\n".join(lines)


def head(scores: Scores) -> str:
    """Possible gain: scores of never moving, of the bound and of heuristics."""
    parts = [f"never {scores.mean(scores.never)}", f"bound {scores.mean(scores.bound)}"]
    for agent in ("best-latency", "payback", "lookahead"):
        if len(found := scores.of(agent)):
            parts.append(f"{agent} {scores.share(found):.3f} of the way")
    episodes = scores.never.shape[1]
    resampled = f"{scores.clusters} walks or users" if scores.clusters < episodes else "episodes"
    return f"{episodes} held-out episodes, intervals 95 % over {resampled}. Score a slot: {', '.join(parts)}."


def planner_lines(scores: Scores) -> list[str]:
    """Table of the planner."""
    own = [row for row in scores.rows if row["agent"] == "planner"]
    horizons = sorted({row["horizon"] for row in own})
    if not own:
        return []
    compared = COMPARED if COMPARED in horizons else horizons[-1]
    heads = ["planner's forecast", "right 1, 10, 20 slots on", "of moves", *(f"H = {h}" for h in horizons)]
    heads += [f"H = {compared} [95 %]", *(f"score, minus {name}'s [95 %]" for name in REFERENCES)]
    title = f"Share of the way from never to the bound, by slots H that are forecast; differences at H = {compared}."
    table = []
    references = {name: scores.of("planner", name, compared) for name in REFERENCES}
    for name in dict.fromkeys(row["forecaster"] for row in own):
        mine = [row for row in own if row["forecaster"] == name]
        trainings = len({row["seed"] for row in mine})
        cells = [name + (f" ({trainings} trainings)" if trainings > 1 else "")]
        cells += [steps(mine, "accuracy"), steps(mine, "accuracy_moves")]
        found = {h: scores.of("planner", name, h) for h in horizons}
        cells += [f"{scores.share(f).mean:.3f}" if len(f) else "" for f in found.values()]
        here = found[compared]
        cells.append(f"{scores.share(here):.3f}" if len(here) else "")
        for reference, theirs in references.items():
            other = len(here) and len(theirs) and name != reference
            cells.append(f"{scores.mean(here - theirs):+.4f}" if other else "")
        table.append(cells)
    lines = markdown_table(heads, table, right=range(3, 3 + len(horizons)))
    return [title, "", *lines, "", *contrasts(scores, horizons), *privacy(own)]


def contrasts(scores: Scores, horizons: Sequence[int]) -> list[str]:
    """Paired differences between the forecasters of CONTRASTS, by horizon."""
    lines = []
    for names in CONTRASTS:
        pairs = {h: [scores.of("planner", name, h) for name in names] for h in horizons}
        parts = [f"{scores.mean(a - b):+.4f} at H = {h}" for h, (a, b) in pairs.items() if len(a) and len(b)]
        if parts:
            lines.append(f"- {' minus '.join(names)}: {', '.join(parts)}")
    return ["Scores in pairs [95 %]:", "", *lines, ""] if lines else []


def steps(rows: Rows, column: str) -> str:
    """Accuracy 1, 10 and 20 slots ahead, means over trainings."""
    values = np.array([[np.nan if v is None else v for v in row[column]] for row in rows])[:, [0, 2, 3]]
    known = ~np.isnan(values).all(axis=0)
    return ", ".join(f"{np.nanmean(v):.2f}" if k else "-" for v, k in zip(values.T, known, strict=True))


def privacy(rows: Rows) -> list[str]:
    """Privacy costs of private federations."""
    costs = {tuple(row["epsilon"]) for row in rows if row["epsilon"][0] is not None}
    parts = [f"broadcasts ε = {b:.3g}, uploads against the server ε = {u:.3g}" for b, u in sorted(costs)]
    return [f"Private federations, all clients in all rounds, δ = 1e-5: {'; '.join(parts)}.", ""] if parts else []


def learner_lines(scores: Scores) -> list[str]:
    """Table of the learner."""
    own = [row for row in scores.rows if row["agent"] == "learner"]
    if not own:
        return []
    horizon, budget = own[0]["horizon"], " or ".join(f"{steps:,}" for steps in sorted({row["steps"] for row in own}))
    title = f"A learner (hindsight, {budget} slots recorded) that observes the forecast of {horizon} slots; "
    title += "intervals over trainings and episodes together."
    heads = ["learner's forecast", "trainings", "score a slot [95 %]", "share of the way [95 %]", "minus none's [95 %]"]
    table = []
    reference = scores.of("learner", "none", horizon)
    for name in dict.fromkeys(row["forecaster"] for row in own):
        found = scores.of("learner", name, horizon)
        cells = [name, str(len(found)), str(scores.mean(found)), f"{scores.share(found):.3f}"]
        same = found.shape == reference.shape and name != "none"
        cells.append(f"{scores.mean(found - reference):+.4f}" if same else "")
        table.append(cells)
    return [title, "", *markdown_table(heads, table, right=(1,)), ""]


def draw(path: Path, rows: Rows) -> None:
    """Plot the planner's share of the way by horizon, a panel per case, with learners as diamonds beyond."""
    names = list(dict.fromkeys(row["case"] for row in rows if row["agent"] == "planner"))
    names = [name for name in names if not name.endswith("-seconds")]
    if not names:
        return
    size = 1.5 + 4.2 * len(names), 4.8
    figure, panels = plt.subplots(1, len(names), figsize=size, dpi=150, layout="constrained", squeeze=False)
    handles: dict[str, Any] = {}
    for axes, name in zip(panels[0], names, strict=True):
        own = [row for row in rows if row["case"] == name]
        scores = Scores(own)
        horizons = sorted({row["horizon"] for row in own if row["agent"] == "planner"})
        for forecaster, (colour, stroke) in DRAWN.items():
            planned = {h: scores.of("planner", forecaster, h) for h in horizons}
            shares = {h: scores.share(found) for h, found in planned.items() if len(found)}
            if shares:
                low, mean, high = ([getattr(s, end) for s in shares.values()] for end in ("low", "mean", "high"))
                look = {"color": colour, "linestyle": stroke, "linewidth": 1.8, "marker": "o", "markersize": 3}
                (handles[forecaster],) = axes.plot(list(shares), mean, **look)
                if forecaster in SHADED:
                    axes.fill_between(list(shares), low, high, color=colour, alpha=0.12, linewidth=0)
            if len(found := scores.of("learner", forecaster, horizons[-1])):
                share = scores.share(found)
                reach = [[share.mean - share.low], [share.high - share.mean]]
                look = {"yerr": reach, "color": colour, "marker": "D", "markersize": 4.5, "capsize": 2}
                axes.errorbar([horizons[-1] + 1.6], [share.mean], **look)
        axes.axhline(1.0, color=INK, linewidth=0.8)
        axes.set_title("\n".join(wrap(own[0]["title"], 48)), loc="left", fontsize=9, color=INK)
        axes.set(xlabel="slots forecast, H (diamonds: learners)", ylim=(-0.25, 1.06), xticks=horizons)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, length=0)
        axes.grid(axis="y", color=GRID)
    panels[0][0].set_ylabel("share of never → clairvoyant bound")
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)
