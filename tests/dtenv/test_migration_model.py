"""DTMigration-v0 against reference_edge: `info`, background twins, forecasts, observations."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
from draws import shadowing_of
from reference_edge import (
    background,
    capacity,
    downtime,
    first_stations,
    migration_course,
    migration_slot,
    move,
    update_parts,
)

ID = "dtenv:DTMigration-v0"
SMALL = {"num_users": 12, "num_stations": 4, "num_slots": 12, "area_m": 900.0, "slot_seconds": 5.0}
OPTIONS = [
    {},
    {"background": "best-latency"},
    {"background": "never"},
    {"compute_sharing": "sqrt"},
    {"compute_sharing": "sqrt", "background": "best-latency", "twin_capacity": 4},
    {"compute_sharing": "slice"},
    {"compute_sharing": "slice", "twin_capacity": 4},
    {"bandwidth_sharing": "full"},
    {"rate_logarithm": "ln"},
    {"access": "nearest"},
    {"handover_margin_db": 0.0},
    {"handover_margin_db": 20.0},
    {"shadowing_site_correlation": 0.0, "shadowing_decorrelation_m": 0.0},
    {"walk": "gauss-markov"},
    {"kappa": 0.0},
    {"kappa": 0.1, "downtime_s": 0.0},
    {"deadline_penalty": 2.0},
    {"utility_time_s": 1.0, "utility_energy_j": 1.0, "utility_beta": 0.9, "cycles_per_bit": 1.0},
    {"wired_s_per_bit_m": 5e-9, "transmit_power_w": 0.1, "update_bits": (1e4, 5e5)},
]
NAMES = [" ".join(f"{name}={value}" for name, value in options.items())[:60] or "default" for options in OPTIONS]


def make(**settings):
    return gym.make(ID, **(SMALL | settings)).unwrapped


class Drawn:
    """Draws of an episode in the reference's terms, and its exogenous part."""

    def __init__(self, env):
        task, tape = env.task, env.task.tape
        self.p, self.t = env.scenario.as_dict(), 1
        names = ("user_xy", "data_bits", "update_bits", "deadline_s", "station_xy", "compute_hz")
        self.tape = {name: getattr(tape, name)[0].tolist() for name in names}
        self.tape["shadowing_db"] = shadowing_of(task).tolist()
        self.course = migration_course(self.p, self.tape)
        self.server = first_stations(self.p, self.tape, self.course["access"][0])
        self.joint = self.p["control"] == "joint"
        self.users = range(len(self.server)) if self.joint else [0]
        self.path = None if self.joint else background(self.p, self.tape, self.course, self.server)
        self.before = list(self.server)
        self._enter()

    def _enter(self):
        if self.path:
            self.server[1:] = self.path[self.t][1:]

    def play(self, action):
        """Return the slot's `info` and go to the next slot."""
        wanted = action if self.joint else [action]
        self.server, refused = move(self.p, self.server, wanted)
        found = migration_slot(self.p, self.tape, self.course, self.t, self.before, self.server, self.users)
        self.before, self.t = list(self.server), self.t + 1
        self._enter()
        return found | {"refused": refused}


def check(info, expected):
    for name in expected.keys() - {"centred"}:
        assert info[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-11), name


@pytest.mark.parametrize("control", ["focal", "joint"])
@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_info_is_the_reference_models(options, control):
    if control == "joint" and "background" in options:
        options = {name: value for name, value in options.items() if name != "background"} | {"twin_capacity": 4}
    env, rng = make(control=control, **options), np.random.default_rng(0)
    centred = make(control=control, reward="centred", **options)
    seen = {"migrations": 0, "handovers": 0, "refused": 0}
    for seed in range(2):
        _, info = env.reset(seed=seed)
        centred.reset(seed=seed)
        drawn = Drawn(env)
        assert np.array_equal(info["server"], drawn.server if drawn.joint else drawn.server[0])
        for _ in range(12):
            wanted = rng.integers(4, size=12 if drawn.joint else None)
            obs, reward, _, _, info = env.step(wanted)
            other, baseline, *_ = centred.step(wanted)
            assert env.task.state.previous[0].tolist() == drawn.before  # rendered as moves
            expected = drawn.play(wanted.tolist())
            check(info, expected)
            assert env.task.state.server[0].tolist() == drawn.server
            assert np.array_equal(info["server"], drawn.server if drawn.joint else drawn.server[0])
            assert np.array_equal(obs, other)
            assert reward == info["score"] and baseline == pytest.approx(expected["centred"], abs=1e-11)
            seen = {name: seen[name] + info[name] for name in seen}
    assert seen["migrations"] > 0 and (seen["refused"] > 0 or not drawn.joint)
    assert seen["handovers"] > 0 or options.get("handover_margin_db") == 20.0


def test_info_of_the_presets_is_the_reference_models():
    rng = np.random.default_rng(0)
    for preset in ("balanced", "ping-pong", "gauss-markov", "literal"):
        env = gym.make(ID, scenario=preset, num_slots=4).unwrapped
        env.reset(seed=1)
        drawn = Drawn(env)
        for _ in range(4):
            station = int(rng.integers(10))
            check(env.step(station)[4], drawn.play(station))


@pytest.mark.parametrize("sharing", ["equal", "sqrt", "slice"])
@pytest.mark.parametrize("kind", ["payback", "best-latency", "never"])
def test_background_twins_move_as_the_reference_says_and_leave_a_seat(kind, sharing):
    moves, fullest = 0, -9
    for room in (None, 4):
        env = make(background=kind, compute_sharing=sharing, twin_capacity=room, kappa=0.3, num_slots=40)
        for seed in range(3):
            env.reset(seed=seed)
            drawn, path = Drawn(env), env.task.course.background[0]
            assert path[:, 1:].tolist() == [row[1:] for row in drawn.path]
            for row in path:
                fullest = max(fullest, np.bincount(row[1:], minlength=4).max() - (drawn.p["twin_capacity"] or 6))
            moves += (np.diff(path[:, 1:], axis=0) != 0).sum()
    assert fullest == -1  # reached, and never exceeded
    assert (moves > 0) == (kind != "never")


def test_payback_moves_less_than_best_latency_and_not_at_all_where_moving_is_dear():
    def moves(**settings):
        env = make(num_slots=60, **settings)
        env.reset(seed=0)
        return (np.diff(env.task.course.background[0, :, 1:], axis=0) != 0).sum()

    assert moves(background="best-latency") > 2 * moves(background="payback", kappa=10.0) > 0
    assert moves(background="payback", kappa=1e4) == 0
    assert moves(background="payback", kappa=0.0) == moves(background="best-latency")


# Focal and joint


@pytest.mark.parametrize("sharing", ["equal", "sqrt", "slice"])
@pytest.mark.parametrize("kind", ["payback", "best-latency", "never"])
def test_a_focal_users_slots_are_the_joint_ones_that_replay_the_background(kind, sharing):
    settings = {"compute_sharing": sharing, "kappa": 0.3, "num_slots": 30}
    focal, joint = make(background=kind, **settings), make(control="joint", **settings)
    rng, terms = np.random.default_rng(0), slice(0, 9)
    for seed in range(3):
        focal.reset(seed=seed)
        joint.reset(seed=seed)
        path = focal.task.course.background[0]
        for t in range(1, 31):
            station = int(rng.integers(4))
            _, reward, _, _, info = focal.step(station)
            together = joint.step([station, *path[t, 1:]])[4]
            assert together["refused"] == 0
            assert together["server"].tolist() == [station, *path[t, 1:]]
            alone = joint.task.terms.users[0, 0, terms]
            assert np.array_equal(alone, focal.task.terms.users[0, 0])  # bit for bit
            assert reward == info["score"] == alone[5] - alone[6]


def test_a_joint_agent_that_moves_user_0_alone_plays_the_focal_game_beside_twins_that_stay():
    focal, joint = make(background="never", num_slots=30), make(control="joint", num_slots=30)
    focal.reset(seed=0)
    stay, rng = joint.reset(seed=0)[1]["server"], np.random.default_rng(0)
    for _ in range(30):
        stay[0] = rng.integers(4)
        info = focal.step(stay[0])[4]
        joint.step(stay)
        assert np.array_equal(joint.task.terms.users[0, 0], focal.task.terms.users[0, 0])
        assert info["server"] == stay[0]


@pytest.mark.parametrize("room", [3, 4, 6])
def test_no_station_ever_hosts_more_than_its_capacity_and_refusals_are_counted(room):
    env, rng = make(control="joint", twin_capacity=room, num_slots=60), np.random.default_rng(0)
    refused = 0
    for seed in range(3):
        server = env.reset(seed=seed)[1]["server"]
        for t in range(60):
            wanted = [np.full(12, t % 4), rng.integers(4, size=12), (server + 1) % 4, np.zeros(12, int)][
                rng.integers(4)
            ]
            expected, count = move(env.scenario.as_dict(), server.tolist(), wanted.tolist())
            mask = env.action_masks()
            hosts = np.bincount(server, minlength=4)
            assert np.array_equal(mask, (hosts < room)[None] | (server[:, None] == np.arange(4)))
            info = env.step(wanted)[4]
            server = info["server"]
            assert server.tolist() == expected and info["refused"] == count
            assert np.bincount(server, minlength=4).max() <= room
            refused += count
    assert refused > 0


def test_the_focal_user_is_never_refused_even_where_only_its_seat_is_left():
    env = make(twin_capacity=4, num_users=13, num_stations=4, num_slots=40)
    env.reset(seed=0)
    for t in range(40):
        info = env.step(t % 4)[4]
        assert info["server"] == t % 4 and info["refused"] == 0 and info["action_mask"].all()


# Rewards


@pytest.mark.parametrize("options", [{}, {"compute_sharing": "sqrt"}, {"compute_sharing": "slice"}, {"kappa": 9.0}])
def test_centred_differs_from_the_score_by_what_no_action_of_the_focal_user_changes(options):
    differences = []
    for station in range(4):
        env = make(reward="centred", **options)
        env.reset(seed=0)
        steps = [env.step((station + t) % 4) for t in range(12)]
        differences.append([info["score"] - reward for _, reward, _, _, info in steps])
    np.testing.assert_allclose(differences, np.tile(differences[0], (4, 1)), atol=1e-12)
    assert np.ptp(differences[0]) > 0.01


# Forecasts


def nearest(xy, station_xy):
    away = np.linalg.norm(np.asarray(xy)[..., None, :] - station_xy, axis=-1)
    return np.eye(len(station_xy))[away.argmin(axis=-1)]


@pytest.mark.parametrize("control", ["focal", "joint"])
def test_forecasts_name_the_stations_nearest_to_where_users_are_expected(control):
    envs = {name: make(forecaster=name, control=control, horizon=5) for name in ("none", "constant-velocity", "oracle")}
    users = 12 if control == "joint" else 1
    for seed in range(2):
        shown = {name: env.reset(seed=seed)[0] for name, env in envs.items()}
        tape = envs["oracle"].task.tape
        walk, station_xy, agree = tape.user_xy[0, :, :users], tape.station_xy[0], []
        for t in range(1, 14):
            blocks = {name: env.layout.split(shown[name])["forecast"] for name, env in envs.items()}
            assert not blocks["none"].any()
            for h in range(1, 6):
                true = nearest(walk[min(t + h, 13)], station_xy)  # after the last slot users stand
                straight = nearest(np.clip(walk[t] + h * (walk[t] - walk[t - 1]), 0, 900), station_xy)
                assert np.array_equal(blocks["oracle"][:, :, h - 1], true)
                assert np.array_equal(blocks["constant-velocity"][:, :, h - 1], straight)
                agree.append(np.array_equal(true, straight))
            if t < 13:
                stay = envs["none"].task.server()
                shown = {name: env.step(stay)[0] for name, env in envs.items()}
        assert any(agree) and (control == "focal" or not all(agree))


# Observations


@pytest.mark.parametrize("control", ["focal", "joint"])
@pytest.mark.parametrize("options", [{}, {"compute_sharing": "sqrt", "utility_time_s": 0.5, "update_bits": (1e4, 9e5)}])
def test_observation_entry_by_entry_and_the_slot_read_back(options, control):
    env, rng = make(control=control, twin_capacity=4, **options), np.random.default_rng(0)
    obs, _ = env.reset(seed=3)
    drawn = Drawn(env)
    p, tape, course, side = drawn.p, drawn.tape, drawn.course, 900.0
    loss = [p["path_loss_km_db"] + p["path_loss_decade_db"] * math.log10(d / 1000) for d in (10, side * math.sqrt(2))]
    low, high = -loss[1] - 6 * p["shadowing_db"] - 1, -loss[0] + 6 * p["shadowing_db"] + 1
    dearest = p["kappa"] * (p["downtime_s"] + p["wired_s_per_bit_m"] * 5e6 * side * math.sqrt(2)) / 5
    for _ in range(4):
        t, server, n, m = drawn.t, drawn.server, len(drawn.users), 4
        blocks, true, shown = env.layout.split(obs), env.task.slot(), env.task.decode(obs[None])
        users, links, slow = np.zeros((n, 8)), np.zeros((n, m, 8)), np.zeros(n, bool)
        for u in range(n):
            (x, y), (x0, y0), deadline = tape["user_xy"][t][u], tape["user_xy"][t - 1][u], tape["deadline_s"][u]
            wireless, access = tape["update_bits"][u] / course["rate"][t][u], course["access"][t][u]
            sizes = tape["data_bits"][u] / 5e6, tape["update_bits"][u] / p["update_bits"][1], deadline / 0.12
            walked = (x - x0) / 75, (y - y0) / 75  # 15 m/s for 5 s
            users[u] = 2 * x / side - 1, 2 * y / side - 1, *walked, *sizes, min(wireless / deadline, 1)
            slow[u] = wireless > deadline
            for k in range(m):
                latency = sum(update_parts(p, tape, course, t, u, k, server))
                room = k == server[u] or server.count(k) < capacity(p)
                price = p["kappa"] * downtime(p, tape, u, server[u], k) / 5
                metres = math.dist(tape["station_xy"][access], tape["station_xy"][k])
                gain = 2 * (course["gain_db"][t][u][k] - low) / (high - low) - 1
                worth = math.exp(-latency / (p["utility_time_s"] or deadline))
                here = k == access, k == server[u], room, metres / (side * math.sqrt(2))
                links[u, k] = gain, *here, min(latency / (2 * deadline), 1), worth, price / dearest
                assert true.latency_s[u, k] == pytest.approx(latency, rel=1e-9)
                assert true.price[u, k] == pytest.approx(price, rel=1e-9)
                assert true.room[u, k] == env.task.mask[0, u, k] == room
        hosts = np.bincount(server, minlength=m)
        stations = [2 * x / side - 1 for x in np.array(tape["station_xy"]).T]
        stations += [np.array(tape["compute_hz"]) / 24e9, hosts / capacity(p)]
        np.testing.assert_allclose(blocks["users"], users, atol=1e-6)
        np.testing.assert_allclose(blocks["stations"], np.column_stack(stations), atol=1e-6)
        np.testing.assert_allclose(blocks["links"], np.clip(links, -1, 1), atol=1e-6)
        for name in true._fields:
            value, read = np.asarray(getattr(true, name)), getattr(shown, name)[0]
            if name == "wireless_s":
                value, read = value[~slow], read[~slow]
            scale = {"gain_db": 100, "latency_s": value.max() * 3}.get(name, np.abs(value).max(initial=1e-9))
            far = 1e-3 if name == "latency_s" else 4e-7  # the logarithm of a float32
            np.testing.assert_allclose(read, value, rtol=0, atol=far * scale, err_msg=name)
        wanted = rng.integers(4, size=12 if drawn.joint else None)
        obs = env.step(wanted)[0]
        drawn.play(wanted.tolist())
