"""Access stations from path-loss bounds equal those of the plain rule wherever the bounds decide."""

import numpy as np
import pytest

from dtenv.presets import MIGRATION
from dtenv.tasks.migration.access_bounds import access_from_bounds, bound_gap_db, certainly_keeps, loss_bounds
from dtenv.tasks.migration.slot import Constants
from dtenv.tasks.uplink import choose_access, link_gains

USERS, STATIONS = 400, 8


@pytest.mark.parametrize("margin_db", [0.0, 3.0])
@pytest.mark.parametrize("spread_db", [0.0, 8.0])
@pytest.mark.parametrize("area_m", [2.0, 1500.0, 60_000.0])  # also below the least distance of path loss
def test_bounds_decide_as_the_plain_rule(margin_db, spread_db, area_m):
    rng = np.random.default_rng(7)
    c = Constants.of(MIGRATION["balanced"].override(handover_margin_db=margin_db))
    user_xy, station_xy = rng.uniform(0.0, area_m, (USERS, 2)), rng.uniform(0.0, area_m, (STATIONS, 2))
    user_xy[:20] = 0.5 * (station_xy[0] + station_xy[1])  # ties
    shadowing_db = spread_db * rng.standard_normal((STATIONS, USERS))
    before = rng.integers(STATIONS, size=USERS)

    gain_db, plain = np.zeros((USERS, STATIONS)), before.copy()
    link_gains(c, user_xy, station_xy, np.ascontiguousarray(shadowing_db.T), gain_db)
    choose_access(c, user_xy, station_xy, gain_db, plain)

    loss_db, least_db = np.zeros((STATIONS, USERS)), np.zeros(USERS)
    loss_bounds(c, user_xy, station_xy, shadowing_db, loss_db, least_db)
    slack = bound_gap_db(c)
    common = gain_db + loss_db.T  # a constant within the slack
    assert common.max() - common.min() <= slack
    fast = np.array([access_from_bounds(margin_db, slack, loss_db, u, before[u]) for u in range(USERS)])
    decided = fast >= 0
    assert np.array_equal(fast[decided], plain[decided])
    assert area_m < 10.0 or decided.mean() > 0.5  # or the bounds would gain nothing
    keeps = np.array([certainly_keeps(margin_db, slack, least_db[u], loss_db[before[u], u]) for u in range(USERS)])
    assert np.array_equal(plain[keeps], before[keeps])
