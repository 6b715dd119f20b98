"""Solvers of DTAssociation: optimum of a slot, bound of an episode (Zhou 2025)."""

from dtenv.oracle.association.episode import solve_episode
from dtenv.oracle.association.slot import solve_slot

__all__ = ["solve_episode", "solve_slot"]
