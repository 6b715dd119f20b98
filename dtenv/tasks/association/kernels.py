"""State and compiled kernels of DTAssociation: reset, step and observation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import inlined, kernel
from dtenv.physics.barrier import is_violated
from dtenv.physics.energy import computation_energy, metre_energy
from dtenv.physics.geometry import manhattan
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association.entries import LINK, SERVER, USER
from dtenv.tasks.association.nearest import nearest_with_room
from dtenv.tasks.association.slot import Slot
from dtenv.tasks.association.terms import Terms, Work, evaluate
from dtenv.tasks.episodes import ends
from dtenv.world.association import AssociationTape, draw_association
from dtenv.world.walks import Recorded


class State(NamedTuple):
    """Mutable state of B episodes."""

    server: np.ndarray  # (B, U) κ of the last slot
    previous: np.ndarray  # (B, U) κ of the slot before, for rendering
    slot: np.ndarray  # (B,) slot to decide, 1 … T; T + 1 at the end


class Scale(NamedTuple):
    """Divisors that scale observations to about [-1, 1]."""

    area_m: float
    step_m: float  # longest walk in one slot
    samples: float
    twin_bits: float
    cycles_per_bit: float
    compute_capacity: float
    sync_capacity: float

    @classmethod
    def of(cls, scenario: AssociationScenario) -> Scale:
        """Upper ends of a scenario's ranges."""
        network, mobility, data = scenario.network, scenario.mobility, scenario.data
        step_m = max(mobility.speed_mps[1] * mobility.slot_seconds, 1e-9)
        servers = network.cycles_per_bit[1], network.compute_capacity[1], network.sync_capacity[1]
        return cls(float(network.area_m), step_m, float(data.samples[1]), max(data.twin_bits[1], 1e-9), *servers)


@inlined
def slot_at(tape: AssociationTape, b: int, t: int, previous_server: np.ndarray) -> Slot:
    """Slot t of row b of the tape, with the previous association `previous_server` (U,)."""
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
    """All arrays of B episodes."""

    tape: AssociationTape
    state: State
    terms: Terms
    work: Work
    recorded: Recorded
    streams: np.ndarray  # (B, WORDS) random generators
    ranges: np.ndarray  # (1,) record of AssociationRanges
    obs: np.ndarray  # (B, layout.size) float32
    mask: np.ndarray  # (B, U, S) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale


_TAPE, _STATE, _TERMS, _WORK, _RECORDED = ends(AssociationTape, State, Terms, Work, Recorded)


@inlined
def unflatten(arrays):
    """Rebuild a `Batch` from its `flatten` tuple, inside a kernel."""
    return Batch(
        AssociationTape(*arrays[:_TAPE]),
        State(*arrays[_TAPE:_STATE]),
        Terms(*arrays[_STATE:_TERMS]),
        Work(*arrays[_TERMS:_WORK]),
        Recorded(*arrays[_WORK:_RECORDED]),
        *arrays[_RECORDED:],
    )


@kernel
def reset(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Reset some rows: draw their next episodes, with κ^0 by Baseline 2 at slot 0, and observe the first slot."""
    batch = unflatten(arrays)
    for b in rows:
        draw_association(batch.streams[b], batch.ranges[0], batch.recorded, batch.tape, b)
        server = batch.state.server[b]
        server[:] = 0
        nearest_with_room(batch.constants[0], slot_at(batch.tape, b, 0, server), server)  # D_{t-1} is not used
        for u in range(len(server)):
            batch.state.previous[b, u] = server[u]
        batch.state.slot[b] = 1
        observe(batch, b)


@kernel
def step(arrays: tuple[np.ndarray, ...], rows: np.ndarray, action: np.ndarray, history: np.ndarray) -> None:
    """Step some rows of a flat `Batch`: evaluate the action, move the twins, observe the next slot.

    The action κ is (B, U), servers in range; the agent's γ `history` is (B, U), or (0, U) if it does not choose it.
    """
    batch = unflatten(arrays)
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


@kernel
def observe(batch: Batch, b: int) -> None:
    """Write row b's observation and action mask of the slot to decide."""
    # Locals, as a kernel reloads fields of records and headers of arrays after every write.
    c, scale, t = batch.constants[0], batch.scale[0], batch.state.slot[b]
    slot = slot_at(batch.tape, b, t, batch.state.server[b])
    before, row, mask = batch.tape.user_xy[b, t - 1], batch.obs[b], batch.mask[b]
    user_xy, server_xy, samples = slot.user_xy, slot.server_xy, slot.samples
    compute_capacity, sync_capacity, cycles_per_bit = slot.compute_capacity, slot.sync_capacity, slot.cycles_per_bit
    area, step, most_samples, most_bits = scale.area_m, scale.step_m, scale.samples, scale.twin_bits
    most_cycles, most_compute, most_sync = scale.cycles_per_bit, scale.compute_capacity, scale.sync_capacity
    n_syn, n_cmp, epochs, bits_per_sample, rate = c.n_syn, c.n_cmp, c.epochs, c.bits_per_sample, c.rate_bps
    num_users, num_servers = mask.shape
    if user_xy.shape[1] != 2 or server_xy.shape[1] != 2:  # never, but constant strides let coordinates load as vectors
        return
    i = 0
    for u in range(num_users):
        row[i + USER.x] = 2.0 * user_xy[u, 0] / area - 1.0
        row[i + USER.y] = 2.0 * user_xy[u, 1] / area - 1.0
        row[i + USER.dx] = min(max((user_xy[u, 0] - before[u, 0]) / step, -1.0), 1.0)
        row[i + USER.dy] = min(max((user_xy[u, 1] - before[u, 1]) / step, -1.0), 1.0)
        row[i + USER.samples] = samples[u] / most_samples
        row[i + USER.previous_samples] = slot.previous_samples[u] / most_samples
        row[i + USER.twin_bits] = slot.twin_bits[u] / most_bits
        row[i + USER.emd] = 0.5 * slot.emd[u]
        i += len(USER)
    for s in range(num_servers):
        row[i + SERVER.x] = 2.0 * server_xy[s, 0] / area - 1.0
        row[i + SERVER.y] = 2.0 * server_xy[s, 1] / area - 1.0
        row[i + SERVER.cycles_per_bit] = cycles_per_bit[s] / most_cycles
        row[i + SERVER.compute_capacity] = compute_capacity[s] / most_compute
        row[i + SERVER.sync_capacity] = sync_capacity[s] / most_sync
        row[i + SERVER.twins] = row[i + SERVER.compute_load] = row[i + SERVER.sync_load] = 0.0
        i += len(SERVER)
    for u in range(num_users):
        host = slot.previous_server[u]
        x, y, host_x, host_y = user_xy[u, 0], user_xy[u, 1], server_xy[host, 0], server_xy[host, 1]
        bits = samples[u] * bits_per_sample
        upload = metre_energy(n_syn, bits, rate)
        load = computation_energy(n_cmp, cycles_per_bit[host], bits, epochs)
        energy = upload * manhattan(x, y, host_x, host_y)
        at = len(USER) * num_users + len(SERVER) * host
        there = row[at : at + len(SERVER)]
        there[SERVER.twins] = min(there[SERVER.twins] + 1.0 / num_users, 1.0)
        there[SERVER.compute_load] = min(there[SERVER.compute_load] + load / compute_capacity[host], 1.0)
        there[SERVER.sync_load] = min(there[SERVER.sync_load] + energy / sync_capacity[host], 1.0)
        links, possible = row[i : i + len(LINK) * num_servers], 0
        for s in range(num_servers):
            distance = manhattan(x, y, server_xy[s, 0], server_xy[s, 1])
            energy, load = upload * distance, computation_energy(n_cmp, cycles_per_bit[s], bits, epochs)
            links[len(LINK) * s + LINK.distance] = 0.5 * distance / area
            links[len(LINK) * s + LINK.hosts] = 0.0
            moved = manhattan(host_x, host_y, server_xy[s, 0], server_xy[s, 1])
            links[len(LINK) * s + LINK.move_distance] = 0.5 * moved / area
            links[len(LINK) * s + LINK.sync_share] = min(energy / sync_capacity[s], 1.0)
            # `|`, as a branch would be mispredicted at every other link.
            mask[u, s] = not (is_violated(energy, sync_capacity[s]) | is_violated(load, compute_capacity[s]))
            possible += mask[u, s]
        links[len(LINK) * host + LINK.hosts] = 1.0
        i += len(LINK) * num_servers
        if possible == 0:  # every server is too far: leave the choice open
            mask[u, :] = True
