"""DTMigration-v0's page."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.envs.actions import as_array, read_indices
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.tasks.migration.task import MigrationTask


class MigrationEnv(TaskEnv):
    """Twins follow their moving users between servers, at a price (Lu et al. 2021).

    ## Description
    `N` users move through a square with `M` base stations. A user sends updates to its access station, which another
    takes over when it is 3 dB stronger, and by wire on to the station that hosts its twin. An update takes T_upd
    (11): wireless, wired and computing time beside the other twins there. A twin may migrate, and is down meanwhile.
    A slot is worth the utility (20), normalised,

        U_i = β exp((τ_i - T_upd) / τ_i) - (1 - β) E_i / 1 mJ,

    less the price κ T_mig / slot of a migration, T_mig = downtime + φ D_i d(k, k') (the paper has no price, so
    following the best station would be optimal). Shadowing is correlated along the walk and between stations, so
    whoever chases the best station goes to and fro.

    ## Action space
    `control="focal"` (default): `Discrete(M)`, the station of user 0's twin. The other users' twins follow the policy
    that `background` names, as if user 0 were not there, and leave one seat free on every station.
    `control="joint"`: `MultiDiscrete([M] * N)`, every twin's station. Requests are met in the users' order; one for a
    station that hosts N_k twins by then is refused, and the twin stays. `info["action_mask"]`, (M,) or (N, M), marks
    the stations with room.

    ## Observation space
    A flat `Box` of float32 in [-1, 1]: users x 8, stations x 4, users x stations x 8, and the forecast, users x
    stations x `horizon`: which station is nearest to where the user is expected in each of the next slots. Users are
    the agent's alone. `python -m dtenv describe DTMigration-v0` names every entry; `dtenv.StructuredObservation` gives
    the blocks as a Dict. `task.decode` reads the slot back.

    A forecaster of serving stations (`dtenv.forecasting.StationForecaster`, such as `dtenv.forecasting.CellForecast`)
    fills the forecast with chances instead: of each station's being the user's access station in each of the next
    slots, all 0 where nothing is forecast. `dtenv.forecasting.Foresight` adds what an oracle says of the rest of the
    future, in blocks of their own after it: `channel` (users x `horizon`), exp(-wireless latency / τ), and `load`
    (users x stations x `horizon`), exp(-computing latency / τ).

    ## Deployments
    `deployment="edge"` (default) has twins on stations. With "cloud" and "edge-cloud" the last of the `num_stations`
    sites is the cloud: it has no radio, every update to it takes `cloud_latency_s` and `cloud_distance_m` of wire, and
    it computes and holds twins as `cloud_compute_hz` and `cloud_capacity` say; with "cloud" nobody else does. Servers
    fail at `failure_rate_per_s` and are repaired after `repair_s` on average, as drawn at reset. A twin on one that is
    down is isolated: no utility, late, `isolation_price`. It is created anew, from data uploaded again, once it is
    elsewhere or the server is repaired. Observations say which site is the cloud and, if any fails, which work.
    `aggregation` and `consensus` add what a federated round over the twins takes, and miners' latency. The repository's
    docs/deployment.md has all of it, and what Table I of (Khan 2022) comes to.

    ## Rewards
    - `reward="score"` (default): the mean over the agent's users of utility less price, less `deadline_penalty`
      (default .1) times the share of users whose T_upd is past the deadline (21c). What tables rank by.
    - `reward="centred"`: the score less the utility's mean over stations, which a user's own choice does not change:
      the same best policy in the slot, with less noise.

    ## Starting state
    Walks, stations, data, deadlines and shadowing are drawn at reset, and the background's migrations follow from
    them. Twins are at their users' access stations, or at the nearest one with room. `step` is deterministic.

    ## Episode end
    Truncated after `num_slots` slots (default 200). Never terminated.

    ## Arguments
    `scenario`: a preset's name ("balanced", "ping-pong", "gauss-markov", "literal") or a MigrationScenario; any of
    its fields by name (`kappa`, `walk`, `forecaster`, `horizon`, `control`, `background`, …) override single values.
    `forecaster`: "none", "constant-velocity", "oracle", or an object with the method of `dtenv.forecasting.Forecaster`
    or of `dtenv.forecasting.StationForecaster`. docs/forecast_value.md tells what each is worth.
    `dtenv.scenario_from_traces(sites, trace, env_id="DTMigration-v0")` makes a scenario of real sites and walks.

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
    and `server`. Where twins have lives also `creations`, `isolations` and `releases`; with a consensus
    `latency_consensus` and `consensus_energy`; with an aggregation `round` (seconds), `round_share` and `staleness`.

    ## How good it could be
    `env.unwrapped.optimum(horizon=None)` and `dtenv.oracle.episode_bound` give the best that a focal user could have
    done knowing the whole episode, exactly; with control="joint" a plan and a proven bound (docs/bounds.md).
    The preset "literal" tests nothing: its optimum lies 1.3 % above never moving (docs/results/headroom/table.md).

    ## What the model does that one may not expect
    - The energy (19) depends on the access station alone, so on no decision.
    - With control="joint" and every seat taken no twin can ever move: requests are met one after another, none is
      exchanged.
    - The paper's discount of .7 is far too short-sighted for a migration to pay; use .95 or more.
    - Without shadowing the best station changes seldom, and Algorithm 3 (go there) is nearly optimal.

    ## Version history
    - v0: first version.
    """

    drawn = None
    env_id, task_type = "DTMigration-v0", MigrationTask
    canvas = "dtenv.render.migration:MigrationCanvas"

    @staticmethod
    def read_action(
        name: str, values: Any, task: MigrationTask, batch: tuple[int, ...], rows: np.ndarray | None = None
    ) -> tuple[np.ndarray]:
        """The stations (…, N) of all twins, or (…, 1) of a focal user's."""
        network = task.scenario.network
        if task.joint or batch:
            shape = (*batch, network.num_users) if task.joint else batch
            return (read_indices(name, values, shape, network.num_stations, "station", rows).reshape(*batch, -1),)
        given = as_array(name, values)
        if given.shape != () or given.dtype.kind not in "iu":
            raise ValueError(f"{name} must be one whole number, got {values!r}")
        station = int(given)
        if not 0 <= station < network.num_stations:
            raise ValueError(f"{name} must be a station in 0..{network.num_stations - 1}, got {station}")
        return (np.array([station], np.int64),)


class MigrationVectorEnv(TaskVectorEnv):
    """DTMigration-v0, `num_envs` at once; actions (num_envs,), or with control="joint" (num_envs, N).

    The model and its settings are `MigrationEnv`'s; seeds, autoreset and threads `TaskVectorEnv`'s. A forecaster that
    is an object of one's own is asked in Python, row after row.
    """

    single = MigrationEnv
