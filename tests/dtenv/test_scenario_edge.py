"""Scenarios of placement and migration: Table II (Lu 2021) and stated choices, with errors that name invalid fields."""

from __future__ import annotations

import dataclasses
import json
import math

import gymnasium as gym
import numpy as np
import pytest

from dtenv import MIGRATION, PLACEMENT, MigrationScenario, PlacementScenario, scenario_from_traces
from dtenv.presets import PRESETS, resolve
from dtenv.scenario.edge import Network
from dtenv.traces import project, scenario_from_options

P, G = "DTPlacementMA-v0", "DTMigration-v0"
DEFAULT = {P: PLACEMENT["paper-100x10"], G: MIGRATION["balanced"]}
TABLE_II = {"bandwidth_hz": 20e6, "transmit_power_w": 0.2, "compute_hz": (8e9, 24e9), "noise_dbm_per_hz": -174.0}
CHOSEN = TABLE_II | {
    "area_m": 1500.0,
    "separation_m": 150.0,
    "twin_capacity": None,
    "path_loss_km_db": 128.1,
    "path_loss_decade_db": 37.6,
    "min_distance_m": 10.0,
    "shadowing_db": 8.0,
    "access": "strongest",
    "bandwidth_sharing": "equal",
    "rate_logarithm": "log2",
    "data_bits": (1e6, 5e6),
    "update_bits": (1e4, 1e5),
    "cycles_per_bit": 500.0,
    "wired_s_per_bit_m": 5e-10,
    "sync_interval_s": 0.1,
    "eta_s": 1.0,
    "walk": "random-waypoint",
    "recording": None,
    "utility_beta": 0.5,
    "utility_time_s": None,
}
PLACING = CHOSEN | {
    "compute_sharing": "sqrt",
    "shadowing_decorrelation_m": 0.0,
    "shadowing_site_correlation": 0.0,
    "handover_margin_db": 0.0,
    "speed_mps": (5.0, 15.0),
    "slot_seconds": 10.0,
    "deadline_s": (2.0, 6.0),
    "alpha": 1.0,
    "beta": 1.0,
    "host_cost": 0.2,
    "deadline_penalty": 1.0,
    "move_cost": 0.0,
    "charge_initial": "always",
    "wired_count": "once",
    "latency_mean": "users",
    "host_count": "hosts",
    "energy_total": "mean",
    "utility_energy_j": 0.1,
    "reward": "shared",
    "num_slots": 25,
    "action": "bid",
    "observe": "local",
}
MIGRATING = CHOSEN | {
    "num_users": 50,
    "num_stations": 10,
    "compute_sharing": "equal",
    "shadowing_decorrelation_m": 50.0,
    "shadowing_site_correlation": 0.5,
    "handover_margin_db": 3.0,
    "speed_mps": (1.0, 15.0),
    "slot_seconds": 1.0,
    "update_deadline_s": (0.06, 0.12),
    "kappa": 1.5,
    "downtime_s": 0.2,
    "deadline_penalty": 0.1,
    "utility_energy_j": 1e-3,
    "reward": "score",
    "num_slots": 200,
    "control": "focal",
    "background": "payback",
    "forecaster": "constant-velocity",
    "horizon": 10,
    "deployment": "edge",
    "cloud_capacity": None,
    "cloud_compute_hz": (320e9, 320e9),
    "cloud_distance_m": 1500.0,
    "cloud_latency_s": 0.02,
    "failure_rate_per_s": 0.0,
    "cloud_failure_rate_per_s": 0.0,
    "repair_s": 60.0,
    "creation_s": 0.0,
    "isolation_price": 0.5,
    "aggregation": "none",
    "model_bits": 1e5,
    "round_deadline_s": 0.5,
    "consensus": "none",
    "num_miners": 4,
    "block_bits": 1e5,
    "vote_bits": 1e3,
    "miner_rate_bps": 1e9,
    "miner_hop_s": 1e-3,
    "verify_s": 1e-4,
    "miner_j_per_bit": 1e-8,
    "verify_j": 1e-3,
}
PRINTED = {"bandwidth_sharing": "full", "rate_logarithm": "ln", "cycles_per_bit": 1.0}
PRINTED |= {"utility_time_s": 1.0, "utility_energy_j": 1.0}
PLACED_AS_PRINTED = PRINTED | {"wired_count": "twice", "latency_mean": "users-and-stations", "host_count": "twins"}
PLACED_AS_PRINTED |= {"energy_total": "sum", "deadline_penalty": 0.0, "action": "binary", "observe": "shared"}
EXPECTED = {
    (P, "paper-100x10"): PLACING | {"num_users": 100, "num_stations": 10},
    (P, "paper-100x5"): PLACING | {"num_users": 100, "num_stations": 5},
    (P, "paper-80x10"): PLACING | {"num_users": 80, "num_stations": 10},
    (P, "paper-80x5"): PLACING | {"num_users": 80, "num_stations": 5},
    (P, "small-20x5"): PLACING | {"num_users": 20, "num_stations": 5},
    (P, "small-50x5"): PLACING | {"num_users": 50, "num_stations": 5},
    (P, "strict-100x10"): PLACING | {"num_users": 100, "num_stations": 10, "deadline_s": (1.5, 5.0)},
    (P, "literal-100x10"): PLACING | {"num_users": 100, "num_stations": 10} | PLACED_AS_PRINTED,
    (G, "balanced"): MIGRATING,
    (G, "ping-pong"): MIGRATING | {"shadowing_site_correlation": 0.0},
    (G, "gauss-markov"): MIGRATING | {"walk": "gauss-markov"},
    (G, "literal"): MIGRATING | PRINTED | {"kappa": 0.0, "deadline_penalty": 0.0},
}


@pytest.mark.parametrize(("env_id", "name"), EXPECTED, ids=lambda x: x)
def test_presets(env_id, name):
    preset = PRESETS[env_id][name]
    values = {field: preset.value(field) for field in preset.fields()} | {"name": name}
    assert values == EXPECTED[env_id, name] | {"name": name, "walk_memory": 0.9}
    shown = preset.as_dict()  # digests made before the later fields stay
    assert shown == {field: value for field, value in values.items() if field not in preset.LATER}
    assert values == json.loads(json.dumps(values), object_hook=lambda d: {k: _tuple(v) for k, v in d.items()})


def _tuple(value):
    return tuple(value) if isinstance(value, list) else value


def test_there_are_these_presets_and_the_first_is_the_default():
    assert [(env_id, name) for env_id in (P, G) for name in PRESETS[env_id]] == list(EXPECTED)
    assert resolve(env_id=P) is not None and resolve(env_id=P) == DEFAULT[P]
    assert resolve(env_id=G) == DEFAULT[G]


@pytest.mark.parametrize("kind", [PlacementScenario, MigrationScenario])
def test_every_field_has_one_name(kind):
    groups = (g.default_factory for g in dataclasses.fields(kind) if g.name != "name")
    names = [f.name for group in groups for f in dataclasses.fields(group)]
    assert len(names) == len(set(names)) and set(names) == set(kind.fields())


def test_capacity_is_twice_the_mean_unless_it_is_given():
    assert Network().capacity == 20
    assert Network(num_users=50, num_stations=7).capacity == 15  # 14.3 rounded up
    assert Network(twin_capacity=11).capacity == 11


BOTH = [  # field, value, and what else the message must hold
    *((field, v, str(v)) for field in ("num_users", "num_stations", "num_slots") for v in (0, -1, 2.0, True)),
    *(("twin_capacity", value, str(value)) for value in (0, 1.5, "many")),
    ("twin_capacity", 1, "got 1 "),
    *((field, 0, "0") for field in ("area_m", "bandwidth_hz", "transmit_power_w", "min_distance_m", "cycles_per_bit")),
    *(
        (field, -1.0, "-1.0")
        for field in ("path_loss_decade_db", "sync_interval_s", "slot_seconds", "utility_energy_j")
    ),
    *((field, -0.5, "-0.5") for field in ("separation_m", "shadowing_db", "shadowing_decorrelation_m", "eta_s")),
    *((field, -0.5, "-0.5") for field in ("handover_margin_db", "wired_s_per_bit_m", "deadline_penalty")),
    *((field, math.nan, "nan") for field in ("area_m", "noise_dbm_per_hz", "path_loss_km_db", "shadowing_db", "eta_s")),
    *((field, "x", "'x'") for field in ("noise_dbm_per_hz", "area_m", "compute_hz", "data_bits", "walk", "access")),
    *((field, 1.5, "1.5") for field in ("shadowing_site_correlation", "utility_beta", "walk_memory")),
    *((field, (3.0, 2.0), "(3.0, 2.0)") for field in ("compute_hz", "data_bits", "update_bits", "speed_mps")),
    *((field, (-1.0, 2.0), "(-1.0, 2.0)") for field in ("compute_hz", "data_bits", "update_bits", "speed_mps")),
    *((field, (1.0, math.inf), "inf") for field in ("compute_hz", "data_bits", "update_bits", "speed_mps")),
    *((field, (math.nan, 2.0), "nan") for field in ("compute_hz", "data_bits", "update_bits", "speed_mps")),
    *((field, "12", "'12'") for field in ("compute_hz", "data_bits", "speed_mps")),
    ("data_bits", (0.0, 0.0), "(0.0, 0.0)"),
    ("data_bits", (False, True), "(False, True)"),
    ("data_bits", 3.0, "3.0"),
    ("data_bits", (1.0, 2.0, 3.0), "(1.0, 2.0, 3.0)"),
    ("area_m", 1j, "1j"),
    ("area_m", 10**400, "finite"),
    ("area_m", None, "None"),
    ("separation_m", 800.0, "800.0"),
    ("bandwidth_sharing", "none", "'none'"),
    ("compute_sharing", "fair", "'fair'"),
    ("rate_logarithm", "log10", "'log10'"),
    ("reward", "global", "'global'"),
    ("utility_time_s", 0.0, "0.0"),
    ("utility_time_s", 1e-5, "1e-05"),  # exp(deadline / 1e-5) overflows
    ("recording", "walks.csv", "'walks.csv'"),
    ("speed_mps", (0.0, 1e9), "(0.0, 1000000000.0)"),
    ("noise_dbm_per_hz", 5000.0, "5000.0"),
    ("noise_dbm_per_hz", -5000.0, "-5000.0"),
    ("shadowing_db", 500.0, "500.0"),
    ("path_loss_km_db", 1e6, "1000000.0"),
]
PLACEMENT_ALONE = [
    ("deadline_s", (0.0, 1.0), "(0.0, 1.0)"),
    ("deadline_s", (1.0, math.inf), "inf"),
    *((field, -1.0, "-1.0") for field in ("alpha", "beta", "host_cost", "move_cost")),
    *((field, "x", "'x'") for field in ("charge_initial", "wired_count", "latency_mean", "host_count", "energy_total")),
    *((field, None, "None") for field in ("action", "observe")),
]
MIGRATION_ALONE = [
    ("update_deadline_s", (0.0, 1.0), "(0.0, 1.0)"),
    *((field, -1.0, "-1.0") for field in ("kappa", "downtime_s")),
    *((field, "x", "'x'") for field in ("control", "background", "forecaster")),
    ("forecaster", None, "None"),
    ("forecaster", len, "built-in"),
    ("horizon", 0, "0"),
    ("access", "direct", "'direct'"),
    ("twin_capacity", 5, "got 5 "),  # room for all, but not plus one free seat per station
    ("deployment", "fog", "'fog'"),
    ("cloud_compute_hz", (3.0, 2.0), "(3.0, 2.0)"),
    *((field, value, str(value)) for field in ("cloud_capacity", "num_miners") for value in (0, 2.5)),
    *((field, -1.0, "-1.0") for field in ("cloud_distance_m", "cloud_latency_s", "creation_s", "isolation_price")),
    *((field, -0.1, "-0.1") for field in ("failure_rate_per_s", "cloud_failure_rate_per_s", "model_bits")),
    *((field, -0.1, "-0.1") for field in ("block_bits", "vote_bits", "miner_hop_s", "verify_s", "verify_j")),
    *((field, 0.0, "0.0") for field in ("repair_s", "round_deadline_s", "miner_rate_bps")),
    ("miner_j_per_bit", math.nan, "nan"),
    ("aggregation", "late", "'late'"),
    ("aggregation", "synchronous", "'synchronous'"),  # of twins that are not the agent's
    ("consensus", "raft", "'raft'"),
]
BAD = [(env_id, *case) for env_id in (P, G) for case in BOTH]
BAD += [(P, *case) for case in PLACEMENT_ALONE] + [(G, *case) for case in MIGRATION_ALONE]


@pytest.mark.parametrize(("env_id", "field", "value", "shown"), BAD, ids=lambda x: str(x)[:30])
def test_a_bad_value_is_named_with_its_field(env_id, field, value, shown):
    with pytest.raises(ValueError) as error:
        DEFAULT[env_id].override(**{field: value})
    assert field in str(error.value) and shown in str(error.value)


def test_every_validated_field_is_tried():
    tried = {P: {case[1] for case in BAD if case[0] == P}, G: {case[1] for case in BAD if case[0] == G}}
    assert tried == {P: set(PlacementScenario.fields()), G: set(MigrationScenario.fields())}


def test_what_is_nearly_nonsense_is_taken():
    DEFAULT[G].override(twin_capacity=6)  # 49 background twins on 10 x 5 seats
    DEFAULT[G].override(twin_capacity=5, control="joint")
    DEFAULT[P].override(twin_capacity=10)  # exactly full
    DEFAULT[P].override(num_stations=1, area_m=20.0)  # one station is apart from nothing
    DEFAULT[P].override(utility_time_s=0.02, deadline_s=(1, 10))
    values = DEFAULT[P].override(num_users=np.int64(7), area_m=np.float64(900), deadline_s=np.array([1, 2])).as_dict()
    assert json.loads(json.dumps(values))["deadline_s"] == [1.0, 2.0]


@pytest.mark.parametrize("env_id", [P, G])
def test_unknown_names_come_with_a_suggestion(env_id):
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'num_server'.*known: access, "):
        resolve(None, env_id, num_server=9)
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'wired_s_per_bit' \(did you mean 'wired_s_per_bit_m'\?\)"
    ):
        resolve(None, env_id, wired_s_per_bit=9)
    with pytest.raises(ValueError, match=r"env_id 'DTSomething-v0' is unknown; known: DTAssociation-v0, DTPlac"):
        resolve(None, "DTSomething-v0")


# Real sites and walks

SITES = "x_m,y_m\n0,0\n400,0\n0,400\n400,400\n200,200\n9000,9000\n"
WALKERS = "trace,time_s,x_m,y_m\n" + "".join(
    f"{w},{20 * t},{10 * w + 5 * t},{(13 * w + 3 * t) % 400}\n" for w in range(8) for t in range(60)
)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "sites.csv").write_text(SITES)
    (tmp_path / "walks.csv").write_text(WALKERS)
    return tmp_path / "sites.csv", tmp_path / "walks.csv"


@pytest.mark.parametrize("env_id", [P, G])
def test_stations_stand_on_the_sites_and_users_follow_the_walks(files, env_id):
    made = scenario_from_traces(*files, env_id=env_id, num_users=8, num_stations=4, num_slots=12, window_m=400.0)
    assert made.name == DEFAULT[env_id].name and type(made) is type(DEFAULT[env_id])
    assert (made.network.area_m, made.mobility.slot_seconds, made.network.separation_m) == (400.0, 20.0, 0.0)
    env = gym.make(env_id, scenario=made).unwrapped
    sites = {(0, 0), (400, 0), (0, 400), (400, 400), (200, 200)}
    walked = {(10 * w + 5 * t, (13 * w + 3 * t) % 400) for w in range(8) for t in range(60)}
    seen = set()
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        tape = env.task.tape
        assert env.observation_space.contains(obs)
        stations = set(map(tuple, tape.station_xy[0]))
        assert len(stations) == 4 and stations < sites
        seen |= stations
        for path in tape.user_xy[0].transpose(1, 0, 2):
            assert set(map(tuple, path)) <= walked
            assert (np.diff(path[:, 0]) == 5).all()  # one walk, slot by slot
        for _ in range(12):
            obs, reward, *_ = env.step(env.action_space.sample())
            assert env.observation_space.contains(obs) and math.isfinite(reward)
    assert seen == sites
    assert made.mobility.recording.provenance["sites_file"] == "sites.csv"
    assert json.loads(json.dumps(made.as_dict()))["recording"]["overlaid"] is False


@pytest.mark.parametrize("env_id", [P, G])
def test_keep_tradeoff_divides_the_price_of_a_metre_by_the_growth_of_the_window(files, env_id):
    settings = {"env_id": env_id, "num_users": 8, "num_stations": 4, "num_slots": 12}
    kept = scenario_from_traces(*files, **settings, window_m=400.0)
    assert kept.twins.wired_s_per_bit_m == pytest.approx(5e-10 * 1500 / 400)
    assert (
        scenario_from_traces(*files, **settings, window_m=400.0, keep_tradeoff=False).twins.wired_s_per_bit_m == 5e-10
    )
    given = scenario_from_traces(*files, **settings, window_m=400.0, wired_s_per_bit_m=1e-9)
    assert given.twins.wired_s_per_bit_m == 1e-9
    wide = scenario_from_traces(*files, **settings, window_m=3000.0, centre=(200.0, 200.0))
    assert wide.twins.wired_s_per_bit_m == pytest.approx(2.5e-10)
    # Crossing the square costs the same.
    assert kept.twins.wired_s_per_bit_m * 400 == pytest.approx(DEFAULT[env_id].twins.wired_s_per_bit_m * 1500)


@pytest.mark.parametrize("env_id", [P, G])
def test_too_few_sites_and_too_short_walks_are_named(files, env_id):
    with pytest.raises(ValueError, match=r"holds 6 sites, num_stations needs 7"):
        scenario_from_traces(*files, env_id=env_id, num_users=8, num_stations=7, num_slots=12, window_m=18_000.0)
    with pytest.raises(ValueError, match=r"walks\.csv: no walk stays in its window of 400 m for the 92 slots"):
        scenario_from_traces(*files, env_id=env_id, num_users=8, num_stations=5, num_slots=90, window_m=400.0)
    made = scenario_from_traces(*files, env_id=env_id, num_users=8, num_stations=4, num_slots=12, window_m=400.0)
    with pytest.raises(ValueError, match="num_stations must be at most the window's 5 sites, got 6"):
        made.override(num_stations=6)
    with pytest.raises(ValueError, match="num_slots must be at most 12 for these walks, got 13"):
        made.override(num_slots=13)


def test_geographic_sites_are_stations_too(tmp_path):
    latitude = [-37.8 + 1e-3 * k for k in range(5)]
    (tmp_path / "sites.csv").write_text("SITE_ID,LATITUDE,LONGITUDE\n" + "".join(f"a,{x},144.9\n" for x in latitude))
    (tmp_path / "users.csv").write_text("Latitude,Longitude\n" + "".join(f"{x},144.9\n" for x in latitude))
    made = scenario_from_options(None, tmp_path / "sites.csv", tmp_path / "users.csv", G, num_users=5, num_stations=5)
    env = gym.make(G, scenario=made).unwrapped
    env.reset(seed=0)
    y = np.sort(env.task.tape.station_xy[0, :, 1])
    np.testing.assert_allclose(np.diff(y), project(-37.799, 144.9, (-37.8, 144.9))[1], rtol=1e-4)
    assert np.array_equal(env.task.tape.user_xy[0, 0], env.task.tape.user_xy[0, -1])  # users without time stand still
