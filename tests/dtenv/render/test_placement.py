from __future__ import annotations

import copy

import numpy as np
import pytest

from dtenv import presets
from dtenv.render import canvas, pen
from dtenv.tasks.placement.task import PlacementTask

pygame = pytest.importorskip("pygame")

from colours import num_colours  # noqa: E402

from dtenv.render.placement import PlacementCanvas  # noqa: E402
from dtenv.render.stations import hue_of  # noqa: E402


def begun(name: str = "small-20x5", seed: int = 1, **overrides) -> PlacementTask:
    task = PlacementTask(presets.resolve(name, "DTPlacementMA-v0", action="association", **overrides))
    task.reset(0, np.random.default_rng(seed))
    return task


def shown(task: PlacementTask, values: tuple[float, ...] = ()) -> np.ndarray:
    frame = PlacementCanvas(task.scenario).draw(task, values)
    assert isinstance(frame, np.ndarray)
    assert frame.dtype == np.uint8
    assert frame.shape == (720, 1080, 3)
    return frame


def on_the_map(frame: np.ndarray, colour: pen.Colour) -> int:
    """Pixels of a colour on the map, left of the panel's legend."""
    return int((frame[:, : canvas.MAP] == colour).all(axis=-1).sum())


def rows_that_differ(a: np.ndarray, b: np.ndarray, left: int, right: int) -> np.ndarray:
    return np.flatnonzero((a[:, left:right] != b[:, left:right]).any(axis=(1, 2)))


def spread_out(task: PlacementTask) -> np.ndarray:
    users, stations = task.mask.shape[1:]
    return (np.arange(users) % stations)[None]


@pytest.mark.parametrize(("users", "stations"), [(100, 10), (20, 5), (5, 1), (40, 12)])
@pytest.mark.parametrize("access", ["strongest", "direct"])
def test_every_slot_from_reset_to_the_end_is_an_array(users, stations, access):
    task = begun(num_users=users, num_stations=stations, access=access, num_slots=3)
    shown(task)
    for t in range(3):
        task.step(spread_out(task))
        frame = shown(task, (-1.0,) * (t + 1))
        assert num_colours(frame) > 100


@pytest.mark.parametrize("action", ["bid", "price", "binary"])
def test_stations_bids_are_drawn_as_well(action):
    task = PlacementTask(presets.resolve("small-20x5", "DTPlacementMA-v0", action=action))
    task.reset(0, np.random.default_rng(0))
    width = 2 if action == "price" else 21
    task.step(np.random.default_rng(1).integers(0, 2, (1, 5, width)).astype(float))
    shown(task, (task.reward(),))


def test_an_array_needs_no_display_and_is_the_callers_own():
    pygame.display.quit()
    task, picture = begun(), PlacementCanvas(begun().scenario)
    first = picture.draw(task, ())
    assert not pygame.display.get_init()
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(picture.draw(task, ()), kept)  # looking twice changes nothing


def test_before_the_first_slot_nothing_of_another_episode_is_shown():
    fresh, used = begun(seed=2), begun(seed=5)
    for _ in range(3):
        used.step(np.zeros((1, 20), np.int64))
    used.reset(0, np.random.default_rng(2))
    assert np.array_equal(shown(used), shown(fresh))


def test_a_twin_that_moves_is_drawn_where_its_user_is():
    frames = []
    for goes in (False, True):
        task = begun(twin_capacity=20)
        task.step(task.state.server.copy())
        server = task.state.server.copy()
        server[0, 3] = (server[0, 3] + goes) % 5
        task.step(server)
        assert task.info()["migrations"] == goes
        frames.append(shown(task))
    x, y = canvas.on_map(task.tape.user_xy[0, 2, 3], 1500.0).round().astype(int)
    assert tuple(frames[1][y, x]) == hue_of(server[0, 3])
    assert tuple(frames[0][y, x]) != tuple(frames[1][y, x])


def test_users_stand_where_they_were_in_the_slot_decided():
    task = begun(num_users=1, num_stations=1)
    for t in (1, 2, 3):
        task.step(np.zeros((1, 1), np.int64))
        x, y = canvas.on_map(task.tape.user_xy[0, t, 0], 1500.0).round().astype(int)
        assert tuple(shown(task)[y, x]) == hue_of(0)


def test_a_user_past_its_deadline_is_in_a_red_ring():
    in_time = begun(deadline_s=(1e6, 1e6))
    in_time.step(spread_out(in_time))
    late = begun(deadline_s=(1e-6, 1e-6))
    assert on_the_map(shown(late), pen.BAD) == 0  # no user is late before the first slot
    late.step(spread_out(late))
    assert late.info()["violations"] == 20
    assert on_the_map(shown(in_time), pen.BAD) == 0
    assert on_the_map(shown(late), pen.BAD) > 20 * 10


def test_stations_without_twins_are_small_and_grey():
    task = begun(num_stations=3, twin_capacity=20)
    task.step(np.zeros((1, 20), np.int64))
    assert task.state.host[0].tolist() == [True, False, False]
    frame = shown(task)
    assert on_the_map(frame, hue_of(0)) > 300
    assert on_the_map(frame, hue_of(1)) == on_the_map(frame, hue_of(2)) == 0


def test_data_flow_to_twins_elsewhere_alone():
    task = begun(num_users=30, num_stations=2, twin_capacity=30)
    access = task.state.access.copy()
    assert 0 < access.sum() < 30
    here, there = copy.deepcopy(task), copy.deepcopy(task)
    here.step(access)
    there.step(1 - access)
    assert here.info()["latency_wired"] == 0.0 < there.info()["latency_wired"]
    shades = {k: pen.mix(pen.GROUND, hue_of(k), 0.62) for k in (0, 1)}
    assert all(on_the_map(shown(there), shade) > on_the_map(shown(here), shade) + 100 for shade in shades.values())


def test_the_curve_follows_the_scores_it_is_given():
    task = begun()
    task.step(spread_out(task))
    flat, steep = shown(task, (-2.0, -2.0)), shown(task, (-2.0, -1.0))
    assert np.array_equal(flat[:, : canvas.MAP], steep[:, : canvas.MAP])
    rows = rows_that_differ(flat, steep, canvas.MAP, 1080)
    assert rows.min() > 120 and rows.max() < 255  # figures and curve


def test_parts_of_latency_fill_their_bar():
    for wired in ("once", "twice"):
        task = begun(wired_count=wired)
        task.step(spread_out(task))
        bar = shown(task)[292, canvas.LEFT + 2 : canvas.RIGHT - 2]
        assert not (bar == pen.TRACK).all(axis=-1).any()
    assert (shown(begun())[292, canvas.LEFT + 2 : canvas.RIGHT - 2] == pen.TRACK).all()


def test_a_window_shows_pictures_and_closes(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    task = begun()
    window = PlacementCanvas(task.scenario, window=True)
    assert pygame.display.get_caption()[0] == "DTPlacementMA-v0 · small-20x5"
    assert window.draw(task, ()) is None
    assert len(np.unique(pygame.surfarray.array3d(pygame.display.get_surface()))) > 50
    window.close()
    assert not pygame.display.get_init()
    assert window.draw(task, ()) is None
    window.close()
