"""One environment at a time: Gymnasium's Env over a batch of one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded

from dtenv import presets
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association import AssociationTask, first_outside


class AssociationEnv(gym.Env):
    """Which edge server hosts each user's digital twin, slot by slot (Zhou et al. 2025).

    ## Description
    `U` users walk through a square with `S` edge servers. Each user's digital twin lives on one server. In
    every slot a user uploads new data to its twin, the twin trains on them and on a share γ of last slot's
    data, and the agent may move twins between servers first. Training is worth the data utility ρ (11);
    moving (13), uploading (14) and computing (15) cost energy. The objective of a slot is (22),

        e = β1/U Σ_u ρ_u - β2/S Σ_s tanh(C_s / 4 f0),

    under C2, computation energy within q_s, and C3, synchronisation energy within p_s. Given the association,
    γ is found by an exact global solver inside the step (`history="optimal"`; see `dtenv.allocation`).

    ## Action space
    `MultiDiscrete([S] * U)`: the server of each user's twin. With `history="action"` a Dict of `server` and
    `history`, γ in [0, 1] for each user. `info["action_mask"]` (U, S) and `action_masks()` mark the servers
    that could hold the twin alone without breaking C2 or C3. They advise; no choice is refused.

    ## Observation space
    A flat `Box` of float32 in [-1, 1]: users x 8, servers x 8, users x servers x 4. `python -m dtenv describe
    DTAssociation-v0` names every entry; `dtenv.StructuredObservation` gives the blocks as a Dict. The slot's
    decision problem can be read from it whole (`task.decode`); only the future is hidden.

    ## Rewards
    - `reward="barrier"` (default): e minus, for each server and constraint, -ln(relative slack) / f, which goes
      over smoothly into the score's penalty where the constraint is broken. Finite everywhere.
    - `reward="literal"`: (24)-(25) as printed, in absolute slack, which is held at 1e-9 or more.
    - `reward="objective"`: e alone. It pays for breaking C3.
    - `reward="score"`: what tables rank by, also `info["score"]`: e minus .04 + .4 x relative excess for every
      violated constraint.

    ## Starting state
    Servers, users, capacities and all data sizes are drawn at reset. κ^0 is Baseline 2's association. `step` is
    deterministic: the same seed and actions give the same episode.

    ## Episode end
    Truncated after `num_slots` slots (default 100). Never terminated.

    ## Arguments
    `scenario`: a preset's name ("balanced", "paper", "sequential") or an AssociationScenario; any of its fields
    by name (`num_users`, `num_servers`, `emd`, `label_counts`, `reward`, `history`, …) override single values.

    ```python
    >>> import gymnasium as gym, dtenv
    >>> env = gym.make("DTAssociation-v0", scenario="balanced", num_servers=9, emd=0.4)
    >>> obs, info = env.reset(seed=1)
    >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())

    ```

    ## Info
    `score`, `objective`, `utility` (mean ρ), `energy` and its parts `energy_migration`, `energy_synchronisation`,
    `energy_computation` (sums over servers, unshaped), `latency` (mean upload time, s), `cost` (sum of relative
    excess over violated constraints), `violations`, `feasible`, `migrations`, `history` (γ), `action_mask`.
    Reset gives `action_mask` and `server` (κ^0).

    ## What the model does that one may not expect
    - Packing pays: tanh is concave and divided by S, so a saturated server costs no more for further twins.
      Moving twins onto it is free in e, though not in energy. Show raw energy beside the score.
    - The paper's Theorem 2 (the allocation is convex) does not hold; hence the global solver.
    - With Table II's n_syn (`paper`), moving a twin towards its user never pays, and C3 never binds.
    - With f = 10 the literal barrier (24) can overturn e: it ranks spread-out twins above hubs of higher e.
    - The paper's rise of the objective with S is partly β2/S: an idle server scores Norm(0) = 0.

    ## Version history
    - v0: first version.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 5}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self,
        scenario: str | AssociationScenario = "balanced",
        *,
        render_mode: str | None = None,
        **overrides: Any,
    ):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            known = ", ".join(self.metadata["render_modes"])
            raise ValueError(f"render_mode must be one of {known} or None, got {render_mode!r}")
        self.scenario = presets.resolve(scenario, **overrides)
        self.render_mode = render_mode
        self.task = AssociationTask(self.scenario)
        self.layout = self.task.layout
        self.observation_space = self.layout.space
        self.action_space = self.task.action_space
        self._shape = (self.scenario.network.num_users,)
        self._servers = self.scenario.network.num_servers
        self._last_slot = self.scenario.episode.num_slots
        self._chooses_history = self.scenario.episode.history == "action"
        self._under_way = False
        self._canvas: Any = None
        self._objectives: list[float] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draw a new episode. `options` has no entries."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"options has no entries in this environment, got {options!r}")
        self.task.begin(0, self.np_random)
        self._under_way = True
        self._objectives = []
        self._draw()
        info = {"action_mask": self.task.mask[0].copy(), "server": self.task.state.server[0].copy()}
        return self.task.obs[0].copy(), info

    def step(self, action):
        """Associate the twins for one slot.

        Raises:
            ResetNeeded: before the first reset, or after the episode's end.
            ValueError: an action of wrong shape, dtype or range.
        """
        if not self._under_way:
            slot = int(self.task.state.slot[0])
            when = f"after the episode's end (num_slots={self._last_slot})" if slot else "before the first reset()"
            raise ResetNeeded(f"step() was called {when}: call reset()")
        history = None
        if self._chooses_history:
            action, history = self._read_history(action)
        self.task.advance(self._read_server(action)[None], history)
        truncated = bool(self.task.state.slot[0] > self._last_slot)
        self._under_way = not truncated
        info = self.task.info()
        if self.render_mode is not None:
            self._objectives.append(info["objective"])
            self._draw()
        return self.task.obs[0].copy(), self.task.reward(), False, truncated, info

    def action_masks(self) -> np.ndarray:
        """The action mask (U, S) of the slot to be decided, as sb3-contrib asks for it."""
        return self.task.mask[0].copy()

    def _read_server(self, action: Any) -> np.ndarray:
        server = np.asarray(action)
        if server.shape != self._shape:
            raise ValueError(f"action must have shape {self._shape}, one server a user, got shape {server.shape}")
        if server.dtype.kind not in "iu":
            raise ValueError(f"action must hold whole numbers, got dtype {server.dtype}")
        server = server.astype(np.int64, copy=False)
        outside = first_outside(server, self._servers)
        if outside >= 0:
            raise ValueError(f"action[{outside}] must be a server in 0..{self._servers - 1}, got {server[outside]}")
        return server

    def _read_history(self, action: Any) -> tuple[Any, np.ndarray]:
        if not isinstance(action, dict) or set(action) != {"server", "history"}:
            raise ValueError(f'action must be a dict of "server" and "history", got {action!r}')
        history = np.asarray(action["history"], dtype=np.float64)
        if history.shape != self._shape:
            raise ValueError(f'action["history"] must have shape {self._shape}, got shape {history.shape}')
        wrong = np.flatnonzero(~((history >= 0.0) & (history <= 1.0)))
        if wrong.size:
            raise ValueError(f'action["history"][{wrong[0]}] must lie in [0, 1], got {history[wrong[0]]}')
        return action["server"], history[None]

    def _draw(self) -> None:
        if self.render_mode == "human":
            self.render()

    def render(self):
        """Draw the last slot: an image (H, W, 3) for "rgb_array", a window for "human"."""
        if self.render_mode is None:
            gym.logger.warn('render() needs gym.make(..., render_mode="rgb_array" or "human")')
            return None
        if not self.task.state.slot[0]:
            raise ResetNeeded("render() was called before the first reset(): call reset()")
        if self._canvas is None:
            from dtenv.render.association import AssociationCanvas  # drawing libraries are optional and slow to import

            self._canvas = AssociationCanvas(self.scenario, window=self.render_mode == "human")
        return self._canvas.draw(self.task, self._objectives)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the canvas: a copy draws on one of its own."""
        return {**self.__dict__, "_canvas": None}
