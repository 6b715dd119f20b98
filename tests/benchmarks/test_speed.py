"""The speed benchmark at tiny sizes: env-steps, ratios and files."""

import csv
import json
import statistics
from contextlib import ExitStack
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from benchmarks.speed import command as speed
from benchmarks.speed import contenders as speed_contenders
from benchmarks.speed import memory as speed_memory
from benchmarks.speed import players as speed_players
from benchmarks.speed import scaling as speed_scaling
from benchmarks.speed import start as speed_start
from benchmarks.speed import tables as speed_report
from benchmarks.speed.contenders import CENTRAL, EXACT, OURS, Contender, best_of
from benchmarks.speed.players import Played

BY_NAME = {ours.name: ours for ours in OURS}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed")
    speed.main(speed.Speed(quick=True, out=folder))
    return folder


def table(out, name):
    with (out / f"{name}.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_contenders_stand_in_one_table(out):
    rows = {row["environment"]: row for row in table(out, "speed")}
    for ours in OURS:
        vector = rows[f"{ours.name}: vector"]
        kernel = rows[f"{ours.name}: vector's bare kernel"]
        assert vector["num_envs"] == kernel["num_envs"] == "8" and vector["played"] == kernel["played"] == ours.played
        assert vector["asked"] == ours.asked and float(vector["api_share"]) < 1.0
        assert 0.0 < float(kernel["drawing_share"]) < 1.0
    for row in rows.values():
        assert 0.0 < float(row["lowest"]) <= float(row["env_steps_per_second"]) <= float(row["highest"])
    text = (out / "speed.md").read_text()
    assert all(f"| {name} |" in text for name in rows)
    assert set(speed_contenders.missing()).isdisjoint(rows)
    assert all(name in rows or name in text for names in speed_contenders.LIBRARIES.values() for name in names)


def test_settings_hardware_and_warm_up_are_told(out):
    record = json.loads((out / "manifest.json").read_text())
    assert record["settings"]["warm_up"] == 0.0 and record["settings"]["num_envs"] == 8
    assert record["processor"] and record["load_average"] and set(record["rivals"]) == {"mobile-env", "cvxpy"}
    assert len(record["scenario"]) == 3


def test_other_tables_hold_every_cell(out):
    batches = table(out, "batches")
    ids = {"DTAssociation-v0", "DTPlacementMA-v0", "DTMigration-v0"}
    assert {(row["env_id"], row["batch"], row["num_envs"]) for row in batches} == {
        (env_id, batch, count)
        for env_id in ids
        for batch in ("vector", "bare kernel", "SyncVectorEnv")
        for count in "14"
    }
    sizes = table(out, "sizes")
    assert {row["env_id"] for row in sizes} == ids and len(sizes) == 4 * 4
    for row in sizes:
        both = int(row["users"]) * int(row["servers"])
        assert float(row["ns_per_user_and_server"]) * both == pytest.approx(
            1e3 * float(row["us_per_env_step"]), rel=0.01
        )
    (memory,) = table(out, "memory")
    assert int(memory["array_bytes_per_env"]) > 10_000 and float(memory["peak_mib"]) > 50.0
    starts = table(out, "start")
    assert [row["door"] for row in starts] == ["single", "vector"] and all(float(row["warm_s"]) > 0 for row in starts)
    text = (out / "scaling.md").read_text()
    assert text.count("|---") >= 4 and "exponent ≤ 1" in text


@pytest.mark.parametrize("name", ["batches", "sizes"])
def test_pictures_show_something(out, name):
    picture = np.asarray(Image.open(out / f"{name}.png").convert("RGB"))
    assert picture.shape[1] > 900
    inked = (picture != 255).any(axis=2)
    assert 0.01 < inked.mean() < 0.5
    blue = (np.abs(picture.astype(int) - (0x00, 0x72, 0xB2)) < 30).all(axis=2)  # ours
    assert blue.sum() > 200


def test_ratios_are_of_the_same_turn():
    def turns(*speeds):
        return [Played(round(speed), 1.0) for speed in speeds]

    every = [
        Contender("vector", lambda s: Played(1, s), bare="kernel", against=("single", "best", "absent")),
        Contender("kernel", lambda s: Played(1, s)),
        Contender("single", lambda s: Played(1, s)),
        Contender("sync", lambda s: Played(1, s), family="best"),
        Contender("async", lambda s: Played(1, s), family="best"),
    ]
    played = {
        "vector": turns(90, 900, 9),
        "kernel": [Played(100, 1.0, 0.25), Played(1000, 1.0, 0.5), Played(10, 1.0, 0.1)],
        "single": turns(3, 30, 1),
        "sync": turns(30, 50, 20),
        "async": turns(45, 40, 45),
    }
    vector, kernel, *rest = speed_report.speed_rows(every, played)
    assert vector["env_steps_per_second"] == 90 and (vector["lowest"], vector["highest"]) == (9, 900)
    assert vector["api_share"] == pytest.approx(0.1) and kernel["drawing_share"] == 0.25
    assert vector["times_as_fast_as"] == "30x single; 2x async"  # of 30, 30, 9 and of 2, 22.5, .2
    assert all(row["api_share"] is None and row["times_as_fast_as"] == "" for row in rest)
    line = "| vector | 1 | random | 90.0 | 9.0 | 900.0 |  | 10.0 % |  | 30x single; 2x async |"
    assert line in speed_report.markdown([vector, kernel]).splitlines()


class Scripted:
    """Rows with episodes of two and of four slots, in next-step autoreset mode."""

    num_envs = 2

    def __init__(self):
        self.t, self.given = 0, []

    def reset(self, seed=None):
        self.t = 0
        return None, {}

    def step(self, action):
        self.t += 1
        self.given.append(action)
        return None, None, None, np.array([self.t % 3 == 2, self.t % 5 == 4]), {}


def test_rows_that_begin_anew_are_not_steps():
    env = Scripted()
    played = speed_players.many(env, 9, lambda infos: "abc")(0.0)
    assert len(env.given) == 10 and env.given[:4] == list("abca")
    # Row 0 plays steps 1 2 . 4 5 . 7 8 . 10, row 1 steps 1 2 3 4 . 6 7 8 9 .
    assert played.steps == 7 + 8


@pytest.mark.parametrize("name", [EXACT, "DTMigration-v0", CENTRAL, "DTPlacementMA-v0, Parallel"])
def test_env_steps_are_slots_times_rows(name):
    ours = BY_NAME[name]
    env = ours.batch(3, num_slots=4)
    begun = []
    env.task.reset_rows, reset_rows = (lambda rows: (begun.append(len(rows)), reset_rows(rows))), env.task.reset_rows
    slots = 4
    assert speed_players.many(env, slots, ours._choose(env))(0.0).steps == 3 * slots
    assert begun == [3, 3]  # before the clock, and at its end
    with ExitStack() as stack:
        played = ours.bare(env, stack)(0.0)
    assert played.steps == 3 * slots and 0.0 < played.drawing < played.seconds
    assert begun == [3, 3, 3, 3]
    if not ours.stations:
        single = speed_players.one(gym.make(ours.env_id, num_slots=4), speed_players.at_random(env.single_action_space))
        assert single(0.0).steps == slots


def test_door_and_kernel_play_the_same():
    for ours in OURS:
        doors = [ours.batch(40, threads=2, num_slots=3) for _ in range(2)]
        with ExitStack() as stack:
            speed_players.many(doors[0], 3, ours._choose(doors[0]))(0.0)
            ours.bare(doors[1], stack)(0.0)
        for mine, other in zip(doors[0].task._arrays, doors[1].task._arrays, strict=True):
            np.testing.assert_array_equal(mine, other, err_msg=ours.name)


def test_an_exponent_is_the_slope_of_logarithms():
    assert speed_scaling.exponent([(10, 3.0), (20, 6.0), (200, 60.0)]) == pytest.approx(1.0)
    assert speed_scaling.exponent([(5, 7.0), (50, 7.0)]) == pytest.approx(0.0)
    assert speed_scaling.exponent([(1, 2.0), (3, 18.0)]) == pytest.approx(2.0)


def test_arrays_are_weighed_once():
    class Holder:
        def __init__(self):
            self.a = np.zeros(100)
            self.b = self.a[:10], [np.ones(5, np.float32)]
            self.c = "text"

    assert speed_memory.array_bytes(Holder()) == 820


def test_memory_grows_with_the_batch():
    few, more = (speed_memory.array_bytes(BY_NAME["DTMigration-v0"].batch(n).task) for n in (10, 20))
    assert 1.9 < more / few < 2.1


def test_cold_starts_compile_into_a_folder_of_their_own(tmp_path):
    code = "from dtenv.physics.geometry import manhattan; manhattan(0.0, 0.0, 1.0, 1.0)"
    own = speed_start.ROOT / "dtenv" / "physics" / "__pycache__"
    before = {path: path.stat().st_mtime_ns for path in own.glob("geometry*.nb[ic]")}
    cold = speed_start.seconds(code, str(tmp_path))
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("geometry*.nb[ic]")}
    warm = speed_start.seconds(code, str(tmp_path))
    assert made and {path: path.stat().st_mtime_ns for path in tmp_path.rglob("geometry*.nb[ic]")} == made
    assert {path: path.stat().st_mtime_ns for path in own.glob("geometry*.nb[ic]")} == before
    assert warm > 0.0 and cold > 0.0


def test_starts_are_medians_of_fresh_processes(monkeypatch):
    folders = []
    times = iter([40.0, 1.0, 3.0, 42.0, 2.0, 2.0] * 2)
    monkeypatch.setattr(
        speed_start, "seconds", lambda code, folder=None: (folders.append((code, folder)), next(times))[1]
    )
    single, vector = speed_start.start_rows(("DTMigration-v0",), 8, cold=2, warm=2)
    assert (single["cold_s"], single["warm_s"]) == (41.0, statistics.median([1, 3, 2, 2]))
    assert single["cold_processes"] == 2 and vector["warm_processes"] == 4 and vector["num_envs"] == 8
    assert len({folder for _, folder in folders}) == 4 and all(folder for _, folder in folders)
    assert "num_envs=8" in folders[-1][0] and not any(Path(folder).exists() for _, folder in folders)


def test_gymnasiums_best_is_a_family():
    with ExitStack() as stack:
        found = list(speed_contenders.gymnasiums((1, 2), (), stack))
    assert {contender.family for contender in found} == {best_of(ours.name) for ours in OURS if ours.asked}
    assert len(found) == 6
