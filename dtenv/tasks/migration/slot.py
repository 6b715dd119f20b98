"""Latency, energy and utility of one user of DTMigration on a station (Lu 2021, eqs 3-12, 19-21), and prices of moves.

Called by the environment's step, its background users, observations, heuristics and bounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled, kernel
from dtenv.physics.consensus import dpos_latency, pbft_latency
from dtenv.physics.energy import transmission_energy
from dtenv.physics.latency import compute_latency, compute_share, square_root_weight, wired_latency, wireless_latency
from dtenv.physics.utility import interaction_utility, utility_time
from dtenv.scenario.deployment import CLOUD, Rounds
from dtenv.scenario.edge import COMPUTE_SHARINGS, SLICE, SQRT
from dtenv.scenario.forecaster import forecaster_code
from dtenv.scenario.migration import BACKGROUNDS, MigrationScenario
from dtenv.tasks.uplink import Uplink


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
    transmit_power_w: float
    cycles_per_bit: float
    compute_sharing: int  # SQRT, EQUAL or SLICE of dtenv.scenario.edge
    capacity: int  # N_k of a station
    cloud: int  # its site, or -1
    cloud_capacity: int
    stations: int  # sites with a radio, which come first
    cloud_latency_s: float
    cloud_distance_m: float
    station_fixed_s: float  # fixed latency of updates to a station: the consensus
    cloud_fixed_s: float  # the same for the cloud
    fails: bool  # whether servers may fail
    has_lifecycle: bool  # whether twins have a lifecycle
    creation_s: float
    isolation_price: float
    wired_s_per_bit_m: float
    sync_weight: float  # η / Δt
    kappa: float
    downtime_s: float
    slot_seconds: float
    deadline_penalty: float
    utility_beta: float
    utility_time_s: float  # 0 for the user's deadline
    utility_energy_j: float
    centred: bool
    background: int  # index into BACKGROUNDS
    forecaster: int  # from dtenv.forecasting.kind_of

    @classmethod
    def of(cls, scenario: MigrationScenario) -> Constants:
        """Constants of a scenario."""
        radio, twins, objective, worth = scenario.radio, scenario.twins, scenario.objective, scenario.utility
        site, seats, consensus_s = scenario.deployment, scenario.seats, consensus_seconds(scenario.rounds)
        return cls(
            *Uplink.of(radio),
            transmit_power_w=float(radio.transmit_power_w),
            cycles_per_bit=float(twins.cycles_per_bit),
            compute_sharing=COMPUTE_SHARINGS.index(twins.compute_sharing),
            capacity=0 if site.deployment == CLOUD else scenario.network.capacity,
            cloud=len(seats) - 1 if site.has_cloud else -1,
            cloud_capacity=seats[-1],
            stations=scenario.num_sites,
            cloud_latency_s=float(site.cloud_latency_s),
            cloud_distance_m=float(site.cloud_distance_m),
            station_fixed_s=consensus_s,
            cloud_fixed_s=consensus_s + float(site.cloud_latency_s),
            fails=site.fails,
            has_lifecycle=site.has_lifecycle,
            creation_s=float(site.creation_s),
            isolation_price=float(site.isolation_price),
            wired_s_per_bit_m=float(twins.wired_s_per_bit_m),
            sync_weight=float(twins.eta_s) / float(twins.sync_interval_s),
            kappa=float(objective.kappa),
            downtime_s=float(objective.downtime_s),
            slot_seconds=float(scenario.mobility.slot_seconds),
            deadline_penalty=float(objective.deadline_penalty),
            utility_beta=float(worth.utility_beta),
            utility_time_s=0.0 if worth.utility_time_s is None else float(worth.utility_time_s),
            utility_energy_j=float(worth.utility_energy_j),
            centred=objective.reward == "centred",
            background=BACKGROUNDS.index(scenario.episode.background),
            forecaster=forecaster_code(scenario.episode.forecaster),
        )


class Slot(NamedTuple):
    """Data of one slot, known to the agent: (n,) its users, (M,) stations."""

    user_xy: np.ndarray  # (n, 2) metres
    step_xy: np.ndarray  # (n, 2) metres walked since the last slot
    data_bits: np.ndarray  # (n,) moved by a migration
    update_bits: np.ndarray  # (n,)
    deadline_s: np.ndarray  # (n,) τ
    wireless_s: np.ndarray  # (n,) of an update
    access: np.ndarray  # (n,) access station
    server: np.ndarray  # (n,) host of the twin since the last slot
    gain_db: np.ndarray  # (n, M)
    room: np.ndarray  # (n, M) whether the twin may be there
    latency_s: np.ndarray  # (n, M) T_upd if the twin were there, all others in place
    price: np.ndarray  # (n, M) of moving the twin there
    station_xy: np.ndarray  # (M, 2) metres
    wired_m: np.ndarray  # (M, M) between stations


def consensus_seconds(rounds: Rounds) -> float:
    """Seconds that every update waits for the miners."""
    links = float(rounds.miner_rate_bps), float(rounds.miner_hop_s), float(rounds.verify_s)
    if rounds.consensus == "pbft":
        return pbft_latency(rounds.num_miners, float(rounds.block_bits), float(rounds.vote_bits), *links)
    if rounds.consensus == "dpos":
        return dpos_latency(rounds.num_miners, float(rounds.block_bits), *links)
    return 0.0


@compiled
def seats_of(c: Constants, k: int) -> int:
    """Number of twins that site k may host."""
    return c.cloud_capacity if k == c.cloud else c.capacity


@compiled
def fixed_latency(c: Constants, k: int) -> float:
    """Fixed latency of an update to a twin on site k, seconds."""
    return c.cloud_fixed_s if k == c.cloud else c.station_fixed_s


@compiled
def computing_weight(c: Constants, data_bits: float, update_bits: float) -> float:
    """Weight of a twin in the sharing of its station's computing."""
    if c.compute_sharing == SQRT:
        return square_root_weight(c.cycles_per_bit, data_bits + c.sync_weight * update_bits)
    return 1.0


@kernel
def add_loads(c: Constants, server: np.ndarray, weight: np.ndarray, loads: np.ndarray) -> None:
    """Fill loads (2, M) with every station's computing weight and twins, in the users' order."""
    loads[:] = 0.0
    for u in range(len(server)):
        loads[0, server[u]] += weight[u]
        loads[1, server[u]] += 1.0


@compiled
def total_weight(c: Constants, k: int, weight: float, others_weight: float) -> float:
    """Divisor of a twin's weight on site k, shared with twins of total weight `others_weight`."""
    return float(seats_of(c, k)) if c.compute_sharing == SLICE else others_weight + weight


@compiled
def computing_latency(
    c: Constants, k: int, update_bits: float, compute_hz: float, weight: float, others_weight: float
) -> float:
    """Computing seconds of an update on site k, shared with twins of total weight `others_weight`."""
    total = total_weight(c, k, weight, others_weight)
    return compute_latency(c.cycles_per_bit, update_bits, compute_share(compute_hz, weight, total))


@compiled
def update_latency(c: Constants, update_bits: float, rate: float, distance_m: float, computing_s: float) -> float:
    """T_upd (11) without `fixed_latency`, seconds, over a wired distance from access station to twin."""
    wired = wired_latency(c.wired_s_per_bit_m, update_bits, distance_m)
    return wireless_latency(update_bits, rate) + wired + computing_s


@compiled
def update_energy(c: Constants, update_bits: float, rate: float) -> float:
    """Joules of a user's transmission of one update (19)."""
    return transmission_energy(c.transmit_power_w, wireless_latency(update_bits, rate))


@compiled
def utility(c: Constants, update_bits: float, rate: float, latency_s: float, deadline_s: float) -> float:
    """Normalised U of (20): at most 1.36, falling with T_upd and the transmission energy."""
    return interaction_utility(
        c.utility_beta,
        latency_s,
        deadline_s,
        update_energy(c, update_bits, rate),
        utility_time(c.utility_time_s, deadline_s),
        c.utility_energy_j,
    )


@compiled
def migration_seconds(c: Constants, data_bits: float, distance_m: float) -> float:
    """T_mig, the downtime in seconds of a twin that moves between stations: a stop and its wired transfer (5)."""
    return c.downtime_s + wired_latency(c.wired_s_per_bit_m, data_bits, distance_m)


@compiled
def creation_seconds(c: Constants, data_bits: float, rate: float, distance_m: float) -> float:
    """Seconds to create a twin: upload its data (4), forward them by wire (5), and set up the twin."""
    uploaded = wireless_latency(data_bits, rate) + wired_latency(c.wired_s_per_bit_m, data_bits, distance_m)
    return c.creation_s + uploaded


@compiled
def downtime_price(c: Constants, seconds: float) -> float:
    """Price of a twin's downtime in units of utility: κ per slot."""
    return c.kappa * seconds / c.slot_seconds


@compiled
def migration_price(c: Constants, data_bits: float, distance_m: float) -> float:
    """Price of a migration in units of utility: κ per slot of T_mig."""
    return downtime_price(c, migration_seconds(c, data_bits, distance_m))
