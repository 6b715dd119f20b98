"""What a claim is, and how a finding is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from benchmarks.figures.grid import Grid, MissingResults

Verdict = Literal["reproduces", "partly", "does not", "not measured"]


class Finding(NamedTuple):
    """What results say of a claim."""

    verdict: Verdict
    text: str
    """figures with their 95 % intervals"""


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, in our words."""

    figure: str
    """of the paper, such as "Fig. 5" """
    says: str
    test: Callable[[Grid], Finding]
    """raises MissingResults where the results do not tell"""
    why: str
    """what in the model or in the trainings it rests on"""

    def find(self, cells: Grid) -> Finding:
        """What a run's cells say of it."""
        try:
            return self.test(cells)
        except MissingResults as error:
            return Finding("not measured", f"{error}.")


def judge(held: Iterable[bool]) -> Verdict:
    """Whether all, some or none of the statements that make up a claim held."""
    held = list(held)
    return "reproduces" if all(held) else "partly" if any(held) else "does not"


def count(held: Sequence[bool]) -> str:
    """Such as "3 of 4"."""
    return f"{sum(map(bool, held))} of {len(held)}"


def listed(named: Iterable[tuple[str, Any]], spec: str = "+.4f") -> str:
    """Such as "Proposed +0.0102 [+0.0090, +0.0114]; …"."""
    return "; ".join(f"{name} {value:{spec}}" for name, value in named)
