"""Base stations, their uplink and the twins' data, shared by placement and migration (Lu 2021, Section III).

A field whose value is not in the paper's Table II says "our choice". Every other reading of the paper is an option
named after what it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dtenv.physics.radio import dbm_to_watt
from dtenv.validation import Range, at_least, in_unit_interval, number, one_of, ordered_pair, positive, positive_integer

ACCESSES = ("strongest", "nearest", "direct")
BANDWIDTH_SHARINGS = ("equal", "full")
COMPUTE_SHARINGS = ("sqrt", "equal", "slice")
SQRT, EQUAL, SLICE = range(3)  # their indices, which kernels compare
RATE_LOGARITHMS = ("log2", "ln")
FARTHEST_DB = 1000.0
"""Largest ratio between signal and noise, either way, that keeps every rate and latency finite."""
STEEPEST = 500.0
"""Largest exponent of the utility (20); a few hundred more overflow."""
DENSEST = 0.4
"""Largest share of the area in discs of half the stations' separation: random ones jam at .547."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """Base stations, users and the square that contains them (Table II)."""

    num_users: int = 100
    """Number of users, N."""
    num_stations: int = 10
    """Number of stations, M."""
    area_m: float = 1500.0
    """Side of the square, metres (Section VI)."""
    separation_m: float = 150.0
    """Minimum distance between stations, metres (our choice)."""
    compute_hz: Range = (8e9, 24e9)
    """F_k, cycles per second, uniform."""
    twin_capacity: int | None = None
    """N_k, twins that a station may host; by default ⌈2N / M⌉ (our choice)."""

    def __post_init__(self) -> None:
        positive_integer(self, "num_users", "num_stations")
        positive(self, "area_m")
        at_least(self, 0.0, "separation_m")
        ordered_pair(self, 1.0, "compute_hz")
        if self.twin_capacity is not None:
            positive_integer(self, "twin_capacity")
            self.check_room(self.twin_capacity * self.num_stations)
        crowd = self.num_stations * math.pi * (0.5 * self.separation_m) ** 2 / (self.area_m + self.separation_m) ** 2
        if self.num_stations > 1 and crowd > DENSEST:
            raise ValueError(
                f"separation_m must leave room for num_stations {self.num_stations} in a square of {self.area_m:g} m, "
                f"got {self.separation_m!r}"
            )

    def check_room(self, seats: int) -> None:
        """Raise ValueError if there are fewer seats in total than twins."""
        if seats < self.num_users:
            raise ValueError(
                f"twin_capacity must hold all twins, got {self.twin_capacity} for num_users {self.num_users} "
                f"on num_stations {self.num_stations}"
            )

    @property
    def capacity(self) -> int:
        """N_k, equal for all stations."""
        return -(-2 * self.num_users // self.num_stations) if self.twin_capacity is None else self.twin_capacity


@dataclass(frozen=True, kw_only=True)
class Radio:
    """Uplink (3)-(4) and its channel, which the paper leaves open (3GPP urban macro, our choice)."""

    bandwidth_hz: float = 20e6
    """Bandwidth of a station, W."""
    transmit_power_w: float = 0.2
    """Transmit power of a user, p_i."""
    noise_dbm_per_hz: float = -174.0
    """Noise power density, N_0."""
    path_loss_km_db: float = 128.1
    """Path loss at one kilometre, dB."""
    path_loss_decade_db: float = 37.6
    """Path loss added by a factor of ten in distance, dB."""
    min_distance_m: float = 10.0
    """Shorter distances count as this one."""
    shadowing_db: float = 8.0
    """Standard deviation of log-normal shadowing, dB."""
    shadowing_decorrelation_m: float = 0.0
    """Distance over which the correlation of a link's shadowing falls to 1/e; 0 draws every slot independently."""
    shadowing_site_correlation: float = 0.0
    """Correlation of a user's shadowing between stations, in [0, 1]."""
    access: str = "strongest"
    """Access station j of a user: "strongest" by gain, "nearest", or "direct": the host of its twin."""
    handover_margin_db: float = 0.0
    """Gain by which another station must exceed the previous strongest to take over."""
    bandwidth_sharing: str = "equal"
    """"equal": W / n for each of a station's n users, noise over that part; "full": W for each, as (3) is printed."""
    rate_logarithm: str = "log2"
    """Logarithm in (3), whose base is left open: "log2" or "ln"."""

    def __post_init__(self) -> None:
        positive(self, "bandwidth_hz", "transmit_power_w", "min_distance_m", "path_loss_decade_db")
        at_least(self, 0.0, "shadowing_db", "shadowing_decorrelation_m", "handover_margin_db")
        number("noise_dbm_per_hz", self.noise_dbm_per_hz)
        number("path_loss_km_db", self.path_loss_km_db)
        in_unit_interval(self, "shadowing_site_correlation")
        one_of(self, "access", ACCESSES)
        one_of(self, "bandwidth_sharing", BANDWIDTH_SHARINGS)
        one_of(self, "rate_logarithm", RATE_LOGARITHMS)

    @property
    def noise_w_per_hz(self) -> float:
        """N_0 in watts per hertz."""
        return dbm_to_watt(self.noise_dbm_per_hz)

    def check(self, area_m: float) -> None:
        """Raise ValueError for links, over a square and six deviations of shadowing, beyond FARTHEST_DB."""
        noise_db = self.noise_dbm_per_hz - 30.0 + 10.0 * math.log10(self.bandwidth_hz)
        signal_db = 10.0 * math.log10(self.transmit_power_w) - self.path_loss_km_db
        for distance_m in (self.min_distance_m, max(math.sqrt(2.0) * area_m, self.min_distance_m)):
            away_db = self.path_loss_decade_db * math.log10(distance_m / 1000.0)
            if abs(signal_db - away_db - noise_db) + 6.0 * self.shadowing_db > FARTHEST_DB:
                raise ValueError(
                    f"noise_dbm_per_hz, path_loss_km_db, path_loss_decade_db and shadowing_db must leave signal and "
                    f"noise within {FARTHEST_DB:g} dB of each other on a square of area_m {area_m:g}, got "
                    f"{self.noise_dbm_per_hz!r}, {self.path_loss_km_db!r}, {self.path_loss_decade_db!r} and "
                    f"{self.shadowing_db!r}"
                )


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Users' data, and computing, wired transfer and synchronisation of twins (4)-(12)."""

    data_bits: Range = (1e6, 5e6)
    """D_i, historical data for building a twin, bits, uniform (our choice)."""
    update_bits: Range = (1e4, 1e5)
    """ΔD_i, data of one update, bits, uniform (our choice)."""
    cycles_per_bit: float = 500.0
    """C, CPU cycles per bit (our choice; (6) and (9) as printed say 1, which makes computation negligible)."""
    compute_sharing: str = "sqrt"
    """f_ik, which the paper leaves open: "sqrt": F_k in proportion to √(C (D_i + η/Δt ΔD_i)), which minimises the sum
    of latencies; "equal" among the hosted twins; "slice": F_k / N_k for any number of twins."""
    wired_s_per_bit_m: float = 5e-10
    """φ, seconds per bit and metre between stations (our choice: an effective 4 Mbit/s over 500 m)."""
    sync_interval_s: float = 0.1
    """Δt, seconds between updates (our choice)."""
    eta_s: float = 1.0
    """η, weight of synchronisation in (13), seconds (our choice)."""

    def __post_init__(self) -> None:
        ordered_pair(self, 1.0, "data_bits")
        ordered_pair(self, 0.0, "update_bits")
        positive(self, "cycles_per_bit", "sync_interval_s")
        at_least(self, 0.0, "wired_s_per_bit_m", "eta_s")
        one_of(self, "compute_sharing", COMPUTE_SHARINGS)


@dataclass(frozen=True, kw_only=True)
class Utility:
    """Utility of a prompt twin (20), normalised: as printed it adds joules to e^seconds."""

    utility_beta: float = 0.5
    """β of (20) (our choice)."""
    utility_time_s: float | None = None
    """Divisor of the exponent of (20), seconds; by default the user's deadline. As printed: 1."""
    utility_energy_j: float = 0.1
    """Divisor of the energy in (20), joules (our choice). As printed: 1."""

    def __post_init__(self) -> None:
        in_unit_interval(self, "utility_beta")
        if self.utility_time_s is not None:
            positive(self, "utility_time_s")
        positive(self, "utility_energy_j")

    def check(self, name: str, deadline_s: Range) -> None:
        """Raise ValueError if the deadlines exceed the time scale so far that the exponential overflows."""
        if self.utility_time_s is not None and deadline_s[1] > STEEPEST * self.utility_time_s:
            raise ValueError(
                f"utility_time_s must be at least {name} / {STEEPEST:g}, got {self.utility_time_s!r} for {deadline_s!r}"
            )
