"""One row of a migration task, played alone: a copy that a solver may move on, and what slots are worth in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import as_record, compiled
from dtenv.physics.barrier import is_violated
from dtenv.tasks.migration import MigrationTask
from dtenv.tasks.migration_episode import Course
from dtenv.tasks.migration_slot import Constants, computing_latency, migration_price, update_latency, utility
from dtenv.tasks.migration_step import SCORE, Batch, State, Terms, advance
from dtenv.world.migration import MigrationTape


def alone(task: MigrationTask, b: int) -> Batch:
    """Row b as a batch of one, whose slots leave the task as it is; without the reward's baseline, which costs time."""
    row = slice(b, b + 1)
    return task.batch._replace(
        tape=MigrationTape(*(field[row] for field in task.tape)),
        course=Course(*(field[row] for field in task.course)),
        state=State(*(field[row].copy() for field in task.state)),
        terms=Terms(*(field[row].copy() for field in task.terms)),
        obs=task.obs[row].copy(),
        mask=task.mask[row].copy(),
        constants=as_record(Constants.of(task.scenario)._replace(centred=False)),
    )


def play(task: MigrationTask, b: int, actions: np.ndarray) -> np.ndarray:
    """Scores (H,) of the next slots of row b under actions (H, n), by the environment's own kernel."""
    scores = np.empty(len(actions))
    play_on(alone(task, b).flat(), np.ascontiguousarray(actions, dtype=np.int64), scores)
    return scores


@compiled
def play_on(arrays: tuple[np.ndarray, ...], actions: np.ndarray, scores: np.ndarray) -> None:
    """Play slots one after another; totals are the 21st of a flat `Batch`."""
    totals, row = arrays[20], np.zeros(1, np.int64)
    for h in range(len(actions)):
        advance(arrays, row, actions[h : h + 1])
        scores[h] = totals[0, SCORE]


@compiled
def worth(batch: Any, t: int, u: int, k: int, others_weight: float) -> float:
    """Score of user u's slot t on station k beside twins of that weight in all, without the price of moving there."""
    tape, course, c = batch.tape, batch.course, batch.constants[0]
    bits, rate, deadline = tape.update_bits[0, u], course.rate[0, t, u], tape.deadline_s[0, u]
    computing = computing_latency(c, bits, tape.compute_hz[0, k], course.weight[0, u], others_weight)
    latency = update_latency(c, bits, rate, course.wired_m[0, course.access[0, t, u], k], computing)
    late = 1.0 if is_violated(latency, deadline) else 0.0
    return utility(c, bits, rate, latency, deadline) - c.deadline_penalty * late


@compiled
def fill_prices(batch: Any, moving: np.ndarray) -> None:
    """Prices (M, M, n) of the agent's users' moves from a station to another."""
    tape, course, c = batch.tape, batch.course, batch.constants[0]
    for k in range(moving.shape[0]):
        for s in range(moving.shape[0]):
            for u in range(moving.shape[2]):
                moving[k, s, u] = migration_price(c, tape.data_bits[0, u], course.wired_m[0, k, s]) if s != k else 0.0
