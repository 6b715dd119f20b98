"""Transfer between places for DTMigration-v0's focal user (Lu 2021, Algorithms 2 and 3, eqs 32-34), in one file.

A user's twin moves to a new place, with models and experience of known places. Places differ in speeds, walks,
shadowing and numbers of stations. The policies learn Algorithm 3, the choice of a station (as printed it is the
heuristic "best-latency-literal"); Algorithm 2 is the learner here, with its errata corrected:

- (32) The first model is the mean of the sources' models, weighted by the user's trajectory: by the share of slots in
  which it walks at the speed of a source's users. All sources start from the same parameters, or a mean had no meaning.
- (33) Gradients are of the union of the target's and the sources' episodes. Learning as in agents/hindsight.py does not
  depend on the policy that recorded an episode, so no correction is needed.
- (34) As printed, θ + ρ θ_src, parameters grow without bound; here (1 - ρ) θ + ρ θ_src after every round, where ρ fades
  with the sources' share of the experience. Line 8 of Algorithm 2, which overwrites the learned model, is left out.

    python -m agents.transfer --save runs/transfer.safetensors
    python -m agents.transfer --sources --rounds 48       # from scratch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from agents.hindsight import SCALE, EpisodeRecorder, draw, gained
from agents.networks import build
from agents.networks.station_features import StationFeatures
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.learner import descend
from agents.training.rollout import training_envs
from agents.training.run import Report, Run, RunArgs, main, silent
from agents.training.saved_state import Stateful
from dtenv.scenario import Scenario

PLACES: dict[str, dict[str, Any]] = {
    "park": {"speed_mps": (1.0, 5.0), "num_stations": 6},
    "town": {"speed_mps": (5.0, 10.0), "num_stations": 15, "shadowing_site_correlation": 0.0},
    "ring-road": {"speed_mps": (10.0, 15.0), "walk": "gauss-markov"},
}
"""Scenario fields of the sources. Their speeds do not overlap, so that a slot of a trajectory belongs to one."""

FINE_TUNING = 0.2
"""Factor on the learning rate in a target that starts from sources."""

RHO = 0.1
"""ρ of (34) while all experience is that of the sources."""

MAX_GRAD_NORM = 1.0
"""Largest norm of the gradient."""


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "transfer"

    env_id: str = "DTMigration-v0"
    """the environment"""
    network: str = "equivariant"
    """an actor that gives its moves from every station"""
    sources: tuple[str, ...] = tuple(PLACES)
    """places to transfer from, or none to learn from scratch"""
    source_rounds: int = 32
    """rounds in every source"""
    rounds: int = 48
    """rounds in the target"""
    num_envs: int = 4
    """episodes recorded per round"""
    updates: int = 4
    """gradient steps per round"""
    minibatch: int = 4
    """episodes of a place per gradient step"""
    learning_rate: float = 5e-3
    """learning rate of Adam, annealed to zero in each place"""
    merge: bool = True
    """whether sources' experience joins the target's (33)"""


def trajectory_weights(walked_m: Tensor, fastest_m: Sequence[float]) -> Tensor:
    """Weights of (32), summing to 1: the share of slots that belong to each source.

    Args:
        walked_m: metres walked per slot, any shape.
        fastest_m: largest distance per slot in each source, ascending; faster slots belong to the last source.
    """
    bounds = torch.as_tensor(fastest_m[:-1], dtype=walked_m.dtype)
    # The margin keeps slots at full speed below the bound despite rounding.
    belongs = torch.bucketize(walked_m.flatten() * (1.0 - 1e-4), bounds)
    return torch.bincount(belongs, minlength=len(fastest_m)) / belongs.numel()


def aggregate(models: Sequence[Mapping[str, Tensor]], weights: Tensor) -> dict[str, Tensor]:
    """Σ_j w_j θ_j (32)."""
    return {name: sum(w * model[name] for w, model in zip(weights, models, strict=True)) for name in models[0]}


@torch.no_grad()
def pull(network: nn.Module, source: Mapping[str, Tensor], rho: float) -> None:
    """Replace θ by (1 - ρ) θ + ρ θ_src, the convex form of (34)."""
    for name, parameter in network.named_parameters():
        parameter.lerp_(source[name], rho)


class Place:
    """A model of one place, learned from all episodes recorded there, the first of which is seeded `seed`.

    It starts from the parameters `model`, by default new ones.
    """

    def __init__(self, args: Args, scenario: Scenario, seed: int, model: Mapping[str, Tensor] | None = None):
        self.args, self.scenario = args, scenario
        self.network: Any = build(args.env_id, args.network, scenario)
        if model is not None:
            self.network.load_state_dict(model)
        self.recorder = EpisodeRecorder(training_envs(args, scenario, args.num_envs), self.network.read, seed)
        self.optimizer = torch.optim.Adam(self.network.parameters(), eps=1e-5)
        self.episodes: list[StationFeatures] = []

    @property
    def experience(self) -> int:
        """Number of episodes recorded."""
        return len(self.episodes) * self.args.num_envs

    def gather(self) -> None:
        """Record a round of episodes."""
        self.episodes.append(self.recorder.record())

    def learn(self, rate: float, sources: Sequence[Place] = ()) -> float:
        """Take a round's gradient steps on own episodes and those of sources.

        Returns the last expected gain per slot over never moving.
        """
        before = sum(source.experience for source in sources)
        share = before / (before + self.experience)  # of the sources' episodes in the union (33)
        self.optimizer.param_groups[0]["lr"] = rate
        for _ in range(self.args.updates):
            own = gained(self.network, draw(self.episodes, self.args.minibatch)).mean()
            gain = own
            if sources:
                source = sources[int(torch.randint(len(sources), ()))]
                drawn = draw(source.episodes, source.args.minibatch)
                gain = (1.0 - share) * own + share * gained(self.network, drawn).mean()
            descend(self.optimizer, -SCALE * gain, self.network.parameters(), MAX_GRAD_NORM)
        return own.item()

    def state_dict(self) -> dict[str, Any]:
        """Return model, optimiser and number of recordings; these are repeated from their seeds on loading."""
        models = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        return {**models, "recorded": len(self.episodes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for _ in range(state["recorded"]):
            self.gather()


def source_places(args: Args, target: Scenario) -> list[Place]:
    """New models of the sources, all with the same parameters."""
    scenarios = [target.override(**PLACES[name]) for name in args.sources]
    model = build(args.env_id, args.network, target).state_dict()
    return [Place(args, scenario, args.first_seed + 10_000 * (1 + i), model) for i, scenario in enumerate(scenarios)]


def source_round(place: Place, progress: float) -> float:
    """Play a round of a source after a share `progress` of its rounds; returns the gain of `Place.learn`."""
    place.gather()
    return place.learn((1.0 - progress) * place.args.learning_rate)


def arrive(target: Place, sources: Sequence[Place]) -> dict[str, Tensor]:
    """Return the target's first model (32), from the trajectories of its first episodes, which are recorded here."""
    target.gather()
    fastest = [source.scenario.value("speed_mps")[1] * source.scenario.value("slot_seconds") for source in sources]
    weights = trajectory_weights(target.episodes[0].walked_m, fastest)
    model = aggregate([source.network.state_dict() for source in sources], weights)
    target.network.load_state_dict(model)
    return model


def target_round(target: Place, sources: Sequence[Place], first: Mapping[str, Tensor] | None, progress: float) -> float:
    """Play a round of the target after a share `progress` of its rounds; returns the gain of `Place.learn`.

    Episodes are recorded, unless those of the first round already are; the model learns from the union (33) and is
    pulled to the `first` model (34) of `arrive`, if there is one.
    """
    args = target.args
    if progress > 0.0 or not target.episodes:
        target.gather()
    rate = (1.0 - progress) * args.learning_rate * (FINE_TUNING if sources else 1.0)
    gain = target.learn(rate, sources if args.merge else ())
    if first:
        before = sum(source.experience for source in sources)
        pull(target.network, first, RHO * before / (before + target.experience))
    return gain


class Migration(Stateful):
    """The target's first model, empty until its user has arrived."""

    STATE = ("first",)

    def __init__(self) -> None:
        self.first: dict[str, Tensor] = {}


def train(args: Args, *, scenario: Scenario | None = None, report: Report = silent) -> NetworkPolicy:
    """Train in the sources, one after another, then in the target, which is `scenario` or that of args.

    `report` is called with a row of `charts/…` after every round. Raises ValueError if the agent moves all twins.
    """
    with Run(args, report) as run:
        scenario = scenario or args.resolve()
        if scenario.value("control") != "focal":
            raise ValueError(f"control must be 'focal' for transfer, got {scenario.value('control')!r}")
        sources = source_places(args, scenario)
        target, migration = Place(args, scenario, args.first_seed), Migration()
        learned = args.source_rounds * len(sources)
        parts = {f"source-{i}": source for i, source in enumerate(sources)}
        for iteration in run.over(learned + args.rounds, {**parts, "target": target, "migration": migration}):
            if iteration < learned:
                phase, place = args.sources[iteration // args.source_rounds], sources[iteration // args.source_rounds]
                gain = source_round(place, iteration % args.source_rounds / args.source_rounds)
            else:
                place, phase, done = target, "target", iteration - learned
                if sources and done == 0:
                    migration.first = arrive(target, sources)
                gain = target_round(target, sources, migration.first, done / args.rounds)
            charts = {"charts/score": place.recorder.score + gain, "charts/gained": gain}
            run.report_iteration(iteration, args.num_envs * scenario.value("num_slots"), phase, charts)
        return finish(args, target.network, scenario)


if __name__ == "__main__":
    main(train, Args)
