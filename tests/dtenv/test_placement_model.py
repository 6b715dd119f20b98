"""DTPlacementMA-v0 against plain loops of reference_edge: `info`, observations and masks."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
from draws import shadowing_of
from reference_edge import (
    access_stations,
    associate,
    bids_of_prices,
    capacity,
    choose_hosts,
    gains_db,
    greedy,
    placement_slot,
    uplink_rate,
)

import dtenv

ID = "DTPlacementMA-v0"
LATE = {"deadline_s": (0.4, 1.2)}  # half of the users are late
LITERAL = {
    "bandwidth_sharing": "full",
    "rate_logarithm": "ln",
    "cycles_per_bit": 1.0,
    "wired_count": "twice",
    "latency_mean": "users-and-stations",
    "host_count": "twins",
    "energy_total": "sum",
    "utility_time_s": 1.0,
    "utility_energy_j": 1.0,
    "deadline_penalty": 0.0,
}
OPTIONS = [
    {},
    *({name: value} for name, value in LITERAL.items()),
    LITERAL,
    LATE,
    LATE | {"deadline_penalty": 3.0},
    {"compute_sharing": "equal"},
    {"compute_sharing": "slice"},
    {"access": "nearest"},
    {"access": "direct"},
    {"access": "direct", "bandwidth_sharing": "full"} | LATE,
    {"charge_initial": "on_change"},
    {"move_cost": 2.0},
    {"alpha": 0.3, "beta": 7.0, "host_cost": 0.9},
    {"twin_capacity": 4},
    {"utility_beta": 0.9},
    {"handover_margin_db": 6.0, "shadowing_decorrelation_m": 100.0, "shadowing_site_correlation": 0.5},
    {"eta_s": 0.0},
    {"wired_s_per_bit_m": 0.0, "shadowing_db": 0.0, "path_loss_km_db": 120.0, "path_loss_decade_db": 30.0},
    {"transmit_power_w": 0.1, "noise_dbm_per_hz": -160.0, "bandwidth_hz": 1e7, "min_distance_m": 200.0},
    LATE | LITERAL | {"charge_initial": "on_change", "move_cost": 1.0, "deadline_penalty": 2.0, "access": "nearest"},
]
NAMES = [" ".join(f"{name}={value}" for name, value in options.items())[:60] or "default" for options in OPTIONS]


def make(scenario="small-20x5", **settings):
    return gym.make(ID, scenario=scenario, **settings).unwrapped


class Drawn:
    """Draws of an episode in the reference's terms, and the slots that follow from them."""

    def __init__(self, env):
        tape = env.task.tape
        self.p = env.scenario.as_dict()
        self.station_xy = tape.station_xy[0].tolist()
        self.deadline_s = tape.deadline_s[0].tolist()
        self.shadowing_db = shadowing_of(env.task)
        self.tape, self.access, self.t = tape, None, -1
        self.room = [capacity(self.p)] * len(self.station_xy)
        wanted = self.next()["access"]
        self.server = greedy(
            [[-math.dist(self.station_xy[j], at) for j in wanted] for at in self.station_xy], [True] * 99, self.room
        )
        self.slot = self.next()

    def next(self):
        self.t += 1
        tape, t = self.tape, self.t
        user_xy, shadowing = tape.user_xy[0, t].tolist(), self.shadowing_db[t].tolist()
        gain = gains_db(self.p, user_xy, self.station_xy, shadowing)
        self.access = access_stations(self.p, user_xy, self.station_xy, gain, self.access)
        return {
            "user_xy": user_xy,
            "station_xy": self.station_xy,
            "gain_db": gain,
            "access": self.access,
            "data_bits": tape.data_bits[0, t].tolist(),
            "update_bits": tape.update_bits[0, t].tolist(),
            "compute_hz": tape.compute_hz[0, t].tolist(),
            "deadline_s": self.deadline_s,
            "previous": getattr(self, "server", None),
        }

    def play(self, host, server):
        """Return the slot's `info` and go to the next slot."""
        found = placement_slot(self.p, self.slot, host, server)
        self.server = list(server)
        self.slot = self.next()
        return found


def check(info, expected):
    for name, value in expected.items():
        if name != "local":
            assert info[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_info_is_the_reference_models(options):
    env, rng = make(**options), np.random.default_rng(0)
    late = moved = 0
    for seed in range(2):
        _, info = env.reset(seed=seed)
        drawn = Drawn(env)
        assert info["server"].tolist() == drawn.server and info["host"].all()
        for _ in range(4):
            bid = rng.random((5, 21))
            _, reward, _, _, info = env.step(bid.astype(np.float32).ravel())
            bid = bid.astype(np.float32).tolist()
            host = choose_hosts([row[0] for row in bid], drawn.room, 20)
            server = greedy([row[1:] for row in bid], host, drawn.room)
            assert info["server"].tolist() == server and info["host"].tolist() == host
            assert env.task.state.previous[0].tolist() == drawn.server  # rendered as moves
            check(info, drawn.play(host, server))
            assert reward == info["score"]
            late, moved = late + info["violations"], moved + info["migrations"]
    assert moved > 0 and (late > 0 or not options.items() >= LATE.items())


@pytest.mark.parametrize("scenario", ["paper-100x10", "strict-100x10", "literal-100x10"])
def test_info_of_the_large_presets_is_the_reference_models(scenario):
    env, rng = make(scenario, action="bid"), np.random.default_rng(1)
    env.reset(seed=3)
    drawn = Drawn(env)
    for _ in range(2):
        bid = rng.random((10, 101)).astype(np.float32)
        info = env.step(bid.ravel())[4]
        host = choose_hosts(bid[:, 0].tolist(), drawn.room, 100)
        check(info, drawn.play(host, greedy(bid[:, 1:].tolist(), host, drawn.room)))


@pytest.mark.parametrize("options", [{}, {"access": "direct"}, {"compute_sharing": "equal", "eta_s": 3.0}])
def test_prices_are_the_references_over_whole_episodes(options):
    env, rng = make(action="price", **options), np.random.default_rng(0)
    env.reset(seed=1)
    drawn = Drawn(env)
    for _ in range(25):
        action = rng.random((5, 2))
        info = env.step(action.ravel())[4]
        host = choose_hosts(action[:, 0].tolist(), drawn.room, 20)
        server = greedy(bids_of_prices(drawn.p, drawn.slot, action[:, 1].tolist()), host, drawn.room)
        assert info["host"].tolist() == host and info["server"].tolist() == server
        if drawn.t < 26:  # slot 27 is not drawn
            check(info, drawn.play(host, server))


def test_where_all_prices_are_alike_the_lightest_twins_go_to_the_first_stations():
    env = make(action="price", wired_s_per_bit_m=0.0)
    env.reset(seed=0)
    slot = env.task.slot()
    lightest = np.argsort(slot.data_bits + 10 * slot.update_bits)
    assert env.step(np.ones(10))[4]["server"][lightest].tolist() == [i // 8 for i in range(20)]  # N_k = 8


@pytest.mark.parametrize("room", [None, 4, 5, 20])
def test_associations_are_kept_where_feasible_and_overflow_to_the_nearest_host_with_room(room):
    env, rng = make(action="association", twin_capacity=room), np.random.default_rng(0)
    overflowed = 0
    for seed in range(3):
        env.reset(seed=seed)
        drawn = Drawn(env)
        for t in range(8):
            wanted = [rng.integers(5, size=20), np.full(20, t % 5), rng.integers(2, size=20), np.arange(20) % 5][t % 4]
            info = env.step(wanted)[4]
            host, server = associate(drawn.station_xy, wanted.tolist(), drawn.room)
            assert info["host"].tolist() == host and info["server"].tolist() == server
            if np.bincount(wanted, minlength=5).max() <= drawn.room[0]:
                assert server == wanted.tolist()
            overflowed += server != wanted.tolist()
            check(info, drawn.play(host, server))
    assert (overflowed > 0) == (room != 20)


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_local_rewards_are_the_references_and_add_up_to_the_score_exactly(options):
    env, rng = dtenv.parallel_env(ID, scenario="small-20x5", reward="local", **options), np.random.default_rng(0)
    env.reset(seed=2)
    drawn = Drawn(env)
    for _ in range(3):
        bid = rng.random((5, 21))
        _, rewards, _, _, infos = env.step(dict(zip(env.agents, bid, strict=True)))
        host = choose_hosts(bid[:, 0].tolist(), drawn.room, 20)
        expected = drawn.play(host, greedy(bid[:, 1:].tolist(), host, drawn.room))
        assert list(rewards.values()) == pytest.approx(expected["local"], rel=1e-9, abs=1e-12)
        total = 0.0
        for worth in rewards.values():  # in the stations' order, as sum() may compensate
            total += worth
        assert {total} == {info["score"] for info in infos.values()}
        assert len(set(rewards.values())) > 1


# Observations

WATCHED = [
    {},
    LATE,
    {"access": "direct"} | LATE,
    {"access": "nearest", "bandwidth_sharing": "full"},
    {"compute_sharing": "slice", "wired_count": "twice", "deadline_s": (1.0, 3.0)},
    {"twin_capacity": 30, "area_m": 900.0, "data_bits": (1e6, 2e6), "deadline_s": (0.2, 0.6)},
]


def expected_observation(drawn, server):
    """Blocks of the network's observation, and the mask, by the tables in dtenv.tasks.placement.entries."""
    p, slot, n, m = drawn.p, drawn.slot, 20, 5
    users, stations, links = np.zeros((n, 6)), np.zeros((m, 6)), np.zeros((n, m, 4))
    mask = np.zeros((n, m), bool)
    side, longest = p["area_m"], p["deadline_s"][1]
    direct = p["access"] == "direct"
    transmitting = server if direct else slot["access"]
    loss = [p["path_loss_km_db"] + p["path_loss_decade_db"] * math.log10(d / 1000) for d in (10, side * math.sqrt(2))]
    low, high = -loss[1] - 6 * p["shadowing_db"] - 1, -loss[0] + 6 * p["shadowing_db"] + 1
    for k, (x, y) in enumerate(slot["station_xy"]):
        shares = slot["compute_hz"][k] / p["compute_hz"][1], min(drawn.room[k] / n, 1)
        stations[k] = 2 * x / side - 1, 2 * y / side - 1, *shares, server.count(k) / n, transmitting.count(k) / n
    for u, (x, y) in enumerate(slot["user_xy"]):
        j, data, deadline = slot["access"][u], slot["data_bits"][u], slot["deadline_s"][u]
        wireless = data / uplink_rate(p, slot["gain_db"][u][j], 1 if direct else slot["access"].count(j))
        sizes = data / p["data_bits"][1], slot["update_bits"][u] / p["update_bits"][1], deadline / longest
        users[u] = 2 * x / side - 1, 2 * y / side - 1, *sizes, max((deadline - wireless) / longest, -1)
        for k in range(m):
            metres = 0 if direct else math.dist(slot["station_xy"][j], slot["station_xy"][k])
            gain = slot["gain_db"][u][k]
            links[u, k] = 2 * (gain - low) / (high - low) - 1, k == j, k == server[u], metres / (side * math.sqrt(2))
            here = data / uplink_rate(p, gain, 1) if direct else wireless
            wired = (2 if p["wired_count"] == "twice" else 1) * p["wired_s_per_bit_m"] * data * metres
            share = slot["compute_hz"][k] / (capacity(p) if p["compute_sharing"] == "slice" else 1)
            mask[u, k] = here + wired + p["cycles_per_bit"] * data / share <= deadline
    mask[~mask.any(axis=1)] = True
    return users, stations, np.clip(links, -1, 1), mask


@pytest.mark.parametrize("options", WATCHED, ids=lambda x: " ".join(x) or "default")
def test_observations_and_masks_entry_by_entry(options):
    env, rng = make(**options), np.random.default_rng(0)
    local = dtenv.parallel_env(ID, scenario="small-20x5", **options)
    shared = dtenv.parallel_env(ID, scenario="small-20x5", observe="shared", **options)
    obs, info = env.reset(seed=4)
    local_obs, infos = local.reset(seed=4)
    shared_obs, _ = shared.reset(seed=4)
    drawn, seen, host = Drawn(env), set(), [True] * 5
    for _ in range(3):
        users, stations, links, mask = expected_observation(drawn, drawn.server)
        flat = np.concatenate([users.ravel(), stations.ravel(), links.ravel()])
        np.testing.assert_allclose(obs, flat, atol=1e-6)
        assert np.array_equal(info["action_mask"], mask) and np.array_equal(env.action_masks(), mask)
        seen |= set(mask.ravel().tolist())
        assert np.array_equal(local.state(), obs) and np.array_equal(shared.state(), obs)
        for k, agent in enumerate(local.agents):
            own = np.column_stack([users[:, 2], users[:, 3], users[:, 5], *links[:, k, [0, 2, 3]].T])
            expected = np.concatenate([stations[k], np.eye(5)[k], own.ravel()])
            np.testing.assert_allclose(local_obs[agent], expected, atol=1e-6)
            assert np.array_equal(shared_obs[agent], np.concatenate([np.eye(5)[k], obs]).astype(np.float32))
            assert np.array_equal(infos[agent]["action_mask"], mask[:, k])
            assert infos[agent]["twins"] == drawn.server.count(k)
            assert infos[agent]["hosts_itself"] == host[k]
        bid = rng.random((5, 21))
        obs, _, _, _, info = env.step(bid.ravel())
        local_obs, _, _, _, infos = local.step(dict(zip(local.agents, bid, strict=True)))
        shared_obs = shared.step(dict(zip(shared.agents, bid, strict=True)))[0]
        host = choose_hosts(bid[:, 0].tolist(), drawn.room, 20)
        drawn.play(host, greedy(bid[:, 1:].tolist(), host, drawn.room))
    assert seen == {False, True}


@pytest.mark.parametrize("scenario", ["small-20x5", "paper-100x10", "literal-100x10"])
def test_the_slot_can_be_read_back_from_the_observation(scenario):
    env, rng = make(scenario, action="bid"), np.random.default_rng(0)
    for seed in range(2):
        obs, _ = env.reset(seed=seed)
        for _ in range(3):
            slot, rows = env.task.slot(), env.task.decode(obs[None])
            for name in slot._fields:
                true, shown = getattr(slot, name), getattr(rows, name)[0]
                scale = {"gain_db": 100, "wired_m": 1500}.get(name, np.abs(true).max())
                np.testing.assert_allclose(shown, true, rtol=0, atol=3e-7 * scale, err_msg=name)
            assert np.array_equal(rows.access[0], slot.access)
            assert np.array_equal(rows.previous_server[0], slot.previous_server)
            obs = env.step(rng.random(env.action_space.shape))[0]
