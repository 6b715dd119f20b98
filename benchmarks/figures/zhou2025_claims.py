"""Claims of (Zhou 2025) about its figures 4 to 10, each with a test of a run's results."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from benchmarks.figures.finding import Claim, Finding, count, judge, listed, settled
from benchmarks.figures.grid import Curve, Key, MissingResults, ResultGrid, in_pairs
from benchmarks.figures.played import policies, slots
from benchmarks.figures.zhou2025 import ALGORITHMS, BASELINES, EMDS, LARGE, PROPOSED, ceiling, gathered, reward
from benchmarks.statistics import Interval, two_way_interval, two_way_ratio

HEADLINE = {1: 0.1022, 2: 0.5070, 3: 0.6842, 4: 1.5025}
"""The paper's average ratio minus 1 of the Proposed's objective to each baseline's."""
PEAK = 200
"""Episodes after which the paper's curves are at their peak."""
SAME = 0.05
"""Relative difference up to which costs count as the same."""
FLAT = 0.1
"""Share of the other algorithms' rise up to which a line counts as flat."""
PLAYED = 4
"""Held-out episodes in which occupied servers are counted."""


def rise(cells: ResultGrid, agent: str, column: str, emds: Sequence[float]) -> Interval:
    """Change of a column from the fewest servers to the most, averaged over φ."""
    if len(cells.seconds) < 2:
        raise MissingResults("it needs cells of two numbers of servers")
    low, high = (cells.pooled(agent, column, [(emd, s) for emd in emds]) for s in (cells.seconds[0], cells.seconds[-1]))
    return two_way_interval(high - low)


def span(cells: ResultGrid) -> str:
    """Such as "from S = 9 to 21"."""
    return f"from S = {cells.seconds[0]:g} to {cells.seconds[-1]:g}"


def quick(cells: ResultGrid, *, curve: Callable[[ResultGrid, Key], Curve], least: int = 0) -> Finding:
    """Whether the Proposed's curves, at S from `least` up, rise and settle by the paper's episode."""
    keys = [key for key in cells.cells if key[1] >= least]
    if not keys:
        raise MissingResults(f"it needs cells of S >= {least}")
    cells.need("the claim", trained=[PROPOSED], keys=keys)
    found = [settled(curve(cells, key), 1.0) for key in keys]
    when = [one.episode for one in found if one.clear]
    text = (
        f"rises clearly in {len(when)} of {len(found)} cells (φ, S), and settles in {sum(one.still for one in found)}"
    )
    if not when:
        return Finding("does not", f"{text} within {found[0].last:.0f} episodes.")
    text += f"; there nine tenths of the rise are reached by episode {np.median(when):.0f} (median; "
    text += f"{min(when):.0f} to {max(when):.0f}) of {found[0].last:.0f}."
    return Finding(judge([all(one.still for one in found), float(np.median(when)) <= PEAK]), text)


def converged(cells: ResultGrid) -> dict[Key, float]:
    """Reward per slot at the end of training, mean over trainings, by cell."""
    cells.need("the claim", trained=[PROPOSED])
    return {key: float(reward(cells, key).end().mean()) for key in cells.cells}


def ends_of(symbol: str, values: Sequence[float], lines: Sequence[Sequence[float]]) -> str:
    """First and last value of lines, such as "S = 9: 10.947 to 10.943; …"."""
    return "; ".join(
        f"{symbol} = {v:g}: {line[0]:.3f} to {line[-1]:.3f}" for v, line in zip(values, lines, strict=True)
    )


def reward_with_servers(cells: ResultGrid) -> Finding:
    """Whether converged rewards rise with S for every φ."""
    ends = converged(cells)
    lines = [[ends[emd, s] for s in cells.seconds] for emd in cells.firsts]
    up = [bool(np.all(np.diff(line) > 0.0)) for line in lines]
    text = f"reward a slot {span(cells)}: {ends_of('φ', cells.firsts, lines)}; "
    return Finding(judge(up), f"{text}rising at every step for {count(up)} φ.")


def reward_with_emd(cells: ResultGrid) -> Finding:
    """Whether converged rewards fall with φ for every S."""
    ends = converged(cells)
    lines = [[ends[emd, s] for emd in cells.firsts] for s in cells.seconds]
    down = [bool(np.all(np.diff(line) < 0.0)) for line in lines]
    text = f"reward a slot from φ = {cells.firsts[0]:g} to {cells.firsts[-1]:g}: {ends_of('S', cells.seconds, lines)}; "
    return Finding(judge(down), f"{text}falling at every step for {count(down)} S.")


def objective_rises(cells: ResultGrid) -> Finding:
    """Whether the objective rises with S for every algorithm and φ."""
    cells.need("the claim", ALGORITHMS)
    held = [rise(cells, agent, "objective", [emd]).low > 0.0 for agent in ALGORITHMS for emd in cells.firsts]
    means = [(label, rise(cells, agent, "objective", cells.firsts)) for agent, label in ALGORITHMS.items()]
    text = f"objective {span(cells)}, averaged over φ: {listed(means)}; above zero in {count(held)} (algorithm, φ)."
    return Finding(judge(held), text)


def growth_slows(cells: ResultGrid) -> Finding:
    """Whether an additional server adds less where there are many."""
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


def proposed_best(cells: ResultGrid) -> Finding:
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


def difference_to(cells: ResultGrid, agent: str) -> Interval:
    """Objective of the Proposed minus an agent's, averaged over cells."""
    ours, theirs = in_pairs(*(cells.pooled(name, "objective") for name in (PROPOSED, agent)))
    return two_way_interval(ours - theirs)


def headline(cells: ResultGrid, *, number: int) -> Finding:
    """Whether the Proposed's objective is as many times higher than a baseline's as the paper says."""
    agent, said = BASELINES[number], HEADLINE[number]
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
    return Finding(judge([ratio.low > 0.0, ratio.low <= said <= ratio.high]), f"{text}; the paper: +{said:.4f}.")


def costs_equal(cells: ResultGrid) -> Finding:
    """Whether an algorithm's total cost is the same for every φ."""
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


def utility_rises(cells: ResultGrid) -> Finding:
    """Whether utility rises with S for all algorithms but Baseline 3, whose utility is flat."""
    cells.need("the claim", ALGORITHMS)
    rises = {agent: rise(cells, agent, "utility", cells.firsts) for agent in ALGORITHMS}
    random = rises[BASELINES[3]]
    others = [value for agent, value in rises.items() if agent != BASELINES[3]]
    limit = FLAT * max(0.0, float(np.mean([value.mean for value in others])))
    held = [value.low > 0.0 for value in others] + [abs(random.mean) <= limit]
    text = f"utility {span(cells)}, averaged over φ: {listed((ALGORITHMS[agent], v) for agent, v in rises.items())}."
    return Finding(judge(held), text)


def utility_falls(cells: ResultGrid) -> Finding:
    """Whether utility with the most servers falls with φ."""
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


def random_costs_more(cells: ResultGrid) -> Finding:
    """Whether random allocation (Baseline 3) costs more than the optimal one (Baseline 2)."""
    nearest, random = BASELINES[2], BASELINES[3]
    cells.need("the claim", [nearest, random])
    of = {key: (cells.matrix(key, random, "energy"), cells.matrix(key, nearest, "energy")) for key in cells.cells}
    held = [two_way_interval(ours - theirs).low > 0.0 for ours, theirs in of.values()]
    ratio = two_way_ratio(cells.pooled(random, "energy"), cells.pooled(nearest, "energy"))
    gap = two_way_interval(cells.pooled(random, "objective") - cells.pooled(nearest, "objective"))
    text = f"its total cost is {ratio:.3f} times Baseline 2's, and above it in {count(held)} cells; "
    return Finding(judge(held), f"{text}its objective differs by {gap:+.4f}.")


def one_twin_a_server(cells: ResultGrid) -> Finding:
    """Whether the Proposed leaves about one twin on each occupied server, with the most servers."""
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


_OFFSET = "With f = 10, (25) holds (ln q + ln p) / f a server, about 1.2, whatever is decided: "
_BARRIER = (
    "At f = 10 the barrier charges a unit of computing 1 / (f q) and more, 6.9e-5, without end; Norm in (22) charges "
    "β2 / (4 S f0) at most, 5.8e-5 at S = 15, and saturates. The reward asks for spread twins where the objective asks "
    "for packed ones."
)
_CHOICES = (
    "The paper gives neither a slot's data nor the users' speed; ours are choices, and a ratio of values that may come "
    "near zero hangs on them."
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "Fig. 4",
        "the reward converges quickly, at about 200 episodes",
        partial(quick, curve=reward),
        _OFFSET + "what learning adds is small beside it.",
    ),
    Claim(
        "Fig. 4",
        "more servers bring higher converged rewards",
        reward_with_servers,
        _OFFSET + "more servers bring a higher reward before anything is learned.",
    ),
    Claim(
        "Fig. 4",
        "converged rewards fall a little as φ grows",
        reward_with_emd,
        "The ceiling v(φ) of (11) falls with φ from 0.023 on; the barrier's part of the reward does not know φ.",
    ),
    Claim(
        "Fig. 5",
        "the objective rises with S for all algorithms",
        objective_rises,
        "Partly by its definition: β2 / S averages costs over all servers, and an idle one counts as no cost.",
    ),
    Claim(
        "Fig. 5",
        "the rise slows down where servers are many",
        growth_slows,
        "A cost weighted with 1 / S flattens by itself as S grows.",
    ),
    Claim(
        "Fig. 5",
        "the Proposed is above every baseline for every φ",
        proposed_best,
        _BARRIER + " Norm is concave for costs above zero (so Theorem 2 does not hold): full servers cost little more.",
    ),
    *(
        Claim(
            "Fig. 5",
            f"the Proposed is on average {said:.4f} times higher than Baseline {number}",
            partial(headline, number=number),
            _CHOICES,
        )
        for number, said in HEADLINE.items()
    ),
    Claim(
        "Figs 6-9",
        "total costs are the same for every φ",
        costs_equal,
        "The allocation weighs utility, which falls with φ, against costs; Baseline 3 alone is blind to φ. Costs would "
        "be equal if (11) took bits: there utility is at its ceiling, and no allocation changes it.",
    ),
    Claim(
        "Figs 6-9",
        "utility rises with S, but Baseline 3's is flat",
        utility_rises,
        "The weight β2 / S of a server's cost falls with S, so the allocation takes in more history; a random one does "
        "not know of it.",
    ),
    Claim(
        "Figs 6-9",
        "utilities shrink as φ grows",
        utility_falls,
        f"The ceiling v(φ) of (11): {', '.join(f'{ceiling(emd):.3f}' for emd in EMDS)} for the paper's four φ.",
    ),
    Claim(
        "Figs 6-9",
        "Baseline 3 costs much more than Baseline 2, which associates alike",
        random_costs_more,
        "Allocation is chosen for (22), where Norm saturates: history on a server that is expensive already costs much "
        "in (21) and next to nothing in (22).",
    ),
    Claim(
        "Fig. 10",
        "utility rises rapidly, then stays",
        partial(quick, curve=gathered, least=LARGE),
        "The allocation is solved exactly from the first episode on; only where twins stand is learned.",
    ),
    Claim(
        "Figs 6-9",
        "at the peak each server serves about one twin",
        one_twin_a_server,
        "Counted are servers that hold a twin. " + _BARRIER,
    ),
)
"""Claims in the order of the paper."""
