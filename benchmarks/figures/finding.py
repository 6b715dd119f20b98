"""Claims of a paper, and how results are judged against them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from benchmarks.figures.grid import Curve, MissingResults, ResultGrid

Verdict = Literal["reproduces", "partly", "does not", "not measured"]


class Finding(NamedTuple):
    """Verdict of results on a claim."""

    verdict: Verdict
    text: str
    """figures with their 95 % intervals"""


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, in our words."""

    figure: str
    """of the paper, such as "Fig. 5" """
    says: str
    test: Callable[[ResultGrid], Finding]
    """raises MissingResults where the results lack what it needs"""
    why: str
    """explanation of the finding: the part of the model or of the trainings behind it"""

    def find(self, cells: ResultGrid) -> Finding:
        """Test the claim on a run's cells."""
        try:
            return self.test(cells)
        except MissingResults as error:
            return Finding("not measured", f"{error}.")


def judge(held: Iterable[bool]) -> Verdict:
    """Whether all, some or none of the statements that make up a claim hold."""
    held = list(held)
    return "reproduces" if all(held) else "partly" if any(held) else "does not"


def count(held: Sequence[bool]) -> str:
    """Such as "3 of 4"."""
    return f"{sum(map(bool, held))} of {len(held)}"


def listed(named: Iterable[tuple[str, Any]], spec: str = "+.4f") -> str:
    """Such as "Proposed +0.0102 [+0.0090, +0.0114]; …"."""
    return "; ".join(f"{name} {value:{spec}}" for name, value in named)


SETTLED = 0.9
"""Share of its whole change after which a curve counts as settled."""


class Settled(NamedTuple):
    """Change of a curve, the mean over its trainings, from its first to its last part."""

    change: float
    """mean of the last fifth minus mean of the first twentieth"""
    clear: bool
    """whether it changed in the right direction by more than twice the standard deviation of the last fifth"""
    still: bool
    """whether it reached nine tenths of the change within the first two thirds, unlike a straight line"""
    episode: float
    """first one at nine tenths of the change; nan unless the change is clear"""
    last: float
    """training episodes in all"""


def settled(curve: Curve, sign: float) -> Settled:
    """Find when a curve that should rise (sign 1) or fall (sign -1) settles."""
    start, change = curve.start().mean(), curve.end().mean() - curve.start().mean()
    tail = curve.mean[-max(1, len(curve.mean) // 5) :]
    clear = bool(sign * change > 2.0 * tail.std())
    reached = sign * (curve.mean - start) >= SETTLED * sign * change
    episode = float(curve.episodes[reached.argmax()]) if clear else float("nan")
    last = float(curve.episodes[-1])
    return Settled(float(change), clear, clear and episode <= 2.0 / 3.0 * last, episode, last)
