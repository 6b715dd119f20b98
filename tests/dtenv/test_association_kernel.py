"""Lazy evaluation, linked lists and inlining in DTAssociation's kernel change no result."""

from __future__ import annotations

import numpy as np
import pytest

from dtenv.presets import resolve
from dtenv.tasks.association import allocation
from dtenv.tasks.association.allocation import CEILING, COST, FRESH, HIGH_MARGINAL, LOW_MARGINAL, PAST, TAKEN
from dtenv.tasks.association.slot import link_users_by_server, list_linked_users, list_users, serve_server
from dtenv.tasks.association.task import AssociationTask
from dtenv.tasks.association.terms import TOTAL


@pytest.mark.parametrize(("users", "servers"), [(1, 1), (1, 4), (7, 3), (20, 15), (40, 2)])
def test_users_are_listed_by_server_and_in_order(users, servers):
    rng = np.random.default_rng(users)
    work, first = allocation.work_arrays(users)[0], np.empty(servers)
    for _ in range(20):
        server = rng.integers(-1, servers, users)  # -1 is on no server
        link_users_by_server(server, first, work)
        for s in range(servers):
            there = np.flatnonzero(server == s).tolist()
            n = list_linked_users(int(first[s]), work)
            assert work[allocation.USER, :n].tolist() == there
            n = list_users(server, s, work)
            assert work[allocation.USER, :n].tolist() == there


def wild_program(rng, n):
    """Users with almost no to far too much data, and the scalars of their server."""
    users, _ = allocation.work_arrays(n)
    scale = 10 ** rng.uniform(-3, 5.5)
    users[FRESH] = rng.uniform(0, scale, n) * rng.integers(0, 2, n)
    users[PAST] = rng.uniform(0, scale, n) * 10.0 ** rng.integers(-18, 1, n)
    users[CEILING] = rng.uniform(0.01, 0.9999, n)
    users[COST] = rng.uniform(0.1, 20, n)
    return users, allocation.Program(0.015, 0.05, 200.0, 0.8862, 6.8382, 0.0006, 50.0, 100.0, 0.26, 1e4, 0.0)


def test_marginal_utilities_put_off_are_those_computed_at_once():
    rng = np.random.default_rng(3)
    waiting = 0
    for _ in range(1000):
        users, program = wild_program(rng, 8)
        allocation.prepare(users, 8, program)
        at_once = users.copy()
        for u in range(8):
            allocation.prepare_low(at_once, u, program)
        waits = np.isnan(users[LOW_MARGINAL])
        waiting += waits.sum()
        assert (at_once[LOW_MARGINAL][waits] > at_once[HIGH_MARGINAL][waits] * (1 + 1e-9)).all()
        # Costs at which some user takes all, none takes anything, or one is indifferent to the last bit.
        slopes = [
            0.0,
            *(at_once[[LOW_MARGINAL, HIGH_MARGINAL], rng.integers(8)] / users[COST, 0]),
            rng.uniform(0, 0.01),
        ]
        for slope in filter(np.isfinite, slopes):
            for price in (0.0, 1e-4):
                asked, known = users.copy(), at_once.copy()
                found = allocation.demand(asked, 8, program, slope, price)
                assert found == allocation.demand(known, 8, program, slope, price)
                assert asked[TAKEN].tolist() == known[TAKEN].tolist()
    assert waiting > 1000


@pytest.mark.parametrize("history", ["optimal", "optimal-barrier", "none"])
def test_the_kernels_terms_are_the_sums_of_its_servers(history):
    """Calls from Python, with reference counting, equal the kernel, without it."""
    task = AssociationTask(resolve("balanced", history=history, num_slots=5))
    task.reset(0, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    for _ in range(5):
        slot = task.slot()
        slot = type(slot)(*map(np.copy, slot))  # `step` moves the twins
        server, work = rng.integers(0, 15, 20), allocation.work_arrays(20)
        gamma, utility = np.zeros(20), np.zeros(20)
        parts = [serve_server(task.constants[0], slot, server, s, *work, gamma, utility)[:4] for s in range(15)]
        task.step(server[None])
        assert task.terms.energy[0].tolist() == [list(part) for part in parts]
        assert task.terms.history[0].tolist() == gamma.tolist()
        assert task.terms.utility[0].tolist() == utility.tolist()
        assert task.terms.totals[0, TOTAL.migrations] == (server != slot.previous_server).sum()


def test_what_python_is_handed_after_the_kernel_ran_is_a_view_of_one_slot():
    """A function that returns arrays, compiled within a kernel without reference counting, would return whole tapes."""
    task = AssociationTask(resolve("balanced", num_slots=3), batch=2)
    for b in range(2):
        task.reset(b, np.random.default_rng(b))
    task.step(np.zeros((2, 20), np.int64))
    slot = task.slot(1)
    assert slot.user_xy.shape == (20, 2)
    assert slot.samples.tolist() == task.tape.samples[1, 2].tolist()
    assert np.shares_memory(slot.samples, task.tape.samples)
