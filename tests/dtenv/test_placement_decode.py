"""Decoder of bids against sorting all pairs: every twin gets exactly one host with room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_edge import choose_hosts as reference_hosts
from reference_edge import greedy

from dtenv.tasks.placement.decode import bids_of_association, choose_hosts, match
from dtenv.tasks.placement.slot import Slot

CASES = 10_000
SIZES = [(1, 1), (1, 5), (2, 2), (3, 7), (5, 20), (10, 13), (10, 30)]  # stations, users
KINDS = ("uniform", "zero", "tied", "binary", "few values", "tiny differences", "huge differences", "negative", "rows")


def bids(rng, kind, stations, users):
    shape = (stations, users)
    if kind == "zero":
        return np.zeros(shape)
    if kind == "tied":
        return np.full(shape, rng.random())
    if kind == "binary":
        return rng.integers(2, size=shape).astype(float)
    if kind == "few values":
        return rng.integers(3, size=shape) / 2
    if kind == "tiny differences":
        return 0.5 + rng.integers(-3, 4, size=shape) * np.spacing(0.5)
    if kind == "huge differences":
        return rng.choice([-1, 1], size=shape) * 10.0 ** rng.uniform(-300, 300, size=shape)
    if kind == "negative":
        return -np.abs(rng.standard_normal(shape))
    if kind == "rows":  # every user wants the same stations: the most refusals
        return np.tile(rng.permutation(stations)[:, None] / stations, users)
    return rng.random(shape)


def capacities(rng, stations, users):
    """Random capacities with room for all users, sometimes exactly."""
    room = rng.integers(0, users + 1, size=stations)
    kind = rng.integers(3)
    if kind == 0:
        room[:] = -(-users // stations)
    if kind == 1:  # exactly enough
        room = np.bincount(rng.integers(stations, size=users), minlength=stations)
    while room.sum() < users:
        room[rng.integers(stations)] += 1
    return room.astype(np.int64)


def decoded(host_bid, bid, room):
    host, server, held = np.zeros(len(room), bool), np.empty(bid.shape[1], np.int64), np.empty(len(room), np.int64)
    choose_hosts(host_bid, room, bid.shape[1], host)
    match(bid, host, room, server, held)
    return host, server, held


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_adversarial_bids_are_feasible_and_decoded_as_the_greedy_does(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    overflowed = joined = 0
    for case in range(CASES // len(KINDS) + 1):
        stations, users = SIZES[case % len(SIZES)]
        room, bid = capacities(rng, stations, users), bids(rng, kind, stations, users)
        host_bid = bids(rng, KINDS[case % 5], stations, 1)[:, 0]
        if case % 3 == 0:  # few ask to host
            host_bid *= rng.random(stations) < 0.2
        host, server, held = decoded(host_bid, bid, room)
        assert host.tolist() == reference_hosts(host_bid.tolist(), room.tolist(), users)
        assert ((server >= 0) & (server < stations)).all() and host[server].all()
        counts = np.bincount(server, minlength=stations)
        assert (counts <= room).all() and np.array_equal(held, counts)
        assert server.tolist() == greedy(bid.tolist(), host.tolist(), room.tolist())
        overflowed += not np.array_equal(server, np.where(host[:, None], bid, -np.inf).argmax(axis=0))
        joined += (host & (host_bid <= 0.5)).any()
    assert overflowed > 0 and joined > 0


def test_the_paper_sizes_too():
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for stations, users in ((10, 100), (5, 80)):
            room, bid = np.full(stations, 2 * users // stations), bids(rng, kind, stations, users)
            host, server, _ = decoded(rng.random(stations), bid, room)
            assert server.tolist() == greedy(bid.tolist(), host.tolist(), room.tolist())


def test_hosts_bid_more_than_half_and_the_next_highest_join_until_all_twins_have_room():
    def hosts(bid, room, users):
        host = np.zeros(len(bid), bool)
        choose_hosts(np.array(bid), np.array(room), users, host)
        return np.flatnonzero(host).tolist()

    assert hosts([0.9, 0.5, 0.51, 0.1], [5, 5, 5, 5], 1) == [0, 2]  # half is not more than half
    assert hosts([0.9, 0.5, 0.4, 0.45], [5, 5, 5, 5], 12) == [0, 1, 3]
    assert hosts([0.0, 0.0, 0.0], [5, 5, 5], 6) == [0, 1]  # ties by index
    assert hosts([0.0, 0.2, 0.1], [5, 0, 5], 10) == [0, 2]  # stations without room are skipped
    assert hosts([1.0, 1.0, 1.0], [5, 5, 5], 1) == [0, 1, 2]  # no host is dismissed
    assert hosts([0.2, 0.1], [3, 3], 6) == [0, 1]


@given(st.integers(0, 2**32 - 1))
def test_one_hot_bids_give_any_feasible_association(seed):
    rng = np.random.default_rng(seed)
    stations, users = int(rng.integers(1, 8)), int(rng.integers(1, 25))
    wanted = rng.integers(stations, size=users)
    room = np.bincount(wanted, minlength=stations) + rng.integers(0, 3, size=stations)
    bid = (wanted[None] == np.arange(stations)[:, None]).astype(float)
    host, server, _ = decoded(bid.max(axis=1), bid, room)
    assert np.array_equal(server, wanted)
    assert np.array_equal(host, np.isin(np.arange(stations), wanted))


@given(st.integers(0, 2**32 - 1))
def test_raising_ones_bid_never_loses_the_user(seed):
    rng = np.random.default_rng(seed)
    bid, room = rng.random((4, 9)), np.full(4, 3)
    _, before, _ = decoded(np.ones(4), bid, room)
    u = int(rng.integers(9))
    bid[before[u], u] += rng.random()
    assert decoded(np.ones(4), bid, room)[1][u] == before[u]


def test_bids_of_an_association():
    wired_m = np.array([[0.0, 300.0, 100.0], [300.0, 0.0, 200.0], [100.0, 200.0, 0.0]])
    slot = Slot(*[None] * 10, wired_m, None, None)
    host_bid, bid = np.full(3, 0.7), np.full((3, 4), 0.7)
    bids_of_association.py_func(slot, np.array([0, 0, 2, 0]), host_bid, bid)
    assert host_bid.tolist() == [1.0, 0.0, 1.0]
    assert bid.T.tolist() == [[1, -300, -100], [1, -300, -100], [-100, -200, 1], [1, -300, -100]]
    _, server, _ = decoded(host_bid, bid, np.array([2, 2, 2]))
    assert server.tolist() == [0, 0, 2, 2]  # station 0 is full for its last user
