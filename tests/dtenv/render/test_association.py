from __future__ import annotations

import copy
import sys

import gymnasium as gym
import numpy as np
import pytest

import dtenv
from dtenv.render import canvas, pen

pygame = pytest.importorskip("pygame")


def make(render_mode: str = "rgb_array", seed: int = 1, **overrides):
    env = gym.make("DTAssociation-v0", render_mode=render_mode, num_slots=6, **overrides)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    return env


def stay(env: gym.Env) -> np.ndarray:
    return env.unwrapped.task.state.server[0].copy()


def assert_picture(frame: object) -> None:
    assert isinstance(frame, np.ndarray)
    assert frame.dtype == np.uint8
    assert frame.shape == (720, 1080, 3)
    assert len(np.unique(frame)) > 50


def has_moves(frame: np.ndarray) -> bool:
    """Whether the map, left of the panel's legend, holds the colour of moves."""
    return bool((frame[:, : canvas.MAP] == pen.MOVE).all(axis=-1).any())


@pytest.fixture
def no_display(monkeypatch):
    """Dummy video driver without open windows."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    yield
    pygame.display.quit()


@pytest.mark.parametrize("num_servers", [1, 9, 21])
def test_every_slot_from_reset_to_the_end_is_an_array(num_servers):
    env = make(num_servers=num_servers, num_users=5)
    assert_picture(env.render())
    for _ in range(6):
        env.step(env.action_space.sample())
        assert_picture(env.render())
    env.close()


def test_an_array_needs_no_display_and_is_the_callers_own():
    pygame.display.quit()
    env = make()
    first = env.render()
    assert not pygame.display.get_init()
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(env.render(), kept)


def test_moves_are_drawn_in_the_slot_they_happen():
    env = make()
    assert not has_moves(env.render())
    action = stay(env)
    env.step(action)
    still = env.render()
    assert not has_moves(still)
    env.step((action + 1) % 15)
    moved = env.render()
    assert has_moves(moved)
    assert not np.array_equal(still, moved)
    assert np.array_equal(env.render(), moved)  # looking twice changes nothing
    env.step((action + 1) % 15)
    assert not has_moves(env.render())


def test_moves_show_where_the_slot_before_was_not_drawn():
    env = make()
    env.step(stay(env))
    env.step((stay(env) + 1) % 15)
    assert has_moves(env.render())
    assert has_moves(copy.deepcopy(env).render())


def test_same_seed_and_actions_give_the_same_pixels():
    frames = []
    for env in (make(), make()):
        frames.append([env.render()])
        for _ in range(3):
            env.step(env.action_space.sample())
            frames[-1].append(env.render())
    assert np.array_equal(frames[0], frames[1])


def test_a_violated_constraint_is_red():
    env = make()
    env.step(np.zeros(20, np.int64))  # all twins on one server break C3
    assert env.unwrapped.task.info()["violations"]
    frame = env.render()
    assert (frame[:, : canvas.MAP] == pen.BAD).all(axis=-1).sum() > 50


def test_a_copy_draws_on_its_own_canvas():
    env = make()
    env.render()
    env.step(stay(env))
    env.render()
    twin = copy.deepcopy(env)
    frames = []
    for one in (env, twin):
        one.step(stay(one))
        frames.append(one.render())
    assert np.array_equal(*frames)


def test_fonts_survive_another_users_quit():
    env = make()
    before = env.render()
    pygame.quit()
    assert np.array_equal(env.render(), before)


def test_recordings_name_their_files():
    rng = np.random.default_rng(0)
    places = {"site_xy": rng.uniform(0, 500, (3, 2)).repeat(5, axis=0), "walk_xy": rng.uniform(0, 500, (100, 2))}
    frames = []
    for provenance in ({}, {"sites_file": "sites.csv", "trace_file": "a-long-name" * 9, "overlaid": True}):
        recording = dtenv.Recording(
            **places,
            segment_start=np.arange(0, 80, 4),
            segment_slots=20,
            area_m=500.0,
            slot_seconds=1.0,
            provenance=provenance,
        )
        env = make(recording=recording, area_m=500.0)
        frames.append(env.render())
    changed = np.argwhere((frames[0] != frames[1]).any(axis=-1))
    assert len(changed)
    assert changed[:, 0].min() > 640
    assert changed[:, 1].min() >= canvas.LEFT - 2 and changed[:, 1].max() <= canvas.RIGHT + 2


def test_missing_pygame_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(ImportError, match=r'pip install "dtenv\[render\]"'):
        make().render()


def test_human_mode_shows_a_window_and_closes_it(no_display):
    env = make("human")
    assert pygame.display.get_surface().get_size() == (1080, 720)
    assert pygame.display.get_caption()[0] == "DTAssociation-v0 · balanced"
    env.step(env.action_space.sample())
    assert env.render() is None
    shown = pygame.surfarray.array3d(pygame.display.get_surface())
    assert len(np.unique(shown)) > 50
    env.close()
    assert not pygame.display.get_init()
    env.close()


def test_an_episode_goes_on_after_its_window_is_closed(no_display):
    env = make("human")
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    for _ in range(3):
        env.step(env.action_space.sample())
        assert not pygame.display.get_init()
    env.close()


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1234, 9.9999, 999.96, -123456.7, 999999.4, 1e6, -1e-7, -1.5e300])
def test_numbers_stay_short(value):
    text = canvas.short(value)
    assert len(text) <= 8
    assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(value, rel=0.05, abs=5e-4)


@pytest.mark.parametrize("count", [1, 9, 21])
def test_signs_do_not_cover_each_other(count):
    sites = np.random.default_rng(count).uniform(canvas.MARGIN, canvas.MAP - canvas.MARGIN, (count, 2))
    sites[: count // 3] = sites[0]
    signs = canvas.spread(sites)
    away = np.abs(signs[:, None] - signs) / (canvas.SIGN - 1.0)
    assert (away.max(axis=-1)[~np.eye(count, dtype=bool)] >= 1.0).all()
    assert signs.min() >= 20 and signs.max() <= canvas.MAP - canvas.MARGIN
