"""Tests of what (Zhou 2025) claims of its figures 4 to 10, by a run's results."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.figures.finding import Finding, count, judge, listed
from benchmarks.figures.grid import Curve, Grid, Key, MissingResults, in_pairs
from benchmarks.figures.played import policies, slots
from benchmarks.figures.settling import settled
from benchmarks.figures.zhou2025 import ALGORITHMS, BASELINES, PROPOSED, reward
from benchmarks.statistics import Interval, two_way_interval, two_way_ratio

HEADLINE = {1: 0.1022, 2: 0.5070, 3: 0.6842, 4: 1.5025}
"""How many times higher the Proposed's objective is said to be than each baseline's, on average."""
PEAK = 200
"""Episodes after which the paper's curves are at their peak."""
SAME = 0.05
"""Relative difference up to which costs count as the same."""
FLAT = 0.1
"""Share of the other algorithms' rise up to which a line counts as flat."""
PLAYED = 4
"""Held-out episodes in which occupied servers are counted."""


def rise(cells: Grid, agent: str, column: str, emds: Sequence[float]) -> Interval:
    """From the fewest servers to the most, averaged over φ."""
    if len(cells.seconds) < 2:
        raise MissingResults("it needs cells of two numbers of servers")
    low, high = (cells.pooled(agent, column, [(emd, s) for emd in emds]) for s in (cells.seconds[0], cells.seconds[-1]))
    return two_way_interval(high - low)


def span(cells: Grid) -> str:
    """Such as "from S = 9 to 21"."""
    return f"from S = {cells.seconds[0]:g} to {cells.seconds[-1]:g}"


def quick(curve: Callable[[Grid, Key], Curve], least: int = 0) -> Callable[[Grid], Finding]:
    """A test whether the Proposed's curves rise and settle by the paper's episode."""

    def test(cells: Grid) -> Finding:
        keys = [key for key in cells.cells if key[1] >= least]
        if not keys:
            raise MissingResults(f"it needs cells of S >= {least}")
        cells.need("the claim", trained=[PROPOSED], keys=keys)
        found = [settled(curve(cells, key), 1.0) for key in keys]
        clear = [one.clear for one in found]
        text = f"rises clearly in {count(clear)} cells (φ, S), and settles in {sum(one.still for one in found)}"
        if not any(clear):
            return Finding("does not", f"{text} within {found[0].last:.0f} episodes.")
        when = [one.episode for one in found if one.clear]
        text += f"; there nine tenths of the rise are reached by episode {np.median(when):.0f} (median; "
        text += f"{min(when):.0f} to {max(when):.0f}) of {found[0].last:.0f}."
        return Finding(judge([all(one.still for one in found), float(np.median(when)) <= PEAK]), text)

    return test


def converged(cells: Grid) -> dict[Key, float]:
    """Reward a slot at the end of training, mean over trainings."""
    cells.need("the claim", trained=[PROPOSED])
    return {key: float(reward(cells, key).end().mean()) for key in cells.cells}


def ends_of(symbol: str, values: Sequence[float], lines: Sequence[Sequence[float]]) -> str:
    """First and last value of lines, such as "S = 9: 10.947 to 10.943; …"."""
    found = zip(values, lines, strict=True)
    return "; ".join(f"{symbol} = {value:g}: {line[0]:.3f} to {line[-1]:.3f}" for value, line in found)


def reward_with_servers(cells: Grid) -> Finding:
    """Whether converged rewards rise with S for every φ."""
    ends = converged(cells)
    lines = [[ends[emd, s] for s in cells.seconds] for emd in cells.firsts]
    up = [bool(np.all(np.diff(line) > 0.0)) for line in lines]
    text = f"reward a slot {span(cells)}: {ends_of('φ', cells.firsts, lines)}; "
    return Finding(judge(up), f"{text}rising at every step for {count(up)} φ.")


def reward_with_emd(cells: Grid) -> Finding:
    """Whether converged rewards fall with φ for every S."""
    ends = converged(cells)
    lines = [[ends[emd, s] for emd in cells.firsts] for s in cells.seconds]
    down = [bool(np.all(np.diff(line) < 0.0)) for line in lines]
    text = f"reward a slot from φ = {cells.firsts[0]:g} to {cells.firsts[-1]:g}: {ends_of('S', cells.seconds, lines)}; "
    return Finding(judge(down), f"{text}falling at every step for {count(down)} S.")


def objective_rises(cells: Grid) -> Finding:
    """Whether the objective rises with S for every algorithm and φ."""
    cells.need("the claim", ALGORITHMS)
    held = [rise(cells, agent, "objective", [emd]).low > 0.0 for agent in ALGORITHMS for emd in cells.firsts]
    means = [(label, rise(cells, agent, "objective", cells.firsts)) for agent, label in ALGORITHMS.items()]
    text = f"objective {span(cells)}, averaged over φ: {listed(means)}; above zero in {count(held)} (algorithm, φ)."
    return Finding(judge(held), text)


def growth_slows(cells: Grid) -> Finding:
    """Whether a server more adds less where there are many."""
    cells.need("the claim", ALGORITHMS)
    if len(cells.seconds) < 3:
        raise MissingResults("it needs cells of three numbers of servers")
    low, middle, high = cells.seconds[0], cells.seconds[len(cells.seconds) // 2], cells.seconds[-1]
    less = []
    for agent, label in ALGORITHMS.items():
        of = {s: cells.pooled(agent, "objective", [(emd, s) for emd in cells.firsts]) for s in (low, middle, high)}
        slopes = (of[middle] - of[low]) / (middle - low) - (of[high] - of[middle]) / (high - middle)
        less.append((label, two_way_interval(slopes)))
    held = [value.low > 0.0 for _, value in less]
    text = f"objective a server more, S {low:g} to {middle:g} minus S {middle:g} to {high:g}, averaged over φ: "
    return Finding(judge(held), f"{text}{listed(less, '+.5f')}; above zero for {count(held)} algorithms.")


def proposed_best(cells: Grid) -> Finding:
    """Whether the Proposed is above every baseline in every cell, in pairs."""
    cells.need("the claim", ALGORITHMS)
    ahead, behind, means = [], [], []
    for number, agent in BASELINES.items():
        for key in cells.cells:
            ours, theirs = in_pairs(*(cells.matrix(key, name, "objective") for name in (PROPOSED, agent)))
            difference = two_way_interval(ours - theirs)
            ahead.append(difference.low > 0.0)
            behind.append(difference.high < 0.0)
        means.append((f"Baseline {number}", difference_to(cells, agent)))
    text = f"objective ahead in {count(ahead)} (cell, baseline), behind in {sum(behind)}; minus, averaged over cells: "
    text += listed(means)
    if cells.has("local-search"):
        text += f"; not in the paper: {listed([('local-search', difference_to(cells, 'local-search'))])}"
    return Finding(judge(ahead), f"{text}.")


def difference_to(cells: Grid, agent: str) -> Interval:
    """Objective of the Proposed minus an agent's, averaged over cells."""
    ours, theirs = in_pairs(*(cells.pooled(name, "objective") for name in (PROPOSED, agent)))
    return two_way_interval(ours - theirs)


def headline(number: int) -> Callable[[Grid], Finding]:
    """A test of how many times higher the Proposed's objective is than a baseline's."""

    def test(cells: Grid) -> Finding:
        agent = BASELINES[number]
        cells.need("the claim", [PROPOSED, agent])
        usable = [key for key in cells.cells if cells.interval(key, agent, "objective").low > 0.0]
        ours, theirs = in_pairs(*(cells.pooled(name, "objective") for name in (PROPOSED, agent)))
        text = f"difference {difference_to(cells, agent):+.4f}; "
        whole = two_way_interval(theirs)
        if whole.low <= 0.0:
            return Finding("does not", f"{text}a ratio means nothing, the baseline's average is {whole:.4f}.")
        ratio = two_way_ratio(ours - theirs, theirs)
        text += f"ratio of the averages minus 1: {ratio:+.3f}"
        if usable:
            each = [
                cells.matrix(key, PROPOSED, "objective").mean() / cells.matrix(key, agent, "objective").mean() - 1.0
                for key in usable
            ]
            text += f"; mean of the ratios minus 1: {np.mean(each):+.3f} over {len(usable)} of {len(cells.cells)} cells"
        if len(usable) < len(cells.cells):
            text += ", in the others the baseline is not clearly above zero"
        said = HEADLINE[number]
        return Finding(judge([ratio.low > 0.0, ratio.low <= said <= ratio.high]), f"{text}; the paper: +{said:.4f}.")

    return test


def costs_equal(cells: Grid) -> Finding:
    """Whether an algorithm's total cost is the same whatever φ."""
    cells.need("the claim", ALGORITHMS)
    if len(cells.firsts) < 2:
        raise MissingResults("it needs cells of two φ")
    first, last = cells.firsts[0], cells.firsts[-1]
    changes = []
    for agent, label in ALGORITHMS.items():
        at = {emd: cells.pooled(agent, "energy", [(emd, s) for s in cells.seconds]) for emd in (first, last)}
        changes.append((label, two_way_ratio(at[last] - at[first], at[first])))
    held = [value.low >= -SAME and value.high <= SAME for _, value in changes]
    text = f"total cost at φ = {last:g} against φ = {first:g}, averaged over S: {listed(changes, '+.1%')}; "
    return Finding(judge(held), f"{text}within {SAME:.0%} for {count(held)} algorithms.")


def utility_rises(cells: Grid) -> Finding:
    """Whether utility rises with S for all but Baseline 3, which is flat."""
    cells.need("the claim", ALGORITHMS)
    rises = {agent: rise(cells, agent, "utility", cells.firsts) for agent in ALGORITHMS}
    random = rises[BASELINES[3]]
    others = [value for agent, value in rises.items() if agent != BASELINES[3]]
    limit = FLAT * max(0.0, float(np.mean([value.mean for value in others])))
    held = [value.low > 0.0 for value in others] + [abs(random.mean) <= limit]
    text = f"utility {span(cells)}, averaged over φ: {listed((ALGORITHMS[agent], v) for agent, v in rises.items())}."
    return Finding(judge(held), text)


def utility_falls(cells: Grid) -> Finding:
    """Whether the utility that the most servers allow falls with φ."""
    cells.need("the claim", ALGORITHMS)
    if len(cells.firsts) < 2:
        raise MissingResults("it needs cells of two φ")
    most, held, shown = cells.seconds[-1], [], []
    for agent, label in ALGORITHMS.items():
        at = [cells.matrix((emd, most), agent, "utility") for emd in cells.firsts]
        held.append(all(two_way_interval(b - a).high < 0.0 for a, b in itertools.pairwise(at)))
        shown.append((label, two_way_interval(at[-1] - at[0])))
    text = f"utility at S = {most:g}, φ = {cells.firsts[-1]:g} minus φ = {cells.firsts[0]:g}: {listed(shown)}; "
    return Finding(judge(held), f"{text}falling at every step for {count(held)} algorithms.")


def random_costs_more(cells: Grid) -> Finding:
    """Whether random allocation (Baseline 3) costs more than the optimal one (Baseline 2)."""
    nearest, random = BASELINES[2], BASELINES[3]
    cells.need("the claim", [nearest, random])
    of = {key: (cells.matrix(key, random, "energy"), cells.matrix(key, nearest, "energy")) for key in cells.cells}
    held = [two_way_interval(ours - theirs).low > 0.0 for ours, theirs in of.values()]
    ratio = two_way_ratio(cells.pooled(random, "energy"), cells.pooled(nearest, "energy"))
    gap = two_way_interval(cells.pooled(random, "objective") - cells.pooled(nearest, "objective"))
    text = f"its total cost is {ratio:.3f} times Baseline 2's, and above it in {count(held)} cells; "
    return Finding(judge(held), f"{text}its objective differs by {gap:+.4f}.")


def one_twin_a_server(cells: Grid) -> Finding:
    """Whether the Proposed leaves about one twin on an occupied server, where there are most servers."""
    key = cells.firsts[0], cells.seconds[-1]
    cell = cells.cells[key]
    seeds = sorted({row["seed"] for row in cells.rows(key, PROPOSED)})[:PLAYED]

    def occupied(action: np.ndarray, _: object) -> np.ndarray:
        return np.array([len(np.unique(servers)) for servers in action])

    each = [
        slots(policy, cell.env_id, cell.resolve(), seeds, occupied).mean(axis=1)
        for policy in policies(cells.results, cell, PROPOSED)
    ]
    busy, users = two_way_interval(np.array(each)), cell.resolve().value("num_users")
    text = f"{busy:.1f} of {key[1]:g} servers hold the {users} twins at {cells.name(key)}: "
    text += f"{users / busy.mean:.2f} on each."
    return Finding(judge([users / busy.mean <= 1.5]), text)
