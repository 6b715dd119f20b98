"""DTMigration-v0: migrate twins between base stations as their users move (Lu et al. 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.envs.actions import as_array, read_indices
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.tasks.migration.task import MigrationTask


class MigrationEnv(TaskEnv):
    """Migrate digital twins between base stations as their users move; each migration has a price (Lu et al. 2021).

    ## Description
    `N` users move through a square with `M` base stations. A user sends updates to its access station, which wires
    them to the station that hosts its twin; a handover takes place when another station is 3 dB stronger. The latency
    T_upd (11) of an update is wireless, wired and computing time; twins on a station share its computing. A twin may
    migrate and is down meanwhile. A slot yields the normalised utility (20),

        U_i = β exp((τ_i - T_upd) / τ_i) - (1 - β) E_i / 1 mJ,

    minus the price κ T_mig / slot of a migration, T_mig = downtime + φ D_i d(k, k') (the paper has no price, so
    following the best station would be optimal). Shadowing is correlated along the walk and between stations, so that
    following the best station causes ping-pong migrations.

    ## Action space
    `control="focal"` (default): `Discrete(M)`, the station of user 0's twin. The other users' twins follow the policy
    `background`, as if user 0 did not exist, and leave one seat free on every station.
    `control="joint"`: `MultiDiscrete([M] * N)`, every twin's station. Requests are served in the order of the users; a
    request for a station that already hosts N_k twins is refused, and the twin stays. `info["action_mask"]`, (M,) or
    (N, M), marks the stations with room.

    ## Observation space
    A flat `Box` of float32 in [-1, 1]: users x 8, stations x 4, users x stations x 8, and the forecast, users x
    stations x `horizon`: the station nearest to the user's expected position in each of the next slots. Only the users
    that the agent controls are observed. `python -m dtenv describe DTMigration-v0` lists every entry;
    `dtenv.StructuredObservation` gives the blocks as a Dict. `task.decode` recovers the slot from an observation.

    A forecaster of serving stations (`dtenv.forecasting.StationForecaster`, such as `dtenv.forecasting.CellForecast`)
    fills the forecast with probabilities instead, that each station is the user's access station in each of the next
    slots; all 0 where nothing is forecast. `dtenv.forecasting.Foresight` appends blocks of an oracle: `channel` (users
    x `horizon`), exp(-wireless latency / τ), and `load` (users x stations x `horizon`), exp(-computing latency / τ).

    ## Deployments
    With `deployment="edge"` (default) stations host the twins. With "cloud" and "edge-cloud" the last of the
    `num_stations` sites is the cloud: it has no radio, every update to it takes `cloud_latency_s` and
    `cloud_distance_m` of wire, and `cloud_compute_hz` and `cloud_capacity` set its computing and its room for twins;
    with "cloud" it is the only host. Servers fail at `failure_rate_per_s` and are repaired after `repair_s` on average;
    reset draws the failures. A twin on a failed server is isolated: no utility, late, `isolation_price`. It is created
    again, from data that are uploaded again, once it is elsewhere or the server is repaired. Observations mark the
    cloud and, if servers can fail, the working ones. `aggregation` and `consensus` add the latency of a federated round
    over the twins and of the miners. Details, and results for Table I of (Khan 2022), are in docs/deployment.md.

    ## Rewards
    - `reward="score"` (default): the ranking score: the mean over the agent's users of utility minus price, minus
      `deadline_penalty` (default .1) times the share of users whose T_upd exceeds the deadline (21c).
    - `reward="centred"`: the score minus the mean of the utility over stations, which a user's own choice does not
      change: the same best decision in each slot, with less variance.

    ## Starting state
    Reset draws walks, stations, data, deadlines and shadowing, which determine the background's migrations. Twins
    start at their users' access stations, or at the nearest one with room. `step` is deterministic.

    ## Episode end
    Truncated after `num_slots` slots (default 200). Never terminated.

    ## Arguments
    `scenario`: a preset's name ("balanced", "ping-pong", "gauss-markov", "literal") or a MigrationScenario; any of
    its fields by name (`kappa`, `walk`, `forecaster`, `horizon`, `control`, `background`, …) override single values.
    `forecaster`: "none", "constant-velocity", "oracle", or an object with the method of `dtenv.forecasting.Forecaster`
    or of `dtenv.forecasting.StationForecaster`; docs/forecast_value.md measures the value of each.
    `dtenv.scenario_from_traces(sites, trace, env_id="DTMigration-v0")` builds a scenario from real sites and walks.

    ```python
    >>> import gymnasium as gym, dtenv
    >>> env = gym.make("DTMigration-v0", scenario="balanced", forecaster="oracle", horizon=5)
    >>> obs, info = env.reset(seed=1)
    >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())

    ```

    ## Info
    `score`, `objective` (without the penalty), `utility`, `migration_price`, `energy` (joules of an update), `latency`
    (T_upd, seconds) and its parts `latency_wireless`, `latency_wired`, `latency_compute`, `downtime` (T_mig, seconds),
    `cost` (share of users past their deadline), all means over the agent's users; `violations`, `feasible`,
    `migrations`, `refused`, `handovers` (changes of access station), `server`, `action_mask`. Reset gives `action_mask`
    and `server`. With twin life cycles also `creations`, `isolations` and `releases`; with a consensus
    `latency_consensus` and `consensus_energy`; with an aggregation `round` (seconds), `round_share` and `staleness`.

    ## Optimum and bounds
    `env.unwrapped.optimum(horizon=None)` and `dtenv.oracle.episode_bound` give the exact optimum of a focal user with
    full knowledge of the episode; with control="joint" a plan and a proven bound (docs/bounds.md).
    The preset "literal" tests nothing: its optimum is 1.3 % above never moving (benchmarks/results/headroom/table.md).

    ## Known properties of the model
    - The energy (19) depends on the access station only, so no decision changes it.
    - With control="joint" and every seat taken no twin can ever move: requests are served one after another, and twins
      are never swapped.

    ## Version history
    - v0: first version.
    """

    rendered_entry = None
    env_id, task_type = "DTMigration-v0", MigrationTask
    canvas = "dtenv.render.migration:MigrationCanvas"

    @staticmethod
    def read_action(
        name: str, values: Any, task: MigrationTask, batch: tuple[int, ...], rows: np.ndarray | None = None
    ) -> tuple[np.ndarray]:
        """Return the stations (…, N) of all twins, or (…, 1) of the focal user's."""
        network = task.scenario.network
        if task.joint or batch:
            shape = (*batch, network.num_users) if task.joint else batch
            return (read_indices(name, values, shape, network.num_stations, "station", rows).reshape(*batch, -1),)
        given = as_array(name, values)
        if given.shape != () or given.dtype.kind not in "iu":
            raise ValueError(f"{name} must be an integer, got {values!r}")
        station = int(given)
        if not 0 <= station < network.num_stations:
            raise ValueError(f"{name} must be a station in 0..{network.num_stations - 1}, got {station}")
        return (np.array([station], np.int64),)


class MigrationVectorEnv(TaskVectorEnv):
    """Batch of `num_envs` `MigrationEnv`s; actions (num_envs,), or with control="joint" (num_envs, N).

    A custom forecaster object is called from Python, once per row.
    """

    single = MigrationEnv
