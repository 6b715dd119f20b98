"""Validity of a policy's actions: nothing is rounded, clipped or reshaped."""

import numpy as np
import pytest
from gymnasium import spaces

from leaderboards import policy_io as interface

CHOICE = spaces.Discrete(10)
CHOICES = spaces.MultiDiscrete([3, 5])
NUMBERS = spaces.Box(0.0, 1.0, (2,), np.float32)


@pytest.mark.parametrize(
    ("space", "action", "wrong"),
    [
        (CHOICE, np.array([9]), None),
        (CHOICE, np.array([10]), "action must be in [0, 9], got 10"),
        (CHOICE, np.array([-1]), "action must be in [0, 9], got -1"),
        (CHOICE, np.array(3), "action must have the shape (1,), got ()"),
        (CHOICE, np.array([3.0]), "action must be of an integer type, got float64"),
        (CHOICE, np.array([True]), "action must be of an integer type, got bool"),
        (CHOICE, 3, "action must have the shape (1,), got int"),
        (CHOICES, np.array([[2, 4]], np.uint8), None),
        (CHOICES, np.array([[2, 5]]), "action[1] must be in [0, 4], got 5"),
        (CHOICES, np.array([[2, 2**63]], np.uint64), "action[1] must be in [0, 4], got 9223372036854775808"),
        (CHOICES, np.array([2, 4]), "action must have the shape (1, 2), got (2,)"),
        (CHOICES, np.array([[2, 4, 0]]), "action must have the shape (1, 2), got (1, 3)"),
        (NUMBERS, np.array([[0.0, 1.0]], np.float32), None),
        (NUMBERS, np.array([[0.0, np.nan]]), "action[1] must be in [0.0, 1.0], got nan"),
        (NUMBERS, np.array([[-np.inf, 0.5]]), "action[0] must be in [0.0, 1.0], got -inf"),
        (NUMBERS, np.array([[0.5, np.nextafter(1.0, 2.0)]]), "action[1] must be in [0.0, 1.0], got 1.0000000000000002"),
        (NUMBERS, np.array([[0, 1]]), "action must be of a floating-point type, got int64"),
    ],
    ids=str,
)
def test_actions_are_valid_or_not(space, action, wrong):
    assert interface.action_problem(action, space) == wrong
