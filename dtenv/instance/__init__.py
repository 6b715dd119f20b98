"""One decision in one slot as JSON, neutral to solver and language: its score, and its optimum.

Field names carry their units. `score` returns every term of the model for the given action, so that any
solver or re-implementation can be checked against the environment, and the environment against it.
"""

from __future__ import annotations

from typing import Any

from dtenv.instance import association, placement
from dtenv.instance.reading import InstanceError, fields, loads
from dtenv.oracle.solution import Solution

__all__ = ["InstanceError", "loads", "optimum", "score"]

MODELS = {"association": association, "placement": placement}


def score(instance: dict[str, Any]) -> dict[str, Any]:
    """Terms of one decision.

    Args:
        instance: `model` and its fields, as in docs/instance.md; or these under `instance`, with whatever is
            `expected` beside them, which is not looked at.

    Returns:
        JSON-ready terms of the model, by the names in docs/instance.md.

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range.
    """
    instance, model = _read(instance)
    fields("instance", instance, model.FIELDS)
    return model.score(instance)


def optimum(instance: dict[str, Any], **settings: Any) -> Solution:
    """The best decision, and the proof that there is no better.

    Args:
        instance: as for `score`; its `action` may be missing, and is not looked at.
        **settings: time_limit in seconds, progress, and for a placement deadlines, "ignore" or "hard".

    Returns:
        Its action is one that `score` takes. Its value is the objective e of (Zhou 2025, eq. 22) under C2 and C3, or
        the reward of (Lu 2021, eq. 26).

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range, or a setting is not the model's.
    """
    instance, model = _read(instance)
    fields("instance", {"action": None, **instance}, model.FIELDS)
    if "deadlines" in settings and model is not placement:
        raise InstanceError(f"deadlines is a placement's, got {settings['deadlines']!r} for {instance['model']!r}")
    return model.optimum(instance, **settings)


def _read(instance: Any) -> tuple[dict[str, Any], Any]:
    """The instance itself, and the module of its model."""
    if isinstance(instance, dict) and "instance" in instance:  # an example file, with expected values beside it
        fields("the file", {"expected": None, **instance}, ("instance", "expected"))
        instance = instance["instance"]
    if not isinstance(instance, dict):
        raise InstanceError(f"instance must be an object, got {instance!r}")
    if "model" not in instance:  # which the other fields depend on
        raise InstanceError("instance lacks the field 'model'")
    model = instance["model"]
    if not isinstance(model, str) or model not in MODELS:
        raise InstanceError(f"model must be {' or '.join(map(repr, MODELS))}, got {model!r}")
    return instance, MODELS[model]
