"""Tables and plots of aggregate metrics of a folder of results."""

import dataclasses

import pytest
from fake_results import made
from PIL import Image

from benchmarks import aggregate

COSTS = {"local-search": -1.0, "mappo": -1.2, "maddpg (Proposed)": -2.0, "greedy-add": -1.5, "nearest": -3.0}


@pytest.fixture(scope="module")
def results():
    """Results of four scenarios, with random and five agents that score far apart."""
    return made("lu2021-quick", lambda cell, agent: {"score": COSTS.get(agent, -4.0)}, noise=1e-6)


def lines(results):
    return {line.split("|")[1].strip(): line for line in aggregate.table(results, "DTPlacementMA-v0") if "|" in line}


def test_without_bounds_agents_are_compared_by_how_often_one_is_better(results):
    by_agent = lines(results)
    assert list(by_agent)[2:] == ["local-search", "mappo", "greedy-add", "maddpg (Proposed)", "nearest", "random"]
    assert "IQM" not in by_agent["agent"] and by_agent["mappo"] == "| mappo | 1.000 [1.000, 1.000] |"
    assert by_agent["greedy-add"] == "| greedy-add |  |"
    assert by_agent["nearest"] == "| nearest | 0.000 [0.000, 0.000] |"


def test_with_bounds_scores_are_between_the_zero_and_the_bound(results, tmp_path):
    bounded = dataclasses.replace(results, rows=[{**row, "bound": -1.0} for row in results.rows])
    by_agent = lines(bounded)
    assert by_agent["local-search"].startswith("| local-search | 1.000 [1.000, 1.000] | 1.000 ")
    assert by_agent["mappo"].count("0.900 [0.900, 0.900]") == 3 and "0.100 [0.100, 0.100]" in by_agent["mappo"]
    assert "0.000 [-0.000, 0.000]" in by_agent["nearest"] or "0.000 [0.000, 0.000]" in by_agent["nearest"]
    assert "-0.100 [-0.100, -0.100]" not in by_agent["mappo"] and "+0.150 [+0.150, +0.150]" in by_agent["mappo"]
    profiles = aggregate.profiles(bounded, "DTPlacementMA-v0")
    assert profiles["mappo"].y[aggregate.THRESHOLDS < 0.85].tolist() == pytest.approx([1.0] * 54)
    assert profiles["mappo"].y[-1] == 0.0
    aggregate.draw(tmp_path / "profiles.png", profiles, "title", "score", "share")
    assert Image.open(tmp_path / "profiles.png").size[0] > 600


def test_learning_is_over_scenarios_and_trainings():
    def shape(cell, agent, share):
        return {"score": share if agent == "mappo" else 0.5}

    twice = made("lu2021-quick", lambda cell, agent: {"score": -1.0}, shape, trainings=2)
    curves = aggregate.learning(twice, "DTPlacementMA-v0")
    assert list(curves) == ["maddpg (Proposed)", "mappo"]
    assert curves["mappo"].y == pytest.approx([x / curves["mappo"].x[-1] for x in curves["mappo"].x], abs=0.01)
    assert set(curves["maddpg (Proposed)"].y) == {0.5}
    assert not aggregate.learning(made("lu2021-quick", lambda cell, agent: {}, shape), "DTPlacementMA-v0")


def test_an_agent_that_is_not_everywhere_is_left_out(results):
    first = results.suite.cells[0].name
    rows = [row for row in results.rows if row["agent"] != "mappo" or row["cell"] == first]
    assert "mappo" not in lines(dataclasses.replace(results, rows=rows))
