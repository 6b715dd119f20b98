"""One decision in one slot as JSON, neutral to solver and language, and its score.

Field names carry their units. `score` returns every term of the model for the given action, so that any
solver or re-implementation can be checked against the environment, and the environment against it.
"""

from __future__ import annotations

from typing import Any

from dtenv.instance import association, placement
from dtenv.instance.reading import InstanceError, fields, loads

__all__ = ["InstanceError", "loads", "score"]

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
    fields("instance", instance, MODELS[model].FIELDS)
    return MODELS[model].score(instance)
