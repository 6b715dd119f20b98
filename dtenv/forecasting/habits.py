"""Synthetic mobility by exploration and preferential return (Song et al. 2010): home, work, regular and new places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from dtenv.forecasting.cell_traces import CellTraces
from dtenv.traces.clocks import DAY_S
from dtenv.validation import (
    at_least,
    in_unit_interval,
    integer,
    number,
    ordered_pair,
    positive,
    positive_integer,
    positive_number,
)

WEEK, WORKDAYS = 7, 5
NIGHT, WORK, FREE = range(3)
HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Habits:
    """Parameters of users' habits; a day begins at midnight, a week on Monday.

    At the end of every stay a user chooses a place by the time of day: home at night, mostly work in working hours,
    else home or out. A user who goes out explores a new place with probability ρ S^-γ, where S is the number of known
    places; otherwise it returns to a known one with probability proportional to past visits. Explorers have a higher ρ
    than regular users (Pappalardo et al. 2015).
    """

    rho: float = 0.6
    """ρ of explorers: probability to explore with one known place (Song et al. 2010)."""
    rho_regular: float = 0.15
    """ρ of regular users."""
    gamma: float = 0.21
    """γ: decay of exploration with the number of known places (Song et al. 2010)."""
    explorers: float = 0.3
    """Share of explorers among the users."""
    alpha: float = 0.55
    """α: lengths of jumps to new places have density (length + jump_m)^-(1 + α) (Song et al. 2010)."""
    jump_m: float = 500.0
    """Length below which jumps are about equally likely, metres."""
    beta: float = 0.8
    """β: durations of stays out have density duration^-(1 + β) within stay_hours (Song et al. 2010)."""
    stay_hours: tuple[float, float] = (0.4, 6.0)
    """Range of the durations of stays out, hours."""
    regulars: int = 4
    """Number of places known from the first day, besides home and work."""
    night: tuple[float, float] = (22.5, 7.0)
    """Mean hours at which the night begins and ends."""
    work: tuple[float, float] = (8.5, 17.5)
    """Mean hours at which work begins and ends."""
    spread_hours: float = 0.75
    """Standard deviation of these hours between users; half of it from day to day."""
    at_work: float = 0.85
    """Probability to be at work in working hours."""
    at_home: float = 0.45
    """Probability to be at home outside night and working hours; otherwise a user goes out."""

    def __post_init__(self) -> None:
        in_unit_interval(self, "rho", "rho_regular", "explorers", "at_work", "at_home")
        at_least(self, 0.0, "gamma", "alpha", "spread_hours")
        positive(self, "jump_m", "beta")
        positive_integer(self, "regulars")
        ordered_pair(self, 0.0, "stay_hours", "work")
        if self.stay_hours[0] <= 0.0:
            raise ValueError(f"stay_hours must be positive, got {self.stay_hours!r}")
        for name in ("night", "work"):
            for hour in getattr(self, name):
                if not 0.0 <= number(name, hour) <= 24.0:
                    raise ValueError(f"{name} must hold hours of a day, got {getattr(self, name)!r}")
        if not self.night[1] <= self.work[0] < self.work[1] <= self.night[0]:
            raise ValueError(f"work must lie between two nights {self.night!r}, got {self.work!r}")


class Stays(NamedTuple):
    """Stays of users in cells, sorted by user, then by time, without gaps."""

    user: np.ndarray  # (stays,)
    cell: np.ndarray  # (stays,) index of the site
    start_s: np.ndarray  # (stays,) seconds from the first midnight
    end_s: np.ndarray  # (stays,)
    num_users: int
    days: int


def explore_and_return(
    rng: Generator, site_xy: np.ndarray, num_users: int, days: int, habits: Habits | None = None
) -> Stays:
    """Simulate stays of users at sites (sites, 2), metres, from the first midnight.

    Raises ValueError for num_users or days below 1, or fewer sites than a user knows from the first day.
    """
    habits = Habits() if habits is None else habits
    known = habits.regulars + 2
    integer("num_users", num_users)
    integer("days", days)
    if len(site_xy) < known:
        raise ValueError(f"site_xy must hold at least {known} sites for regulars={habits.regulars}, got {len(site_xy)}")
    apart = np.hypot(*(site_xy[:, None] - site_xy[None]).transpose(2, 0, 1))
    # The number of sites at a distance grows with the distance, so the density of lengths gets one more power per site.
    weight = (apart + habits.jump_m) ** -(2.0 + habits.alpha)
    np.fill_diagonal(weight, 0.0)
    rows: list[tuple[int, int, float, float]] = []
    for user in range(num_users):
        rows += [(user, *stay) for stay in _life(rng, weight, days, habits)]
    owner, cell, start_s, end_s = (np.array(column) for column in zip(*rows, strict=True))
    return Stays(owner, cell, start_s, end_s, num_users, days)


def _life(rng: Generator, weight: np.ndarray, days: int, habits: Habits) -> list[tuple[int, float, float]]:
    """Stays (cell, start_s, end_s) of one user."""
    home = int(rng.integers(len(weight)))
    visits = np.zeros(len(weight))
    visits[home] = 1.0
    work = _new_place(rng, weight[home], visits)
    visits[work] = 1.0
    for _ in range(habits.regulars):
        visits[_new_place(rng, weight[home], visits)] = 1.0
    rho = habits.rho if rng.random() < habits.explorers else habits.rho_regular
    own = rng.normal(0.0, habits.spread_hours, size=4)  # night begins and ends, work begins and ends
    usual = np.array([*habits.night, *habits.work]) + own
    stays: list[tuple[int, float, float]] = []
    now, cell, end = 0.0, home, days * DAY_S
    day, hours = -1, usual
    while now < end:
        if int(now // DAY_S) != day:
            day = int(now // DAY_S)
            hours = usual + rng.normal(0.0, 0.5 * habits.spread_hours, size=4)
        hour = (now - day * DAY_S) / HOUR_S
        part, until = _part_of_day(hour, day, hours)
        choice = rng.random()
        if part == NIGHT:
            cell, length = home, until - hour
        elif part == WORK and choice < habits.at_work:
            cell, length = work, min(until - hour, rng.uniform(2.0, 6.0))
        elif part == FREE and choice < habits.at_home:
            cell, length = home, min(until - hour, rng.uniform(1.0, 4.0))
        else:
            known = np.count_nonzero(visits)
            if rng.random() < rho * known**-habits.gamma and known < len(weight):
                cell = _new_place(rng, weight[cell], visits)
            else:
                cell = _pick(rng, np.where(np.arange(len(weight)) == cell, 0.0, visits))
            length = _power_law(rng, habits.beta, *habits.stay_hours)
        visits[cell] += 1.0
        until_s = min(end, now + max(length, 0.05) * HOUR_S)
        if stays and stays[-1][0] == cell:
            stays[-1] = (cell, stays[-1][1], until_s)
        else:
            stays.append((cell, now, until_s))
        now = until_s
    return stays


def _part_of_day(hour: float, day: int, hours: np.ndarray) -> tuple[int, float]:
    """Return the part of the day of an hour, and the hour at which it ends."""
    dusk, dawn, begin, finish = np.clip(hours, 0.0, 24.0)
    if hour < dawn:
        return NIGHT, dawn
    if hour >= dusk:
        return NIGHT, 24.0
    if day % WEEK < WORKDAYS and begin <= hour < finish:
        return WORK, finish
    return FREE, begin if day % WEEK < WORKDAYS and hour < begin else dusk


def _new_place(rng: Generator, weight: np.ndarray, visits: np.ndarray) -> int:
    """Draw a place without visits, more likely the nearer it is."""
    return _pick(rng, np.where(visits == 0.0, weight, 0.0))


def _pick(rng: Generator, weight: np.ndarray) -> int:
    return int(rng.choice(len(weight), p=weight / weight.sum()))


def _power_law(rng: Generator, exponent: float, low: float, high: float) -> float:
    """Draw x between low and high with density x^-(1 + exponent)."""
    least, most = high**-exponent, low**-exponent
    return float((least + (most - least) * rng.random()) ** (-1.0 / exponent))


def slots_of_stays(
    rng: Generator, stays: Stays, site_xy: np.ndarray, slot_seconds: float = HOUR_S, neighbour_share: float = 0.08
) -> CellTraces:
    """Serving cell of every user in every slot: the place's, or a neighbour of it with chance `neighbour_share`.

    Raises ValueError unless slot_seconds is positive and neighbour_share in [0, 1].
    """
    positive_number("slot_seconds", slot_seconds)
    tick = np.arange(0.0, stays.days * DAY_S, slot_seconds)
    user, time_s = np.repeat(np.arange(stays.num_users), len(tick)), np.tile(tick, stays.num_users)
    return _served(rng, stays, site_xy, neighbour_share, user, time_s, float(slot_seconds))


def records_of_stays(
    rng: Generator, stays: Stays, site_xy: np.ndarray, per_hour: float = 0.3, neighbour_share: float = 0.08
) -> CellTraces:
    """Records of sessions: one at the start of a stay, and `per_hour` more on average at random times during it.

    Raises ValueError unless per_hour is at least 0 and neighbour_share in [0, 1].
    """
    if number("per_hour", per_hour) < 0:
        raise ValueError(f"per_hour must be at least 0, got {per_hour!r}")
    hours = (stays.end_s - stays.start_s) / HOUR_S
    more = rng.poisson(per_hour * hours)
    stay = np.repeat(np.arange(len(more)), more)
    time_s = stays.start_s[stay] + rng.random(len(stay)) * (stays.end_s - stays.start_s)[stay]
    user, time_s = np.concatenate([stays.user, stays.user[stay]]), np.concatenate([stays.start_s, time_s])
    order = np.lexsort((time_s, user))
    return _served(rng, stays, site_xy, neighbour_share, user[order], time_s[order], None)


def _served(
    rng: Generator,
    stays: Stays,
    site_xy: np.ndarray,
    neighbour_share: float,
    user: np.ndarray,
    time_s: np.ndarray,
    slot_seconds: float | None,
) -> CellTraces:
    """Serving cells of users at times, both sorted; with chance `neighbour_share` one of the three nearest to it."""
    if not 0.0 <= number("neighbour_share", neighbour_share) <= 1.0:
        raise ValueError(f"neighbour_share must lie in [0, 1], got {neighbour_share!r}")
    span = stays.days * DAY_S
    stay = np.searchsorted(stays.user * span + stays.start_s, user * span + time_s, side="right") - 1
    cell = stays.cell[stay]
    apart = np.hypot(*(site_xy[:, None] - site_xy[None]).transpose(2, 0, 1))
    near = np.argsort(apart, axis=1, kind="stable")[:, 1:4]
    other = near[cell, rng.integers(near.shape[1], size=len(cell))]
    return CellTraces(
        cell=np.where(rng.random(len(cell)) < neighbour_share, other, cell),
        user=user,
        stretch=user,
        time_s=time_s,
        site_xy=site_xy,
        num_users=stays.num_users,
        slot_seconds=slot_seconds,
        source="epr",
    )
