"""One decision of one slot as JSON, independent of solver and language: its score, and its optimum.

Field names carry their units. `score` returns every term of the model for the given action, so that any solver or
re-implementation can be checked against the environment, and vice versa.
"""

from __future__ import annotations

from typing import Any

from dtenv.instance import association, placement
from dtenv.instance.reading import InstanceError, fields, loads
from dtenv.oracle.solution import Solution

__all__ = ["InstanceError", "loads", "optimum", "score"]

MODELS = {"association": association, "placement": placement}


def score(instance: dict[str, Any]) -> dict[str, Any]:
    """Terms of one decision, JSON-ready, named as in docs/instance.md.

    Args:
        instance: `model` and its fields, as in docs/instance.md; or an object with these under `instance` and an
            optional `expected`, which is ignored.

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range.
    """
    instance, model = _read(instance)
    fields("instance", instance, model.FIELDS)
    return model.score(instance)


def optimum(instance: dict[str, Any], **settings: Any) -> Solution:
    """Best decision, with the proof of its optimality.

    Args:
        instance: as for `score`; its `action` is optional and ignored.
        **settings: time_limit in seconds, progress, and for a placement deadlines, "ignore" or "hard".

    Returns:
        action: as in an instance. The value is the objective e of (Zhou 2025, eq. 22) under C2 and C3, or the reward of
        (Lu 2021, eq. 26).

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range, or the model has no such setting.
    """
    instance, model = _read(instance)
    fields("instance", {"action": None, **instance}, model.FIELDS)
    if "deadlines" in settings and model is not placement:
        raise InstanceError(
            f"deadlines is for placements only, got {settings['deadlines']!r} for {instance['model']!r}"
        )
    return model.optimum(instance, **settings)


def _read(instance: Any) -> tuple[dict[str, Any], Any]:
    """The instance itself and the module of its model."""
    if isinstance(instance, dict) and "instance" in instance:  # an example file with expected values
        fields("the file", {"expected": None, **instance}, ("instance", "expected"))
        instance = instance["instance"]
    if not isinstance(instance, dict):
        raise InstanceError(f"instance must be an object, got {instance!r}")
    if "model" not in instance:
        raise InstanceError("instance lacks the field 'model'")
    model = instance["model"]
    if not isinstance(model, str) or model not in MODELS:
        raise InstanceError(f"model must be {' or '.join(map(repr, MODELS))}, got {model!r}")
    return instance, MODELS[model]
