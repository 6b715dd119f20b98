"""The page and the picture of benchmarks.profiles: what another profile's policy loses, and if it decides otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import SymLogNorm

from benchmarks.plotting import INK, plt
from benchmarks.statistics import Interval, mean_interval, two_way_interval

NATIVE = "local-search"
"""The heuristic that plans with a profile."""

OPTIMUM = "optimum"
"""The proven best of one slot."""

RULES = ("nearest", "stay", "hysteresis")
"""Heuristics that know of no profile."""

BASELINE = "nearest"
"""Baseline 2 of (Zhou 2025): what policies are said to gain over."""

Row = Mapping[str, Any]


def scores(rows: Sequence[Row], arm: str, agent: str, native: str, profile: str, column: str = "score") -> np.ndarray:
    """A column as (training seeds, episodes), in the order of the seeds."""
    wanted = (arm, agent, native, profile)
    own = [row for row in rows if (row["arm"], row["agent"], row["native"], row["profile"]) == wanted]
    trainings = sorted({row["training_seed"] for row in own})
    episodes = sorted({row["seed"] for row in own})
    found = {(row["training_seed"], row["seed"]): row[column] for row in own}
    return np.array([[found[training, episode] for episode in episodes] for training in trainings])


def loss(rows: Sequence[Row], arm: str, agent: str, native: str, profile: str, best: str = "") -> Interval:
    """What a policy scores less than the played profile's own of kind `best`, episode by episode; with its interval."""
    own = scores(rows, arm, best or agent, profile, profile)
    return two_way_interval(own - scores(rows, arm, agent, native, profile))


def names_of(rows: Sequence[Row], column: str, **wanted: str) -> list[str]:
    """Values of a column, each once, in their order, of the rows that are wanted."""
    return list(dict.fromkeys(row[column] for row in rows if all(row[name] == value for name, value in wanted.items())))


def matrix(head: str, lines: Mapping[str, Sequence[str]], columns: Sequence[str]) -> list[str]:
    """A Markdown table."""
    titles = "".join(f" {column} |" for column in columns)
    found = [f"| {head} |{titles}", "|---" * (len(columns) + 1) + "|"]
    return [*found, *(f"| {name} |" + "".join(f" {cell} |" for cell in cells) for name, cells in lines.items()), ""]


def write_report(folder: Path, rows: Sequence[Row], decided: Sequence[Row], command: str) -> str:
    """Write table.md and losses.png; returns the page."""
    lines = [f"`{command}`", ""]
    for arm in names_of(rows, "arm"):
        lines += arm_page(arm, rows, decided)
    left_out = sorted(set(names_of(rows, "profile")) - set(names_of(rows, "profile", arm=names_of(rows, "arm")[-1])))
    if left_out:
        lines += [
            f"Where models are charged, {', '.join(left_out)} cannot be played: no bytes or rounds are stated.",
            "",
        ]
    page = "\n".join(lines)
    (folder / "table.md").write_text(page)
    draw(folder / "losses.png", rows)
    return page


def arm_page(arm: str, rows: Sequence[Row], decided: Sequence[Row]) -> list[str]:
    """What is told of one arm."""
    profiles = names_of(rows, "profile", arm=arm)
    lines = [f"## Models' energy: {arm}", "", answer(arm, rows, decided), ""]
    natives = {profile: scores(rows, arm, NATIVE, profile, profile) for profile in profiles}
    episodes = next(iter(natives.values())).shape[1]
    lines += [f"Every profile's own local search under it, {episodes} held-out episodes:", ""]
    table = {}
    for profile in profiles:
        gain = natives[profile][0] - scores(rows, arm, BASELINE, "", profile)[0]
        means = [float(scores(rows, arm, NATIVE, profile, profile, name).mean()) for name in ("utility", "energy")]
        servers = np.mean([row["servers"] for row in choices(decided, NATIVE, arm, profile, profile)])
        table[profile] = [
            f"{mean_interval(natives[profile][0]):.4f}",
            f"{mean_interval(gain):.4f}",
            f"{means[0]:.3f}",
            f"{means[1]:,.0f}",
            f"{servers:.1f}",
        ]
    lines += matrix("profile", table, ["score", f"gain over {BASELINE}", "utility", "energy", "servers used"])
    for agent in [name for name in names_of(rows, "agent", arm=arm) if name not in RULES]:
        lines += losses(arm, agent, rows, profiles)
    heads = {
        NATIVE: "Twins that another profile's local search would place otherwise, in the slots that the own one "
        "visits, and what its decision would lose in the slot's score:",
        OPTIMUM: "The same of optima, in {slots} slots that all profiles are shown; proven to {gap:.1e}:",
    }
    for planner in names_of(decided, "planner", arm=arm):
        own = [row for row in decided if (row["planner"], row["arm"]) == (planner, arm)]
        slots, gap = len({row["seed"] for row in own}), max(row["gap"] for row in own)
        cells = {}
        for native in profiles:
            cells[f"of {native}"] = [
                "–" if native == profile else disagreement(decided, planner, arm, native, profile)
                for profile in profiles
            ]
        lines += [heads[planner].format(slots=slots, gap=gap), ""]
        lines += matrix("decisions", cells, [f"under {profile}" for profile in profiles])
    return lines


def losses(arm: str, agent: str, rows: Sequence[Row], profiles: Sequence[str]) -> list[str]:
    """The matrix of one kind of policy, with the rules below local search."""
    lines = [f"What `{agent}` of another profile (rows) scores less than that of the profile played (columns):", ""]
    cells = {
        f"of {native}": [
            "–" if native == profile else f"{loss(rows, arm, agent, native, profile):.5f}" for profile in profiles
        ]
        for native in names_of(rows, "native", arm=arm, agent=agent)
        if native
    }
    rules = RULES if agent == NATIVE else tuple(n for n in (agent,) if "" in names_of(rows, "native", agent=agent))
    for rule in rules:
        label = f"`{rule}`" if agent == NATIVE else f"`{rule}` as shipped"
        cells[label] = [f"{loss(rows, arm, rule, '', profile, agent):.5f}" for profile in profiles]
    if agent != NATIVE:
        cells[f"`{NATIVE}`, the own"] = [
            f"{loss(rows, arm, NATIVE, profile, profile, agent):.5f}" for profile in profiles
        ]
    return [*lines, *matrix("policy", cells, [f"under {profile}" for profile in profiles])]


def choices(decided: Sequence[Row], planner: str, arm: str, native: str, profile: str) -> list[Row]:
    """Rows of decisions of one cell."""
    wanted = (planner, arm, native, profile)
    return [row for row in decided if (row["planner"], row["arm"], row["native"], row["profile"]) == wanted]


def disagreement(decided: Sequence[Row], planner: str, arm: str, native: str, profile: str) -> str:
    """Share of twins placed otherwise, and the slot's loss."""
    own = choices(decided, planner, arm, native, profile)
    share, cost = (mean_interval([row[name] for row in own]) for name in ("otherwise", "slot_loss"))
    return f"{100 * share.mean:.1f} %, {cost.mean:.5f}"


def answer(arm: str, rows: Sequence[Row], decided: Sequence[Row]) -> str:
    """What the matrix says, in a sentence or two."""
    profiles = names_of(rows, "profile", arm=arm)
    own = {profile: float(scores(rows, arm, NATIVE, profile, profile).mean()) for profile in profiles}
    low, high = min(own, key=own.__getitem__), max(own, key=own.__getitem__)
    if len(profiles) == 1:
        return f"Only {low} can be played, whose own policy scores {own[low]:.4f}."
    text = f"The own policy's score goes from {own[low]:.4f} ({low}) to {own[high]:.4f} ({high})."
    others = [(native, profile) for native in profiles for profile in profiles if native != profile]
    found = {pair: loss(rows, arm, NATIVE, *pair) for pair in others}
    native, profile = max(found, key=lambda pair: found[pair].mean)
    worst = found[native, profile]
    gain = own[profile] - float(scores(rows, arm, BASELINE, "", profile).mean())
    share = f", {100 * worst.mean / gain:.1f} % of what the own one gains over `{BASELINE}`" if gain > 0 else ""
    wanted = (NATIVE, arm)
    own_rows = [row for row in decided if (row["planner"], row["arm"]) == wanted and row["native"] != row["profile"]]
    otherwise = [row["otherwise"] for row in own_rows]
    apart = sum(interval.low > 0.0 for interval in found.values())
    return (
        f"{text} Local search that plans with another profile loses most with {native} under {profile}: "
        f"{worst:.5f}{share}. It loses by more than chance (95 %) in {apart} of {len(found)} pairs, and would place "
        f"{100 * float(np.mean(otherwise)):.1f} % of the twins otherwise on average."
    )


def draw(path: Path, rows: Sequence[Row]) -> None:
    """One map an arm and kind of policy: mean losses in thousandths, bold where the interval lies above 0."""
    arms = names_of(rows, "arm")
    kinds = [agent for agent in names_of(rows, "agent") if agent not in RULES]
    count = len(names_of(rows, "profile"))
    size = ((1.6 + 0.75 * count) * len(arms), (1.7 + 0.45 * count) * len(kinds) + 0.3)
    figure, axes = plt.subplots(len(kinds), len(arms), figsize=size, dpi=150, squeeze=False, layout="constrained")
    found = {}
    for arm in arms:
        profiles = names_of(rows, "profile", arm=arm)
        for agent in kinds:
            found[arm, agent] = [[loss(rows, arm, agent, native, played) for played in profiles] for native in profiles]
    most = max(2e-3, *(abs(cell.mean) for cells in found.values() for line in cells for cell in line))
    norm = SymLogNorm(1.0, vmin=-1e3 * most, vmax=1e3 * most)  # as losses are of several magnitudes
    for (arm, agent), axis in zip(found, axes.T.flat, strict=True):
        profiles, cells = names_of(rows, "profile", arm=arm), found[arm, agent]
        means = np.array([[cell.mean for cell in line] for line in cells])
        image = axis.imshow(1e3 * means, cmap="RdBu_r", norm=norm)
        for y, line in enumerate(cells):
            for x, cell in enumerate(line):
                if x != y:
                    pale = 0.15 < norm(1e3 * cell.mean) < 0.85
                    weight = "bold" if cell.low > 0.0 or cell.high < 0.0 else "normal"
                    text = f"{1e3 * cell.mean:.2f}"
                    axis.text(
                        x, y, text, ha="center", va="center", fontsize=7, weight=weight, color=INK if pale else "white"
                    )
        axis.set_xticks(range(len(profiles)), profiles, rotation=35, ha="right", fontsize=7, color=INK)
        axis.set_yticks(range(len(profiles)), profiles, fontsize=7, color=INK)
        axis.set_title(f"{agent}; models' energy: {arm}", fontsize=8, color=INK)
        axis.set_xlabel("profile played", fontsize=8, color=INK)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_ylabel("policy of", fontsize=8, color=INK)
    figure.suptitle(
        "Score lost to the played profile's own policy, thousandths (logarithmic colours); bold: beyond chance (95 %)",
        fontsize=9,
    )
    figure.colorbar(image, ax=axes, shrink=0.7, pad=0.01).ax.tick_params(labelsize=7)
    figure.savefig(path)
    plt.close(figure)
