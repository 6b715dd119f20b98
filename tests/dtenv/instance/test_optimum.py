"""`python -m dtenv optimum` prints the best decision with its proof, or reports infeasibility."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import reference_association as reference
import reference_placement
from paths import ROOT

from dtenv.__main__ import main
from dtenv.instance import InstanceError, optimum, score


def association(users: int = 4, servers: int = 3) -> dict:
    instance = reference.random_instance(np.random.default_rng(0), users=users, servers=servers)
    del instance["action"]
    return instance


def placement(users: int = 4, stations: int = 3) -> dict:
    instance = reference_placement.random_placement(np.random.default_rng(3), users=users, stations=stations)
    del instance["action"]
    instance["stations"]["twin_capacity"] = [3] * stations
    return instance


def run(instance, monkeypatch, capsys, *options) -> tuple[int, dict | None, str]:
    """Exit status, printed JSON, and standard error."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(instance)))
    status = main(["optimum", *options, "-"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if captured.out else None, captured.err


def best_association(instance) -> float:
    users, servers = len(instance["users"]["samples"]), len(instance["servers"]["compute_capacity"])
    best = -np.inf
    for server in itertools.product(range(servers), repeat=users):
        terms = score({**instance, "action": {"server": list(server), "history": "optimal"}})
        if all(terms["feasible"].values()):
            best = max(best, terms["objective"])
    return best


def best_placement(instance, hard: bool) -> float:
    users, stations = len(instance["users"]["data_bits"]), len(instance["stations"]["compute_hz"])
    best = -np.inf
    for server in itertools.product(range(stations), repeat=users):
        host = [int(k in server) for k in range(stations)]
        terms = reference_placement.terms({**instance, "action": {"host": host, "server": list(server)}})
        if not any(terms["capacity_violated"]) and not (hard and any(terms["deadline_violated"])):
            best = max(best, terms["reward"])
    return best


def test_an_association(monkeypatch, capsys):
    instance = association()
    status, report, error = run(instance, monkeypatch, capsys)
    assert (status, error) == (0, "")
    assert list(report) == ["action", "value", "bound", "gap", "proof", "seconds"]
    assert report["value"] == pytest.approx(best_association(instance), abs=1e-9)
    assert report["value"] <= report["bound"] <= report["value"] + 2e-9
    assert score({**instance, "action": report["action"]})["objective"] == pytest.approx(report["value"], rel=1e-9)
    assert report["gap"] == pytest.approx(report["bound"] - report["value"])
    assert report["proof"] == "enumeration"


@pytest.mark.parametrize("deadlines", ["ignore", "hard"])
def test_a_placement(deadlines, monkeypatch, capsys):
    instance = placement()
    instance["users"]["deadline_s"] = [1.2 * d for d in instance["users"]["deadline_s"]]
    status, report, error = run(instance, monkeypatch, capsys, "--deadlines", deadlines)
    best = best_placement(instance, deadlines == "hard")
    assert (status, error) == (0, "")
    assert report["value"] == pytest.approx(best, rel=1e-9)
    assert report["bound"] >= best - 1e-9
    terms = score({**instance, "action": report["action"]})
    assert terms["reward"] == pytest.approx(report["value"], rel=1e-12)
    assert not any(terms["capacity_violated"])
    if deadlines == "ignore":  # the default
        assert run(instance, monkeypatch, capsys)[1]["value"] == report["value"]
    else:
        assert not any(terms["deadline_violated"])


def test_an_action_and_expected_values_are_ignored():
    instance = association()
    alone = optimum(instance)
    example = optimum({"instance": {**instance, "action": {"server": "none"}}, "expected": {}})
    assert (example.action, example.value) == (alone.action, alone.value)


def test_where_nothing_is_feasible(monkeypatch, capsys):
    crowded, late, full = association(), placement(), placement()
    crowded["servers"]["compute_capacity"] = [1.0] * 3
    late["users"]["deadline_s"] = [1e-6] * 4
    full["stations"]["twin_capacity"] = [1] * 3
    for instance, options in ((crowded, ()), (late, ("--deadlines", "hard")), (full, ())):
        status, report, error = run(instance, monkeypatch, capsys, *options)
        assert status == 3
        assert error.startswith("infeasible: ") and error.count("\n") == 1
        assert report["action"] is None and report["proof"] == error.strip()
        assert (report["value"], report["bound"]) == ("-inf", "-inf")


def test_many_users_that_do_not_fit(monkeypatch, capsys):
    instance = association(users=12)
    together = score({**instance, "action": {"server": [0] * 12, "history": [0.0] * 12}})
    instance["servers"]["compute_capacity"] = [together["energy"]["computation"][0] / 4.0] * 3
    instance["servers"]["cycles_per_bit"] = [instance["servers"]["cycles_per_bit"][0]] * 3
    status, report, error = run(instance, monkeypatch, capsys)
    assert (status, error) == (3, "infeasible: MILP\n") and report["action"] is None
    instance["servers"]["sync_capacity"] = [1e-3] * 3
    status, report, error = run(instance, monkeypatch, capsys)
    assert (status, error) == (3, "infeasible: user 0 breaks C2 or C3 alone on every server\n")


@pytest.mark.parametrize("model", [association, placement])
def test_what_is_malformed_is_named(model, monkeypatch, capsys):
    for group, field, value, message in (
        ("params", "nothing", 1, "params has an unknown field 'nothing'"),
        ("users", "xy_m", [], "users.xy_m must have 4 entries, got 0"),
        ("users", "xy_m", [[float("nan"), 0.0]] * 4, "users.xy_m[0][0] must be a finite number, got nan"),
    ):
        instance = copy.deepcopy(model())
        instance[group][field] = value
        status, report, error = run(instance, monkeypatch, capsys)
        assert (status, report) == (2, None)
        assert error.strip() == message or error.startswith(message)
        assert error.count("\n") == 1
    status, report, error = run({"model": model.__name__}, monkeypatch, capsys)
    assert (status, report) == (2, None) and "lacks the field" in error


def test_bad_settings_are_named(monkeypatch, capsys):
    status, _, error = run(association(), monkeypatch, capsys, "--deadlines", "hard")
    assert status == 2 and error == "deadlines is for placements only, got 'hard' for 'association'\n"
    status, _, error = run(association(), monkeypatch, capsys, "--time-limit", "-1")
    assert status == 2 and error == "time_limit must be positive, got -1.0\n"
    with pytest.raises(InstanceError, match="deadlines must be one of ignore, hard, got 'soft'"):
        optimum(placement(), deadlines="soft")


def test_the_command_and_its_exit_statuses(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(placement()))
    bad.write_text("{")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for file, status in ((good, 0), (bad, 2)):
        done = subprocess.run(
            [sys.executable, "-m", "dtenv", "optimum", str(file)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
    assert done.stdout == "" and done.stderr.startswith("not JSON")
