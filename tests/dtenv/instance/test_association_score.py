"""`python -m dtenv score` prints the terms of any association, and names the fault of an invalid instance."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from cases_score import EXAMPLES, INFINITY, NAN, command, matches, refusal
from reference_association import barrier, random_instance, terms

from dtenv.__main__ import main
from dtenv.instance import score

GOOD = random_instance(np.random.default_rng(0), users=4, servers=3)
WITH_HISTORY = copy.deepcopy(GOOD)
WITH_HISTORY["action"]["history"] = [0.0, 0.25, 1.0, 0.5]


@pytest.mark.parametrize("name", ["association_given_history", "association_optimal_history"])
def test_published_examples(name):
    path = EXAMPLES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"the published examples are not next to this repository: no {path.name}")
    example = json.loads(path.read_text())
    report = score(example["instance"])
    matches(report, example["expected"])
    if "optimal" in name:
        assert 0 <= report["certificate"]["gap"] <= 1e-9
        assert report["certificate"]["value"] == pytest.approx(example["expected"]["objective"], rel=1e-9)


def walls(instance, energy):
    """Σ B of (24) for the reported energies: where C2 binds, the slack is a rounding error."""
    f, servers = instance["params"]["barrier_curve"], instance["servers"]
    pairs = [*zip(energy["computation"], servers["compute_capacity"], strict=True)]
    pairs += zip(energy["synchronisation"], servers["sync_capacity"], strict=True)
    return sum(barrier(load, capacity, f) for load, capacity in pairs)


CASES = {
    "mixed labels, migrants": {"users": 6, "servers": 3},
    "no migrants": {"users": 6, "servers": 3, "migrants": 0.0},
    "C2 binding": {"users": 5, "servers": 2, "room": (0.3,)},
    "C2 cannot be met": {"users": 5, "servers": 2, "room": (-0.2,)},
    "C2 cannot be met on some": {"users": 8, "servers": 3, "room": (-0.2, 0.5)},
    "C3 violated": {"users": 5, "servers": 2, "n_syn": 100.0},
    "one user": {"users": 1, "servers": 3},
    "one server": {"users": 4, "servers": 1},
    "current data stay": {"users": 6, "servers": 3, "migrate_current_data": False},
    "models are sent": {"users": 5, "servers": 4, "n_agg": 1e-3, "model_bits": 2e5, "f0": 100.0},
    "dear computation": {"users": 6, "servers": 3, "compute_factor": 1.7, "room": (0.5,)},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("history", ["given", "optimal", "optimal-barrier"])
def test_every_term_is_the_references(case, history):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        instance = random_instance(rng, **CASES[case])
        given = rng.random(CASES[case]["users"]).tolist()
        instance["action"]["history"] = given if history == "given" else history
        report = score(instance)
        expected = terms(instance, report["history"])
        expected["barrier"] = wall = walls(instance, report["energy"])
        expected["reward"] = expected["objective"] - wall if np.isfinite(wall) else "-inf"
        matches(report, expected if np.isfinite(wall) else expected | {"barrier": "inf"})
        if history == "given":
            assert report["history"] == given
            assert "certificate" not in report
        else:
            assert -1e-12 <= report["certificate"]["gap"] <= 1e-9


def test_where_c2_cannot_be_met_history_is_none_and_the_rest_is_reported():
    instance = random_instance(np.random.default_rng(1), 5, 2, room=(-0.2,))
    report = score(instance)
    assert report["history"] == [0.0] * 5
    assert report["feasible"]["compute"] is False
    assert (report["barrier"], report["reward"]) == ("inf", "-inf")
    assert report["objective"] == pytest.approx(terms(instance, [0.0] * 5)["objective"], rel=1e-9)
    assert report["certificate"]["gap"] == 0.0


def test_certificate_of_the_barrier_mode_is_e_minus_the_barrier_on_c2():
    instance = random_instance(np.random.default_rng(2), 5, 2, room=(0.5,))
    instance["action"]["history"] = "optimal-barrier"
    report = score(instance)
    slack = np.array(instance["servers"]["compute_capacity"]) - report["energy"]["computation"]
    expected = report["objective"] + np.log(slack).sum() / 10
    assert report["certificate"]["value"] == pytest.approx(expected, rel=1e-9)


# The command


def test_command_reads_a_file(tmp_path):
    (tmp_path / "instance.json").write_text(json.dumps(GOOD))
    done = command(str(tmp_path / "instance.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == score(GOOD)


def test_command_reads_an_example_file_with_its_expected_values(tmp_path):
    (tmp_path / "example.json").write_text(json.dumps({"instance": GOOD, "expected": {"objective": 0.0}}))
    done = command(str(tmp_path / "example.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == score(GOOD)
    (tmp_path / "example.json").write_text(json.dumps({"instance": GOOD, "answer": 0.0}))
    assert "unknown field 'answer'" in command(str(tmp_path / "example.json")).stderr


def test_command_reads_standard_input():
    done = command("-", text=json.dumps(WITH_HISTORY))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == score(WITH_HISTORY)


def test_command_refuses_with_status_2_and_one_line():
    bad = copy.deepcopy(GOOD)
    bad["users"]["samples"][1] = -3
    done = command("-", text=json.dumps(bad))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "users.samples[1] must be nonnegative, got -3\n"


BAD_VALUES = [  # path to a field, a bad value, what the message must hold
    (("model",), "migration", ["model", "'migration'", "'association'", "'placement'"]),
    (("model",), 1, ["model", "1"]),
    (("model",), ["association"], ["model", "['association']"]),
    (("params",), [], ["params", "[]"]),
    (("params", "f0"), 0.0, ["params.f0", "0.0"]),
    (("params", "f0"), "200", ["params.f0", "'200'"]),
    (("params", "n_mig"), -1e-4, ["params.n_mig", "-0.0001"]),
    (("params", "noise_dbm"), -INFINITY, ["params.noise_dbm", "-inf"]),
    (("params", "beta1"), True, ["params.beta1", "True"]),
    (("params", "epochs_local"), 1.5, ["params.epochs_local", "1.5"]),
    (("params", "epochs_local"), None, ["params.epochs_local", "None"]),
    (("params", "migrate_current_data"), 1, ["params.migrate_current_data", "1"]),
    (("params", "compute_factor"), 0.0, ["params.compute_factor", "0.0"]),
    (("params", "model_bits"), 1.0, ["n_agg", "model_bits"]),
    (("params", "alpha"), [1.0] * 5, ["params.alpha", "6", "5"]),
    (("params", "alpha", 2), NAN, ["params.alpha[2]", "nan"]),
    (("params", "alpha", 3), 1.5, ["params.alpha[3]", "1.5"]),
    (("users",), None, ["users", "None"]),
    (("users", "samples"), [], ["users.samples", "[]"]),
    (("users", "samples"), 100, ["users.samples", "100"]),
    (("users", "samples", 2), -1, ["users.samples[2]", "-1"]),
    (("users", "samples", 0), True, ["users.samples[0]", "True"]),
    (("users", "samples", 0), NAN, ["users.samples[0]", "nan"]),
    (("users", "previous_samples", 0), INFINITY, ["users.previous_samples[0]", "inf"]),
    (("users", "previous_samples"), [1, 2], ["users.previous_samples", "4", "2"]),
    (("users", "twin_bits", 3), -0.5, ["users.twin_bits[3]", "-0.5"]),
    (("users", "twin_bits", 3), "many", ["users.twin_bits[3]", "'many'"]),
    (("users", "emd", 1), 2.01, ["users.emd[1]", "2.01"]),
    (("users", "emd", 1), -0.01, ["users.emd[1]", "-0.01"]),
    (("users", "xy_m", 0), [1.0], ["users.xy_m[0]", "2", "1"]),
    (("users", "xy_m", 0), 7.0, ["users.xy_m[0]", "7.0"]),
    (("users", "xy_m", 0, 1), NAN, ["users.xy_m[0][1]", "nan"]),
    (("users", "previous_server", 0), 3, ["users.previous_server[0]", "3", "0..2"]),
    (("users", "previous_server", 0), -1, ["users.previous_server[0]", "-1"]),
    (("users", "previous_server", 0), 1.0, ["users.previous_server[0]", "1.0"]),
    (("servers", "compute_capacity", 1), 0, ["servers.compute_capacity[1]", "0"]),
    (("servers", "sync_capacity", 1), -125.0, ["servers.sync_capacity[1]", "-125.0"]),
    (("servers", "cycles_per_bit", 1), INFINITY, ["servers.cycles_per_bit[1]", "inf"]),
    (("servers", "xy_m"), [[0.0, 0.0]], ["servers.xy_m", "3", "1"]),
    (("action", "server", 2), 3, ["action.server[2]", "3", "0..2"]),
    (("action", "server", 2), True, ["action.server[2]", "True"]),
    (("action", "server"), [0, 0, 0], ["action.server", "4", "3"]),
    (("action", "history"), "best", ["action.history", "'best'"]),
    (("action", "history"), None, ["action.history", "None"]),
    (("action", "history"), [0.0] * 5, ["action.history", "4", "5"]),
    (("action", "history"), [0.0, 0.0, 0.0, 1.01], ["action.history[3]", "1.01"]),
    (("action", "history"), [0.0, 0.0, 0.0, False], ["action.history[3]", "False"]),
]


@pytest.mark.parametrize(("path", "value", "named"), BAD_VALUES, ids=lambda x: str(x)[:40])
def test_a_bad_value_is_named_with_its_field(path, value, named, monkeypatch, capsys):
    instance = copy.deepcopy(GOOD)
    group = instance
    for step in path[:-1]:
        group = group[step]
    group[path[-1]] = value
    message = refusal(json.dumps(instance), monkeypatch, capsys)
    assert all(word in message for word in named), message


GROUPS = [(), ("params",), ("users",), ("servers",), ("action",)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: g[0] if g else "instance")
def test_unknown_and_missing_fields_are_named(group, monkeypatch, capsys):
    target = GOOD[group[0]] if group else GOOD
    for field in target:
        lacking = copy.deepcopy(GOOD)
        del (lacking[group[0]] if group else lacking)[field]
        assert repr(field) in refusal(json.dumps(lacking), monkeypatch, capsys)
    more = copy.deepcopy(GOOD)
    (more[group[0]] if group else more)["colour"] = "red"
    assert "unknown field 'colour'" in refusal(json.dumps(more), monkeypatch, capsys)


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[1, 2", '{"model": }', "[" * 100_000], ids=lambda t: t[:9])
def test_not_json(text, monkeypatch, capsys):
    assert "not JSON" in refusal(text, monkeypatch, capsys)


@pytest.mark.parametrize("text", ["null", "[]", "3", '"association"'])
def test_json_but_no_object(text, monkeypatch, capsys):
    assert "instance must be an object" in refusal(text, monkeypatch, capsys)


def test_numbers_beyond_a_float_are_refused(monkeypatch, capsys):
    for number in ("1e999", "-1e999", "1" + "0" * 400):
        text = json.dumps(GOOD).replace('"f0": 200.0', f'"f0": {number}')
        assert "params.f0" in refusal(text, monkeypatch, capsys)


def test_whole_numbers_beyond_64_bits_are_numbers(monkeypatch, capsys):
    large = copy.deepcopy(GOOD)
    large["params"]["f0"] = 10**30
    assert score(large) == score(large | {"params": large["params"] | {"f0": 1e30}})
    assert "not JSON" in refusal("1" * 5000, monkeypatch, capsys)  # more digits than Python reads


def test_missing_file(tmp_path, capsys):
    assert main(["score", str(tmp_path / "absent.json")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "absent.json" in err and err.count("\n") == 1


def test_a_folder_and_bytes_that_are_no_text(tmp_path, capsys):
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    for path in (tmp_path, tmp_path / "image.png"):
        assert main(["score", str(path)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
