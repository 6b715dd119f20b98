"""The margin of the hysteresis heuristic, chosen on seeds that no training and no evaluation uses.

python -m benchmarks.tune_hysteresis
"""

from __future__ import annotations

import numpy as np

from agents.association import hysteresis
from agents.policy import SlotPolicy
from benchmarks.evaluate import EVALUATION_SEEDS, run_episodes
from dtenv import presets

TUNING_SEEDS = range(EVALUATION_SEEDS.start - 16, EVALUATION_SEEDS.start)
MARGINS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def main() -> None:
    """Print the mean score of every margin, for each number of servers."""
    print(f"{'margin':<8}" + "".join(f"{'S = ' + str(s):>10}" for s in (9, 15, 21)) + f"{'mean':>10}")
    for margin in MARGINS:
        scores = []
        for servers in (9, 15, 21):
            scenario = presets.resolve("balanced", num_servers=servers)
            policy = SlotPolicy("hysteresis", hysteresis(margin, scenario.network.area_m), scenario)
            rows = run_episodes(policy, "DTAssociation-v0", scenario, TUNING_SEEDS)
            scores.append(np.mean([row["score"] for row in rows]))
        print(f"{margin:<8}" + "".join(f"{score:>10.4f}" for score in [*scores, np.mean(scores)]))


if __name__ == "__main__":
    main()
