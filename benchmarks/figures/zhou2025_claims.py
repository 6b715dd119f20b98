"""What (Zhou 2025) claims of its figures 4 to 10, and on what in the model it hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import zhou2025
from benchmarks.figures.finding import Claim, Finding
from benchmarks.figures.zhou2025 import LARGE, gathered, reward
from benchmarks.figures.zhou2025_findings import (
    HEADLINE,
    costs_equal,
    growth_slows,
    headline,
    objective_rises,
    one_twin_a_server,
    proposed_best,
    quick,
    random_costs_more,
    reward_with_emd,
    reward_with_servers,
    utility_falls,
    utility_rises,
)

if TYPE_CHECKING:
    from benchmarks.suites.results import Results

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
        quick(reward),
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
            headline(number),
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
        f"The ceiling v(φ) of (11): {', '.join(f'{zhou2025.ceiling(emd):.3f}' for emd in zhou2025.EMDS)} for the "
        "paper's four φ.",
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
        quick(gathered, LARGE),
        "The allocation is solved exactly from the first episode on; only where twins stand is learned.",
    ),
    Claim(
        "Figs 6-9",
        "at the peak each server serves about one twin",
        one_twin_a_server,
        "Counted are servers that hold a twin. " + _BARRIER,
    ),
)
"""In the order of the paper."""


def findings(results: Results) -> list[tuple[Claim, Finding]]:
    """Every claim with what a run's results say."""
    cells = zhou2025.grid(results)
    return [(claim, claim.find(cells)) for claim in CLAIMS]
