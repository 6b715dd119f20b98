"""Twins on stations, in the cloud or on both; servers that fail; twins that are created, isolated and released."""

from __future__ import annotations

import itertools
import warnings

import gymnasium as gym
import numpy as np
import pytest
from cases_migration import FAILING, MODES, NAMES, SMALL
from draws import shadowing_along
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv
from reference_deployment import Twins

from dtenv.presets import resolve
from dtenv.tasks.migration.task import MigrationTask
from dtenv.traces import scenario_from_traces

ID = "DTMigration-v0"


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **(SMALL | settings)).unwrapped


def reference(env):
    """The plain model of the episode that has begun."""
    task, tape = env.task, env.task.tape
    names = ("user_xy", "data_bits", "update_bits", "deadline_s", "station_xy", "compute_hz")
    drawn = {name: getattr(tape, name)[0].tolist() for name in names}
    radio, stations = task.scenario.radio, task.scenario.num_sites
    drawn["shadowing_db"] = shadowing_along(radio, tape.shadowing_key[0], tape.user_xy[0], stations).tolist()
    drawn["up"] = tape.up[0].tolist() if tape.up.shape[1] else None
    return Twins(
        {name: env.scenario.value(name) for name in env.scenario.fields()}, drawn, task.course.first[0].tolist()
    )


# The model


@pytest.mark.parametrize("control", ["focal", "joint"])
@pytest.mark.parametrize("sharing", ["equal", "sqrt", "slice"])
@pytest.mark.parametrize("mode", MODES, ids=NAMES)
def test_info_and_masks_are_the_reference_models(mode, sharing, control):
    env, rng = make(control=control, compute_sharing=sharing, twin_capacity=5, **mode), np.random.default_rng(0)
    seen = dict.fromkeys(("migrations", "creations", "isolations", "releases", "refused"), 0)
    for seed in range(3):
        _, info = env.reset(seed=seed)
        model = reference(env)
        joint = control == "joint"
        path = None if joint else model.background()
        if path:
            assert env.task.course.background[0, :, 1:].tolist() == [row[1:] for row in path]
        before, server = list(model.first), list(model.first)
        for t in range(1, 13):
            if path:
                server[1:] = path[t][1:]
            users = range(12) if joint else [0]
            mask = np.array(
                [
                    [k == server[u] or (model.up(t, k) and server.count(k) < model.seats(k)) for k in model.sites]
                    for u in users
                ]
            )
            assert np.array_equal(np.atleast_2d(info["action_mask"]), mask)
            wanted = rng.integers(5, size=12 if joint else None)
            server, refused = model.move(t, server, np.atleast_1d(wanted).tolist())
            _, reward, _, _, info = env.step(wanted)
            expected = model.slot(t, before, server, users)
            if not model.lives:
                assert not {"creations", "isolations", "releases"} & info.keys()
                expected = {name: value for name, value in expected.items() if name in info}
            for name, value in expected.items():
                assert info[name] == pytest.approx(value, rel=1e-9, abs=1e-11), (name, t)
            assert info["refused"] == refused and reward == info["score"]
            assert np.array_equal(info["server"], server if joint else server[0])
            before = list(server)
            seen = {name: seen[name] + info.get(name, 0) for name in seen}
    assert seen["refused"] > 0 or mode["deployment"] != "cloud"
    assert (seen["migrations"] > 0) == (mode["deployment"] != "cloud")
    assert (seen["creations"] > 0) == (len(mode) > 1)
    assert control == "focal" or (seen["isolations"] > 0) == (len(mode) > 1)


@pytest.mark.parametrize("kind", ["payback", "best-latency", "never"])
@pytest.mark.parametrize("mode", MODES[2:], ids=NAMES[2:])
def test_background_twins_flee_from_servers_that_are_down_and_leave_a_seat(mode, kind):
    fled = 0
    for seats, seed in itertools.product((4, None), range(3)):
        env = make(background=kind, num_slots=40, twin_capacity=seats, kappa=0.3, **mode)
        env.reset(seed=seed)
        model, path = reference(env), env.task.course.background[0]
        assert path[:, 1:].tolist() == [row[1:] for row in model.background()]
        for t, row in enumerate(path):
            held = np.bincount(row[1:], minlength=5)
            assert all(held[k] <= max(model.seats(k) - 1, 0) for k in model.sites)
            fled += sum(t > 0 and not model.up(t, j) and k != j for j, k in zip(path[t - 1, 1:], row[1:], strict=True))
    assert (fled > 0) == (kind != "never" and len(mode) > 1 and mode["deployment"] != "cloud")


@pytest.mark.parametrize("mode", MODES, ids=NAMES)
def test_what_is_observed_is_the_slot_and_says_which_site_is_the_cloud_and_which_works(mode):
    env, rng = make(twin_capacity=5, **mode), np.random.default_rng(0)
    down = 0
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        model = reference(env)
        for t in range(1, 13):
            blocks, true, shown = env.layout.split(obs), env.task.slot(), env.task.decode(obs[None])
            entries = [name for name, _ in env.layout.blocks[1].entries]
            wanted = ["cloud"] * (model.cloud is not None) + ["up"] * (len(mode) > 1)
            assert entries[4:] == wanted
            if model.cloud is not None:
                assert blocks["stations"][:, 4].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
                assert not blocks["links"][0, 4, 1] and not blocks["forecast"][0, 4].any()
            if len(mode) > 1:
                assert blocks["stations"][:, -1].tolist() == [float(model.up(t, k)) for k in model.sites]
                down += not all(model.up(t, k) for k in model.sites)
            serves = np.array([model.up(t, k) and model.seats(k) > 0 for k in model.sites])
            assert np.array_equal(np.isfinite(true.latency_s[0]), serves)
            np.testing.assert_allclose(shown.latency_s[0, 0, serves], true.latency_s[0, serves], rtol=1e-3)
            assert (shown.latency_s[0, 0, ~serves] > 1.0).all()
            np.testing.assert_allclose(shown.price[0], true.price, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(shown.wired_m[0], true.wired_m, atol=1e-2)
            assert np.array_equal(shown.room[0], true.room)
            obs = env.step(rng.integers(5))[0]
    assert (down > 0) == (len(mode) > 1)


# The life of a twin, by hand


def test_creation_isolation_and_migration_cost_what_they_say():
    settings = {"control": "joint", "num_users": 1, "num_stations": 3, "num_slots": 6, "horizon": 1}
    lives = {"failure_rate_per_s": 1e-9, "creation_s": 2.0, "isolation_price": 0.7}
    env = make(**settings, **lives, kappa=1.5, downtime_s=0.2)
    env.reset(seed=0)
    task, a = env.task, env.task.server()[0]
    b, c = (k for k in range(3) if k != a)
    assert task.tape.up.all()
    task.tape.up[0, 3:5, a] = False  # the first host is down in slots 3 and 4
    bits, course = task.tape.data_bits[0, 0], task.course

    def created(t, k):
        return 2.0 + bits / course.rate[0, t, 0] + 5e-10 * bits * course.wired_m[0, course.access[0, t, 0], k]

    def moved(j, k):
        return 0.2 + 5e-10 * bits * course.wired_m[0, j, k]

    wanted = ((a, created(1, a)), (a, 0.0), (a, None), (b, created(4, b)), (c, moved(b, c)), (c, 0.0))
    for t, (k, seconds) in enumerate(wanted, start=1):
        info = env.step(np.array([k]))[4]
        assert info["isolations"] == (seconds is None) and info["server"] == [k]
        assert info["creations"] == (t in (1, 4)) and info["migrations"] == (t == 5)
        assert info["releases"] == (t in (4, 5))
        if seconds is None:  # no update, so no latency: late, without utility, and priced
            assert info["latency"] == info["energy"] == info["downtime"] == 0.0
            assert info["score"] == pytest.approx(-0.7 - 0.1) and not info["feasible"]
        else:
            assert info["downtime"] == pytest.approx(seconds)
            assert info["migration_price"] == pytest.approx(1.5 * seconds / 5.0)


def test_a_twin_that_waits_for_the_repair_is_created_anew_on_the_spot():
    env = make(control="joint", num_users=1, num_stations=3, num_slots=5, failure_rate_per_s=1e-9, creation_s=1.0)
    env.reset(seed=0)
    k = env.task.server()
    env.task.tape.up[0, 2, k[0]] = False
    told = [env.step(k)[4] for _ in range(4)]
    assert [info["creations"] for info in told] == [1, 0, 1, 0]
    assert [info["isolations"] for info in told] == [0, 1, 0, 0]
    assert sum(info["releases"] for info in told) == 0


def test_nobody_is_admitted_to_a_server_that_is_down():
    env = make(control="joint", num_users=2, num_stations=3, num_slots=4, failure_rate_per_s=1e-9)
    env.reset(seed=0)
    server = env.task.server()
    other = next(k for k in range(3) if k not in server)
    env.task.tape.up[0, 1, other] = False
    info = env.step(np.array([other, server[1]]))[4]
    assert info["refused"] == 1 and info["server"].tolist() == server.tolist()


# Draws


def test_a_seed_means_the_same_users_stations_and_failures_with_and_without_a_cloud():
    plain, cloud = (
        MigrationTask(resolve(None, ID, num_users=6, num_slots=30, twin_capacity=4, **settings))
        for settings in ({"num_stations": 4} | FAILING, {"num_stations": 5, "deployment": "edge-cloud"} | FAILING)
    )
    for seed in range(3):
        plain.reset(0, np.random.default_rng(seed))
        cloud.reset(0, np.random.default_rng(seed))
        for name in ("user_xy", "data_bits", "update_bits", "deadline_s", "shadowing_key"):
            assert np.array_equal(getattr(plain.tape, name), getattr(cloud.tape, name)), name
        for name in ("station_xy", "compute_hz"):
            assert np.array_equal(getattr(plain.tape, name)[0], getattr(cloud.tape, name)[0, :4])
        assert np.array_equal(plain.tape.up[0], cloud.tape.up[0, :, :4])
        assert np.array_equal(plain.course.access, cloud.course.access)
        assert np.array_equal(plain.course.rate, cloud.course.rate)


def test_options_that_are_off_change_nothing():
    off = {"cloud_compute_hz": (1.0, 9e9), "cloud_latency_s": 9.0, "cloud_distance_m": 7.0, "cloud_capacity": 1}
    off |= {"cloud_failure_rate_per_s": 1.0, "repair_s": 1.0, "isolation_price": 9.0, "num_miners": 99}
    plain, other = make(), make(**off)
    for seed in range(2):
        assert np.array_equal(plain.reset(seed=seed)[0], other.reset(seed=seed)[0])
        for t in range(12):
            ours, theirs = plain.step(t % 5), other.step(t % 5)
            assert np.array_equal(ours[0], theirs[0]) and ours[1] == theirs[1] and ours[4].keys() == theirs[4].keys()


def test_failures_are_drawn_at_reset_the_same_for_a_seed_and_others_for_another():
    task = MigrationTask(resolve(None, ID, **(SMALL | {"num_slots": 60} | FAILING)))
    drawn = []
    for seed in (5, 5, 6):
        task.reset(0, np.random.default_rng(seed))
        drawn.append(task.tape.up[0].copy())
        for t in range(5):
            task.step(np.array([[t % 5]]))
        assert np.array_equal(task.tape.up[0], drawn[-1])
    assert drawn[0].shape == (62, 5) and drawn[0][0].all() and not drawn[0].all()
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])


def test_servers_fail_and_are_repaired_as_often_as_they_should():
    rates = {"failure_rate_per_s": 0.01, "cloud_failure_rate_per_s": 0.04, "repair_s": 8.0, "slot_seconds": 2.0}
    task = MigrationTask(resolve(None, ID, num_users=2, num_stations=3, num_slots=20_000, deployment="cloud", **rates))
    task.reset(0, np.random.default_rng(0))
    up = task.tape.up[0]
    for k, rate in ((0, 0.01), (1, 0.01), (2, 0.04)):
        before, now = up[:-1, k], up[1:, k]
        fails, is_repaired = (~now)[before].mean(), now[~before].mean()
        assert fails == pytest.approx(1 - np.exp(-2.0 * rate), rel=0.15)
        assert is_repaired == pytest.approx(1 - np.exp(-2.0 / 8.0), rel=0.15)


# Doors


@pytest.mark.parametrize("control", ["focal", "joint"])
@pytest.mark.parametrize("mode", MODES, ids=NAMES)
def test_checkers_have_nothing_to_say_and_rows_are_single_environments(mode, control):
    settings = SMALL | mode | {"control": control, "num_slots": 5, "horizon": 2, "consensus": "dpos"}
    if control == "joint":
        settings["aggregation"] = "asynchronous"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ID, **settings).unwrapped, skip_render_check=True)
    ours = gym.make_vec(ID, num_envs=3, vectorization_mode="vector_entry_point", **settings)
    theirs = SyncVectorEnv([lambda: gym.make(ID, disable_env_checker=True, **settings) for _ in range(3)])
    assert np.array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    rng = np.random.default_rng(0)
    for _ in range(8):
        action = rng.integers(5, size=(3, 12) if control == "joint" else 3)
        (obs, reward, *_, info), (other, wage, *_, told) = ours.step(action), theirs.step(action)
        assert np.array_equal(obs, other) and np.array_equal(reward, wage)
        for name in set(told) - {"final_obs", "final_info"}:
            assert np.array_equal(info[name], told[name]), name


@pytest.mark.parametrize("mode", MODES, ids=NAMES)
def test_networks_read_every_mode_and_keep_to_its_masks(mode):
    torch = pytest.importorskip("torch")
    from agents.networks.migration import Equivariant

    scenario = resolve(None, ID, **(SMALL | mode | {"twin_capacity": 4}))
    task, network = MigrationTask(scenario, 4), Equivariant(scenario, stay=0.0)
    for b in range(4):
        task.reset(b, np.random.default_rng(b))
    for _ in range(12):
        decision = network(torch.tensor(task.obs))
        assert torch.isfinite(decision.value).all() and torch.isfinite(decision.log_prob).all()
        assert task.masks()[np.arange(4), decision.action.numpy()].all()
        task.step(decision.action.numpy()[:, None])


@pytest.mark.parametrize("mode", MODES[3:], ids=NAMES[3:])
@pytest.mark.parametrize("control", ["focal", "joint"])
def test_pictures_are_drawn(mode, control):
    pytest.importorskip("pygame")
    env = gym.make(ID, render_mode="rgb_array", **(SMALL | mode | {"control": control}))
    env.reset(seed=0)
    frames = []
    for _ in range(3):
        env.step(env.unwrapped.task.server())
        frames.append(env.render())
    assert (frames[0] != frames[2]).any()


def test_what_cannot_be_is_told_by_name():
    scenario = resolve(None, ID)
    for settings, message in (
        ({"deployment": "cloud", "num_stations": 1}, "num_stations must be at least 2 with deployment cloud"),
        (
            {"deployment": "cloud", "cloud_capacity": 49},
            "cloud_capacity must hold all twins .* got 49 for num_users 50",
        ),
        ({"deployment": "edge-cloud", "cloud_capacity": 3, "twin_capacity": 3, "control": "joint"}, "got 3 for num_us"),
        ({"deployment": "edge-cloud", "cloud_capacity": 5, "twin_capacity": 5}, "cloud_capacity must hold 49 backgr"),
        ({"twin_capacity": 5}, "twin_capacity must hold 49 background twins plus one free seat per station, got 5"),
    ):
        with pytest.raises(ValueError, match=message):
            scenario.override(**settings)
    scenario.override(deployment="edge-cloud", cloud_capacity=50, twin_capacity=1)  # the cloud takes them


def test_recorded_sites_are_the_stations_and_the_cloud_stands_on_none(tmp_path):
    (tmp_path / "sites.csv").write_text("x_m,y_m\n0,0\n400,0\n0,400\n400,400\n")
    walks = (f"{w},{20 * t},{10 * w + 5 * t},{(13 * w + 3 * t) % 400}\n" for w in range(6) for t in range(60))
    (tmp_path / "users.csv").write_text("trace,time_s,x_m,y_m\n" + "".join(walks))
    files, settings = (tmp_path / "sites.csv", tmp_path / "users.csv"), {"num_users": 4, "num_slots": 6}
    with pytest.raises(ValueError, match="num_stations needs 5"):
        scenario_from_traces(*files, env_id=ID, num_stations=5, **settings)
    made = scenario_from_traces(*files, env_id=ID, num_stations=5, deployment="edge-cloud", **settings)
    task = MigrationTask(made)
    task.reset(0, np.random.default_rng(0))
    assert {tuple(xy) for xy in task.tape.station_xy[0, :4]} == {tuple(xy) for xy in made.mobility.recording.site_xy}
    assert (task.tape.station_xy[0, 4] == 0.5 * made.network.area_m).all()
    assert (task.course.access < 4).all() and (task.course.wired_m[0, :4, 4] == 1500.0).all()


def test_a_gpu_refuses_what_it_never_ran():
    pytest.importorskip("numba.cuda")
    from dtenv.envs.cuda.tasks import refuse_deployments

    refuse_deployments(resolve(None, ID))
    for settings, message in (
        ({"deployment": "cloud"}, "deployment must be edge, got 'cloud'"),
        ({"failure_rate_per_s": 0.1}, "failure_rate_per_s must be 0, got 0.1"),
        ({"creation_s": 1.0}, "creation_s must be 0, got 1.0"),
        ({"consensus": "pbft"}, "consensus must be none, got 'pbft'"),
    ):
        with pytest.raises(ValueError, match=f'with device="cuda" {message}'):
            refuse_deployments(resolve(None, ID, **settings))
