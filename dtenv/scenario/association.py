"""What is fixed in DTAssociation-v0: frozen, validated parameter groups, one for each part of the model.

Symbols and equation numbers are those of (Zhou 2025). A field whose value is not in the paper's
Table II says "our choice". Derived quantities are properties, so that no group can hold a stale one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dtenv.physics.radio import dbm_to_watt, uplink_rate
from dtenv.physics.utility import earth_movers_distance
from dtenv.scenario.fields import Range, Scenario, at_least, boolean, count, number, numbers, one_of, pair, positive
from dtenv.scenario.mobility import Mobility

REWARDS = ("barrier", "literal", "objective", "score")
HISTORIES = ("optimal", "optimal-barrier", "random", "none", "action")


@dataclass(frozen=True, kw_only=True)
class Network:
    """Edge servers, users and the square they stand in (Table II; Section V)."""

    num_users: int = 20
    num_servers: int = 15
    """Table II: 9 to 21."""
    area_m: float = 120.0
    """Side of the square, metres."""
    compute_capacity: Range = (1.4e3, 1.5e3)
    """q_s, uniform; bounds the computation energy (C2)."""
    sync_capacity: Range = (120.0, 130.0)
    """p_s, uniform; bounds the synchronisation energy (C3). Table II; Section V's text has 120 to 150."""
    cycles_per_bit: Range = (54.0, 56.0)
    """CPU cycles a bit, ε_s, uniform."""

    def __post_init__(self) -> None:
        count(self, "num_users", "num_servers")
        positive(self, "area_m")
        pair(self, 1e-9, "compute_capacity", "sync_capacity", "cycles_per_bit")


@dataclass(frozen=True, kw_only=True)
class Data:
    """What users send to their twins, and how their labels are distributed."""

    samples: Range = (100, 300)
    """New training samples a user and slot, uniform whole numbers (our choice; Fig. 3 spans 200 to 2000)."""
    bits_per_sample: float = 784.0
    """28 x 28 pixels of one bit: energies count bits, utility counts samples."""
    twin_bits: Range = (4.4e3, 4.6e3)
    """D^twin, base data of a twin, bits, uniform."""
    emd: float | tuple[float, ...] = 0.2
    """φ, earth mover's distance of a user's labels (10), in [0, 2]: one for all, or one a user."""
    label_counts: tuple[tuple[float, ...], ...] | None = None
    """Label histograms, one row a user; where given, φ is computed from them by (10)."""
    label_reference: tuple[float, ...] | None = None
    """Label histogram of the whole data set, P_all in (10); by default the sum of label_counts."""

    def __post_init__(self) -> None:
        pair(self, 1, "samples")
        if any(v != int(v) for v in self.samples):
            raise ValueError(f"samples must be whole numbers, got {self.samples!r}")
        positive(self, "bits_per_sample")
        pair(self, 0.0, "twin_bits")
        emd = (number("emd", self.emd),) if np.isscalar(self.emd) else numbers("emd", self.emd)
        object.__setattr__(self, "emd", emd[0] if np.isscalar(self.emd) else emd)
        for value in emd:
            if not 0.0 <= value <= 2.0:  # the L1 distance of two distributions
                raise ValueError(f"emd must lie in [0, 2], got {value!r}")
        if self.label_reference is not None:
            object.__setattr__(self, "label_reference", numbers("label_reference", self.label_reference))
            if self.label_counts is None:
                raise ValueError(f"label_reference needs label_counts beside it, got {self.label_reference!r} alone")
        if self.label_counts is not None:
            if not np.iterable(self.label_counts):
                raise ValueError(f"label_counts must be one histogram a user, got {self.label_counts!r}")
            rows = tuple(numbers(f"label_counts[{u}]", row) for u, row in enumerate(self.label_counts))
            if len({len(row) for row in rows}) > 1:
                raise ValueError(f"label_counts must have as many labels for every user, got {self.label_counts!r}")
            object.__setattr__(self, "label_counts", rows)
            earth_movers_distance(rows, self.label_reference)

    def user_emd(self, num_users: int) -> np.ndarray:
        """φ of every user, shape (num_users,)."""
        if self.label_counts is not None:
            emd = earth_movers_distance(self.label_counts, self.label_reference)
        else:
            emd = np.atleast_1d(np.asarray(self.emd, dtype=np.float64))
            emd = np.repeat(emd, num_users) if emd.size == 1 else emd
        if emd.size != num_users:
            name = "emd" if self.label_counts is None else "label_counts"
            raise ValueError(f"{name} must hold one entry a user, got {emd.size} for num_users {num_users}")
        return emd


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Data utility (11)-(12) and the epochs of (15)."""

    alpha: tuple[float, ...] = (0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366)
    """Fitting coefficients α1 … α6; α5 is negative although (12) says otherwise."""
    epochs_local: int = 50
    """E_s."""
    epochs_fine_tune: int = 10
    """E_{u,s}."""

    def __post_init__(self) -> None:
        count(self, "epochs_local", "epochs_fine_tune")
        alpha = numbers("alpha", self.alpha)
        object.__setattr__(self, "alpha", alpha)
        if len(alpha) != 6:
            raise ValueError(f"alpha must be six numbers, got {self.alpha!r}")
        for k in (1, 2, 3, 4, 6):
            if alpha[k - 1] <= 0:
                raise ValueError(f"alpha[{k - 1}] (α{k}) must be positive, got {alpha[k - 1]!r}")
        if alpha[3] > 0.9999:  # v(φ) < 1 makes the utility concave in the data; the solver divides by 1 - v
            raise ValueError(f"alpha[3] (α4) must be at most 0.9999, got {alpha[3]!r}")

    @property
    def epochs(self) -> float:
        """E_s + E_{u,s}."""
        return float(self.epochs_local + self.epochs_fine_tune)


@dataclass(frozen=True, kw_only=True)
class Radio:
    """The uplink of (14)."""

    bandwidth_hz: float = 15e3
    transmit_power_w: float = 0.2
    channel_gain: float = 1.0
    noise_dbm: float = -174.0
    noise_per_hertz: bool = False
    """False reads the paper's -174 dBm as the total noise; True as dBm/Hz over the bandwidth."""

    def __post_init__(self) -> None:
        positive(self, "bandwidth_hz", "transmit_power_w", "channel_gain")
        number("noise_dbm", self.noise_dbm)
        boolean(self, "noise_per_hertz")

    @property
    def rate_bps(self) -> float:
        """Uplink rate of one user, bit/s; the denominator of (14)."""
        noise_w = dbm_to_watt(self.noise_dbm) * (self.bandwidth_hz if self.noise_per_hertz else 1.0)
        return uplink_rate(self.bandwidth_hz, self.transmit_power_w, self.channel_gain, noise_w)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Unit costs of (13)-(15)."""

    n_mig: float = 1e-4
    """Wired transmission, energy a bit and metre."""
    n_syn: float = 0.1
    """Wireless transmission, energy a second and metre."""
    n_cmp: float = 1e-7
    """Computation, energy a CPU cycle."""
    migrate_current_data: bool = True
    """True charges D_t for migration as (13) is written; False charges history and twin alone."""

    def __post_init__(self) -> None:
        at_least(self, 0.0, "n_mig", "n_syn")
        positive(self, "n_cmp")
        boolean(self, "migrate_current_data")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The objective (22), and how a reward is made of it (24)-(25)."""

    f0: float = 200.0
    """Scale of Norm in (22); Table II calls it f_s."""
    beta1: float = 0.3
    beta2: float = 0.7
    reward: str = "barrier"
    """"barrier": e minus a smooth finite barrier; "literal": (25) with a floor; "objective": e alone;
    "score": e minus the penalties of violated constraints, which tables rank by."""
    barrier_curve: float = 1000.0
    """f of (24). Our choice; the paper's 10 overturns e (see the environment's page)."""

    def __post_init__(self) -> None:
        positive(self, "f0", "beta1", "beta2", "barrier_curve")
        one_of(self, "reward", REWARDS)


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Length of an episode, and who chooses γ, the share of historical data."""

    num_slots: int = 100
    """T. The paper runs 750; 100 is our choice for learning."""
    history: str = "optimal"
    """γ: "optimal" solves (26); "optimal-barrier" puts (24) into the program; "random" is Baseline 3;
    "none" is 0; "action" leaves it to the agent."""

    def __post_init__(self) -> None:
        count(self, "num_slots")
        one_of(self, "history", HISTORIES)


@dataclass(frozen=True, kw_only=True)
class AssociationScenario(Scenario):
    """All that is fixed in DTAssociation-v0. `override` changes single fields by name."""

    SITES: ClassVar[str] = "num_servers"
    COSTS_A_METRE: ClassVar[tuple[str, ...]] = ("n_mig", "n_syn")

    name: str = "custom"
    network: Network = field(default_factory=Network)
    mobility: Mobility = field(default_factory=Mobility)
    data: Data = field(default_factory=Data)
    learning: Learning = field(default_factory=Learning)
    radio: Radio = field(default_factory=Radio)
    energy: Energy = field(default_factory=Energy)
    objective: Objective = field(default_factory=Objective)
    episode: Episode = field(default_factory=Episode)

    def __post_init__(self) -> None:
        self.data.user_emd(self.network.num_users)
        self.mobility.check(self.SITES, self.num_sites, self.episode.num_slots, self.network.area_m)
