"""Scenario of DTAssociation-v0: frozen, validated groups of fields, one for each part of the model.

Symbols and equation numbers are those of (Zhou 2025). A field whose value is not in the paper's Table II says "our
choice". Derived quantities are properties, so they cannot become stale.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dtenv.physics.radio import dbm_to_watt, uplink_rate
from dtenv.physics.utility import earth_movers_distance
from dtenv.scenario.base import Scenario
from dtenv.scenario.mobility import Mobility
from dtenv.utility_profile import UtilityProfile, coefficients, load
from dtenv.validation import Range, at_least, is_bool, number, numbers, one_of, ordered_pair, positive, positive_integer

if TYPE_CHECKING:
    from typing_extensions import Self

REWARDS = ("barrier", "literal", "objective", "score")
MODEL_TRANSFERS = ("none", "uplink", "both")
HISTORIES = ("optimal", "optimal-barrier", "random", "none", "action")


@dataclass(frozen=True, kw_only=True)
class Network:
    """Edge servers, users and the square that contains them (Table II; Section V)."""

    num_users: int = 20
    num_servers: int = 15
    """Number of servers; Table II: 9 to 21."""
    area_m: float = 120.0
    """Side of the square, metres."""
    compute_capacity: Range = (1.4e3, 1.5e3)
    """q_s, uniform; bounds the computation energy (C2)."""
    sync_capacity: Range = (120.0, 130.0)
    """p_s, uniform; bounds the synchronisation energy (C3). Table II; Section V's text has 120 to 150."""
    cycles_per_bit: Range = (54.0, 56.0)
    """ε_s, CPU cycles per bit, uniform."""

    def __post_init__(self) -> None:
        positive_integer(self, "num_users", "num_servers")
        positive(self, "area_m")
        ordered_pair(self, 1e-9, "compute_capacity", "sync_capacity", "cycles_per_bit")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Data that users send to their twins, and the distribution of their labels."""

    samples: Range = (100, 300)
    """New training samples per user and slot, uniform integers (our choice; Fig. 3 spans 200 to 2000)."""
    bits_per_sample: float = 784.0
    """Bits of a sample, 28 x 28 pixels of one bit: energies count bits, utility counts samples."""
    twin_bits: Range = (4.4e3, 4.6e3)
    """D^twin, base data of a twin, bits, uniform."""
    emd: float | tuple[float, ...] = 0.2
    """φ, earth mover's distance of a user's labels (10), in [0, 2]: one for all, or one per user."""
    label_counts: tuple[tuple[float, ...], ...] | None = None
    """Label histograms, one row per user; if given, φ is computed from them by (10)."""
    label_reference: tuple[float, ...] | None = None
    """Label histogram of the whole data set, P_all in (10); by default the sum of label_counts."""

    def __post_init__(self) -> None:
        ordered_pair(self, 1, "samples")
        if any(v != int(v) for v in self.samples):
            raise ValueError(f"samples must be integers, got {self.samples!r}")
        positive(self, "bits_per_sample")
        ordered_pair(self, 0.0, "twin_bits")
        emd = (number("emd", self.emd),) if np.isscalar(self.emd) else numbers("emd", self.emd)
        object.__setattr__(self, "emd", emd[0] if np.isscalar(self.emd) else emd)
        for value in emd:
            if not 0.0 <= value <= 2.0:  # the L1 distance of two distributions
                raise ValueError(f"emd must lie in [0, 2], got {value!r}")
        if self.label_reference is not None:
            object.__setattr__(self, "label_reference", numbers("label_reference", self.label_reference))
            if self.label_counts is None:
                raise ValueError(f"label_reference needs label_counts, got {self.label_reference!r} alone")
        if self.label_counts is not None:
            if not np.iterable(self.label_counts):
                raise ValueError(f"label_counts must be one histogram per user, got {self.label_counts!r}")
            rows = tuple(numbers(f"label_counts[{u}]", row) for u, row in enumerate(self.label_counts))
            if len({len(row) for row in rows}) > 1:
                raise ValueError(f"label_counts must have rows of equal length, got {self.label_counts!r}")
            object.__setattr__(self, "label_counts", rows)
            earth_movers_distance(rows, self.label_reference)

    def user_emd(self, num_users: int) -> np.ndarray:
        """φ of every user, (num_users,)."""
        if self.label_counts is not None:
            emd = earth_movers_distance(self.label_counts, self.label_reference)
        else:
            emd = np.atleast_1d(np.asarray(self.emd, dtype=np.float64))
            emd = np.repeat(emd, num_users) if emd.size == 1 else emd
        if emd.size != num_users:
            name = "emd" if self.label_counts is None else "label_counts"
            raise ValueError(f"{name} must hold one entry per user, got {emd.size} for num_users {num_users}")
        return emd


TABLE_II_ALPHA = (0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366)


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Data utility (11)-(12) and the epochs of (15)."""

    utility: UtilityProfile | None = None
    """Profile of data utility and training cost: an object, a shipped one's name, or a file (dtenv.utility_profile)."""
    alpha: tuple[float, ...] = ()
    """Fitting coefficients α1 … α6: by default those of `utility`, or without one those of Table II, whose α5 is
    negative although (12) says otherwise."""
    epochs_local: int = 50
    """Epochs of local training, E_s."""
    epochs_fine_tune: int = 10
    """Epochs of fine-tuning, E_{u,s}."""

    def __post_init__(self) -> None:
        positive_integer(self, "epochs_local", "epochs_fine_tune")
        object.__setattr__(self, "utility", _profile(self.utility))
        default = TABLE_II_ALPHA if self.utility is None else self.utility.alpha
        alpha = default if isinstance(self.alpha, tuple) and not self.alpha else coefficients("alpha", self.alpha)
        object.__setattr__(self, "alpha", alpha)
        if self.utility is not None and alpha != self.utility.alpha:
            raise ValueError(
                f"alpha must be omitted with utility {self.utility.name!r}, or equal its {self.utility.alpha!r}, "
                f"got {alpha!r}"
            )

    @property
    def epochs(self) -> float:
        """E_s + E_{u,s}."""
        return float(self.epochs_local + self.epochs_fine_tune)

    @property
    def compute_factor(self) -> float:
        """Factor on (15): the profile's cycles relative to plain federated averaging, or 1."""
        return 1.0 if self.utility is None else self.utility.compute_factor


def _profile(given: Any) -> UtilityProfile | None:
    """Profile for a value of `utility`: None, a profile, a name or file, or a name and digest as in manifests."""
    if given is None or isinstance(given, UtilityProfile):
        return given
    if isinstance(given, str | os.PathLike):
        return load(given)
    if isinstance(given, Mapping) and set(given) == {"name", "digest"}:
        profile = load(given["name"])
        if profile.digest != given["digest"]:
            raise ValueError(f"utility {profile.name!r} has the digest {profile.digest}, got {given['digest']!r}")
        return profile
    raise ValueError(f"utility must be a UtilityProfile, the name of a shipped one or its file, got {given!r}")


@dataclass(frozen=True, kw_only=True)
class Radio:
    """Uplink of (14)."""

    bandwidth_hz: float = 15e3
    transmit_power_w: float = 0.2
    channel_gain: float = 1.0
    noise_dbm: float = -174.0
    noise_per_hertz: bool = False
    """Whether noise_dbm is a density, dBm/Hz over the bandwidth, rather than the total noise, as in the paper."""

    def __post_init__(self) -> None:
        positive(self, "bandwidth_hz", "transmit_power_w", "channel_gain")
        number("noise_dbm", self.noise_dbm)
        is_bool(self, "noise_per_hertz")

    @property
    def rate_bps(self) -> float:
        """Uplink rate of a user, bit/s; the denominator of (14)."""
        noise_w = dbm_to_watt(self.noise_dbm) * (self.bandwidth_hz if self.noise_per_hertz else 1.0)
        return uplink_rate(self.bandwidth_hz, self.transmit_power_w, self.channel_gain, noise_w)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Unit costs of (13)-(15)."""

    n_mig: float = 1e-4
    """Energy of wired transmission, per bit and metre."""
    n_syn: float = 0.1
    """Energy of wireless transmission, per second and metre."""
    n_cmp: float = 1e-7
    """Energy of computation, per CPU cycle."""
    migrate_current_data: bool = True
    """Whether migration is charged for D_t too, as (13) is written, or for history and twin only."""
    model_transfer: str = "none"
    """Model transfers between a server with twins and the cloud that are charged, which the paper neglects: "none";
    "uplink", models aggregated by (4); or "both", also those broadcast. Needs a `utility` that states their bytes."""
    n_agg: float | None = None
    """Energy of a bit between a server and the cloud at any distance; by default n_mig over the side of the square (our
    choice: the paper does not locate the cloud)."""

    def __post_init__(self) -> None:
        at_least(self, 0.0, "n_mig", "n_syn")
        positive(self, "n_cmp")
        is_bool(self, "migrate_current_data")
        one_of(self, "model_transfer", MODEL_TRANSFERS)
        if self.n_agg is not None:
            at_least(self, 0.0, "n_agg")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Objective (22), and the rewards derived from it (24)-(25)."""

    f0: float = 200.0
    """Scale of Norm in (22); Table II calls it f_s."""
    beta1: float = 0.3
    beta2: float = 0.7
    reward: str = "barrier"
    """"barrier": e minus a smooth finite barrier; "literal": (25) with a floor; "objective": e alone; "score": e minus
    the penalties of violated constraints, by which tables rank."""
    barrier_curve: float = 1000.0
    """f of (24), our choice; the paper's 10 outweighs e (see the environment's page)."""

    def __post_init__(self) -> None:
        positive(self, "f0", "beta1", "beta2", "barrier_curve")
        one_of(self, "reward", REWARDS)


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Length of an episode, and the choice of γ, the share of historical data."""

    num_slots: int = 100
    """Number of slots, T. The paper runs 750; 100 is our choice for learning."""
    history: str = "optimal"
    """γ: "optimal" solves (26); "optimal-barrier" includes (24) in the program; "random" is Baseline 3; "none" is 0;
    "action" leaves it to the agent."""

    def __post_init__(self) -> None:
        positive_integer(self, "num_slots")
        one_of(self, "history", HISTORIES)


@dataclass(frozen=True, kw_only=True)
class AssociationScenario(Scenario):
    """Settings of DTAssociation-v0. `override` changes single fields by name."""

    SITES: ClassVar[str] = "num_servers"
    COSTS_A_METRE: ClassVar[tuple[str, ...]] = ("n_mig", "n_syn")
    LATER: ClassVar[tuple[str, ...]] = ("utility", "model_transfer", "n_agg")

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
        emd = self.data.user_emd(self.network.num_users)
        self.mobility.check(self.SITES, self.num_sites, self.episode.num_slots, self.network.area_m)
        if self.energy.model_transfer != "none" and self.learning.utility is None:
            raise ValueError(
                f"model_transfer needs a utility profile that states the bytes, got {self.energy.model_transfer!r} "
                "without utility"
            )
        self.model_bits  # noqa: B018 - raises for profiles that do not state them
        if self.learning.utility is not None:
            low, high = self.data.samples  # samples of a slot, and up to all of the previous slot
            _warn_outside(self.learning.utility, "samples", (low, 2.0 * high))
            _warn_outside(self.learning.utility, "emd", (float(emd.min()), float(emd.max())))

    def override(self, **changes: Any) -> Self:
        """Copy with fields replaced by name, see `Scenario.override`; another `utility` brings its own `alpha`."""
        if "utility" in changes and (changes["utility"] is not None or self.learning.utility is not None):
            changes.setdefault("alpha", ())
        return super().override(**changes)

    @property
    def model_bits(self) -> float:
        """Bits of models that every server with twins exchanges with the cloud in a slot; 0 where none are charged."""
        if self.learning.utility is None or self.energy.model_transfer == "none":
            return 0.0
        return self.learning.utility.model_bits(self.energy.model_transfer)

    @property
    def n_agg(self) -> float:
        """Energy of a bit between a server and the cloud."""
        given = self.energy.n_agg
        return float(self.energy.n_mig * self.network.area_m if given is None else given)

    def as_dict(self) -> dict[str, Any]:
        """As `Scenario.as_dict`; a utility profile becomes its name and digest."""
        values, utility = super().as_dict(), self.learning.utility
        return values if utility is None else values | {"utility": {"name": utility.name, "digest": utility.digest}}


def _warn_outside(profile: UtilityProfile, field: str, span: Range) -> None:
    """Warn that a scenario exceeds the range for which a profile was calibrated."""
    low, high = getattr(profile, field)
    if span[0] < low or span[1] > high:
        warnings.warn(
            f"{field} of the scenario span {span[0]:g} … {span[1]:g}, beyond the {low:g} … {high:g} that utility "
            f"{profile.name!r} was calibrated for: there its curve is an extrapolation",
            stacklevel=2,
        )
