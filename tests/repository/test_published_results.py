"""What the published rows say is what the paper and our notes claim; their tables are made of them, not by hand."""

import csv
import io
import itertools

import pytest
from paths import RESULTS

import agents
from benchmarks.evaluate import run_episodes
from benchmarks.statistics import mean_interval, paired_difference
from benchmarks.suites.results import load
from benchmarks.table import markdown
from dtenv.oracle import check_bound
from dtenv.reporting.compressed import read_text, stored

FOLDERS = {"DTAssociation-v0": "balanced", "DTPlacementMA-v0": "placement", "DTMigration-v0": "migration"}
WORDS = ("agent", "env_id", "scenario")


def published(env_id):
    """Rows by scenario and number of servers, or skip."""
    file = RESULTS / FOLDERS[env_id] / "rows.csv"
    if not stored(file):
        pytest.skip(f"{file.parent.name} has not been generated")
    lines = csv.DictReader(io.StringIO(read_text(file), newline=""))
    rows = [{k: v if k in WORDS else _number(v) for k, v in row.items()} for row in lines]
    cells = {}
    for row in rows:
        cells.setdefault((row["scenario"], int(row["num_servers"])), []).append(row)
    return cells


def _number(text):
    """None where an episode has no bound."""
    return float(text) if text else None


def above(rows, more, less, column):
    """Whether an agent's column is above another's on the same episodes, by the whole interval."""
    return paired_difference(rows, more, less, column).low > 0.0


@pytest.mark.parametrize("env_id", FOLDERS)
def test_tables_hold_the_rows(env_id):
    cells = published(env_id)
    text = (RESULTS / FOLDERS[env_id] / "table.md").read_text()
    for rows in cells.values():
        assert "\n".join(markdown(env_id, rows)) in text


def cost(cells, users, stations, agent):
    """System cost of placement with its interval."""
    rows = cells[f"paper-{users}x{stations}", stations]
    return mean_interval([row["system_cost"] for row in rows if row["agent"] == agent])


@pytest.mark.parametrize("agent", ["nearest", "greedy-add", "local-search"])
def test_placement_costs_more_with_users_and_less_with_stations(agent):
    cells = published("DTPlacementMA-v0")
    for stations in (5, 10):
        assert cost(cells, 100, stations, agent).low > cost(cells, 80, stations, agent).high
    for users in (80, 100):
        assert cost(cells, users, 5, agent).low > cost(cells, users, 10, agent).high


def test_searches_place_cheaper_than_nearest():
    cells = published("DTPlacementMA-v0")
    for (scenario, _), rows in cells.items():
        assert above(rows, "nearest", "greedy-add", "system_cost"), scenario
        assert above(rows, "greedy-add", "local-search", "system_cost"), scenario


def test_migration_pays_for_those_who_weigh_its_price():
    cells = published("DTMigration-v0")
    stations = 10
    balanced = cells["balanced", stations]
    ranks = ("never", "best-latency", "payback", "lookahead")
    for worse, better in itertools.pairwise(ranks):
        assert above(balanced, better, worse, "score"), (better, worse)
    assert above(cells["ping-pong", stations], "never", "best-latency", "score")


@pytest.mark.parametrize("env_id", FOLDERS)
def test_nobody_exceeds_a_bound(env_id):
    bounded = [row for rows in published(env_id).values() for row in rows if row["bound"] is not None]
    assert bounded
    for row in bounded:
        check_bound(row["score"], row["bound"], row["agent"])


@pytest.mark.parametrize("suite", ["zhou2025-quick", "lu2021-quick", "learning/migration"])
def test_rows_of_suites_can_be_had_again(suite):
    """The first episodes of heuristics, on the suite's first and last scenario."""
    results = load(RESULTS / suite)
    for cell in {cell.name: cell for cell in (results.suite.cells[0], results.suite.cells[-1])}.values():
        seeds = results.suite.evaluation_seeds(cell.env_id)[:2]
        agent = cell.references[-1] if cell.env_id == "DTMigration-v0" else "nearest"
        policy = agents.load(agent, cell.env_id, scenario=cell.resolve())
        again = run_episodes(policy, cell.env_id, cell.resolve(), seeds)
        kept = [row for row in results.of(cell) if row["agent"] == agent and row["seed"] in seeds]
        for row, was in zip(again, kept, strict=True):
            numbers = {name: value for name, value in row.items() if name not in WORDS}
            assert {name: was[name] for name in numbers} == pytest.approx(numbers, rel=1e-12, abs=1e-12)
