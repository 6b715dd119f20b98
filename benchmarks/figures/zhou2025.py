"""Figures 3 to 10 of (Zhou 2025), "Energy-Efficient Federated Learning and Migration in Digital Twin Edge Networks"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures import drawing
from benchmarks.figures.grid import Curve, Key, MissingResults, ResultGrid
from benchmarks.plotting import INK
from dtenv import presets
from dtenv.physics.utility import data_power, data_utility, utility_ceiling

if TYPE_CHECKING:
    from benchmarks.suites.results import Results

PROPOSED = "ppo (Proposed)"
BASELINES = {1: "a2c (Baseline 1)", 2: "nearest", 3: "nearest-random", 4: "ddpg (Baseline 4)"}
"""Agents by the paper's numbers."""
ALGORITHMS = {
    PROPOSED: "Proposed (PPO)",
    BASELINES[1]: "Baseline 1 (A2C)",
    BASELINES[2]: "Baseline 2 (nearest)",
    BASELINES[3]: "Baseline 3 (random history)",
    BASELINES[4]: "Baseline 4 (DDPG)",
}
"""Legend labels of the five algorithms, by agent."""
REFERENCES = ("stay", "local-search")
"""Heuristics that the paper does not have."""
EMDS = (0.0, 0.2, 0.4, 0.6)
LARGE = 15
"""Least number of servers in Fig. 10."""
ALPHA = presets.resolve("paper").value("alpha")

grid: Callable[[Results], ResultGrid] = partial(
    ResultGrid,
    env_id="DTAssociation-v0",
    presets=("paper",),
    key=lambda scenario: (float(scenario.value("emd")), scenario.num_sites),
    symbols=("φ", "S"),
)
"""A run's cells by (φ, S)."""


def ceiling(emd: float) -> float:
    """v(φ) of (12), with the paper's coefficients."""
    return float(utility_ceiling(emd, *ALPHA[3:]))


def utility(samples: np.ndarray, emd: float) -> np.ndarray:
    """ρ of (11) by number of samples, for earth mover's distance φ, with the paper's coefficients."""
    top, (a1, a2, a3, *_) = ceiling(emd), ALPHA
    return np.array([data_utility(data_power(d, top, a3), top, a1, a2) for d in samples])


def fig3(_: Results | None = None) -> Any:
    """Data utility (11) against data size in bits, a curve per φ; needs no results."""
    bits = presets.resolve("paper").value("bits_per_sample")
    samples = np.linspace(200.0, 2000.0, 91)
    figure, (axes,) = drawing.panels(
        [""], "After Fig. 3 of (Zhou et al. 2025): utility (11) of 200 to 2000 samples of 784 bits, by φ", height=3.8
    )
    for index, emd in enumerate(EMDS):
        look = {"markevery": 15, "linestyle": "--", **drawing.style(index)}
        axes.plot(samples * bits, utility(samples, emd), label=f"φ = {emd:g}", **look)
    axes.set(xlabel="data size D̄, bits", ylabel="data utility ρ")
    axes.ticklabel_format(axis="x", scilimits=(5, 5), useMathText=True)
    axes.legend(frameon=False, fontsize=8)
    return figure


def reward(cells: ResultGrid, key: Key) -> Curve:
    """Reward (25) a slot while the Proposed learns."""
    return cells.curve(key, PROPOSED, "reward")


def gathered(cells: ResultGrid, key: Key) -> Curve:
    """Utility (11) a user in the Proposed's training episodes."""
    return cells.curve(key, PROPOSED, "utility")


def along_training(
    results: Results, number: int, curve: Callable[[ResultGrid, Key], Curve], ylabel: str, said: str, least: int = 0
) -> Any:
    """Figures 4 and 10: a curve of the Proposed while it learns, a panel per φ, a line per S from `least` up."""
    cells, name = grid(results), f"zhou2025-fig{number}"
    servers = [s for s in cells.seconds if s >= least]
    if not servers:
        raise MissingResults(f"{name} needs cells of S >= {least}, {results.folder} has S = {cells.seconds}")
    cells.need(name, trained=[PROPOSED], keys=[(emd, s) for emd in cells.firsts for s in servers])
    caption = f"After Fig. {number} of (Zhou et al. 2025): {said}"
    figure, axes = drawing.panels([f"φ = {emd:g}" for emd in cells.firsts], caption)
    slots = cells.episode_slots((cells.firsts[0], servers[0]), PROPOSED)
    for panel, emd in zip(axes, cells.firsts, strict=True):
        for index, s in enumerate(servers):
            drawing.band(panel, curve(cells, (emd, s)), f"S = {s:g}", count=len(servers), index=index)
        panel.set(xlabel=f"training episodes of {slots} slots", ylabel=ylabel)
    drawing.legend(figure, axes, columns=7)
    return figure


def fig5(results: Results) -> Any:
    """Objective (22) against S, a panel per φ, a line per algorithm with intervals."""
    cells = grid(results)
    cells.need("zhou2025-fig5", ALGORITHMS)
    said = "After Fig. 5 of (Zhou et al. 2025): objective (22) a slot, means and 95 % intervals; grey: not in the paper"
    figure, axes = drawing.panels([f"φ = {emd:g}" for emd in cells.firsts], said)
    for panel, emd in zip(axes, cells.firsts, strict=True):
        lines(panel, cells, emd, "objective")
        for marker, agent in zip("x+", REFERENCES, strict=True):
            if cells.has(agent):
                values = [cells.interval((emd, s), agent, "objective") for s in cells.seconds]
                drawing.points(panel, cells.seconds, values, agent, 0.0, marker=marker, **drawing.REFERENCE)
        panel.set(xlabel="edge servers S", ylabel="objective value", xticks=cells.seconds)
    drawing.legend(figure, axes)
    return figure


def costs(results: Results, *, number: int, emd: float) -> Any:
    """Figures 6 to 9: utility (11), dashed, on the left axis and total cost (21), solid, on the right, against S."""
    cells, name = grid(results), f"zhou2025-fig{number}"
    if emd not in cells.firsts:
        raise MissingResults(f"{name} needs cells of φ = {emd:g}, {results.folder} has φ = {cells.firsts}")
    cells.need(name, ALGORITHMS, keys=[(emd, s) for s in cells.seconds])
    said = f"After Fig. {number} of (Zhou et al. 2025), φ = {emd:g}: dashed, left: utility (11) a user;\n"
    said += "solid, right: total cost (21) a slot, summed over servers; means and 95 % intervals"
    figure, (left,) = drawing.panels([f"φ = {emd:g}"], said, height=3.8)
    right = left.twinx()
    right.spines["top"].set_visible(False)
    right.tick_params(colors=INK, length=0, labelsize=8)
    lines(left, cells, emd, "utility", linestyle="--")
    lines(right, cells, emd, "energy")
    left.set(xlabel="edge servers S", ylabel="data utility ρ (dashed)", xticks=cells.seconds)
    right.set(ylabel="total cost C (solid)")
    drawing.legend(figure, [right], columns=3)
    return figure


def lines(axes: Any, cells: ResultGrid, emd: float, column: str, **look: Any) -> None:
    """Plot a column of the five algorithms against S."""
    width = 0.025 * (cells.seconds[-1] - cells.seconds[0])
    for index, (agent, label) in enumerate(ALGORITHMS.items()):
        values = [cells.interval((emd, s), agent, column) for s in cells.seconds]
        drawing.points(axes, cells.seconds, values, label, (index - 2) * width / 2, **drawing.style(index) | look)


FIGURES: dict[str, Callable[[Any], Any]] = {
    "zhou2025-fig3": fig3,
    "zhou2025-fig4": partial(
        along_training,
        number=4,
        curve=reward,
        ylabel="reward a slot",
        said="reward (25), mean of slots, while the Proposed learns",
    ),
    "zhou2025-fig5": fig5,
    **{f"zhou2025-fig{number}": partial(costs, number=number, emd=emd) for number, emd in enumerate(EMDS, 6)},
    "zhou2025-fig10": partial(
        along_training,
        number=10,
        curve=gathered,
        ylabel="data utility ρ",
        said="utility (11) a user while the Proposed learns",
        least=LARGE,
    ),
}
"""Functions of results, by name."""
