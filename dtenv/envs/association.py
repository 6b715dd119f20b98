"""DTAssociation-v0: assign each user's twin to an edge server (Zhou et al. 2025)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.envs.actions import read_indices, read_server_and_history, read_shares
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.tasks.association.task import AssociationTask


class AssociationEnv(TaskEnv):
    """Assign each user's digital twin to an edge server, slot by slot (Zhou et al. 2025).

    ## Description
    `U` users walk through a square with `S` edge servers. Each user's digital twin runs on one server. In every slot
    the agent may first move twins between servers; each user then uploads new data to its twin, which trains on them
    and on a share γ of the previous slot's data. Training yields the data utility ρ (11); moving (13), uploading (14)
    and computing (15) cost energy. The objective of a slot is (22),

        e = β1/U Σ_u ρ_u - β2/S Σ_s tanh(C_s / 4 f0),

    subject to C2, computation energy at most q_s, and C3, synchronisation energy at most p_s. For a given association
    an exact global solver inside the step finds γ (`history="optimal"`, dtenv.tasks.association.allocation).

    ## Action space
    `MultiDiscrete([S] * U)`: the server of each user's twin. With `history="action"` a Dict of `server` and `history`,
    γ in [0, 1] per user. `info["action_mask"]` (U, S) and `action_masks()` mark the servers that could hold the twin
    alone without breaking C2 or C3. The mask is advisory: every choice is accepted.

    ## Observation space
    A flat `Box` of float32 in [-1, 1]: users x 8, servers x 8, users x servers x 4. `python -m dtenv describe
    DTAssociation-v0` lists every entry; `dtenv.StructuredObservation` gives the blocks as a Dict. It contains the whole
    decision problem of the slot (`task.decode`); only the future is hidden.

    ## Rewards
    - `reward="barrier"` (default): e minus, for each server and constraint, -ln(relative slack) / f, continued
      smoothly by the score's penalty where the constraint is violated. Finite everywhere.
    - `reward="literal"`: (24)-(25) as printed, with the absolute slack clipped at 1e-9.
    - `reward="objective"`: e alone. It rewards violating C3.
    - `reward="score"`: the ranking score, also `info["score"]`: e minus .04 + .4 x relative excess for every violated
      constraint.

    ## Starting state
    Reset draws servers, users, capacities and all data sizes. κ^0 is the association of Baseline 2. `step` is
    deterministic: the same seed and actions give the same episode.

    ## Episode end
    Truncated after `num_slots` slots (default 100). Never terminated.

    ## Arguments
    `scenario`: a preset's name ("balanced", "paper", "sequential") or an AssociationScenario; any of its fields
    by name (`num_users`, `num_servers`, `emd`, `label_counts`, `reward`, `history`, …) override single values.
    `utility` sets the data utility and the cost of training: a dtenv.UtilityProfile, the name of a shipped one such as
    "zhou-2025", or a file. `model_transfer` charges the models that servers exchange with the cloud ("uplink", "both").

    ```python
    >>> import gymnasium as gym, dtenv
    >>> env = gym.make("DTAssociation-v0", scenario="balanced", num_servers=9, emd=0.4)
    >>> obs, info = env.reset(seed=1)
    >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())

    ```

    ## Info
    `score`, `objective`, `utility` (mean ρ), `energy` and its parts `energy_migration`, `energy_synchronisation`,
    `energy_computation`, `energy_transfer` (sums over servers, unshaped), `latency` (mean upload time, s), `cost`
    (sum of relative excess over violated constraints), `violations`, `feasible`, `migrations`, `history` (γ),
    `action_mask`. Reset gives `action_mask` and `server` (κ^0).

    ## Optimum and bounds
    `env.unwrapped.optimum()` solves the current slot; `optimum(horizon=None)` and `dtenv.oracle.episode_bound` bound
    the rest of an episode, with a proof (docs/bounds.md). Possible gain in each preset:
    benchmarks/results/headroom/table.md.

    ## Known properties of the model
    - tanh is concave and divided by S: further twins on a saturated server cost nothing in e, though they cost energy.
      In the preset `paper` packing twins onto few servers therefore pays; in the default preset packing loses to
      "nearest". Report raw energy along with the score.
    - The paper's Theorem 2 (the allocation is convex) does not hold, hence the global solver.
    - With Table II's n_syn (`paper`), moving a twin towards its user never pays, and C3 never binds.
    - With f = 10 the literal barrier (24) can reverse the order of e: it ranks spread-out twins above hubs of higher e.
    - The paper's increase of the objective with S is partly β2/S: an idle server scores Norm(0) = 0.

    ## Version history
    - v0: first version.
    """

    env_id, task_type = "DTAssociation-v0", AssociationTask
    canvas = "dtenv.render.association:AssociationCanvas"
    rendered_entry = "objective"

    @staticmethod
    def read_action(
        name: str, values: Any, task: AssociationTask, batch: tuple[int, ...], rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, ...]:
        """Return κ (…, U), and with history="action" γ (…, U)."""
        network = task.scenario.network
        history: tuple[np.ndarray, ...] = ()
        shape = (*batch, network.num_users)
        if task.scenario.episode.history == "action":
            values, given = read_server_and_history(name, values)
            history = (read_shares(f'{name}["history"]', given, shape, rows),)
        return read_indices(name, values, shape, network.num_servers, "server", rows), *history


class AssociationVectorEnv(TaskVectorEnv):
    """Batch of `num_envs` `AssociationEnv`s; actions (num_envs, U), with history="action" a Dict of two such arrays."""

    single = AssociationEnv
