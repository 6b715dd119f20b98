"""Page and plot of benchmarks.profiles: score lost by other profiles' policies, and differences of their decisions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import SymLogNorm

from benchmarks.plotting import INK, plt, save
from benchmarks.statistics import Interval, mean_interval, score_matrix, two_way_interval
from dtenv.reporting.markdown import markdown_table

NATIVE = "local-search"
"""Heuristic that plans with a profile."""

OPTIMUM = "optimum"
"""Planner that plays the proven optimum of one slot."""

RULES = ("nearest", "stay", "hysteresis")
"""Heuristics that use no profile."""

BASELINE = "nearest"
"""Baseline 2 of (Zhou 2025), against which gains are measured."""

Row = Mapping[str, Any]


def scores(rows: Sequence[Row], arm: str, agent: str, native: str, profile: str, column: str = "score") -> np.ndarray:
    """A column as (training seeds, episodes), sorted by seed."""
    wanted = (arm, native, profile)
    own = [row for row in rows if (row["arm"], row["native"], row["profile"]) == wanted]
    return score_matrix(own, agent, column)


def loss(rows: Sequence[Row], arm: str, agent: str, native: str, profile: str, best: str = "") -> Interval:
    """Score of the played profile's own policy of kind `best` minus a policy's, paired by episode; with interval."""
    own = scores(rows, arm, best or agent, profile, profile)
    return two_way_interval(own - scores(rows, arm, agent, native, profile))


def names_of(rows: Sequence[Row], column: str, **wanted: str) -> list[str]:
    """Different values of a column in the wanted rows, in their order."""
    return list(dict.fromkeys(row[column] for row in rows if all(row[name] == value for name, value in wanted.items())))


def page(rows: Sequence[Row], decided: Sequence[Row], command: str) -> str:
    """Markdown page of all arms."""
    arms = names_of(rows, "arm")
    lines = [f"`{command}`", ""]
    for arm in arms:
        lines += arm_page(arm, rows, decided)
    left_out = ", ".join(sorted({*names_of(rows, "profile")} - {*names_of(rows, "profile", arm=arms[-1])}))
    if left_out:
        lines += [f"Where models are charged, {left_out} cannot be played: no bytes or rounds are stated.", ""]
    return "\n".join(lines)


def arm_page(arm: str, rows: Sequence[Row], decided: Sequence[Row]) -> list[str]:
    """Lines of one arm."""
    profiles = names_of(rows, "profile", arm=arm)
    under = [f"under {profile}" for profile in profiles]
    table = []
    for profile in profiles:
        own = scores(rows, arm, NATIVE, profile, profile)[0]
        gain = own - scores(rows, arm, BASELINE, "", profile)[0]
        utility, energy = (scores(rows, arm, NATIVE, profile, profile, name).mean() for name in ("utility", "energy"))
        servers = np.mean([row["servers"] for row in choices(decided, NATIVE, arm, profile, profile)])
        means = [f"{utility:.3f}", f"{energy:,.0f}", f"{servers:.1f}"]
        table.append([profile, mean_interval(own), mean_interval(gain), *means])
    lines = [
        f"## Models' energy: {arm}",
        "",
        answer(arm, rows, decided),
        "",
        f"Every profile's own local search under it, {len(own)} held-out episodes:",
        "",
        *markdown_table(["profile", "score", f"gain over {BASELINE}", "utility", "energy", "servers used"], table),
        "",
    ]
    for agent in [name for name in names_of(rows, "agent", arm=arm) if name not in RULES]:
        lines += [
            f"What `{agent}` of another profile (rows) scores less than that of the profile played (columns):",
            "",
        ]
        lines += [*markdown_table(["policy", *under], losses(arm, agent, rows, profiles)), ""]
    heads = {
        NATIVE: "Twins that another profile's local search would place otherwise, in the slots that the own one "
        "visits, and what its decision would lose in the slot's score:",
        OPTIMUM: "The same of optima, in {slots} slots that all profiles are shown; proven to {gap:.1e}:",
    }
    for planner in names_of(decided, "planner", arm=arm):
        own = [row for row in decided if (row["planner"], row["arm"]) == (planner, arm)]
        slots, gap = len({row["seed"] for row in own}), max(row["gap"] for row in own)
        lines += [heads[planner].format(slots=slots, gap=gap), ""]
        table = []
        for native in profiles:
            cells = [choices(own, planner, arm, native, profile) for profile in profiles if profile != native]
            texts = [
                f"{100 * np.mean([row['otherwise'] for row in cell]):.1f} %, "
                f"{np.mean([row['slot_loss'] for row in cell]):.5f}"
                for cell in cells
            ]
            texts.insert(profiles.index(native), "–")
            table.append([f"of {native}", *texts])
        lines += [*markdown_table(["decisions", *under], table), ""]
    return lines


def losses(arm: str, agent: str, rows: Sequence[Row], profiles: Sequence[str]) -> list[list[str]]:
    """Matrix of losses of one kind of policy, with the rules below local search."""

    def line(label: str, other: str, native: str | None = None) -> list[str]:
        found = [loss(rows, arm, other, profile if native is None else native, profile, agent) for profile in profiles]
        return [label, *(f"{interval:.5f}" for interval in found)]

    natives = [native for native in names_of(rows, "native", arm=arm, agent=agent) if native]
    cells = [line(f"of {native}", agent, native) for native in natives]
    for native, own in zip(natives, cells, strict=True):
        own[1 + profiles.index(native)] = "–"
    if agent == NATIVE:
        return [*cells, *(line(f"`{rule}`", rule, "") for rule in RULES)]
    if "" in names_of(rows, "native", agent=agent):
        cells.append(line(f"`{agent}` as shipped", agent, ""))
    return [*cells, line(f"`{NATIVE}`, the own", NATIVE)]


def choices(decided: Sequence[Row], planner: str, arm: str, native: str, profile: str) -> list[Row]:
    """Decisions of one cell."""
    wanted = (planner, arm, native, profile)
    return [row for row in decided if (row["planner"], row["arm"], row["native"], row["profile"]) == wanted]


def answer(arm: str, rows: Sequence[Row], decided: Sequence[Row]) -> str:
    """Summary of the matrix in a few sentences."""
    profiles = names_of(rows, "profile", arm=arm)
    own = {profile: float(scores(rows, arm, NATIVE, profile, profile).mean()) for profile in profiles}
    low, high = min(own, key=own.__getitem__), max(own, key=own.__getitem__)
    if len(profiles) == 1:
        return f"Only {low} can be played, whose own policy scores {own[low]:.4f}."
    found = {pair: loss(rows, arm, NATIVE, *pair) for pair in itertools.permutations(profiles, 2)}
    native, profile = max(found, key=lambda pair: found[pair].mean)
    worst = found[native, profile]
    gain = own[profile] - float(scores(rows, arm, BASELINE, "", profile).mean())
    share = f", {100 * worst.mean / gain:.1f} % of what the own one gains over `{BASELINE}`" if gain > 0 else ""
    of_arm = [row for row in decided if (row["planner"], row["arm"]) == (NATIVE, arm)]
    otherwise = np.mean([row["otherwise"] for row in of_arm if row["native"] != row["profile"]])
    apart = sum(interval.low > 0.0 for interval in found.values())
    return (
        f"The own policy's score goes from {own[low]:.4f} ({low}) to {own[high]:.4f} ({high}). Local search that plans "
        f"with another profile loses most with {native} under {profile}: {worst:.5f}{share}. It loses by more than "
        f"chance (95 %) in {apart} of {len(found)} pairs, and would place {100 * otherwise:.1f} % of the twins "
        "otherwise on average."
    )


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Plot a map per arm and kind of policy: mean losses in thousandths, bold where the interval excludes 0."""
    arms = names_of(rows, "arm")
    kinds = [agent for agent in names_of(rows, "agent") if agent not in RULES]
    count = len(names_of(rows, "profile"))
    size = ((1.6 + 0.75 * count) * len(arms), (1.7 + 0.45 * count) * len(kinds) + 0.3)
    figure, axes = plt.subplots(len(kinds), len(arms), figsize=size, dpi=150, squeeze=False, layout="constrained")
    found = {}
    for arm, agent in itertools.product(arms, kinds):
        profiles = names_of(rows, "profile", arm=arm)
        found[arm, agent] = [[loss(rows, arm, agent, native, played) for played in profiles] for native in profiles]
    most = max(2e-3, *(abs(cell.mean) for cells in found.values() for line in cells for cell in line))
    norm = SymLogNorm(1.0, vmin=-1e3 * most, vmax=1e3 * most)
    for (arm, agent), axis in zip(found, axes.T.flat, strict=True):
        profiles, cells = names_of(rows, "profile", arm=arm), found[arm, agent]
        means = np.array([[cell.mean for cell in line] for line in cells])
        image = axis.imshow(1e3 * means, cmap="RdBu_r", norm=norm)
        for y, line in enumerate(cells):
            for x, cell in enumerate(line):
                if x != y:
                    colour = INK if 0.15 < norm(1e3 * cell.mean) < 0.85 else "white"
                    weight = "bold" if cell.low > 0.0 or cell.high < 0.0 else "normal"
                    look = {"ha": "center", "va": "center", "fontsize": 7, "weight": weight, "color": colour}
                    axis.text(x, y, f"{1e3 * cell.mean:.2f}", **look)
        axis.set_xticks(range(len(profiles)), profiles, rotation=35, ha="right", fontsize=7, color=INK)
        axis.set_yticks(range(len(profiles)), profiles, fontsize=7, color=INK)
        axis.set_title(f"{agent}; models' energy: {arm}", fontsize=8, color=INK)
        axis.set_xlabel("profile played", fontsize=8, color=INK)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_ylabel("policy of", fontsize=8, color=INK)
    title = (
        "Score lost to the played profile's own policy, thousandths (logarithmic colours); bold: beyond chance (95 %)"
    )
    figure.suptitle(title, fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.7, pad=0.01).ax.tick_params(labelsize=7)
    save(figure, path)
