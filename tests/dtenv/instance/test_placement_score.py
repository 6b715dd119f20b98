"""`python -m dtenv score` prints the terms of any placement, and names the fault of an invalid instance."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from cases_score import EXAMPLES, INFINITY, NAN, command, matches, refusal
from reference_placement import random_placement, terms

from dtenv.instance import InstanceError, score

GOOD = random_placement(np.random.default_rng(0), users=4, stations=3)
GOOD["action"] = {"host": [1, 0, 1], "server": [0, 0, 2, 2]}


def changed(instance, *changes):
    """A copy with values replaced at paths."""
    instance = copy.deepcopy(instance)
    for path, value in changes:
        group = instance
        for step in path[:-1]:
            group = group[step]
        group[path[-1]] = value
    return instance


def test_published_example():
    path = EXAMPLES / "placement.json"
    if not path.exists():
        pytest.skip(f"the published examples are not next to this repository: no {path.name}")
    example = json.loads(path.read_text())
    report = score(example["instance"])
    assert report.keys() == example["expected"].keys()
    matches(report, example["expected"])


CASES = {
    "hosts without a twin": {"users": 4, "stations": 6},
    "users on and near stations": {"users": 8, "stations": 4, "near": 0.8},
    "more twins than capacity": {"users": 9, "stations": 3, "capacity": 2},
    "late": {"users": 6, "stations": 3, "deadline_s": (0.1, 1.0)},
    "some without data": {"users": 6, "stations": 3, "without_data": 0.5},
    "all without data": {"users": 4, "stations": 2, "without_data": 1.0},
    "one user": {"users": 1, "stations": 4},
    "one station": {"users": 5, "stations": 1},
    "one user, one station": {"users": 1, "stations": 1, "near": 1.0},
    "updates count nothing": {"users": 6, "stations": 3, "eta_s": 0.0},
    "other weights": {"users": 6, "stations": 3, "alpha": 0.0, "beta": 3.0, "host_cost": 0.0, "utility_beta": 1.0},
    "other references": {"users": 6, "stations": 3, "utility_time_s": 0.3, "utility_energy_j": 1e-3},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("compute_sharing", ["sqrt", "equal", "slice"])
@pytest.mark.parametrize("bandwidth_sharing", ["equal", "full"])
@pytest.mark.parametrize("access", ["strongest", "nearest"])
def test_every_term_is_the_references(case, compute_sharing, bandwidth_sharing, access):
    rules = {"compute_sharing": compute_sharing, "bandwidth_sharing": bandwidth_sharing, "access": access}
    for seed in range(3):
        instance = random_placement(np.random.default_rng(seed), **CASES[case], **rules)
        report, expected = score(instance), terms(instance)
        assert report.keys() == expected.keys()
        matches(report, expected)


def test_the_cases_hold_what_they_are_named_after():
    drawn = {name: [random_placement(np.random.default_rng(s), **CASES[name]) for s in range(3)] for name in CASES}
    reports = {name: [score(instance) for instance in drawn[name]] for name in CASES}
    assert any(any(report["capacity_violated"]) for report in reports["more twins than capacity"])
    assert any(any(report["deadline_violated"]) for report in reports["late"])
    twinless = [
        host and k not in instance["action"]["server"]
        for instance in drawn["hosts without a twin"]
        for k, host in enumerate(instance["action"]["host"])
    ]
    assert any(twinless)
    distances = [
        math.dist(at, site)
        for instance in drawn["users on and near stations"]
        for at in instance["users"]["xy_m"]
        for site in instance["stations"]["xy_m"]
    ]
    assert min(distances) == 0.0 and any(0.0 < metres < 10.0 for metres in distances)


# Two users transmit to station 0 over gains of 0 dB, a signal three times the noise in each half of the band;
# the second's twin is 500 m away, and station 2 hosts no twin.
BY_HAND = {
    "model": "placement",
    "params": {
        "bandwidth_hz": 1e6,
        "noise_dbm_per_hz": -30.0,
        "min_distance_m": 10.0,
        "wired_s_per_bit_m": 1e-9,
        "eta_s": 0.5,
        "sync_interval_s": 0.25,
        "host_cost": 0.1,
        "alpha": 2.0,
        "beta": 1.0,
        "utility_beta": 0.25,
        "utility_time_s": 2.0,
        "utility_energy_j": 3.0,
        "access": "strongest",
        "bandwidth_sharing": "equal",
        "compute_sharing": "equal",
    },
    "users": {
        "xy_m": [[3.0, 4.0], [0.0, 0.0]],
        "transmit_power_w": [1.5, 1.5],
        "data_bits": [2e6, 1e6],
        "update_bits": [1e5, 2e5],
        "cycles_per_bit": [1000, 500],
        "deadline_s": [4.0, 1.0],
        "update_deadline_s": [0.1, 0.1],
    },
    "stations": {
        "xy_m": [[0, 0], [300, 400], [0, -1000]],
        "compute_hz": [1e9, 2e9, 1e9],
        "twin_capacity": [1, 0, 0],
        "shadowing_db": [[-52.9, 0, 0], [-52.9, 0, 0]],
    },
    "action": {"host": [1, 1, 1], "server": [0, 1]},
}


def test_by_hand():
    expected = {
        "access_station": [0, 0],
        "uplink_rate_bps": [1e6, 1e6],
        "compute_share_hz": [1e9, 2e9],
        "latency_s": {
            "wireless": [2.0, 1.0],
            "wired": [0.0, 0.5],
            "compute": [2.0, 0.25],
            "initial": [4.0, 1.75],
            "update": [0.2, 0.35],
            "total": [4.4, 2.45],
        },
        "energy_j": {"initial": [3.0, 1.5], "update": [0.15, 0.3]},
        "utility": [0.25 - 0.75, 0.25 * math.exp(-0.375) - 0.375],
        "system_latency_s": 3.425,
        "hosts": 3,
        "latency_reward": -3.425,
        "cost": 0.3 + 2.25,
        "reward": -6.85 - 2.55,
        "capacity_violated": [False, True, False],
        "deadline_violated": [False, True],
    }
    report = score(BY_HAND)
    matches(report, expected)
    matches(terms(BY_HAND), expected)
    assert report["deadline_violated"] == [False, True] and report["capacity_violated"] == [False, True, False]
    assert all(type(j) is int for j in report["access_station"]) and type(report["hosts"]) is int


@pytest.mark.parametrize(("rule", "share"), [("equal", [0.5, 0.5]), ("slice", [0.25, 0.25]), ("sqrt", [1 / 3, 2 / 3])])
def test_shares_by_hand(rule, share):
    """Two twins on one station with capacity 4; C (D + η/Δt ΔD) is 1000 x 1.2e6 and 3000 x 1.6e6 cycles."""
    together = changed(
        BY_HAND,
        (("params", "compute_sharing"), rule),
        (("users", "cycles_per_bit", 1), 3000),
        (("users", "data_bits"), [1e6, 1.2e6]),
        (("stations", "twin_capacity", 0), 4),
        (("action", "server"), [0, 0]),
    )
    np.testing.assert_allclose(score(together)["compute_share_hz"], np.array(share) * 1e9, rtol=1e-12)


def test_full_bandwidth_and_nearest_access_by_hand():
    full = score(changed(BY_HAND, (("params", "bandwidth_sharing"), "full")))
    assert full["uplink_rate_bps"] == pytest.approx([1e6 * math.log2(2.5)] * 2, rel=1e-9)
    loud = changed(BY_HAND, (("stations", "shadowing_db", 0, 1), -300.0))
    assert score(loud)["access_station"] == [1, 0]
    assert score(changed(loud, (("params", "access"), "nearest")))["access_station"] == [0, 0]


# Values beyond the floats


def scored(instance):
    """The report, checked to be JSON without NaN and Infinity."""
    report = score(instance)
    json.dumps(report, allow_nan=False)
    return report


@pytest.mark.parametrize("shadowing_db", [1e5, 1e300])
def test_a_user_out_of_reach_has_infinite_latency(shadowing_db):
    report = scored(changed(BY_HAND, (("stations", "shadowing_db", 1), [shadowing_db] * 3)))
    assert report["uplink_rate_bps"][1] == 0.0
    assert report["latency_s"]["wireless"][1] == report["latency_s"]["total"][1] == report["energy_j"]["update"][1]
    assert report["energy_j"]["update"][1] == report["system_latency_s"] == report["cost"] == "inf"
    assert (report["utility"][1], report["latency_reward"], report["reward"]) == ("-inf", "-inf", "-inf")
    assert report["deadline_violated"] == [False, True]
    assert isinstance(report["latency_s"]["total"][0], float)


def test_utility_beyond_the_floats():
    assert scored(changed(BY_HAND, (("users", "deadline_s", 0), 1e4)))["utility"][0] == "inf"


FAR = (("stations", "shadowing_db", 1), [1e5] * 3)
WORTH_NOTHING = {  # absent or zero-weight data takes no time and costs nothing, however slow the link
    "no data at no rate": ([(("users", "data_bits", 1), 0), FAR], ("latency_s", "wireless", 1), 0.0),
    "no update at no rate": ([(("users", "update_bits", 1), 0.0), FAR], ("energy_j", "update", 1), 0.0),
    "no weight on an update that never ends": (
        [(("params", "eta_s"), 0), (("params", "compute_sharing"), "sqrt"), (("users", "data_bits", 0), 0)],
        ("latency_s", "total", 0),
        0.0,
    ),
    "no weight on endless energy in the utility": ([(("params", "utility_beta"), 1), FAR], ("utility", 1), 0.0),
}


@pytest.mark.parametrize("case", WORTH_NOTHING)
def test_what_does_not_count_is_worth_nothing(case):
    changes, path, expected = WORTH_NOTHING[case]
    found = scored(changed(BY_HAND, *changes))
    for key in path:
        found = found[key]
    assert found == expected


UNDEFINED = {  # 0 · inf and the like: what to change, and what the message must hold
    "no weight on endless latency": (
        [(("params", "alpha"), 0.0), (("stations", "shadowing_db", 1), [1e5] * 3)],
        ["params.alpha", "got 0.0"],
    ),
    "no weight on endless energy": (
        [(("params", "beta"), 0), (("stations", "shadowing_db", 1), [1e5] * 3)],
        ["params.beta", "got 0"],
    ),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_a_term_without_a_value_is_refused(case, monkeypatch, capsys):
    changes, named = UNDEFINED[case]
    message = refusal(json.dumps(changed(BY_HAND, *changes)), monkeypatch, capsys)
    assert all(word in message for word in named), message


EXTREMES = [0.0, 5e-324, 1e-300, 1e150, 1.7e308, -1e300, 4000.0, -4000.0, 2**63, 10**30, -(10**30)]


@pytest.mark.parametrize("compute_sharing", ["sqrt", "equal", "slice"])
def test_extremes_are_scored_or_refused(compute_sharing):
    good = changed(GOOD, (("params", "compute_sharing"), compute_sharing))
    numbers = [("params", name) for name, value in good["params"].items() if not isinstance(value, str)]
    numbers += [("users", name, 1) for name in good["users"] if name != "xy_m"]
    numbers += [("stations", name, 0) for name in ("compute_hz", "twin_capacity")]
    numbers += [("users", "xy_m", 0, 1), ("stations", "xy_m", 0, 0), ("stations", "shadowing_db", 1, 0)]
    for path in numbers:
        for value in EXTREMES:
            try:
                scored(changed(good, (path, value)))
            except InstanceError as error:
                assert path[1] in str(error), error


# The command


def test_command_reads_standard_input():
    done = command("-", text=json.dumps({"instance": GOOD, "expected": {}}))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == score(GOOD)


BAD_VALUES = [  # path to a field, a bad value, what the message must hold
    (("params",), [], ["params", "[]"]),
    (("params", "bandwidth_hz"), 0.0, ["params.bandwidth_hz", "0.0"]),
    (("params", "bandwidth_hz"), 10**400, ["params.bandwidth_hz", "1000"]),
    (("params", "noise_dbm_per_hz"), -INFINITY, ["params.noise_dbm_per_hz", "-inf"]),
    (("params", "noise_dbm_per_hz"), -4000, ["params.noise_dbm_per_hz", "-4000"]),
    (("params", "noise_dbm_per_hz"), 10**30, ["params.noise_dbm_per_hz", "1" + "0" * 30]),
    (("params", "min_distance_m"), 0, ["params.min_distance_m", "0"]),
    (("params", "wired_s_per_bit_m"), -1e-9, ["params.wired_s_per_bit_m", "-1e-09"]),
    (("params", "eta_s"), -1, ["params.eta_s", "-1"]),
    (("params", "sync_interval_s"), 0, ["params.sync_interval_s", "0"]),
    (("params", "host_cost"), -0.2, ["params.host_cost", "-0.2"]),
    (("params", "alpha"), NAN, ["params.alpha", "nan"]),
    (("params", "beta"), True, ["params.beta", "True"]),
    (("params", "utility_beta"), 1.01, ["params.utility_beta", "1.01"]),
    (("params", "utility_time_s"), None, ["params.utility_time_s", "None"]),
    (("params", "utility_time_s"), 0.0, ["params.utility_time_s", "0.0"]),
    (("params", "utility_energy_j"), "1", ["params.utility_energy_j", "'1'"]),
    (("params", "access"), "direct", ["params.access", "'direct'"]),
    (("params", "access"), ["nearest"], ["params.access", "['nearest']"]),
    (("params", "bandwidth_sharing"), "none", ["params.bandwidth_sharing", "'none'"]),
    (("params", "compute_sharing"), 1, ["params.compute_sharing", "1"]),
    (("users",), None, ["users", "None"]),
    (("users", "data_bits"), [], ["users.data_bits", "[]"]),
    (("users", "data_bits", 2), -1, ["users.data_bits[2]", "-1"]),
    (("users", "data_bits", 2), "many", ["users.data_bits[2]", "'many'"]),
    (("users", "update_bits", 0), -0.5, ["users.update_bits[0]", "-0.5"]),
    (("users", "update_bits", 0), INFINITY, ["users.update_bits[0]", "inf"]),
    (("users", "transmit_power_w", 1), 0, ["users.transmit_power_w[1]", "0"]),
    (("users", "transmit_power_w"), [0.2, 0.2], ["users.transmit_power_w", "4", "2"]),
    (("users", "cycles_per_bit", 1), 0.0, ["users.cycles_per_bit[1]", "0.0"]),
    (("users", "cycles_per_bit", 1), False, ["users.cycles_per_bit[1]", "False"]),
    (("users", "deadline_s", 3), -2.0, ["users.deadline_s[3]", "-2.0"]),
    (("users", "deadline_s", 3), NAN, ["users.deadline_s[3]", "nan"]),
    (("users", "update_deadline_s", 3), 0, ["users.update_deadline_s[3]", "0"]),
    (("users", "update_deadline_s"), [0.1], ["users.update_deadline_s", "4", "1"]),
    (("users", "xy_m", 0), [1.0], ["users.xy_m[0]", "2", "1"]),
    (("users", "xy_m", 0), 7.0, ["users.xy_m[0]", "7.0"]),
    (("users", "xy_m", 0, 1), NAN, ["users.xy_m[0][1]", "nan"]),
    (("users", "xy_m", 0, 1), 1e200, ["users.xy_m[0][1]", "1e+200"]),
    (("stations",), 3, ["stations", "3"]),
    (("stations", "xy_m"), [[0.0, 0.0]], ["stations.xy_m", "3", "1"]),
    (("stations", "compute_hz"), [], ["stations.compute_hz", "[]"]),
    (("stations", "compute_hz", 1), 0, ["stations.compute_hz[1]", "0"]),
    (("stations", "twin_capacity", 1), -1, ["stations.twin_capacity[1]", "-1"]),
    (("stations", "twin_capacity", 1), 2.0, ["stations.twin_capacity[1]", "2.0"]),
    (("stations", "twin_capacity", 1), True, ["stations.twin_capacity[1]", "True"]),
    (("stations", "twin_capacity", 1), 2**63, ["stations.twin_capacity[1]", str(2**63)]),
    (("stations", "shadowing_db"), [[0.0] * 3] * 3, ["stations.shadowing_db", "4", "3"]),
    (("stations", "shadowing_db", 1), [0.0] * 4, ["stations.shadowing_db[1]", "3", "4"]),
    (("stations", "shadowing_db", 1, 2), INFINITY, ["stations.shadowing_db[1][2]", "inf"]),
    (("stations", "shadowing_db", 1, 2), "8", ["stations.shadowing_db[1][2]", "'8'"]),
    (("action",), [1, 0], ["action", "[1, 0]"]),
    (("action", "host", 0), 2, ["action.host[0]", "2", "0..1"]),
    (("action", "host", 0), True, ["action.host[0]", "True"]),
    (("action", "host", 0), 1.0, ["action.host[0]", "1.0"]),
    (("action", "host"), [1, 1], ["action.host", "3", "2"]),
    (("action", "host"), [0, 0, 0], ["action.server[0]", "0", "action.host"]),
    (("action", "server", 2), 3, ["action.server[2]", "3", "0..2"]),
    (("action", "server", 2), -1, ["action.server[2]", "-1"]),
    (("action", "server", 2), 2.0, ["action.server[2]", "2.0"]),
    (("action", "server", 2), 1, ["action.server[2]", "1", "action.host"]),
    (("action", "server"), [0, 0, 0], ["action.server", "4", "3"]),
]


@pytest.mark.parametrize(("path", "value", "named"), BAD_VALUES, ids=lambda x: str(x)[:40])
def test_a_bad_value_is_named_with_its_field(path, value, named, monkeypatch, capsys):
    message = refusal(json.dumps(changed(GOOD, (path, value))), monkeypatch, capsys)
    assert all(word in message for word in named), message


def test_a_twin_on_a_station_without_places_cannot_be_given_a_slice(monkeypatch, capsys):
    none = changed(GOOD, (("stations", "twin_capacity", 2), 0))
    assert score(none)["capacity_violated"] == [False, False, True]
    sliced = changed(none, (("params", "compute_sharing"), "slice"))
    message = refusal(json.dumps(sliced), monkeypatch, capsys)
    assert message == "stations.twin_capacity[2] must be positive to slice computing for a twin, got 0\n"
    assert score(changed(sliced, (("action", "server"), [0, 0, 0, 0])))["hosts"] == 2


GROUPS = [(), ("params",), ("users",), ("stations",), ("action",)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: g[0] if g else "instance")
def test_unknown_and_missing_fields_are_named(group, monkeypatch, capsys):
    target = GOOD[group[0]] if group else GOOD
    for field in target:
        lacking = copy.deepcopy(GOOD)
        del (lacking[group[0]] if group else lacking)[field]
        assert repr(field) in refusal(json.dumps(lacking), monkeypatch, capsys)
    more = copy.deepcopy(GOOD)
    (more[group[0]] if group else more)["servers"] = []
    assert "unknown field 'servers'" in refusal(json.dumps(more), monkeypatch, capsys)
