"""Scenario of DTMigration-v0: its fields beyond those of dtenv.scenario.edge (Lu 2021, Section IV-B)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import dtenv.scenario.edge as edge
import dtenv.scenario.mobility as mobility
from dtenv.scenario.base import Scenario
from dtenv.scenario.deployment import CLOUD, Deployment, Rounds
from dtenv.scenario.forecaster import Forecaster, Foresight, StationForecaster, check_forecaster
from dtenv.validation import Range, at_least, one_of, ordered_pair, positive_integer

CONTROLS = ("focal", "joint")
BACKGROUNDS = ("payback", "best-latency", "never")
REWARDS = ("score", "centred")


@dataclass(frozen=True, kw_only=True)
class Network(edge.Network):
    """Users and stations; fewer users than in placement (our choice)."""

    num_users: int = 50

    def check_room(self, seats: int) -> None:
        """Do nothing: the scenario checks this, as it knows whether there is a cloud."""

    @property
    def capacity(self) -> int:
        """N_k: by default at least two, one for a background twin and one for the focal user's."""
        return super().capacity if self.twin_capacity is not None else max(2, super().capacity)


@dataclass(frozen=True, kw_only=True)
class Mobility(mobility.Mobility):
    """Walkers and cars (our choice)."""

    speed_mps: Range = (1.0, 15.0)


@dataclass(frozen=True, kw_only=True)
class Radio(edge.Radio):
    """Uplink with correlated shadowing, under which the strongest station changes (our choice)."""

    shadowing_decorrelation_m: float = 50.0
    shadowing_site_correlation: float = 0.5
    handover_margin_db: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Twins(edge.Twins):
    """Users' data; twins share their station's computing equally (our choice)."""

    compute_sharing: str = "equal"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Utility (20), normalised, and the price of a migration."""

    update_deadline_s: Range = (0.06, 0.12)
    """τ_i, maximum T_upd (11), seconds, uniform over users (our choice)."""
    kappa: float = 1.5
    """Price of a migration: κ x its downtime and wired transfer, in slots (our choice; the paper has none)."""
    downtime_s: float = 0.2
    """Downtime of a migrating twin beyond its transfer, seconds (our choice)."""
    deadline_penalty: float = 0.1
    """Score lost per share of users past their deadline, the soft form of (21c) (our choice)."""
    reward: str = "score"
    """"score", by which tables rank; "centred": less the mean utility over stations, which a user's own choice does not
    change, so that the reward has less variance."""

    def __post_init__(self) -> None:
        ordered_pair(self, 1e-9, "update_deadline_s")
        at_least(self, 0.0, "kappa", "downtime_s", "deadline_penalty")
        one_of(self, "reward", REWARDS)


@dataclass(frozen=True, kw_only=True)
class Utility(edge.Utility):
    """Utility of a user; an update takes less energy than building a twin (our choice)."""

    utility_energy_j: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Length of an episode, controlled twins, and forecasts in the observation."""

    num_slots: int = 200
    """Number of slots, T (our choice)."""
    control: str = "focal"
    """"focal": the agent moves user 0's twin among background users; "joint": all twins."""
    background: str = "payback"
    """Policy of the background twins around a focal user: "payback", "best-latency" or "never"."""
    forecaster: str | Forecaster | StationForecaster = "constant-velocity"
    """Forecaster of users' positions or serving stations for the observation: "none", "constant-velocity", "oracle", or
    an object of one of dtenv.forecasting's kinds."""
    horizon: int = 10
    """H, forecast slots."""

    def __post_init__(self) -> None:
        positive_integer(self, "num_slots", "horizon")
        one_of(self, "control", CONTROLS)
        one_of(self, "background", BACKGROUNDS)
        check_forecaster("forecaster", self.forecaster)
        if self.control == "joint" and isinstance(self.forecaster, Foresight) and self.forecaster.load:
            raise ValueError("forecaster's load must be False with control='joint', where it depends on the agent")


@dataclass(frozen=True, kw_only=True)
class MigrationScenario(Scenario):
    """Settings of DTMigration-v0. `override` changes single fields by name."""

    SITES: ClassVar[str] = "num_stations"
    COSTS_A_METRE: ClassVar[tuple[str, ...]] = ("wired_s_per_bit_m",)
    LATER: ClassVar[tuple[str, ...]] = tuple(f.name for group in (Deployment, Rounds) for f in fields(group))

    name: str = "custom"
    network: Network = field(default_factory=Network)
    mobility: Mobility = field(default_factory=Mobility)
    radio: Radio = field(default_factory=Radio)
    twins: Twins = field(default_factory=Twins)
    objective: Objective = field(default_factory=Objective)
    utility: Utility = field(default_factory=Utility)
    episode: Episode = field(default_factory=Episode)
    deployment: Deployment = field(default_factory=Deployment)
    rounds: Rounds = field(default_factory=Rounds)

    def __post_init__(self) -> None:
        self.radio.check(self.network.area_m)
        self.utility.check("update_deadline_s", self.objective.update_deadline_s)
        self.mobility.check(self.SITES, self.num_sites, self.episode.num_slots, self.network.area_m)
        if self.radio.access == "direct":
            raise ValueError("access must be strongest or nearest in DTMigration-v0, got 'direct'")
        if self.deployment.has_cloud and self.network.num_stations < 2:
            raise ValueError(
                f"num_stations must be at least 2 with deployment {self.deployment.deployment}: a station and the "
                f"cloud, got {self.network.num_stations}"
            )
        if self.rounds.aggregation != "none" and self.episode.control == "focal":
            raise ValueError(
                f'aggregation must be none unless control="joint", whose twins take part, '
                f"got {self.rounds.aggregation!r}"
            )
        self._check_seats()

    def _check_seats(self) -> None:
        network, others = self.network, self.network.num_users - 1
        if self.deployment.has_cloud and sum(self.seats) < network.num_users:
            raise ValueError(
                f"cloud_capacity must hold all twins that stations do not, got {self.deployment.cloud_capacity} "
                f"for num_users {network.num_users} and twin_capacity {network.capacity}"
            )
        edge.Network.check_room(network, sum(self.seats))
        free = sum(max(seats - 1, 0) for seats in self.seats)  # one seat per site stays free for the focal user
        if self.episode.control == "focal" and free < others:
            name = "cloud_capacity" if self.deployment.has_cloud else "twin_capacity"
            got = self.deployment.cloud_capacity if self.deployment.has_cloud else network.capacity
            raise ValueError(
                f"{name} must hold {others} background twins plus one free seat per station, got "
                f"{got} on num_stations {network.num_stations}"
            )

    @property
    def num_sites(self) -> int:
        """Number of stations, without the cloud, which is one of num_stations where it exists."""
        return self.network.num_stations - self.deployment.has_cloud

    @property
    def seats(self) -> tuple[int, ...]:
        """Capacity of every site in twins, stations first, then the cloud."""
        network, deployment = self.network, self.deployment
        if not deployment.has_cloud:
            return (network.capacity,) * network.num_stations
        on_station = 0 if deployment.deployment == CLOUD else network.capacity
        in_cloud = network.num_users if deployment.cloud_capacity is None else deployment.cloud_capacity
        return (*(on_station,) * (network.num_stations - 1), in_cloud)

    def as_dict(self) -> dict[str, Any]:
        """As `Scenario.as_dict`; a forecaster object becomes the name of its class."""
        forecaster = self.episode.forecaster
        named = forecaster if isinstance(forecaster, str) else type(forecaster).__qualname__
        return super().as_dict() | {"forecaster": named}
