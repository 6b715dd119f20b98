"""Terms of one slot of DTPlacementMA under hosts and an association (Lu 2021, eqs 3-26).

`evaluate` is the model; `twin_score` and `host_score` are its parts of one twin and one station. The environment's
step, the scoring of instances, local search and bounds call them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.barrier import is_violated
from dtenv.physics.energy import transmission_energy
from dtenv.physics.latency import (
    compute_latency,
    compute_share,
    square_root_weight,
    total_latency,
    wired_latency,
    wireless_latency,
)
from dtenv.physics.utility import interaction_utility, utility_time
from dtenv.scenario.edge import COMPUTE_SHARINGS, SLICE, SQRT, Radio, Twins, Utility
from dtenv.scenario.placement import Objective, PlacementScenario
from dtenv.tasks.uplink import DIRECT, Uplink, link_rate


class Constants(NamedTuple):
    """Parameters of a scenario, for kernels; the first fields are those of `Uplink`."""

    bandwidth_hz: float
    noise_w_per_hz: float
    min_distance_m: float
    path_loss_km_db: float
    path_loss_decade_db: float
    handover_margin_db: float
    access: int
    shares_bandwidth: bool
    nats: float
    compute_sharing: int  # SQRT, EQUAL or SLICE of dtenv.scenario.edge
    wired_s_per_bit_m: float
    wired_times: float  # times that (10) counts the wired time
    sync_interval_s: float
    eta_s: float
    alpha: float
    beta: float
    host_cost: float
    deadline_penalty: float
    move_cost: float
    initial_on_change: bool
    latency_over_stations: bool  # (17) divides by M N
    twins_as_hosts: bool  # m of (25) counts twins
    energy_sum: bool  # E of (25) is a sum over users
    utility_beta: float
    utility_time_s: float  # 0 for the user's deadline
    utility_energy_j: float
    local_reward: bool

    @classmethod
    def of(cls, scenario: PlacementScenario) -> Constants:
        """Constants of a scenario."""
        return cls.of_groups(scenario.radio, scenario.twins, scenario.objective, scenario.utility)

    @classmethod
    def of_groups(cls, radio: Radio, twins: Twins, objective: Objective, utility: Utility) -> Constants:
        """Constants of the groups that determine a slot's terms."""
        return cls(
            *Uplink.of(radio),
            compute_sharing=COMPUTE_SHARINGS.index(twins.compute_sharing),
            wired_s_per_bit_m=float(twins.wired_s_per_bit_m),
            wired_times=1.0 if objective.wired_count == "once" else 2.0,
            sync_interval_s=float(twins.sync_interval_s),
            eta_s=float(twins.eta_s),
            alpha=float(objective.alpha),
            beta=float(objective.beta),
            host_cost=float(objective.host_cost),
            deadline_penalty=float(objective.deadline_penalty),
            move_cost=float(objective.move_cost),
            initial_on_change=objective.charge_initial == "on_change",
            latency_over_stations=objective.latency_mean == "users-and-stations",
            twins_as_hosts=objective.host_count == "twins",
            energy_sum=objective.energy_total == "sum",
            utility_beta=float(utility.utility_beta),
            utility_time_s=0.0 if utility.utility_time_s is None else float(utility.utility_time_s),
            utility_energy_j=float(utility.utility_energy_j),
            local_reward=objective.reward == "local",
        )


class Slot(NamedTuple):
    """Data of one slot, known to the agents: (N,) users, (M,) stations."""

    transmit_power_w: np.ndarray  # (N,)
    data_bits: np.ndarray  # (N,) D_i
    update_bits: np.ndarray  # (N,) ΔD_i
    cycles_per_bit: np.ndarray  # (N,) C_i
    deadline_s: np.ndarray  # (N,) τ_i
    gain_db: np.ndarray  # (N, M) channel gain
    access: np.ndarray  # (N,) access station, unused with direct access
    previous_server: np.ndarray  # (N,) station that hosted the twin last slot
    compute_hz: np.ndarray  # (M,) F_k
    capacity: np.ndarray  # (M,) N_k, integers
    wired_m: np.ndarray  # (M, M) distance between stations
    user_xy: np.ndarray  # (N, 2) metres, for heuristics: the terms depend on gains and wired distances only
    station_xy: np.ndarray  # (M, 2) metres


class UserTerms(NamedTuple):
    """Rows of Terms.users."""

    access: int = 0  # station transmitted to
    rate: int = 1  # bit/s (3)
    share: int = 2  # f_ik, cycles per second
    wireless: int = 3  # seconds (4)
    wired: int = 4  # (7), one way
    compute: int = 5  # (9)
    initial: int = 6  # (10)
    update: int = 7  # (11)
    total: int = 8  # T_ini + η T_syn, the summand of (13)
    energy_initial: int = 9  # joules (19)
    energy_update: int = 10
    utility: int = 11  # (20)
    late: int = 12  # 1 if T_ini exceeds the deadline
    moved: int = 13  # 1 if the twin changed station
    charged: int = 14  # the summand of (17)


class StationTerms(NamedTuple):
    """Rows of Terms.stations."""

    twins: int = 0  # hosted
    weight: int = 1  # sum of the twins' computing weights
    transmitting: int = 2  # users that transmit to the station
    reward: int = 3  # of the station's agent


class Totals(NamedTuple):
    """Columns of Terms.totals."""

    objective: int = 0  # (26) less the cost of moves
    score: int = 1  # less the penalty of missed deadlines
    latency: int = 2  # T(pl, A) (17)
    system_latency: int = 3  # T_sys (13), mean over users
    hosts: int = 4
    cost: int = 5  # R_C (25)
    energy: int = 6  # joules, summed over users, for building the twins
    utility: int = 7  # mean of (20)
    violations: int = 8  # users past their deadline
    migrations: int = 9  # twins that changed station


USER_TERM, STATION_TERM, TOTAL = UserTerms(), StationTerms(), Totals()


class Terms(NamedTuple):
    """Results of `evaluate` for B slots."""

    users: np.ndarray  # (B, len(USER_TERM), N)
    stations: np.ndarray  # (B, len(STATION_TERM), M)
    totals: np.ndarray  # (B, len(TOTAL))


def new_terms(batch: int, num_users: int, num_stations: int) -> Terms:
    """Allocate the terms of `batch` slots."""
    shapes = (len(USER_TERM), num_users), (len(STATION_TERM), num_stations), (len(TOTAL),)
    return Terms(*(np.zeros((batch, *shape)) for shape in shapes))


@compiled
def update_weight(c: Constants) -> float:
    """η/Δt, the weight in (13) of a bit of an update relative to a bit of the twin's data."""
    return c.eta_s / c.sync_interval_s


@compiled
def weighted_bits(data_bits: float, update_bits: float, weight: float) -> float:
    """D' = D + η/Δt ΔD, the effective data in (13), with weight from `update_weight`."""
    return data_bits + weight * update_bits


@compiled
def effective_bits(c: Constants, slot: Slot, u: int) -> float:
    """Effective data D'_i of a user."""
    return weighted_bits(slot.data_bits[u], slot.update_bits[u], update_weight(c))


@compiled
def computing_weight(c: Constants, slot: Slot, u: int) -> float:
    """Weight of a user's twin in the sharing of its station's computing."""
    if c.compute_sharing == SQRT:
        return square_root_weight(slot.cycles_per_bit[u], effective_bits(c, slot, u))
    return 1.0


@compiled
def add_loads(c: Constants, slot: Slot, server: np.ndarray, stations: np.ndarray) -> None:
    """Write twins, computing weights and transmitting users of every station to rows of stations (…, M)."""
    stations[:] = 0.0
    for u in range(len(server)):
        k = server[u]
        stations[STATION_TERM.twins, k] += 1.0
        stations[STATION_TERM.weight, k] += computing_weight(c, slot, u)
        stations[STATION_TERM.transmitting, k if c.access == DIRECT else slot.access[u]] += 1.0
    if c.compute_sharing == SLICE:
        for k in range(stations.shape[1]):
            stations[STATION_TERM.weight, k] = slot.capacity[k]


@compiled
def host_score(c: Constants, hosts: bool, twins: float) -> float:
    """Contribution of hosting to the score of a station, at most 0 (25)."""
    return -c.beta * c.host_cost * (twins if c.twins_as_hosts else 1.0 if hosts else 0.0)


@compiled
def write_rate(c: Constants, slot: Slot, u: int, k: int, transmitting: float, users: np.ndarray) -> None:
    """Write user u's access station and rate (3), with its twin on station k, to column u of users (terms, N)."""
    j = k if c.access == DIRECT else slot.access[u]
    users[USER_TERM.access, u] = j
    users[USER_TERM.rate, u] = link_rate(c, slot.transmit_power_w[u], slot.gain_db[u, j], transmitting)


@compiled
def write_latency(c: Constants, slot: Slot, u: int, k: int, weight: float, users: np.ndarray) -> None:
    """Write latencies (4)-(13) of user u's twin on station k to column u, rows share to total, after `write_rate`."""
    j = k if c.access == DIRECT else slot.access[u]
    data, update, cycles_per_bit, rate = (
        slot.data_bits[u],
        slot.update_bits[u],
        slot.cycles_per_bit[u],
        users[USER_TERM.rate, u],
    )
    distance, seconds = slot.wired_m[j, k], c.wired_s_per_bit_m
    share = compute_share(slot.compute_hz[k], computing_weight(c, slot, u), weight)
    wireless, wired = wireless_latency(data, rate), wired_latency(seconds, data, distance)
    compute = compute_latency(cycles_per_bit, data, share)
    initial = wireless + c.wired_times * wired + compute
    latest = (
        wireless_latency(update, rate)
        + wired_latency(seconds, update, distance)
        + compute_latency(cycles_per_bit, update, share)
    )
    total = total_latency(initial, latest, c.eta_s, c.sync_interval_s)
    # Written at the end, as the compiler assumes that every write may change earlier reads.
    users[USER_TERM.share, u] = share
    users[USER_TERM.wireless, u] = wireless
    users[USER_TERM.wired, u] = wired
    users[USER_TERM.compute, u] = compute
    users[USER_TERM.initial, u] = initial
    users[USER_TERM.update, u] = latest
    users[USER_TERM.total, u] = total


@compiled
def write_score(c: Constants, slot: Slot, u: int, k: int, users: np.ndarray) -> float:
    """Return the score contribution of user u's twin on station k and write its other terms, after `write_latency`."""
    num_users, num_stations = slot.gain_db.shape
    power, deadline, initial, latency = (
        slot.transmit_power_w[u],
        slot.deadline_s[u],
        users[USER_TERM.initial, u],
        users[USER_TERM.total, u],
    )
    moved = 1.0 if k != slot.previous_server[u] else 0.0
    if c.initial_on_change and moved == 0.0:
        latency -= initial
    charged = latency / num_stations if c.latency_over_stations else latency
    energy = transmission_energy(power, users[USER_TERM.wireless, u])
    time = utility_time(c.utility_time_s, deadline)
    utility = interaction_utility(c.utility_beta, initial, deadline, energy, time, c.utility_energy_j)
    late = 1.0 if is_violated(initial, deadline) else 0.0
    users[USER_TERM.charged, u] = charged
    users[USER_TERM.energy_initial, u] = energy
    users[USER_TERM.energy_update, u] = transmission_energy(
        power, wireless_latency(slot.update_bits[u], users[USER_TERM.rate, u])
    )
    users[USER_TERM.utility, u] = utility
    users[USER_TERM.late, u] = late
    users[USER_TERM.moved, u] = moved
    cost = energy * (num_users if c.energy_sum else 1.0)
    return -(c.alpha * charged + c.beta * cost + c.move_cost * moved + c.deadline_penalty * late) / num_users


@compiled
def twin_score(
    c: Constants, slot: Slot, u: int, k: int, weight: float, transmitting: float, users: np.ndarray
) -> float:
    """Return the score contribution of user u's twin on station k and write its terms to column u of users (terms, N).

    `weight` is the sum of computing weights on k, and `transmitting` the users of the access station, u included.
    """
    write_rate(c, slot, u, k, transmitting, users)
    write_latency(c, slot, u, k, weight, users)
    return write_score(c, slot, u, k, users)


@compiled
def evaluate(c: Constants, slot: Slot, host: np.ndarray, server: np.ndarray, terms: Terms, b: int) -> None:
    """Write the terms of one slot under hosts (M,) and association server (N,) to row b of `terms`.

    Every server must be a host; a host without twins costs too.
    """
    num_users, num_stations = len(server), len(host)
    users, stations, totals = terms.users[b], terms.stations[b], terms.totals[b]
    add_loads(c, slot, server, stations)
    totals[:] = 0.0
    for k in range(num_stations):
        stations[STATION_TERM.reward, k] = host_score(c, host[k], stations[STATION_TERM.twins, k])
        totals[TOTAL.hosts] += 1.0 if host[k] else 0.0
        totals[TOTAL.cost] += c.host_cost * (
            stations[STATION_TERM.twins, k] if c.twins_as_hosts else 1.0 if host[k] else 0.0
        )
    # `twin_score` in three passes: each is small enough to be inlined; a call would pass all arrays for every user.
    for u in range(num_users):
        j = server[u] if c.access == DIRECT else slot.access[u]
        write_rate(c, slot, u, server[u], stations[STATION_TERM.transmitting, j], users)
    for u in range(num_users):
        write_latency(c, slot, u, server[u], stations[STATION_TERM.weight, server[u]], users)
    for u in range(num_users):
        stations[STATION_TERM.reward, server[u]] += write_score(c, slot, u, server[u], users)
        totals[TOTAL.system_latency] += users[USER_TERM.total, u] / num_users
        totals[TOTAL.latency] += users[USER_TERM.charged, u] / num_users
        totals[TOTAL.cost] += users[USER_TERM.energy_initial, u] * (1.0 if c.energy_sum else 1.0 / num_users)
        totals[TOTAL.energy] += users[USER_TERM.energy_initial, u]
        totals[TOTAL.utility] += users[USER_TERM.utility, u] / num_users
        totals[TOTAL.violations] += users[USER_TERM.late, u]
        totals[TOTAL.migrations] += users[USER_TERM.moved, u]
    moves = c.move_cost * totals[TOTAL.migrations] / num_users
    totals[TOTAL.objective] = -c.alpha * totals[TOTAL.latency] - c.beta * totals[TOTAL.cost] - moves
    for k in range(num_stations):  # so that the agents' rewards sum to it exactly
        totals[TOTAL.score] += stations[STATION_TERM.reward, k]
    if not c.local_reward:
        for k in range(num_stations):
            stations[STATION_TERM.reward, k] = totals[TOTAL.score]
