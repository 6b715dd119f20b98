"""DTPlacementMA-v0 for a central controller (Lu et al. 2021); the multi-agent view is in dtenv.envs.parallel."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.envs.actions import read_bits, read_indices, read_numbers
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.tasks.placement.task import ASSOCIATION, BINARY, PRICE, PlacementTask


class PlacementEnv(TaskEnv):
    """Choose the base stations that host twins, and each twin's host, as a central controller (Lu et al. 2021).

    ## Description
    `N` users move through a square with `M` base stations. A user transmits to its access station (the strongest one,
    or as set by `access`), which wires the data to the station that hosts and computes the user's digital twin.
    Building a twin takes T_ini = wireless + wired + computing time (10), updating it T_upd (11), so the total latency
    of a user is T_ini + η T_upd / Δt (13). Each hosting station costs. Users move; data, channels and the stations'
    free computing change from slot to slot. The score of a slot is the reward (26),

        -α mean_i (T_ini + η T_upd / Δt) - β (φ hosts + mean_i E_i),

    minus `deadline_penalty` times the share of users whose T_ini exceeds their deadline (18d), minus `move_cost` times
    the share of twins that moved (0 by default: in the paper moving is free, and γ does not matter).

    ## Action space
    One block of numbers per station, all in one vector; `action` sets their meaning:
    - `"bid"` (default): `Box(0, 1, (M * (1 + N),))`, per station a bid for hosting, then a bid for every user.
    - `"price"`: `Box(0, 1, (M * 2,))`, a bid for hosting and a price of computing on a logarithmic scale, .5 being the
      price at which all stations are alike; users choose the least sum of wired time and price. Easy to learn.
    - `"binary"`: `MultiDiscrete([2] * M * (1 + N))`, (23) as printed; ties go to the lower station number.
    - `"association"`: `MultiDiscrete([M] * N)`, every user's station. For the central controller only.

    A station hosts if its bid for hosting is above .5; the next highest bids join until there is room for all twins.
    Pairs of station and user are then accepted in decreasing order of their bids, so every action is feasible. Numbers
    outside [0, 1] are clipped; nan and infinity raise ValueError. `info["action_mask"]` (N, M) marks the stations that
    could serve a user alone within its deadline; it is advisory.

    ## Observation space
    A flat `Box` of float32 in [-1, 1]: users x 6, stations x 6, users x stations x 4. `python -m dtenv describe
    DTPlacementMA-v0` lists every entry; `dtenv.StructuredObservation` gives the blocks as a Dict. It contains the whole
    decision problem of the slot (`task.decode`); only the future is hidden.

    ## Rewards
    The score. With `reward="local"` each station of the Parallel view gets a share of it; the shares sum to the score.

    ## Starting state
    Reset draws users, stations, data, deadlines, computing and shadowing of all slots. Twins start at their users'
    access stations, or at the nearest one with room. `step` is deterministic.

    ## Episode end
    Truncated after `num_slots` slots (default 25). Never terminated.

    ## Arguments
    `scenario`: a preset's name ("paper-100x10", "small-20x5", "strict-100x10", "literal-100x10", …) or a
    PlacementScenario; any of its fields by name override single values. Formulas of the paper that we interpret
    differently remain available as printed: `wired_count="twice"`, `latency_mean="users-and-stations"`,
    `host_count="twins"`, `energy_total="sum"`, `cycles_per_bit=1`, `bandwidth_sharing="full"`, `rate_logarithm="ln"`,
    `access="direct"`, `utility_time_s=1`, `utility_energy_j=1`, `observe="shared"`; "literal-100x10" combines them.

    ```python
    >>> import gymnasium as gym, dtenv
    >>> env = gym.make("DTPlacementMA-v0", scenario="small-20x5", action="price")
    >>> obs, info = env.reset(seed=1)
    >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())

    ```

    ## Info
    `score`, `objective` (without the penalty), `system_cost` (-objective), `utility` (mean of (20)), `energy` (joules,
    summed over users), `latency` (mean T_ini + η T_upd / Δt) and its parts `latency_wireless`, `latency_wired`,
    `latency_compute`, `latency_initial`, `latency_update`; `latency_reward` (24), `placement_cost` (25), `cost` (share
    of users past their deadline), `violations` (how many), `feasible`, `migrations`, `hosts` (how many), `host` (M,),
    `server` (N,), `action_mask` (N, M). Reset gives `action_mask`, `host` and `server`.

    ## Optimum and bounds
    `env.unwrapped.optimum()` solves the current slot; `optimum(horizon=None)` and `dtenv.oracle.episode_bound` an
    episode, by integer programs with a proven gap (docs/bounds.md). The preset "literal-100x10" tests nothing: its
    bound is .3 % above "nearest" (benchmarks/results/headroom/table.md). In the others "local-search" is within a few
    percent of the bound, so compare learners with it.

    ## Known properties of the model
    - With a fixed access station no decision changes the energy.
    - Square-root sharing makes (18c) tight; computing latency is then Σ_k S_k² / F_k, so crowding costs.
    - Nearest placement uses nearly all stations as hosts; with ten stations much of its loss is `host_cost`, with five
      it is not.
    - Without `move_cost` "local-search" moves 57 to 72 % of the twins in every slot.

    ## Version history
    - v0: first version.
    """

    env_id, task_type = "DTPlacementMA-v0", PlacementTask
    canvas = "dtenv.render.placement:PlacementCanvas"

    @staticmethod
    def read_action(
        name: str, values: Any, task: PlacementTask, batch: tuple[int, ...], rows: np.ndarray | None = None
    ) -> tuple[np.ndarray]:
        """Return the stations' numbers (…, M, numbers per station) or the association (…, N)."""
        network = task.scenario.network
        if task.mode == ASSOCIATION:
            return (read_indices(name, values, (*batch, network.num_users), network.num_stations, "station", rows),)
        read = read_bits if task.mode == BINARY else read_numbers
        numbers = read(name, values, (*batch, *(task.action_space.shape or ())), rows)
        return (numbers.reshape(*batch, network.num_stations, -1),)

    def _to_action(self, action: np.ndarray) -> np.ndarray:
        """Return an action for `step`; with action="price" the association, which prices cannot always express."""
        if self.task.mode in (ASSOCIATION, PRICE):
            return action
        return self.task.one_hot(action).reshape(self.action_space.shape)


class PlacementVectorEnv(TaskVectorEnv):
    """Batch of `num_envs` `PlacementEnv`s; actions (num_envs, …). Stations as agents: `dtenv.parallel_vector_env`."""

    single = PlacementEnv
