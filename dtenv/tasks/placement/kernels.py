"""State and compiled kernels of DTPlacement: reset, step and observation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.barrier import is_violated
from dtenv.physics.latency import compute_latency, compute_share, wired_latency, wireless_latency
from dtenv.scenario.edge import SLICE
from dtenv.scenario.placement import ACTIONS, PlacementScenario
from dtenv.tasks.episodes import ends
from dtenv.tasks.placement.decode import bids_of_association, bids_of_prices, choose_hosts, match
from dtenv.tasks.placement.entries import LINK, OWN_USER, STATION, USER
from dtenv.tasks.placement.slot import STATION_TERM, Slot, Terms, add_loads, evaluate
from dtenv.tasks.uplink import DIRECT, choose_access, gain_range_db, link_gains, link_rate, scaled_gain, wired_distances
from dtenv.world.placement import PlacementTape, draw_placement
from dtenv.world.shadowing import shadow_slot
from dtenv.world.walks import Recorded

BID, PRICE, BINARY, ASSOCIATION = (ACTIONS.index(name) for name in ("bid", "price", "binary", "association"))


class State(NamedTuple):
    """Mutable state of B episodes, including data of the slot to decide."""

    server: np.ndarray  # (B, N) stations that hosted the twins in the last slot
    previous: np.ndarray  # (B, N) in the slot before, for rendering
    host: np.ndarray  # (B, M) stations that hosted in the last slot
    slot: np.ndarray  # (B,) slot to decide, 1 … T; T + 1 at the end
    gain_db: np.ndarray  # (B, N, M) of that slot
    access: np.ndarray  # (B, N) of that slot
    wired_m: np.ndarray  # (B, M, M) between stations
    loads: np.ndarray  # (B, len(STATION_TERM), M) from `add_loads`, if twins stay
    shadowing_db: np.ndarray  # (B, N, M) of the slot to decide


class Fixed(NamedTuple):
    """Arrays that are the same in all episodes of a scenario."""

    transmit_power_w: np.ndarray  # (N,)
    cycles_per_bit: np.ndarray  # (N,)
    capacity: np.ndarray  # (M,)


class Scale(NamedTuple):
    """Divisors that scale observations to [-1, 1]."""

    area_m: float
    data_bits: float
    update_bits: float
    deadline_s: float
    compute_hz: float
    least_gain_db: float
    most_gain_db: float

    @classmethod
    def of(cls, scenario: PlacementScenario) -> Scale:
        """Upper ends of a scenario's ranges."""
        network, twins, deadline_s = scenario.network, scenario.twins, scenario.objective.deadline_s[1]
        bits = max(twins.data_bits[1], 1e-9), max(twins.update_bits[1], 1e-9)
        gains = gain_range_db(scenario.radio, network)
        return cls(float(network.area_m), *bits, deadline_s, network.compute_hz[1], *gains)


class Batch(NamedTuple):
    """All arrays of B episodes."""

    tape: PlacementTape
    state: State
    terms: Terms
    fixed: Fixed
    recorded: Recorded
    streams: np.ndarray  # (B, WORDS) random generators
    ranges: np.ndarray  # (1,) record of EdgeRanges
    bid: np.ndarray  # (B, M, N) work array
    host_bid: np.ndarray  # (B, M) work array
    held: np.ndarray  # (B, M) work array, integers
    wireless_s: np.ndarray  # (B, M, N) work array: seconds to every station, or (B, 1, N) to the access station
    share_hz: np.ndarray  # (B, M) work array: computing of a twin alone on the station, its slice or all
    network_obs: np.ndarray  # (B, layout.size) float32
    station_obs: np.ndarray  # (B, M, station_layout.size) float32; (B, 0, …) if not requested
    mask: np.ndarray  # (B, N, M) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale


_TAPE, _STATE, _TERMS, _FIXED, _RECORDED = ends(PlacementTape, State, Terms, Fixed, Recorded)


@compiled
def unflatten(arrays):
    """Rebuild a `Batch` from its `flatten` tuple, inside a kernel."""
    return Batch(
        PlacementTape(*arrays[:_TAPE]),
        State(*arrays[_TAPE:_STATE]),
        Terms(*arrays[_STATE:_TERMS]),
        Fixed(*arrays[_TERMS:_FIXED]),
        Recorded(*arrays[_FIXED:_RECORDED]),
        *arrays[_RECORDED:],
    )


@compiled
def slot_at(batch: Batch, b: int) -> Slot:
    """Slot that row b decides next."""
    tape, state, fixed, t = batch.tape, batch.state, batch.fixed, batch.state.slot[b]
    return Slot(
        fixed.transmit_power_w,
        tape.data_bits[b, t],
        tape.update_bits[b, t],
        fixed.cycles_per_bit,
        tape.deadline_s[b],
        state.gain_db[b],
        state.access[b],
        state.server[b],
        tape.compute_hz[b, t],
        fixed.capacity,
        state.wired_m[b],
        tape.user_xy[b, t],
        tape.station_xy[b],
    )


@compiled
def update_radio(batch: Batch, b: int) -> None:
    """Update the gains and access stations of row b's slot."""
    tape, state, t = batch.tape, batch.state, batch.state.slot[b]
    user_xy, station_xy, gain_db = tape.user_xy[b, t], tape.station_xy[b], state.gain_db[b]
    shadowing_db = state.shadowing_db[b]
    shadow_slot(batch.ranges[0], tape.shadowing_key[b], t, tape.user_xy[b], shadowing_db)
    link_gains(batch.constants[0], user_xy, station_xy, shadowing_db, gain_db)
    choose_access(batch.constants[0], user_xy, station_xy, gain_db, state.access[b])


@compiled
def reset(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Reset some rows: in slot 0 all stations host, and each twin is at the nearest one with room."""
    batch = unflatten(arrays)
    state = batch.state
    for b in rows:
        draw_placement(batch.streams[b], batch.ranges[0], batch.recorded, batch.tape, b)
        state.access[b] = -1
        state.slot[b] = 0
        wired_distances(batch.tape.station_xy[b], state.wired_m[b])
        update_radio(batch, b)
        state.host[b] = True
        bids_of_association(slot_at(batch, b), state.access[b], batch.host_bid[b], batch.bid[b])
        match(batch.bid[b], state.host[b], batch.fixed.capacity, state.server[b], batch.held[b])
        for u in range(state.server.shape[1]):
            state.previous[b, u] = state.server[b, u]
        state.slot[b] = 1
        update_radio(batch, b)
        observe(batch, b)


@compiled
def step(arrays: tuple[np.ndarray, ...], rows: np.ndarray, numbers: np.ndarray, server: np.ndarray, mode: int) -> None:
    """Step some rows of a flat `Batch`: decode the action, place the twins, observe the next slot.

    In mode ASSOCIATION the action is server (B, N) and `numbers` is empty. Otherwise `server` is empty and `numbers` is
    finite: bids (B, M, 1 + N) in modes BID and BINARY, hosting bids and prices (B, M, 2) in mode PRICE.
    """
    batch = unflatten(arrays)
    state, terms, c = batch.state, batch.terms, batch.constants[0]
    for b in rows:
        slot = slot_at(batch, b)
        bid, host_bid, host, hosted_by = batch.bid[b], batch.host_bid[b], state.host[b], state.server[b]
        num_stations, num_users = bid.shape
        if mode == ASSOCIATION:
            bids_of_association(slot, server[b], host_bid, bid)
        else:
            for k in range(num_stations):
                host_bid[k] = numbers[b, k, 0]
            if mode == PRICE:
                bids_of_prices(c, slot, numbers[b, :, 1], bid)
            else:
                for k in range(num_stations):
                    for u in range(num_users):
                        bid[k, u] = numbers[b, k, 1 + u]
        for u in range(num_users):
            state.previous[b, u] = hosted_by[u]
        choose_hosts(host_bid, slot.capacity, num_users, host)
        match(bid, host, slot.capacity, hosted_by, batch.held[b])
        before = Slot(*slot[:7], state.previous[b], *slot[8:])
        evaluate(c, before, host, hosted_by, terms, b)
        state.slot[b] += 1
        update_radio(batch, b)
        observe(batch, b)


@compiled
def observe(batch: Batch, b: int) -> None:
    """Write row b's observations and action mask of the slot to decide."""
    c, scale, mask = batch.constants[0], batch.scale[0], batch.mask[b]
    slot, t, own = slot_at(batch, b), batch.state.slot[b], batch.station_obs[b]
    user_xy, station_xy, row = batch.tape.user_xy[b, t], batch.tape.station_xy[b], batch.network_obs[b]
    num_users, num_stations = slot.gain_db.shape
    loads, share_hz, wireless_s = batch.state.loads[b], batch.share_hz[b], batch.wireless_s[b]
    add_loads(c, slot, slot.previous_server, loads)
    # Locals, as the compiler cannot rule out that writes to observations change the records.
    direct, sliced = c.access == DIRECT, c.compute_sharing == SLICE
    wired_times, wired_s_per_bit_m = c.wired_times, c.wired_s_per_bit_m
    area_m, most_compute_hz = scale.area_m, scale.compute_hz
    most_data, most_update, latest_s = scale.data_bits, scale.update_bits, scale.deadline_s
    least_gain_db, most_gain_db = scale.least_gain_db, scale.most_gain_db
    diagonal = math.sqrt(2.0) * area_m
    for k in range(len(wireless_s)):
        for u in range(num_users):
            j = k if direct else slot.access[u]
            transmitting = 1.0 if direct else loads[STATION_TERM.transmitting, j]
            rate = link_rate(c, slot.transmit_power_w[u], slot.gain_db[u, j], transmitting)
            wireless_s[k, u] = wireless_latency(slot.data_bits[u], rate)
    stations = row[len(USER) * num_users :]
    links = stations[len(STATION) * num_stations :]
    for k in range(num_stations):
        station = stations[len(STATION) * k : len(STATION) * (k + 1)]
        station[STATION.x] = 2.0 * station_xy[k, 0] / area_m - 1.0
        station[STATION.y] = 2.0 * station_xy[k, 1] / area_m - 1.0
        station[STATION.compute_hz] = slot.compute_hz[k] / most_compute_hz
        station[STATION.capacity] = min(slot.capacity[k] / num_users, 1.0)
        station[STATION.twins] = loads[STATION_TERM.twins, k] / num_users
        station[STATION.transmitting] = loads[STATION_TERM.transmitting, k] / num_users
        share_hz[k] = compute_share(slot.compute_hz[k], 1.0, float(slot.capacity[k]) if sliced else 1.0)
    i = 0
    for u in range(num_users):
        j, host = slot.access[u], slot.previous_server[u]
        data_bits, deadline_s, cycles_per_bit = slot.data_bits[u], slot.deadline_s[u], slot.cycles_per_bit[u]
        gain_db, wired_m, allowed = slot.gain_db[u], slot.wired_m[j], mask[u]
        wireless = wireless_s[j if direct else 0, u]
        user = row[len(USER) * u : len(USER) * (u + 1)]
        user[USER.x] = 2.0 * user_xy[u, 0] / area_m - 1.0
        user[USER.y] = 2.0 * user_xy[u, 1] / area_m - 1.0
        user[USER.data_bits] = data_bits / most_data
        user[USER.update_bits] = slot.update_bits[u] / most_update
        user[USER.deadline] = deadline_s / latest_s
        user[USER.slack] = max((deadline_s - wireless) / latest_s, -1.0)
        choice = False
        for k in range(num_stations):
            distance = 0.0 if direct else wired_m[k]
            links[i + LINK.gain] = scaled_gain(gain_db[k], least_gain_db, most_gain_db)
            links[i + LINK.access] = 0.0
            links[i + LINK.hosted] = 0.0
            links[i + LINK.wired] = distance / diagonal
            i += len(LINK)
            alone = (
                (wireless_s[k, u] if direct else wireless)
                + wired_times * wired_latency(wired_s_per_bit_m, data_bits, distance)
                + compute_latency(cycles_per_bit, data_bits, share_hz[k])
            )
            allowed[k] = not is_violated(alone, deadline_s)
            choice |= allowed[k]
        first = i - len(LINK) * num_stations  # after the loop: branches in it would be mispredicted twice per user
        links[first + len(LINK) * j + LINK.access] = 1.0
        links[first + len(LINK) * host + LINK.hosted] = 1.0
        if not choice:  # late at every station: leave the choice open
            for k in range(num_stations):
                allowed[k] = True
    for k in range(len(own)):
        seen, link = own[k, len(STATION) + num_stations :], links[len(LINK) * k :]
        for n in range(len(STATION)):
            own[k, n] = stations[len(STATION) * k + n]
        for s in range(num_stations):
            own[k, len(STATION) + s] = 1.0 if s == k else 0.0
        for u in range(num_users):
            at, to, out_of = len(LINK) * num_stations * u, len(OWN_USER) * u, len(USER) * u
            seen[to + OWN_USER.data_bits] = row[out_of + USER.data_bits]
            seen[to + OWN_USER.update_bits] = row[out_of + USER.update_bits]
            seen[to + OWN_USER.slack] = row[out_of + USER.slack]
            seen[to + OWN_USER.gain] = link[at + LINK.gain]
            seen[to + OWN_USER.hosted] = link[at + LINK.hosted]
            seen[to + OWN_USER.wired] = link[at + LINK.wired]
