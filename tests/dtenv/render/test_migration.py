from __future__ import annotations

import copy
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest

import dtenv
from dtenv import presets
from dtenv.render import canvas, pen
from dtenv.tasks.migration.task import MigrationTask

pygame = pytest.importorskip("pygame")

from colours import num_colours  # noqa: E402

from dtenv.render.migration import MigrationCanvas  # noqa: E402
from dtenv.render.stations import hue_of  # noqa: E402


class Played:
    """A task and `info` of its slots."""

    def __init__(self, seed: int = 1, **overrides):
        self.task = MigrationTask(presets.resolve("balanced", "DTMigration-v0", num_slots=40, **overrides))
        self.begin(seed)

    def begin(self, seed: int) -> None:
        self.task.reset(0, np.random.default_rng(seed))
        self.infos: list[dict] = []

    def go(self, *stations: int) -> Played:
        for k in stations:
            self.task.step(np.full((1, self.task.mask.shape[1]), k))
            self.infos.append(self.task.info())
        return self

    def frame(self) -> np.ndarray:
        frame = MigrationCanvas(self.task.scenario).draw(self.task, self.infos)
        assert isinstance(frame, np.ndarray)
        assert frame.dtype == np.uint8
        assert frame.shape == (720, 1080, 3)
        return frame

    def pixel(self, slot: int) -> tuple[int, int]:
        """Row and column of the focal user's position in a slot."""
        x, y = canvas.on_map(self.task.tape.user_xy[0, slot, 0], self.task.scenario.network.area_m)
        return round(y), round(x)


def on_the_map(frame: np.ndarray, colour: pen.Colour) -> int:
    return int((frame[:, : canvas.MAP] == colour).all(axis=-1).sum())


@pytest.mark.parametrize("control", ["focal", "joint"])
@pytest.mark.parametrize(("users", "stations"), [(50, 10), (5, 1), (30, 12)])
@pytest.mark.parametrize("forecaster", ["none", "constant-velocity"])
def test_every_slot_from_reset_is_an_array(control, users, stations, forecaster):
    played = Played(control=control, num_users=users, num_stations=stations, forecaster=forecaster)
    played.frame()
    for k in (0, stations - 1, stations // 2):
        assert num_colours(played.go(k).frame()) > 80


def test_before_the_first_slot_nothing_of_another_episode_is_shown():
    used = Played(seed=5, update_deadline_s=(1e-6, 1e-6)).go(1, 2, 3)
    used.begin(2)
    assert np.array_equal(used.frame(), Played(seed=2, update_deadline_s=(1e-6, 1e-6)).frame())
    assert on_the_map(used.frame(), pen.BAD) == 0


def test_the_focal_user_stands_where_it_was_in_the_hue_of_its_host():
    played = Played(num_users=1, num_stations=1)
    for slot in range(1, 6):
        frame = played.go(0).frame()
        assert tuple(frame[played.pixel(slot)]) == hue_of(0)


def test_a_migration_is_drawn_in_its_slot_and_stays_on_the_walk():
    played = Played(seed=3)
    home = played.task.server()
    away = (home + 1) % 10
    still = copy.deepcopy(played).go(*[home] * 24)
    assert on_the_map(still.frame(), pen.MOVE) == 0
    played.go(home, home, away)
    assert played.infos[-1]["migrations"] == 1
    assert on_the_map(played.frame(), pen.MOVE) > 50
    played.go(*[away] * 11, *[home] * 10)
    assert on_the_map(played.frame(), pen.MOVE) == 0
    assert on_the_map(played.frame(), hue_of(away)) > on_the_map(still.frame(), hue_of(away))


def test_handovers_are_ticks_across_the_walk():
    played = Played(seed=0, num_users=2, num_stations=6, twin_capacity=2, shadowing_db=12.0, handover_margin_db=0.0)
    home = played.task.server()
    played.go(*[home] * 30)
    assert sum(info["handovers"] for info in played.infos) > 0
    steady = copy.deepcopy(played)
    steady.task.course.access[0, :, 0] = steady.task.course.access[0, 30, 0]
    changed = np.argwhere((played.frame() != steady.frame())[:, : canvas.MAP].any(axis=-1))
    ticks = [played.pixel(t) for t in range(1, 31) if played.infos[t - 1]["handovers"]]
    away = np.abs(changed[:, None] - np.array(ticks)).max(axis=-1)
    assert (away.min(axis=1) <= 12).all()
    assert (away.min(axis=0) <= 6).all()


def test_wired_data_flow_only_to_a_twin_elsewhere():
    played = Played(num_users=1, num_stations=2)
    access = int(played.task.course.access[0, 1, 0])
    here, there = copy.deepcopy(played).go(access), copy.deepcopy(played).go(1 - access)
    assert here.infos[0]["latency_wired"] == 0.0 < there.infos[0]["latency_wired"]
    shade = pen.mix(pen.GROUND, hue_of(1 - access), 0.62)
    assert on_the_map(there.frame(), shade) > on_the_map(here.frame(), shade) + 50


def test_latency_past_the_deadline_is_red():
    late = Played(update_deadline_s=(1e-3, 1e-3)).go(0)
    assert late.infos[0]["violations"] == 1
    assert on_the_map(late.frame(), pen.BAD) > 20
    in_time = Played(update_deadline_s=(10.0, 10.0)).go(0)
    assert on_the_map(in_time.frame(), pen.BAD) == 0
    panels = [(played.frame()[260:300, canvas.MAP :] == pen.BAD).all(axis=-1).any() for played in (late, in_time)]
    assert panels == [True, False]


def test_stations_ahead_are_tagged_if_something_is_expected():
    told, untold = Played().frame(), Played(forecaster="none").frame()
    changed = (told != untold).any(axis=-1)
    assert changed[:, : canvas.MAP].any()
    assert not changed[:, canvas.MAP :].any()


def test_the_panel_sums_the_slots_up():
    played = Played(seed=3)
    played.go((played.task.server() + 1) % 10, played.task.server())
    whole = played.frame()
    played.infos[0] = {**played.infos[0], "downtime": 99.0, "migration_price": 77.0}
    rows = np.flatnonzero((whole != played.frame()).any(axis=(1, 2)))
    assert rows.min() > 395 and rows.max() < 450


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [("DTMigration-v0", {}), ("DTMigration-v0", {"control": "joint"}), ("DTPlacementMA-v0", {})],
)
def test_doors_draw_every_slot(env_id, settings):
    env = gym.make(env_id, render_mode="rgb_array", num_slots=3, **settings)
    env.reset(seed=0)
    env.action_space.seed(0)
    frames = [env.render()]
    for _ in range(3):
        env.step(env.action_space.sample())
        frames.append(env.render())
    assert all(frame.shape == (720, 1080, 3) for frame in frames)
    assert not any(np.array_equal(a, b) for a, b in pairwise(frames))
    assert np.array_equal(copy.deepcopy(env).render(), frames[-1])
    env.close()


def test_recordings_name_their_files_below_the_legend():
    rng = np.random.default_rng(0)
    walked = {"site_xy": rng.uniform(0, 500, (50, 2)), "walk_xy": rng.uniform(0, 500, (100, 2))}
    frames = []
    for provenance in ({}, {"sites_file": "sites.csv", "trace_file": "walks.csv", "overlaid": True}):
        recording = dtenv.Recording(
            **walked,
            segment_start=np.arange(0, 50),
            segment_slots=50,
            area_m=500.0,
            slot_seconds=1.0,
            provenance=provenance,
        )
        frames.append(Played(recording=recording, area_m=500.0, separation_m=1.0, num_users=11).frame())
    changed = np.argwhere((frames[0] != frames[1]).any(axis=-1))
    assert changed[:, 0].min() > 655
    ground = frames[0][655:, canvas.MAP :]
    assert (ground[3:] == pen.PAPER).all()  # the legend ends above
