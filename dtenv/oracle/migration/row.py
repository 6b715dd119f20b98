"""One row of a migration task: a copy for solvers to step, and the worth of its slots."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import as_record, compiled
from dtenv.physics.barrier import is_violated
from dtenv.tasks.migration.batch import TERM, Batch, State, Terms, unflatten
from dtenv.tasks.migration.exogenous import Exogenous
from dtenv.tasks.migration.kernels import step
from dtenv.tasks.migration.lifecycle import hosting_price, is_up
from dtenv.tasks.migration.slot import Constants, computing_latency, fixed_latency, seats_of, update_latency, utility
from dtenv.tasks.migration.task import MigrationTask
from dtenv.world.migration import MigrationTape


def single_row(task: MigrationTask, b: int) -> Batch:
    """Copy of row b as a batch of one, for solvers to step; without the reward's baseline, which costs time."""
    row = slice(b, b + 1)
    return task.batch._replace(
        tape=MigrationTape(*(field[row] for field in task.tape)),
        course=Exogenous(*(field[row] for field in task.course)),
        state=State(*(field[row].copy() for field in task.state)),
        terms=Terms(*(field[row].copy() for field in task.terms)),
        obs=task.obs[row].copy(),
        mask=task.mask[row].copy(),
        constants=as_record(Constants.of(task.scenario)._replace(centred=False)),
    )


def play(task: MigrationTask, b: int, actions: np.ndarray) -> np.ndarray:
    """Scores (H,) of the next slots of row b under actions (H, n), by the environment's own kernel."""
    scores = np.empty(len(actions))
    play_plan(single_row(task, b).flatten(), np.ascontiguousarray(actions, dtype=np.int64), scores)
    return scores


@compiled
def play_plan(arrays: tuple[np.ndarray, ...], actions: np.ndarray, scores: np.ndarray) -> None:
    """Play slots one after another."""
    totals, row = unflatten(arrays).terms.totals, np.zeros(1, np.int64)
    for h in range(len(actions)):
        step(arrays, row, actions[h : h + 1])
        scores[h] = totals[0, TERM.score]


@compiled
def slot_score(batch: Any, t: int, u: int, k: int, others_weight: float) -> float:
    """Score of user u's slot t on station k with `others_weight` of other twins, without the price of a move."""
    tape, course, c = batch.tape, batch.course, batch.constants[0]
    if not is_up(c, tape.up[0], t, k):
        return -c.isolation_price - c.deadline_penalty
    bits, rate, deadline = tape.update_bits[0, u], course.rate[0, t, u], tape.deadline_s[0, u]
    computing = computing_latency(c, k, bits, tape.compute_hz[0, k], course.weight[0, u], others_weight)
    standing = computing + fixed_latency(c, k)
    latency = update_latency(c, bits, rate, course.wired_m[0, course.access[0, t, u], k], standing)
    late = 1.0 if is_violated(latency, deadline) else 0.0
    return utility(c, bits, rate, latency, deadline) - c.deadline_penalty * late


def price_rows(batch: Batch, slots: int) -> int:
    """Number of slots with prices of moves of their own: all with twin lifecycles, else one."""
    return slots if bool(batch.constants[0]["has_lifecycle"]) else 1


@compiled
def fill_prices(batch: Any, first: int, moving: np.ndarray) -> None:
    """Fill prices (P, M, M, n) of each site after another for the agent's users, from slot `first` on.

    Entering a site that has no seats or is down costs infinity; a twin may at best stay there.
    """
    c, up = batch.constants[0], batch.tape.up[0]
    for h in range(moving.shape[0]):
        for k in range(moving.shape[1]):
            for s in range(moving.shape[1]):
                closed = s != k and (seats_of(c, s) == 0 or not is_up(c, up, first + h, s))
                for u in range(moving.shape[3]):
                    moving[h, k, s, u] = np.inf if closed else hosting_price(batch, 0, first + h, u, k, s)
