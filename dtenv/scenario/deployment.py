"""DTMigration's deployment of twins, failures of servers, and costs of federated rounds and consensus (Khan 2022).

(Khan 2022) describes all of this in words: every number below is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from dtenv.validation import Range, at_least, number, one_of, ordered_pair, positive, positive_integer

EDGE, CLOUD, _ = DEPLOYMENTS = ("edge", "cloud", "edge-cloud")
AGGREGATIONS = ("none", "synchronous", "asynchronous")
CONSENSUS = ("none", "pbft", "dpos")
FEWEST_REPLICAS = 4
"""PBFT tolerates f faulty replicas of 3 f + 1 (Castro and Liskov 1999)."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Edge-based, cloud-based or edge-cloud-based twins (Khan 2022, Section III-B), failures, and twin lifecycles."""

    deployment: str = EDGE
    """Allowed hosts: "edge": stations; "cloud": the cloud alone; "edge-cloud": both. With a cloud the last of the
    num_stations sites is the cloud: it has no radio and is reached by wire through a station."""
    cloud_capacity: int | None = None
    """Twins that the cloud may host; by default all."""
    cloud_compute_hz: Range = (320e9, 320e9)
    """F of the cloud, cycles per second, uniform; by default twice what ten stations have together."""
    cloud_distance_m: float = 1500.0
    """Wire between the cloud and every station, metres, priced by wired_s_per_bit_m."""
    cloud_latency_s: float = 0.02
    """Additional latency of every update to the cloud, seconds."""
    failure_rate_per_s: float = 0.0
    """Failures per second of a working station's server; its radio keeps working."""
    cloud_failure_rate_per_s: float = 0.0
    """Failures per second of the working cloud."""
    repair_s: float = 60.0
    """Mean duration of a failure, seconds."""
    creation_s: float = 0.0
    """Seconds to create a twin beyond the upload of its data. If positive, or if servers fail, twins have lifecycles:
    each is created in slot 1 and after a failure of its host."""
    isolation_price: float = 0.5
    """Price of a slot whose twin is isolated because its host is down; it also has no utility and is late."""

    def __post_init__(self) -> None:
        one_of(self, "deployment", DEPLOYMENTS)
        if self.cloud_capacity is not None:
            positive_integer(self, "cloud_capacity")
        ordered_pair(self, 1.0, "cloud_compute_hz")
        at_least(self, 0.0, "cloud_distance_m", "cloud_latency_s", "failure_rate_per_s", "cloud_failure_rate_per_s")
        at_least(self, 0.0, "creation_s", "isolation_price")
        positive(self, "repair_s")

    @property
    def has_cloud(self) -> bool:
        """Whether the last site is the cloud."""
        return self.deployment != EDGE

    @property
    def fails(self) -> bool:
        """Whether any server in use may fail."""
        return self.failure_rate_per_s > 0.0 or (self.has_cloud and self.cloud_failure_rate_per_s > 0.0)

    @property
    def has_lifecycle(self) -> bool:
        """Whether twins are created, isolated and released."""
        return self.fails or self.creation_s > 0.0


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Federated rounds over the twins, and the consensus of their miners (Khan 2022, Sections II-C and III-C)."""

    aggregation: str = "none"
    """Federated round over the twins reported in `info`, with control="joint": "synchronous" waits for the slowest
    within the deadline, "asynchronous" aggregates updates as they arrive. It changes no reward."""
    model_bits: float = 1e5
    """Bits that a twin sends to the aggregator: the cloud, or the most central station."""
    round_deadline_s: float = 0.5
    """Seconds after which a round ends."""
    consensus: str = "none"
    """Consensus of the miners that every update waits for: "none", "pbft" or "dpos"."""
    num_miners: int = 4
    """Number of miners, n."""
    block_bits: float = 1e5
    """Bits of a block."""
    vote_bits: float = 1e3
    """Bits of a message without a block."""
    miner_rate_bps: float = 1e9
    """Transmission rate of a miner, bit/s."""
    miner_hop_s: float = 1e-3
    """Seconds of propagation of a message, on top of its transmission."""
    verify_s: float = 1e-4
    """Seconds to verify a message."""
    miner_j_per_bit: float = 1e-8
    """Joules to transmit a bit between miners."""
    verify_j: float = 1e-3
    """Joules to verify a message."""

    def __post_init__(self) -> None:
        one_of(self, "aggregation", AGGREGATIONS)
        one_of(self, "consensus", CONSENSUS)
        positive_integer(self, "num_miners")
        at_least(self, 0.0, "model_bits", "block_bits", "vote_bits", "miner_hop_s", "verify_s")
        at_least(self, 0.0, "miner_j_per_bit", "verify_j")
        positive(self, "round_deadline_s", "miner_rate_bps")
        if self.consensus == "pbft" and number("num_miners", self.num_miners) < FEWEST_REPLICAS:
            raise ValueError(f"num_miners must be at least {FEWEST_REPLICAS} with pbft, got {self.num_miners!r}")
