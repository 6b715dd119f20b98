"""DTAssociation: an episode of associations: state, batched step kernel, observation, info (Zhou 2025)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record, compiled
from dtenv.observation import Block, Layout
from dtenv.physics.barrier import is_violated
from dtenv.physics.geometry import manhattan
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association_nearest import nearest_with_room
from dtenv.tasks.association_slot import Constants, Slot, fresh_load, link_energy, move_distance
from dtenv.tasks.association_terms import (
    COMPUTATION,
    EXCESS,
    LATENCY,
    MIGRATION,
    MIGRATIONS,
    OBJECTIVE,
    REWARD,
    SCORE,
    SYNCHRONISATION,
    UTILITY,
    VIOLATIONS,
    Terms,
    Work,
    evaluate,
    new_terms,
    new_work,
)
from dtenv.tasks.episodes import Episodes, whole
from dtenv.world.association import AssociationRanges, AssociationTape, draw_association, empty_association_tape
from dtenv.world.walks import Recorded


class State(NamedTuple):
    """What an episode's past leaves to its future, for a batch (B)."""

    server: np.ndarray  # (B, U) κ of the last slot
    previous: np.ndarray  # (B, U) κ of the slot before, for pictures
    slot: np.ndarray  # (B,) the slot to be decided, 1 … T; T + 1 at the end


class Scale(NamedTuple):
    """Divisors that bring observations to about [-1, 1]."""

    area_m: float
    step_m: float  # fastest walk of one slot
    samples: float
    twin_bits: float
    cycles_per_bit: float
    compute_capacity: float
    sync_capacity: float

    @classmethod
    def of(cls, scenario: AssociationScenario) -> Scale:
        """The upper ends of a scenario's ranges."""
        network, mobility, data = scenario.network, scenario.mobility, scenario.data
        return cls(
            float(network.area_m),
            max(mobility.speed_mps[1] * mobility.slot_seconds, 1e-9),
            float(data.samples[1]),
            max(data.twin_bits[1], 1e-9),
            network.cycles_per_bit[1],
            network.compute_capacity[1],
            network.sync_capacity[1],
        )


USERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("dx", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("dy", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("samples", "D_t, new samples, over the largest possible"),
    ("previous_samples", "D_{t-1}, last slot's samples, over the largest possible"),
    ("twin_bits", "D^twin, over the largest possible"),
    ("emd", "φ / 2"),
)
SERVERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("cycles_per_bit", "ε, over the largest possible"),
    ("compute_capacity", "q, over the largest possible"),
    ("sync_capacity", "p, over the largest possible"),
    ("twins", "twins hosted last slot, over U"),
    ("compute_load", "computation energy of new data alone, if twins stay, over q, at most 1"),
    ("sync_load", "synchronisation energy, if twins stay, over p, at most 1"),
)
LINKS = (
    ("distance", "Manhattan distance user to server, over 2 sides"),
    ("hosts", "1 where the server hosts the user's twin since last slot, else 0"),
    ("move_distance", "Manhattan distance of moving the twin there, over 2 sides"),
    ("sync_share", "the user's synchronisation energy there, over p, at most 1 (alone it would break C3)"),
)


@compiled
def slot_at(tape: AssociationTape, b: int, t: int, previous_server: np.ndarray) -> Slot:
    """Slot t of row b of the tape, after the association `previous_server` (U,)."""
    return Slot(
        tape.user_xy[b, t],
        tape.samples[b, t],
        tape.samples[b, t - 1],
        tape.twin_bits[b],
        tape.emd[b],
        previous_server,
        tape.server_xy[b],
        tape.cycles_per_bit[b],
        tape.compute_capacity[b],
        tape.sync_capacity[b],
    )


class Batch(NamedTuple):
    """All arrays of a batch of episodes."""

    tape: AssociationTape
    state: State
    terms: Terms
    work: Work
    recorded: Recorded
    streams: np.ndarray  # (B, WORDS) what episodes are drawn with
    ranges: np.ndarray  # (1,) record of AssociationRanges
    obs: np.ndarray  # (B, layout.size) float32
    mask: np.ndarray  # (B, U, S) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale

    def flat(self) -> tuple[np.ndarray, ...]:
        """The arrays as one plain tuple, which Numba unpacks several times faster than nested named ones."""
        return (*self.tape, *self.state, *self.terms, *self.work, *self.recorded, *self[5:])


@compiled
def named(arrays):
    """The `Batch` of its `flat` tuple, inside a kernel."""
    return Batch(
        AssociationTape(*arrays[:9]),
        State(*arrays[9:12]),
        Terms(*arrays[12:16]),
        Work(*arrays[16:18]),
        Recorded(*arrays[18:21]),
        *arrays[21:],
    )


@compiled
def begin(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Draw the next episode of some rows and observe its first slot: κ^0 is Baseline 2's association at slot 0."""
    batch = named(arrays)
    for b in rows:
        draw_association(batch.streams[b], batch.ranges[0], batch.recorded, batch.tape, b)
        server = batch.state.server[b]
        server[:] = 0
        before = slot_at(batch.tape, b, 0, server)  # its D_{t-1} is not used
        nearest_with_room(batch.constants[0], before, server)
        for u in range(len(server)):
            batch.state.previous[b, u] = server[u]
        batch.state.slot[b] = 1
        observe(batch, b)


@compiled
def advance(arrays: tuple[np.ndarray, ...], rows: np.ndarray, action: np.ndarray, history: np.ndarray) -> None:
    """One slot of some rows: evaluate the action, move the twins, observe the next slot.

    Args:
        arrays: a flat `Batch`; state, terms, obs and mask are updated in place.
        rows: which, (rows,).
        action: κ, (B, U), servers in range.
        history: the agent's γ, (B, U), or (0, U) where it does not choose it.
    """
    batch = named(arrays)
    tape, state, terms, work = batch.tape, batch.state, batch.terms, batch.work
    for b in rows:
        t = state.slot[b]
        if len(history) > 0:
            for u in range(history.shape[1]):
                terms.history[b, u] = history[b, u]
        elif tape.random_history.shape[1] > 0:
            for u in range(tape.random_history.shape[2]):
                terms.history[b, u] = tape.random_history[b, t, u]
        server = state.server[b]
        slot = slot_at(tape, b, t, server)
        evaluate(batch.constants[0], slot, action[b], work.users[b], work.slopes[b], terms, b)
        for u in range(len(server)):
            state.previous[b, u] = server[u]
            server[u] = action[b, u]
        state.slot[b] = t + 1
        observe(batch, b)


@compiled
def observe(batch: Batch, b: int) -> None:
    """Write row b's observation and action mask of the slot to be decided."""
    c, scale, mask = batch.constants[0], batch.scale[0], batch.mask
    t = batch.state.slot[b]
    slot = slot_at(batch.tape, b, t, batch.state.server[b])
    before = batch.tape.user_xy[b, t - 1]
    num_users, num_servers = slot.samples.shape[0], slot.compute_capacity.shape[0]
    row = batch.obs[b]
    i = 0
    for u in range(num_users):
        row[i] = 2.0 * slot.user_xy[u, 0] / scale.area_m - 1.0
        row[i + 1] = 2.0 * slot.user_xy[u, 1] / scale.area_m - 1.0
        row[i + 2] = min(max((slot.user_xy[u, 0] - before[u, 0]) / scale.step_m, -1.0), 1.0)
        row[i + 3] = min(max((slot.user_xy[u, 1] - before[u, 1]) / scale.step_m, -1.0), 1.0)
        row[i + 4] = slot.samples[u] / scale.samples
        row[i + 5] = slot.previous_samples[u] / scale.samples
        row[i + 6] = slot.twin_bits[u] / scale.twin_bits
        row[i + 7] = 0.5 * slot.emd[u]
        i += 8
    servers = i
    for s in range(num_servers):
        row[i] = 2.0 * slot.server_xy[s, 0] / scale.area_m - 1.0
        row[i + 1] = 2.0 * slot.server_xy[s, 1] / scale.area_m - 1.0
        row[i + 2] = slot.cycles_per_bit[s] / scale.cycles_per_bit
        row[i + 3] = slot.compute_capacity[s] / scale.compute_capacity
        row[i + 4] = slot.sync_capacity[s] / scale.sync_capacity
        row[i + 5] = row[i + 6] = row[i + 7] = 0.0
        i += 8
    for u in range(num_users):
        host = slot.previous_server[u]
        load = fresh_load(c, slot, u, host) / slot.compute_capacity[host]
        share = link_energy(c, slot, u, host) / slot.sync_capacity[host]
        row[servers + 8 * host + 5] = min(row[servers + 8 * host + 5] + 1.0 / num_users, 1.0)
        row[servers + 8 * host + 6] = min(row[servers + 8 * host + 6] + load, 1.0)
        row[servers + 8 * host + 7] = min(row[servers + 8 * host + 7] + share, 1.0)
        for s in range(num_servers):
            x, y = slot.server_xy[s, 0], slot.server_xy[s, 1]
            synchronisation = link_energy(c, slot, u, s)
            row[i] = 0.5 * manhattan(slot.user_xy[u, 0], slot.user_xy[u, 1], x, y) / scale.area_m
            row[i + 1] = 1.0 if s == host else 0.0
            row[i + 2] = 0.5 * move_distance(slot, u, s) / scale.area_m
            row[i + 3] = min(synchronisation / slot.sync_capacity[s], 1.0)
            mask[b, u, s] = not is_violated(synchronisation, slot.sync_capacity[s]) and not is_violated(
                fresh_load(c, slot, u, s), slot.compute_capacity[s]
            )
            i += 4
        if not mask[b, u].any():  # every server is too far: leave the choice open
            mask[b, u, :] = True


def entries_of(totals: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
    """What is told of a slot's totals: of one row, or of a batch with the rows on the last axis."""
    migration, synchronisation, computation = totals[MIGRATION], totals[SYNCHRONISATION], totals[COMPUTATION]
    return {
        "score": totals[SCORE],
        "objective": totals[OBJECTIVE],
        "utility": totals[UTILITY],
        "energy": migration + synchronisation + computation,
        "energy_migration": migration,
        "energy_synchronisation": synchronisation,
        "energy_computation": computation,
        "latency": totals[LATENCY],
        "cost": totals[EXCESS],
        "violations": count(totals[VIOLATIONS]),
        "feasible": totals[VIOLATIONS] == 0.0,
        "migrations": count(totals[MIGRATIONS]),
    }


class AssociationTask(Episodes):
    """Spaces and batched episodes of one scenario; the environments' doors hold one of these.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B). Rows never affect each other.
    """

    def __init__(self, scenario: AssociationScenario, batch: int = 1):
        super().__init__(scenario, batch)
        users, servers = scenario.network.num_users, scenario.network.num_servers
        self.layout = Layout(
            (
                Block("users", (users,), USERS),
                Block("servers", (servers,), SERVERS),
                Block("links", (users, servers), LINKS, low=0.0),
            )
        )
        self.tape = empty_association_tape(scenario, batch)
        self.state = State(
            np.zeros((batch, users), np.int64), np.zeros((batch, users), np.int64), np.zeros(batch, np.int64)
        )
        self.terms = new_terms(batch, users, servers)
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        self.mask = np.ones((batch, users, servers), np.bool_)
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        work = new_work(batch, users)
        self._arrays = Batch(
            self.tape,
            self.state,
            self.terms,
            work,
            Recorded.of(scenario.mobility.recording),
            self.streams,
            AssociationRanges.record(scenario),
            self.obs,
            self.mask,
            self.constants,
            self.scale,
        ).flat()
        self._no_history = np.zeros((0, users))

    @property
    def action_space(self) -> spaces.Space:
        """κ as MultiDiscrete([S] * U); with history="action" a Dict of it and γ in [0, 1]^U."""
        users, servers = self.scenario.network.num_users, self.scenario.network.num_servers
        server = spaces.MultiDiscrete([servers] * users)
        if self.scenario.episode.history != "action":
            return server
        return spaces.Dict({"server": server, "history": spaces.Box(0.0, 1.0, (users,), np.float64)})

    def begin_rows(self, rows: np.ndarray) -> None:
        """Draw the next episode of some rows from their streams, and observe its first slot."""
        begin(self._arrays, rows)

    def advance(self, action: np.ndarray, history: np.ndarray | None = None, rows: np.ndarray | None = None) -> None:
        """One slot of all rows, or of some, for κ (B, U) and, where the agent chooses it, γ (B, U)."""
        advance(
            self._arrays,
            self.rows if rows is None else rows,
            action,
            self._no_history if history is None else history,
        )

    def slot(self, b: int = 0) -> Slot:
        """The slot that row b decides next, in physical units."""
        return slot_at(self.tape, b, int(self.state.slot[b]), self.state.server[b])

    def info(self, b: int = 0) -> dict[str, Any]:
        """Row b's last slot, unshaped; keys as in the environment's page."""
        told = entries_of(self.terms.totals[b].tolist(), int)
        return told | {"history": self.terms.history[b].copy(), "action_mask": self.mask[b].copy()}

    def entries(self) -> dict[str, np.ndarray]:
        """`info` of all rows' last slots: an array (B, …) for each name; some are views."""
        told = entries_of(self.terms.totals.T, whole)
        return told | {"history": self.terms.history, "action_mask": self.mask}

    def begun(self) -> dict[str, np.ndarray]:
        """`info` of all rows' resets, likewise."""
        return {"action_mask": self.mask, "server": self.state.server}

    @property
    def rewards_of_rows(self) -> np.ndarray:
        """Rewards (B,) of the last slot; a view."""
        return self.terms.totals[:, REWARD]

    def reward(self, b: int = 0) -> float:
        """Row b's reward of the last slot."""
        return float(self.terms.totals[b, REWARD])

    def decode(self, obs: np.ndarray) -> Slot:
        """The slots that flat observations (B, size) show, in physical units, each field with a leading B.

        Exact up to the observation's float32; samples are rounded back to whole numbers.
        """
        view = self.layout.split(np.asarray(obs, dtype=np.float64))
        users, servers, scale = view["users"], view["servers"], Scale.of(self.scenario)
        host = self.layout.blocks[2].column("hosts")
        return Slot(
            user_xy=np.ascontiguousarray(0.5 * (users[..., :2] + 1.0) * scale.area_m),
            samples=np.round(users[..., 4] * scale.samples),
            previous_samples=np.round(users[..., 5] * scale.samples),
            twin_bits=users[..., 6] * scale.twin_bits,
            emd=2.0 * users[..., 7],
            previous_server=view["links"][..., host].argmax(axis=-1),
            server_xy=np.ascontiguousarray(0.5 * (servers[..., :2] + 1.0) * scale.area_m),
            cycles_per_bit=servers[..., 2] * scale.cycles_per_bit,
            compute_capacity=servers[..., 3] * scale.compute_capacity,
            sync_capacity=servers[..., 4] * scale.sync_capacity,
        )
