"""One slot of DTAssociation as a choice of user sets, with C2 and C3 penalised or hard."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import as_record
from dtenv.oracle.association.sets import worth_of_sets
from dtenv.tasks.association.allocation import work_arrays
from dtenv.tasks.association.slot import OPTIMAL, Slot
from dtenv.tasks.association.terms import TOTAL, Terms, evaluate, new_terms


class Problem:
    """A slot with optimal γ (26).

    Args:
        constants: the scenario's, a record or `tasks.association.slot.Constants`.
        slot: state and exogenous inputs of the slot.
        penalised: whether violations of C2 and C3 are penalised as in the score; otherwise such a set is worth -inf.
    """

    def __init__(self, constants: Any, slot: Slot, penalised: bool):
        record = as_record(constants)[0] if isinstance(constants, tuple) else constants
        self.c: Any = record.copy()
        self.c["mode"] = OPTIMAL
        self.slot, self.penalised = slot, penalised
        self.num_users, self.num_servers = len(slot.samples), len(slot.compute_capacity)
        self.work = work_arrays(self.num_users)

    def worth_on(self, s: int, members: np.ndarray) -> float:
        """Worth of server s with the users where members (U,) is true."""
        return float(worth_of_sets(self.c, self.slot, s, members[None], self.penalised, *self.work)[0])

    def worth(self, server: np.ndarray) -> float:
        """Worth of an association (U,)."""
        return math.fsum(self.worth_on(s, server == s) for s in range(self.num_servers))

    def value(self, server: np.ndarray) -> float:
        """Value of an association (U,) as the environment sums it, -inf if infeasible."""
        totals = self._evaluate(server).totals[0]
        if not self.penalised and totals[TOTAL.violations] > 0.0:
            return -math.inf
        return float(totals[TOTAL.score if self.penalised else TOTAL.objective])

    def history(self, server: np.ndarray) -> np.ndarray:
        """Optimal γ (U,) of an association (U,)."""
        return self._evaluate(server).history[0]

    def _evaluate(self, server: np.ndarray) -> Terms:
        terms = new_terms(1, self.num_users, self.num_servers)
        evaluate(self.c, self.slot, server, *self.work, terms, 0)
        return terms
