"""Reader of W&B sweep files, and draws of trials as by W&B's own search."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml
from numpy.random import Generator

from agents.training.run import RunArgs

DRAWS: dict[str, Callable[[Generator, Mapping[str, Any]], Any]] = {
    "constant": lambda generator, of: of["value"],
    "categorical": lambda generator, of: of["values"][int(generator.integers(len(of["values"])))],
    "int_uniform": lambda generator, of: int(generator.integers(of["min"], of["max"], endpoint=True)),
    "uniform": lambda generator, of: generator.uniform(of["min"], of["max"]),
    "log_uniform": lambda generator, of: math.exp(generator.uniform(of["min"], of["max"])),
    "log_uniform_values": lambda generator, of: math.exp(generator.uniform(math.log(of["min"]), math.log(of["max"]))),
    "normal": lambda generator, of: generator.normal(of.get("mu", 0.0), of.get("sigma", 1.0)),
    "log_normal": lambda generator, of: generator.lognormal(of.get("mu", 0.0), of.get("sigma", 1.0)),
}
"""W&B's distributions; all but the first three also exist with "q_", rounded to multiples of q."""

BOUNDED = ("int_uniform", "uniform", "log_uniform", "log_uniform_values")
GRID = ("constant", "categorical", "int_uniform")
BAYES = (*GRID, "uniform", "q_uniform", "log_uniform", "log_uniform_values")
METHODS = {"grid": GRID, "bayes": BAYES, "random": (*DRAWS, *(f"q_{name}" for name in [*DRAWS][3:]))}
"""Distributions that each method can search here."""


@dataclass(frozen=True)
class Sweep:
    """Sweep file of a learner of ours."""

    path: Path
    module: str
    """module of the learner, such as "agents.ppo\""""
    words: tuple[str, ...]
    """command-line words common to all trials"""
    method: str
    parameters: Mapping[str, Mapping[str, Any]]
    """parameters by name, each with its "distribution\""""
    run_cap: int | None
    stops_early: bool

    def args(self, parameters: Mapping[str, Any]) -> RunArgs:
        """Settings of a trial, parsed from the command line that `wandb agent` would run.

        Raises:
            ValueError: the learner does not accept them.
        """
        words = [*self.words, *(f"--{name}={value}" for name, value in parameters.items())]
        try:
            return parse(self.module, words)
        except SystemExit:
            raise ValueError(f"{self.path}: {self.module} does not take {' '.join(words)}") from None

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yield every combination, the last parameter changing fastest."""
        for values in itertools.product(*(_levels(of) for of in self.parameters.values())):
            yield dict(zip(self.parameters, values, strict=True))

    def draws(self, seed: int) -> Iterator[dict[str, Any]]:
        """Yield randomly drawn trials without end."""
        generator = np.random.default_rng(seed)
        while True:
            yield {name: draw(generator, of) for name, of in self.parameters.items()}

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Parameters of a trial of Optuna's."""
        return {name: _suggested(trial, name, of) for name, of in self.parameters.items()}


def parse(module: str, words: Sequence[str]) -> RunArgs:
    """Parse a learner's command line."""
    return tyro.cli(importlib.import_module(module).Args, args=words, console_outputs=False)


def read(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        ValueError: it is not a sweep file or cannot be searched here; the message names the problem.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: must be a sweep file: {error}") from None
    if not isinstance(config, dict) or not config.get("parameters"):
        raise ValueError(f"{path}: must be a sweep file with parameters")
    method, goal = config.get("method"), config.get("metric", {}).get("goal", "minimize")
    if method not in METHODS:
        raise ValueError(f"{path}: method must be one of {', '.join(METHODS)}, got {method!r}")
    if goal != "maximize":
        raise ValueError(f"{path}: metric must have the goal maximize, got {goal!r}")
    module, words = _command(path, config.get("command", []))
    fields = {field.name for field in dataclasses.fields(importlib.import_module(module).Args)}
    parameters = {}
    for name, of in config["parameters"].items():
        if name not in fields:
            raise ValueError(f"{path}: parameter {name!r} is no setting of {module}")
        parameters[name] = _checked(f"{path}: parameter {name!r}", method, of)
    return Sweep(path, module, words, method, parameters, config.get("run_cap"), "early_terminate" in config)


def _command(path: Path, command: list[str]) -> tuple[str, tuple[str, ...]]:
    """Split a command `… -m agents.LEARNER WORDS ${args}` into module and words."""
    words = [str(word) for word in command]
    if "-m" not in words[:-1] or not words[words.index("-m") + 1].startswith("agents.") or "${args}" not in words:
        raise ValueError(f"{path}: command must run -m agents.LEARNER with ${{args}}, got {' '.join(words)!r}")
    start = words.index("-m") + 1
    return words[start], tuple(word for word in words[start + 1 :] if word not in ("--track", "${args}"))


def _checked(what: str, method: str, of: Any) -> dict[str, Any]:
    """A parameter with its distribution, which defaults to the one that W&B infers."""
    if not isinstance(of, dict) or "parameters" in of:
        raise ValueError(f"{what} must have a value, values, or a distribution, got {of!r}")
    if "value" in of or "values" in of:
        guess = "constant" if "value" in of else "categorical"
        guess = "categorical_w_probabilities" if "probabilities" in of else guess
    else:
        guess = "int_uniform" if all(type(of.get(end)) is int for end in ("min", "max")) else "uniform"
    kind = of.get("distribution", guess)
    if kind not in METHODS[method]:
        known = ", ".join(METHODS[method])
        raise ValueError(f"{what}: distribution {kind!r} cannot be searched by {method} here; known: {known}")
    numbers = {name: of[name] for name in ("min", "max", "mu", "sigma", "q") if name in of}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{what}: {name} must be a number, got {value!r} (YAML's 1e-3 is a string; write 1.0e-3)")
    needed = {"constant": ["value"], "categorical": ["values"]}.get(kind, [])
    needed += ["min", "max"] if kind.removeprefix("q_") in BOUNDED else []
    for name in needed:
        if of.get(name) in ([], None) and name != "value":
            raise ValueError(f"{what}: distribution {kind!r} needs {name}")
    if "min" in needed and not of["min"] <= of["max"]:
        raise ValueError(f"{what}: min must be at most max, got {of['min']!r} and {of['max']!r}")
    if "log_uniform_values" in kind and of["min"] <= 0:
        raise ValueError(f"{what}: min must be above 0 for {kind!r}, got {of['min']!r}")
    return {**of, "distribution": kind}


def draw(generator: Generator, of: Mapping[str, Any]) -> Any:
    """Draw a value of a parameter."""
    kind = of["distribution"]
    value = DRAWS[kind.removeprefix("q_")](generator, of)
    if not kind.startswith("q_"):
        return value
    q = of.get("q", 1)
    return round(value / q) * q


def _levels(of: Mapping[str, Any]) -> list[Any]:
    if of["distribution"] == "int_uniform":
        return list(range(of["min"], of["max"] + 1))
    return [of["value"]] if of["distribution"] == "constant" else list(of["values"])


def _suggested(trial: Any, name: str, of: Mapping[str, Any]) -> Any:
    kind = of["distribution"]
    if kind == "constant":
        return of["value"]
    if kind == "categorical":
        return trial.suggest_categorical(name, of["values"])
    if kind == "int_uniform":
        return trial.suggest_int(name, of["min"], of["max"])
    ends = (of["min"], of["max"])
    if kind == "log_uniform":
        ends = (math.exp(ends[0]), math.exp(ends[1]))
    return trial.suggest_float(name, *ends, log="log" in kind, step=of.get("q", 1) if kind == "q_uniform" else None)
