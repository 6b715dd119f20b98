"""Transfer between places for DTMigration-v0's focal user (Lu 2021, Algorithms 2 and 3, eqs 32-34), in one file.

A user's twin moves to a place it has not learned in, with models and experience of places it knows. Places differ in
speeds, walks, shadowing and numbers of stations. Algorithm 3, which station to go to, is what the policies learn (as
it is printed it is the heuristic "best-latency-literal"); Algorithm 2 is the learner here, read against its errata:

- (32) The first model is the sources' mean, weighted by the user's trajectory: by the share of its slots in which it
  walks as fast as users of a source do. Parameters have a mean only if they started out alike: all sources do.
- (33) Gradients are of the union of the target's episodes and the sources'. agents/hindsight.py learns as soundly
  from one as from the other, so nothing is corrected for the policy that gathered them.
- (34) As printed, θ + ρ θ_src, parameters grow without end; here (1 - ρ) θ + ρ θ_src after every round, where ρ fades
  with the sources' share of the experience. Line 8 of Algorithm 2, which overwrites what was learned, is left out.

    python -m agents.transfer --save runs/transfer.safetensors
    python -m agents.transfer --sources --rounds 48       # from scratch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from agents.hindsight import Recorder, draw, gained, step
from agents.networks import build
from agents.networks.outlook import Outlook
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.rollout import training_envs
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import Scenario

PLACES: dict[str, dict[str, Any]] = {
    "park": {"speed_mps": (1.0, 5.0), "num_stations": 6},
    "town": {"speed_mps": (5.0, 10.0), "num_stations": 15, "shadowing_site_correlation": 0.0},
    "ring-road": {"speed_mps": (10.0, 15.0), "walk": "gauss-markov"},
}
"""Sources: what they differ in from the target. Their speeds do not overlap, so that a trajectory tells them apart."""

FINE_TUNING = 0.2
"""Share of the learning rate in a target that starts from sources."""

RHO = 0.1
"""ρ of (34), while all experience is the sources'."""

MAX_GRAD_NORM = 1.0
"""Gradient clipping."""


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "transfer"

    env_id: str = "DTMigration-v0"
    """the environment"""
    network: str = "equivariant"
    """an actor that tells what it would do from any station"""
    sources: tuple[str, ...] = tuple(PLACES)
    """places to transfer from; none to learn from scratch"""
    source_rounds: int = 32
    """rounds in every source"""
    rounds: int = 48
    """rounds in the target"""
    num_envs: int = 4
    """episodes recorded in a round"""
    updates: int = 4
    """gradient steps in a round"""
    minibatch: int = 4
    """episodes of a place in a gradient step"""
    learning_rate: float = 5e-3
    """Adam's, annealed to zero in each place"""
    merge: bool = True
    """whether sources' experience joins the target's (33)"""


def trajectory_weights(walked_m: Tensor, fastest_m: Sequence[float]) -> Tensor:
    """Weights of (32), summing to 1: the share of slots that belong to each source.

    Args:
        walked_m: metres walked in slots, any shape.
        fastest_m: of each source, what its users walk in a slot at most; rising. Faster slots belong to the last.
    """
    bounds = torch.as_tensor(fastest_m[:-1], dtype=walked_m.dtype)
    # A slot at full speed is told from the next source's by more than rounding.
    belongs = torch.bucketize(walked_m.flatten() * (1.0 - 1e-4), bounds)
    return torch.bincount(belongs, minlength=len(fastest_m)) / belongs.numel()


def aggregate(models: Sequence[Mapping[str, Tensor]], weights: Tensor) -> dict[str, Tensor]:
    """Σ_j w_j θ_j (32)."""
    return {name: sum(w * model[name] for w, model in zip(weights, models, strict=True)) for name in models[0]}


@torch.no_grad()
def pull(network: nn.Module, source: Mapping[str, Tensor], rho: float) -> None:
    """(1 - ρ) θ + ρ θ_src in place of θ: (34) made convex."""
    for name, parameter in network.named_parameters():
        parameter.lerp_(source[name], rho)


class Place:
    """A model that learns in one place, from all episodes recorded there.

    Args:
        args: settings.
        scenario: of the place.
        seed: of its first episode.
        model: parameters to start from; by default fresh ones.
    """

    def __init__(self, args: Args, scenario: Scenario, seed: int, model: Mapping[str, Tensor] | None = None):
        self.args, self.scenario = args, scenario
        self.network: Any = build(args.env_id, args.network, scenario)
        if model is not None:
            self.network.load_state_dict(model)
        self.recorder = Recorder(training_envs(args, scenario, args.num_envs), self.network.read, seed)
        self.optimizer = torch.optim.Adam(self.network.parameters(), eps=1e-5)
        self.episodes: list[Outlook] = []

    @property
    def experience(self) -> int:
        """Episodes recorded."""
        return len(self.episodes) * self.args.num_envs

    def gather(self) -> None:
        """Record a round of episodes."""
        self.episodes.append(self.recorder.record())

    def learn(self, rate: float, sources: Sequence[Place] = ()) -> float:
        """Gradient steps of a round, on own episodes and sources'; gives the last expected gain over never, a slot."""
        before = sum(source.experience for source in sources)
        share = before / (before + self.experience)  # the sources', in the union (33)
        self.optimizer.param_groups[0]["lr"] = rate
        for _ in range(self.args.updates):
            own = gained(self.network, draw(self.episodes, self.args.minibatch)).mean()
            gain = own
            if sources:
                source = sources[int(torch.randint(len(sources), ()))]
                gain = (1.0 - share) * own + share * gained(self.network, source.sample()).mean()
            step(self.network, self.optimizer, gain, MAX_GRAD_NORM)
        return own.item()

    def sample(self) -> Outlook:
        """Episodes for another place's gradient step."""
        return draw(self.episodes, self.args.minibatch)

    def state_dict(self) -> dict[str, Any]:
        """Model and optimiser; of the experience how much there is, as it is recorded again from its seeds."""
        models = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        return {**models, "recorded": len(self.episodes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for _ in range(state["recorded"]):
            self.gather()


def source_places(args: Args, target: Scenario) -> list[Place]:
    """Fresh models of the sources, all with the same parameters."""
    scenarios = [target.override(**PLACES[name]) for name in args.sources]
    model = build(args.env_id, args.network, target).state_dict()
    return [Place(args, scenario, args.first_seed + 10_000 * (1 + i), model) for i, scenario in enumerate(scenarios)]


def source_round(place: Place, progress: float) -> float:
    """A round of a source, `progress` of its rounds being over; gives the expected gain over never, a slot."""
    place.gather()
    return place.learn((1.0 - progress) * place.args.learning_rate)


def arrive(target: Place, sources: Sequence[Place]) -> dict[str, Tensor]:
    """The target's first model (32), by the trajectories of its first episodes, which are recorded here."""
    target.gather()
    fastest = [source.scenario.value("speed_mps")[1] * source.scenario.value("slot_seconds") for source in sources]
    weights = trajectory_weights(target.episodes[0].walked_m, fastest)
    model = aggregate([source.network.state_dict() for source in sources], weights)
    target.network.load_state_dict(model)
    return model


def target_round(target: Place, sources: Sequence[Place], first: Mapping[str, Tensor] | None, progress: float) -> float:
    """A round of the target: gather, learn from the union (33), be pulled to the first model (34).

    Args:
        target: its first episodes may be recorded already.
        sources: none for scratch.
        first: of `arrive`.
        progress: share of the rounds that are over.
    """
    args = target.args
    if progress > 0.0 or not target.episodes:
        target.gather()
    rate = (1.0 - progress) * args.learning_rate * (FINE_TUNING if sources else 1.0)
    gain = target.learn(rate, sources if args.merge else ())
    if first is not None:
        before = sum(source.experience for source in sources)
        pull(target.network, first, RHO * before / (before + target.experience))
    return gain


class Migration:
    """The first model of a target, once its user has arrived."""

    def __init__(self) -> None:
        self.first: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The model, or nothing."""
        return {"first": self.first or {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.first = state["first"] or None


def train(args: Args, *, scenario: Scenario | None = None, report: Report = silent) -> NetworkPolicy:
    """Train in the sources, one after another, then in the target.

    Args:
        args: settings.
        scenario: the target, in place of args.scenario and its overrides.
        report: called with a row of `charts/…` after every round.

    Raises:
        ValueError: the scenario's agent moves all twins.
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
                place, done = sources[iteration // args.source_rounds], iteration % args.source_rounds
                phase, gain = (
                    args.sources[iteration // args.source_rounds],
                    source_round(place, done / args.source_rounds),
                )
            else:
                place, phase, done = target, "target", iteration - learned
                if sources and done == 0:
                    migration.first = arrive(target, sources)
                gain = target_round(target, sources, migration.first, done / args.rounds)
            run.report(
                {
                    "charts/phase": phase,
                    "global_step": (iteration + 1) * args.num_envs * scenario.value("num_slots"),
                    "charts/progress": (iteration + 1) / run.total,
                    "charts/score": place.recorder.score + gain,
                    "charts/gained": gain,
                }
            )
        return finish(args, target.network, scenario)


if __name__ == "__main__":
    main(train, Args)
