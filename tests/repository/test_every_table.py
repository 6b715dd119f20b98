"""Every table that is keyed by environment has an entry for every registered environment, or says here why not."""

import importlib

import pytest

from agents.policy import PLANNED, SERVED
from dtenv import presets
from dtenv.oracle.episode import SOLVERS
from dtenv.scenario import MigrationScenario
from dtenv.tasks.registry import TASKS

TABLES = (
    "dtenv.envs.vector_entry_points.ENVS",
    "agents.HEURISTICS",
    "agents.shipped.LEARNERS",
    "agents.networks.NETWORKS",
    "agents.sb3.RECIPES",
    "benchmarks.dataset.BEST",
    "benchmarks.env_settings.ENV_SETTINGS",
    "benchmarks.falsify.VARIED",
    "leaderboards.entries.ABOUT",
    "leaderboards.page.SUITES",
    "leaderboards.tracks.FACES",
)
"""Tables with an entry for every environment."""

PARTIAL = {
    "agents.OPTIMA": {"DTMigration-v0": "a slot by itself says never to move"},
    "agents.ppo.RECIPES": {"DTPlacementMA-v0": "stations learn by MAPPO and MADDPG"},
    "agents.a2c.RECIPES": {"DTPlacementMA-v0": "stations learn by MAPPO and MADDPG"},
    "agents.ddpg.RECIPES": {"DTPlacementMA-v0": "stations learn by MAPPO and MADDPG"},
    "agents.ppo_lagrangian.RECIPES": {"DTPlacementMA-v0": "stations learn by MAPPO and MADDPG"},
    "agents.ppo_lagrangian.UNPRICED": {"DTPlacementMA-v0": "stations learn by MAPPO and MADDPG"},
    "benchmarks.dataset.CONTROLLER": dict.fromkeys(("DTAssociation-v0", "DTMigration-v0"), "its action is one face"),
    "dtenv.__main__.RESTING": dict.fromkeys(("DTAssociation-v0", "DTMigration-v0"), "its action is one face"),
    "benchmarks.optima.PLAYERS": {"DTMigration-v0": "a slot by itself says never to move"},
}
"""Tables that lack environments, with the reason."""

LISTED = [*((name, {}) for name in TABLES), *PARTIAL.items()]


def table(name):
    module, _, variable = name.rpartition(".")
    return getattr(importlib.import_module(module), variable)


def absent(name, lacking):
    """Ids that the table ought to have."""
    return presets.PRESETS.keys() - lacking.keys() - table(name).keys()


@pytest.mark.parametrize(("name", "lacking"), LISTED, ids=[name for name, _ in LISTED])
def test_a_table_has_every_environment(name, lacking):
    assert not absent(name, lacking), f"{name} lacks an entry"
    assert not table(name).keys() - presets.PRESETS.keys(), f"{name} has an entry for what is no environment"
    assert not table(name).keys() & lacking.keys(), f"{name} has what this test says it lacks"


def test_every_scenario_has_a_task_and_every_task_a_solver():
    scenarios = {type(preset) for named in presets.PRESETS.values() for preset in named.values()}
    assert scenarios == TASKS.keys()
    assert set(TASKS.values()) == SOLVERS.keys()
    assert PLANNED.keys() == scenarios - {MigrationScenario}  # whose rules plan with the scenario as it is
    assert len(SERVED) == len(scenarios)


@pytest.mark.parametrize(("name", "lacking"), LISTED, ids=[name for name, _ in LISTED])
def test_a_fourth_environment_is_missed(name, lacking, monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "DTFourth-v0", {})
    assert absent(name, lacking) == {"DTFourth-v0"}
