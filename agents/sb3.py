"""Any learner of Stable-Baselines3 or sb3-contrib, by name, on any environment: the independent reference.

It trains on dtenv's vector env (--vec batch) or on SB3's over the single env (dummy, subproc). Learners of continuous
actions (DDPG, SAC, TD3, TQC, CrossQ) output scores of choices where the actions are discrete. SB3 saves no state from
which a run could continue exactly, so --resume is refused.

    python -m agents.sb3 --algorithm PPO --env-id DTMigration-v0 --policy-kwargs '{"net_arch": [128, 128]}'
    python -m agents.sb3 --algorithm SAC --env-id DTPlacementMA-v0 --total-steps 20000 --save runs/sac.safetensors
    python -m agents.sb3 --algorithm DQN --env-id DTMigration-v0 --vec dummy --num-envs 8
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from safetensors.torch import save_file

import dtenv
from agents.networks.association import Equivariant
from agents.training.checkpoint import load_weights, read_about
from agents.training.files import sibling, write_durably
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.envs.sb3 import SB3VecEnv
from dtenv.scenario import AssociationScenario, MigrationScenario, Scenario
from dtenv.tasks.registry import task_of
from dtenv.wrappers import Relaxation, RelaxedAction, RelaxedVectorAction

try:
    import sb3_contrib
    import stable_baselines3
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize
except ImportError as error:
    raise ImportError('agents.sb3 needs Stable-Baselines3 and sb3-contrib: pip install "dtenv[sb3]"') from error

CONTINUOUS = ("CrossQ", "DDPG", "SAC", "TD3", "TQC")
"""Learners of continuous actions only."""

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    name: getattr(package, name)
    for package in (stable_baselines3, sb3_contrib)
    for name in vars(package)
    if isinstance(getattr(package, name), type) and issubclass(getattr(package, name), BaseAlgorithm)
}
"""Learners by name."""

RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {"reward": "score", "num_slots": 60},
    "DTPlacementMA-v0": {"reward": "shared", "action": "price"},
    "DTMigration-v0": {"reward": "centred"},
}
"""Defaults of each environment."""


@dataclass
class Args(RunArgs):
    """Settings of a run; those that are None by default come from the environment's recipe."""

    learner: ClassVar[str] = "sb3"
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = RECIPES

    algorithm: str = "PPO"
    """name of the learner: A2C, DQN, PPO, SAC, TD3, DDPG, or in sb3-contrib MaskablePPO, QRDQN, RecurrentPPO, …"""
    reward: str | None = None
    """reward trained on, one of the environment's"""
    action: str | None = None
    """form of the actions, where the environment has several: in DTPlacementMA-v0 "price", "bid", …"""
    total_steps: int = 100_000
    """environment steps"""
    vec: Literal["batch", "dummy", "subproc"] = "batch"
    """vector env: dtenv's, or SB3's over the single env"""
    num_envs: int = 16
    """environments in parallel"""
    settings: str = "{}"
    """arguments of the learner, as JSON: {"learning_rate": 0.001, "gamma": 0.95}"""
    policy_kwargs: str = "{}"
    """arguments of the network, as JSON: {"net_arch": [128, 128], "activation_fn": "ReLU"}"""
    anneal: bool = False
    """anneal the learning_rate of settings to zero, linearly"""
    scaled_reward: bool = False
    """divide rewards by the running deviation of their discounted sums (VecNormalize)"""


class SB3Policy:
    """Greedy policy of the SB3 learner `algorithm`, from SB3's own `policy` and the scenario of its training.

    `overrides` are the scenario fields that the environment needs for its actions.
    """

    def __init__(self, algorithm: str, policy: Any, scenario: Scenario, overrides: Mapping[str, Any]):
        self.name, self.overrides, self.policy = f"sb3-{algorithm.lower()}", overrides, policy
        self.policy.set_training_mode(False)
        actions = task_of(scenario).action_space
        relaxed = algorithm in CONTINUOUS and not isinstance(actions, spaces.Box)
        self._relaxation = Relaxation(actions) if relaxed else None
        self._masks = MaskWrapper(scenario) if algorithm == "MaskablePPO" else None
        self._memory: Any = None

    def reset(self, seed: int | None = None) -> None:
        """Clear the memory of a recurrent policy."""
        self._memory = None

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The greedy action for an observation (size,), or actions (B, …) for a batch (B, size)."""
        obs = np.asarray(obs, np.float32)
        masks = {} if self._masks is None else {"action_masks": self._masks(np.atleast_2d(obs))}
        action, self._memory = self.policy.predict(obs, self._memory, deterministic=True, **masks)
        return action if self._relaxation is None else self._relaxation.chosen(action)


class MaskWrapper:
    """Action masks of an environment, read from its observations; raises ValueError where these do not show them."""

    def __init__(self, scenario: Scenario):
        if not isinstance(scenario, AssociationScenario | MigrationScenario):
            raise ValueError("MaskablePPO cannot play DTPlacementMA-v0: its observations do not show action masks")
        self._layout = task_of(scenario).layout
        self._network = Equivariant(scenario) if isinstance(scenario, AssociationScenario) else None

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Masks (B, choices) of observations (B, size)."""
        view = self._layout.split(torch.as_tensor(obs))
        if self._network is None:
            possible = view["links"][..., self._layout.blocks[2].column("room")] > 0.5
        else:
            compute, sync, *_ = self._network.loads(view)
            alone = (compute <= 1.0) & (sync <= 1.0)
            possible = alone | ~alone.any(-1, keepdim=True)
        return possible.flatten(1).numpy()


class ProgressCallback(BaseCallback):
    """Callback that reports the score about once per second, and stops training when the run is interrupted."""

    def __init__(self, run: Run, total_steps: int):
        super().__init__()
        self._run, self._total = run, total_steps
        self._scores: list[float] = []
        self._reported = time.perf_counter()

    def _on_step(self) -> bool:
        self._scores += [info["score"] for info in self.locals["infos"]]
        if time.perf_counter() - self._reported > 1.0:
            self.report_progress()
        return not self._run.interrupted

    def report_progress(self) -> None:
        """Report the mean score since the last report."""
        if self._scores:
            row = {"global_step": self.num_timesteps, "charts/score": float(np.mean(self._scores))}
            self._run.report(row | {"charts/progress": min(self.num_timesteps / self._total, 1.0)})
        self._scores.clear()
        self._reported = time.perf_counter()


def train(
    args: Args, *, scenario: Scenario | None = None, envs: VecEnv | None = None, report: Report = silent
) -> SB3Policy:
    """Train a policy.

    Args:
        args: settings of the run.
        scenario: scenario to train on, in place of args.scenario and its overrides.
        envs: SB3's vector env of that scenario to train on, in place of that of args.vec.
        report: called about once per second with a row of `charts/…`.

    Raises:
        ValueError: the learner is unknown or does not support the environment's actions; the message names both.
    """
    if args.resume:
        raise ValueError("resume must be False for sb3: its learners save no state from which a run continues exactly")
    args = args.with_recipe()
    if args.algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {args.algorithm!r}")
    with Run(args, report) as run:
        if scenario is None:
            scenario = args.resolve()
        overrides = {} if args.action is None else {"action": args.action}
        trained_on = scenario.override(reward=args.reward, **overrides)
        if args.algorithm == "MaskablePPO":
            MaskWrapper(trained_on)  # raises ValueError where there are none
        own = envs is None
        if envs is None:
            envs = training_envs(args, trained_on)
        if args.scaled_reward:
            envs = VecNormalize(envs, norm_obs=False, gamma=json.loads(args.settings).get("gamma", 0.99))
        learner, own_settings = ALGORITHMS[args.algorithm], json.loads(args.settings)
        if args.anneal:
            rate = own_settings["learning_rate"]
            own_settings["learning_rate"] = lambda left: left * rate
        kind = next(iter(learner.policy_aliases))  # MlpPolicy, or with memory MlpLstmPolicy
        try:
            model = learner(kind, envs, policy_kwargs=network_options(args.policy_kwargs), device="cpu", **own_settings)
        except AssertionError:
            raise ValueError(f"{args.algorithm} cannot play {args.env_id}'s actions, {envs.action_space}") from None
        model.action_space.seed(args.seed)
        envs.seed(args.first_seed)
        follow = ProgressCallback(run, args.total_steps)
        model.learn(args.total_steps, callback=follow)
        follow.report_progress()
        if own:
            envs.close()
        policy = SB3Policy(args.algorithm, model.policy, trained_on, overrides)
        if args.save is not None:
            save_policy(args.save, policy, args, trained_on, model.policy_kwargs)
    return policy


def training_envs(args: Args, scenario: Scenario) -> VecEnv:
    """Environments to train on, with scores as actions where a learner of continuous actions needs them."""
    if args.vec == "batch":
        envs = gym.make_vec(
            args.env_id,
            num_envs=args.num_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode="same_step",
            scenario=scenario,
            threads=args.threads,
        )
        discrete = not isinstance(envs.single_action_space, spaces.Box)
        return SB3VecEnv(RelaxedVectorAction(envs) if args.algorithm in CONTINUOUS and discrete else envs)
    makers = [partial(_single, args.env_id, scenario, args.algorithm in CONTINUOUS)] * args.num_envs
    return DummyVecEnv(makers) if args.vec == "dummy" else SubprocVecEnv(makers)


def _single(env_id: str, scenario: Scenario, continuous: bool) -> gym.Env:
    env = gym.make(env_id, scenario=scenario, disable_env_checker=True)
    return RelaxedAction(env) if continuous and not isinstance(env.action_space, spaces.Box) else env


def network_options(given: str) -> dict[str, Any]:
    """Parse policy_kwargs from JSON, with the activation by its name in torch.nn."""
    options = json.loads(given)
    if "activation_fn" in options:
        options["activation_fn"] = getattr(torch.nn, options["activation_fn"])
    return options


def save_policy(path: Path, policy: SB3Policy, args: Args, scenario: Scenario, options: Mapping[str, Any]) -> None:
    """Write the weights to `path` (.safetensors), and a .json of the same name that describes the policy. No pickle.

    `options` are the policy_kwargs as completed by the learner; `scenario` and `args` are those of the training.
    """
    weights = {name: value.contiguous() for name, value in policy.policy.state_dict().items()}
    write_durably(path, lambda partial: save_file(weights, partial))
    built = {name: v for name, v in options.items() if not name.startswith("optimizer")}
    if "activation_fn" in built:
        built["activation_fn"] = built["activation_fn"].__name__
    about = {
        "name": "sb3",
        "algorithm": args.algorithm,
        "env_id": args.env_id,
        "policy_kwargs": built,
        "overrides": dict(policy.overrides),
        "settings": json.loads(args.settings),
        "total_steps": args.total_steps,
        "seed": args.seed,
        "scenario": scenario.as_dict(),
        "dtenv": dtenv.__version__,
        "stable_baselines3": stable_baselines3.__version__,
    }
    text = json.dumps(about, indent=1, default=str) + "\n"
    write_durably(sibling(path, ".json"), lambda partial: partial.write_text(text))


def load_policy(env_id: str, scenario: Scenario, checkpoint: str | Path | None) -> SB3Policy:
    """Load the policy saved in `checkpoint`.

    Raises:
        ValueError: `checkpoint` is None, or the weights are for another environment or do not fit the scenario.
        FileNotFoundError: the file does not exist.
    """
    if checkpoint is None:
        raise ValueError("checkpoint must be given for 'sb3': none is shipped")
    path = Path(checkpoint)
    about = read_about(path, env_id)
    algorithm, trained_on = about["algorithm"], scenario.override(**about["overrides"])
    task = task_of(trained_on)
    actions = task.action_space
    if algorithm in CONTINUOUS and not isinstance(actions, spaces.Box):
        actions = Relaxation(actions).space
    kind = next(iter(ALGORITHMS[algorithm].policy_aliases.values()))
    options = network_options(json.dumps(about["policy_kwargs"]))
    rate = {} if algorithm == "ARS" else {"lr_schedule": lambda _: 0.0}
    policy = kind(task.layout.space, actions, **rate, **options)
    load_weights(policy, path, scenario)
    return SB3Policy(algorithm, policy, trained_on, about["overrides"])


if __name__ == "__main__":
    main(train, Args)
