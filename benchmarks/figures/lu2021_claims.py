"""Claims of (Lu 2021) about its figures 7 to 10, each with a test of a run's results."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.figures.finding import Claim, Finding, count, judge, listed, settled
from benchmarks.figures.grid import MissingResults, ResultGrid, in_pairs
from benchmarks.figures.lu2021 import BENCHMARKS, PROPOSED, ROUNDS, slot_costs, training_time
from benchmarks.statistics import Interval, two_way_interval, two_way_ratio

SETTLED_STEPS = 10
"""Steps of an episode after which the paper's cost is at its level."""
SLOWER = {"M at N = 100": 0.95, "M at N = 80": 0.57, "N at M = 10": 0.25, "N at M = 5": 0.22}
"""The paper's relative increase of training time with twice the stations, or with a fourth more users."""
NEAR_BEST = "local-search"
"""Reference closest to the optimum in the tables of this environment."""


def ends(cells: ResultGrid) -> tuple[float, float, float, float]:
    """Fewest and most users, fewest and most stations; raises MissingResults without two of each."""
    if len(cells.firsts) < 2 or len(cells.seconds) < 2:
        raise MissingResults("it needs cells of two N and two M")
    return cells.firsts[0], cells.firsts[-1], cells.seconds[0], cells.seconds[-1]


def converges(cells: ResultGrid) -> Finding:
    """Whether system cost falls along training and settles within the paper's rounds."""
    cells.need("the claim", trained=[PROPOSED])
    found = {key: settled(cells.curve(key, PROPOSED, "system_cost"), -1.0) for key in cells.cells}
    held = [one.still and one.episode <= ROUNDS for one in found.values()]
    said = [
        f"{cells.name(key)} {one.change:+.3f} a slot"
        + (f", nine tenths of it by episode {one.episode:.0f}" if one.clear else ", not clear")
        + (", and still falling" if one.clear and not one.still else "")
        for key, one in found.items()
    ]
    last = max(one.last for one in found.values())
    text = f"system cost falls and settles in {count(held)} cells within {last:.0f} episodes: {'; '.join(said)}."
    return Finding(judge(held), text)


def differences(cells: ResultGrid, agent: str, along: int) -> list[tuple[str, Interval]]:
    """System cost of an agent at the most minus at the fewest N (along 0) or M (1), by the other quantity."""
    n0, n1, m0, m1 = ends(cells)
    pairs = [((n0, m), (n1, m), f"M = {m:g}") for m in cells.seconds]
    if along:
        pairs = [((n, m0), (n, m1), f"N = {n:g}") for n in cells.firsts]
    return [
        (name, two_way_interval(cells.matrix(high, agent, "system_cost") - cells.matrix(low, agent, "system_cost")))
        for low, high, name in pairs
    ]


def trend(cells: ResultGrid, *, along: int, sign: float) -> Finding:
    """Whether held-out system cost rises (sign 1) or falls (sign -1) with N (along 0) or M (1)."""
    cells.need("the claim", [PROPOSED])
    found = differences(cells, PROPOSED, along)
    held = [sign * value.mean > 0.0 and value.low * value.high > 0.0 for _, value in found]
    what = f"{cells.symbols[along]} = {ends(cells)[2 * along + 1]:g} minus {ends(cells)[2 * along]:g}"
    text = f"system cost a slot, {what}: {listed(found, '+.3f')}"
    if cells.has(NEAR_BEST):
        text += f"; of {NEAR_BEST}: {listed(differences(cells, NEAR_BEST, along), '+.3f')}"
    return Finding(judge(held), f"{text}.")


def users_matter_more(cells: ResultGrid) -> Finding:
    """Whether the cost changes more with N than with M."""
    cells.need("the claim", [PROPOSED])
    n0, n1, m0, m1 = ends(cells)
    of = {key: cells.matrix(key, PROPOSED, "system_cost") for key in cells.cells}
    users = (of[n1, m0] - of[n0, m0] + of[n1, m1] - of[n0, m1]) / 2
    stations = (of[n0, m1] - of[n0, m0] + of[n1, m1] - of[n1, m0]) / 2
    with_users, with_stations = two_way_interval(users), two_way_interval(stations)
    more = two_way_interval(users * np.sign(with_users.mean) - stations * np.sign(with_stations.mean))
    text = f"system cost changes by {with_users:+.3f} with N and by {with_stations:+.3f} with M; "
    return Finding(judge([more.low > 0.0]), f"{text}size of the first minus that of the second {more:+.3f}.")


def falls_in_an_episode(cells: ResultGrid) -> Finding:
    """Whether a trained policy's cost falls over the first steps of an episode, then stays."""
    cells.need("the claim", [PROPOSED], [PROPOSED])
    found = {}
    for key in cells.cells:
        costs = slot_costs(cells, key)
        found[cells.name(key)] = two_way_interval(costs[:, :, 0] - costs[:, :, SETTLED_STEPS:].mean(axis=2))
    held = [value.low > 0.0 for value in found.values()]
    text = f"cost of step 1 minus the mean of those after step {SETTLED_STEPS}: {listed(found.items(), '+.3f')}; "
    return Finding(judge(held), f"{text}above zero in {count(held)} cells.")


def below_benchmarks(cells: ResultGrid) -> Finding:
    """Whether the Proposed's time cost is below nearest and random association."""
    cells.need("the claim", [PROPOSED, *BENCHMARKS])
    shown, held = [], []
    for agent in BENCHMARKS:
        for key in cells.cells:
            ratio = two_way_ratio(*in_pairs(*(cells.matrix(key, name, "latency") for name in (PROPOSED, agent))))
            shown.append((f"{cells.name(key)}, {agent}", ratio))
            held.append(ratio.high < 1.0)
    text = f"time cost divided by the benchmark's: {listed(shown, '.3f')}; below 1 in {count(held)}"
    if cells.has(NEAR_BEST):
        of = cells.pooled(NEAR_BEST, "latency"), cells.pooled(BENCHMARKS[0], "latency")
        text += f"; {NEAR_BEST} reaches {two_way_ratio(*of):.3f} of {BENCHMARKS[0]} on average"
    return Finding(judge(held), f"{text}.")


def slower(cells: ResultGrid) -> Finding:
    """Whether training takes longer with more users and stations, and how much."""
    cells.need("the claim", trained=[PROPOSED])
    n0, n1, m0, m1 = ends(cells)
    curves = {key: training_time(cells, key) for key in cells.cells}
    last = min(float(curve.episodes[-1]) for curve in curves.values())
    seconds = {key: float(np.interp(last, curve.episodes, curve.mean)) for key, curve in curves.items()}
    pairs = [((n1, m0), (n1, m1)), ((n0, m0), (n0, m1)), ((n0, m1), (n1, m1)), ((n0, m0), (n1, m0))]
    found = [seconds[high] / seconds[low] - 1.0 for low, high in pairs]
    said = "; ".join(
        f"{name} {more:+.0%} (the paper: {paper:+.0%})"
        for (name, paper), more in zip(SLOWER.items(), found, strict=True)
    )
    held = [more > 0.0 for more in found] + [min(found[:2]) > max(found[2:])]
    return Finding(judge(held), f"seconds by episode {last:.0f}, with more: {said}.")


_STATIONS = (
    "Two sentences of the paper contradict each other here. In the model more stations bring more computing for the "
    "same users and shorter ways; what they add, (25) charges for hosts alone."
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "Fig. 7",
        f"the algorithm converges within {ROUNDS} rounds",
        converges,
        "A round is read as an episode: the paper leaves its length open. A budget may hold fewer than the paper's.",
    ),
    Claim(
        "Fig. 7",
        "system cost rises with the number of users",
        partial(trend, along=0, sign=1.0),
        "More users share the same spectrum and processors.",
    ),
    Claim("Fig. 7", "system cost rises with the number of base stations", partial(trend, along=1, sign=1.0), _STATIONS),
    Claim("Fig. 8", "fewer base stations mean a higher system cost", partial(trend, along=1, sign=-1.0), _STATIONS),
    Claim(
        "Figs 7-8",
        "users have a greater effect than base stations",
        users_matter_more,
        "From 80 to 100 users is a fourth more, from 5 to 10 stations twice as many: the two steps are not alike.",
    ),
    Claim(
        "Fig. 8",
        f"in an episode of 25 steps the cost falls to a small value within {SETTLED_STEPS}",
        falls_in_an_episode,
        "As (22) to (26) stand, a slot's reward depends on its own decision alone: a trained policy has nothing to "
        "work off from step to step. The paper's steps may be of a search for one decision.",
    ),
    Claim(
        "Fig. 9",
        "time cost is far below nearest and random association",
        below_benchmarks,
        "How far below is possible at all depends on values that the paper does not give, cycles per bit, data sizes "
        "and ways between stations among them.",
    ),
    Claim(
        "Fig. 10",
        "training takes longer with more stations and with more users, with stations above all",
        slower,
        "Every station has an actor and a critic of its own, so their number grows with M. Seconds are of the machine "
        "that ran it, with what else ran on it.",
    ),
)
"""Claims in the order of the paper."""
