"""Normalised scores and significance tests between entries."""

import itertools

import numpy as np
import pytest
from scipy import stats

from benchmarks.suites.suite import Cell
from leaderboards import scores
from leaderboards.tracks import TRACKS, Track, find

TRACK = Track(
    name="t",
    title="t",
    about="",
    cells=tuple(Cell("DTAssociation-v0", "balanced", fields={"num_servers": s}) for s in (9, 15)),
    episodes=3,
)
A, B = (cell.name for cell in TRACK.cells)


def test_a_score_lies_between_reference_and_bound():
    assert scores.normalised(0.25, 0.0, 1.0) == 0.25
    assert scores.normalised(-3.0, -2.0, -1.0) == -1.0
    assert scores.normalised(1.0, 1.0, 1.0) is None and scores.normalised(0.3, 1.0, 1.0 + 1e-12) is None


def test_instances_without_headroom_count_for_nobody():
    keys = list(itertools.product((A, B), range(3)))
    reference = dict.fromkeys(keys, 1.0)
    bounds = {**dict.fromkeys(keys, 3.0), (B, 1): 1.0}
    ours = {key: 1.5 + 0.5 * key[1] for key in keys}
    assert scores.with_headroom(TRACK, reference, bounds) == [0, 2]
    np.testing.assert_array_equal(scores.matrix(TRACK, ours, reference, bounds), [[0.25, 0.25], [0.75, 0.75]])


def test_the_test_in_pairs_is_that_of_all_swaps():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=(8, 1)), rng.normal(0.8, size=(8, 1))

    def difference(a, b):
        return stats.trim_mean(a, 0.25) - stats.trim_mean(b, 0.25)

    seen, found = difference(ours[:, 0], theirs[:, 0]), []
    for swaps in itertools.product((False, True), repeat=8):
        swap = np.array(swaps)
        found.append(difference(np.where(swap, theirs[:, 0], ours[:, 0]), np.where(swap, ours[:, 0], theirs[:, 0])))
    expected = 2 * min(np.mean(np.array(found) >= seen - 1e-12), np.mean(np.array(found) <= seen + 1e-12))
    assert scores.p_value(ours, theirs) == pytest.approx(min(expected, 1.0))


def test_the_test_keeps_its_level():
    rng = np.random.default_rng(0)
    rejected = [scores.p_value(*rng.normal(size=(2, 10, 1))) <= 0.05 for _ in range(200)]
    assert 0.01 <= np.mean(rejected) <= 0.09


def test_entries_that_cannot_be_told_apart_share_a_group():
    rng = np.random.default_rng(0)
    skill = rng.normal(size=(20, 1))
    noise = [0.01 * rng.normal(size=(20, 1)) for _ in range(4)]
    ranked = [skill + 1.0 + noise[0], skill + 1.0 + noise[1], skill + noise[2], skill - 1.0 + noise[3]]
    assert scores.tie_groups(ranked) == [1, 1, 2, 3]
    assert scores.tie_groups([skill, skill, skill]) == [1, 1, 1]
    assert scores.tie_groups([]) == []


def test_a_group_does_not_go_on_behind_somebody_who_is_told_apart():
    rng = np.random.default_rng(0)
    first = 1.0 + 0.01 * rng.normal(size=(12, 1))
    steady, wild = first - 0.1, first - 0.2 + np.where(np.arange(12)[:, None] % 2, 3.0, -3.0)
    assert scores.tie_groups([first, steady, wild])[1:] == [2, 2]  # wild does not differ from first either


def test_iqm_leaves_out_the_ends():
    values = np.array([[-100.0], [0.5], [0.5], [0.7], [0.7], [9.0], [0.6], [-50.0]])
    assert scores.iqm_interval(values).mean == pytest.approx(0.575)


@pytest.mark.parametrize("name", TRACKS)
def test_tracks_are_whole(name):
    track = find(name)
    assert len({cell.env_id for cell in track.cells}) == 1 and track.reference and track.episodes >= 12
    assert len({cell.name for cell in track.cells}) == len(track.cells)
    assert len({t.sha256 for t in TRACKS.values()}) == len(TRACKS)


def test_cells_of_two_tracks_are_proven_alike():
    """Bounds are shared by environment, cell and index."""
    proofs = {}
    for track in TRACKS.values():
        for cell in track.cells:
            assert proofs.setdefault((track.env_id, cell.name), (track.proof, cell.resolve())) == (
                track.proof,
                cell.resolve(),
            )


def test_unknown_tracks_are_named():
    with pytest.raises(ValueError, match=r"track must be one of association-balanced, .*, got 'x'"):
        find("x")
