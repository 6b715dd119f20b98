"""DTPlacementMA-v0's page as a central controller sees it; dtenv.envs.parallel is its stations' view."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.envs.actions import read_bits, read_indices, read_numbers
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.tasks.placement.task import ASSOCIATION, BINARY, PRICE, PlacementTask


class PlacementEnv(TaskEnv):
    """Which base stations become twin servers, and whose twins they take (Lu et al. 2021), by a central controller.

    ## Description
    `N` users move through a square with `M` base stations. A user transmits to its access station (the strongest
    one, or as `access` says), which passes the data on by wire to the station that hosts the user's digital twin,
    which computes. Building a twin takes T_ini = wireless + wired + computing time (10), keeping it up to date
    T_upd (11), so that a user waits T_ini + η T_upd / Δt in all (13). A station that hosts costs. Users move, data,
    channels and the stations' free computing change from slot to slot. The score of a slot is the reward (26),

        -α mean_i (T_ini + η T_upd / Δt) - β (φ hosts + mean_i E_i),

    less `deadline_penalty` times the share of users whose T_ini is past their deadline (18d), and less `move_cost`
    times the share of twins that moved (0 by default: in the paper moving is free, and γ does not matter).

    ## Action space
    One number block a station, all in one vector, by `action`:
    - `"bid"` (default): `Box(0, 1, (M * (1 + N),))`, for every station a bid for hosting, then one for every user.
    - `"price"`: `Box(0, 1, (M * 2,))`, a bid for hosting and a price of computing on a logarithmic scale, .5 being
      that at which all stations are alike; users go where their wired time and the price are least. Easy to learn.
    - `"binary"`: `MultiDiscrete([2] * M * (1 + N))`, (23) to the letter; ties are broken by the station's number.
    - `"association"`: `MultiDiscrete([M] * N)`, every user's station. The central controller's alone.

    A station hosts if its bid for hosting is above .5; while those that do lack room for all twins, the next highest
    join. Then pairs of station and user are taken by falling bid: always feasible, whatever is bid. Numbers outside
    [0, 1] are clipped; nan and infinity are refused. `info["action_mask"]` (N, M) marks the stations that could serve
    a user alone without missing its deadline; it advises.

    ## Observation space
    A flat `Box` of float32 in [-1, 1]: users x 6, stations x 6, users x stations x 4. `python -m dtenv describe
    DTPlacementMA-v0` names every entry; `dtenv.StructuredObservation` gives the blocks as a Dict. The slot's decision
    problem can be read from it whole (`task.decode`); only the future is hidden.

    ## Rewards
    The score. With `reward="local"` stations of the Parallel view get shares of it that add up to it.

    ## Starting state
    Users, stations, data, deadlines, computing and shadowing of all slots are drawn at reset; then twins are at the
    stations that their users transmit to, or at the nearest one with room. `step` is deterministic.

    ## Episode end
    Truncated after `num_slots` slots (default 25). Never terminated.

    ## Arguments
    `scenario`: a preset's name ("paper-100x10", "small-20x5", "strict-100x10", "literal-100x10", …) or a
    PlacementScenario; any of its fields by name override single values. Each formula of the paper that we read
    otherwise stays available: `wired_count="twice"`, `latency_mean="users-and-stations"`, `host_count="twins"`,
    `energy_total="sum"`, `cycles_per_bit=1`, `bandwidth_sharing="full"`, `rate_logarithm="ln"`, `access="direct"`,
    `utility_time_s=1`, `utility_energy_j=1`, `observe="shared"`; the preset "literal-100x10" takes them together.

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

    ## How good it could be
    `env.unwrapped.optimum()` solves the slot to be decided, `optimum(horizon=None)` and `dtenv.oracle.episode_bound`
    an episode, by integer programs with a proven gap (docs/bounds.md). The preset "literal-100x10" tests nothing: its
    bound lies .3 % above "nearest" (docs/results/headroom/table.md). In the others "local-search" is within a few
    percent of the bound, so a learner is to be held against it.

    ## What the model does that one may not expect
    - With a fixed access station no decision changes the energy.
    - Square-root sharing makes (18c) tight; computing latency is then Σ_k S_k² / F_k, so crowding costs.
    - Nearest placement keeps nearly all stations hosting; much of what it loses is `host_cost`.
    - Without `move_cost` a good agent moves a third to two thirds of the twins in every slot.

    ## Version history
    - v0: first version.
    """

    env_id, task_type = "DTPlacementMA-v0", PlacementTask
    canvas = "dtenv.render.placement:PlacementCanvas"

    @staticmethod
    def read_action(
        name: str, values: Any, task: PlacementTask, batch: tuple[int, ...], rows: np.ndarray | None = None
    ) -> tuple[np.ndarray]:
        """Stations' numbers (…, M, numbers of one) or the association (…, N)."""
        network = task.scenario.network
        if task.mode == ASSOCIATION:
            return (read_indices(name, values, (*batch, network.num_users), network.num_stations, "station", rows),)
        read = read_bits if task.mode == BINARY else read_numbers
        numbers = read(name, values, (*batch, *(task.action_space.shape or ())), rows)
        return (numbers.reshape(*batch, network.num_stations, -1),)

    def _playable(self, action: np.ndarray) -> np.ndarray:
        """With action="price" the association itself, as prices do not express them all."""
        if self.task.mode in (ASSOCIATION, PRICE):
            return action
        return self.task.one_hot(action).reshape(self.action_space.shape)


class PlacementVectorEnv(TaskVectorEnv):
    """DTPlacementMA-v0's central controller, `num_envs` at once; actions (num_envs, …) as `PlacementEnv` takes them.

    Seeds, autoreset and threads are `TaskVectorEnv`'s. With base stations as agents: `dtenv.parallel_vector_env`.
    """

    single = PlacementEnv
