"""One decision in one slot as JSON, neutral to solver and language, and its score.

Field names carry their units. `score` returns every term of the model for the given action, so that any
solver or re-implementation can be checked against the environment, and the environment against it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dtenv.compiled import as_record
from dtenv.physics.barrier import is_violated, literal_barrier
from dtenv.physics.energy import normalised_energy
from dtenv.scenario.association import Data, Energy, Learning, Objective, Radio
from dtenv.tasks.association_slot import (
    CERTIFIED_BOUND,
    CERTIFIED_VALUE,
    GIVEN,
    MODES,
    OBJECTIVE,
    Constants,
    Slot,
    evaluate,
    new_terms,
    new_work,
)

LARGEST = sys.float_info.max


class InstanceError(ValueError):
    """An instance that cannot be read; the message names field and value."""


PARAMS = (
    *("alpha", "epochs_local", "epochs_fine_tune", "bits_per_sample"),
    *("bandwidth_hz", "transmit_power_w", "channel_gain", "noise_dbm"),
    *("n_mig", "n_syn", "n_cmp", "migrate_current_data"),
    *("f0", "beta1", "beta2", "barrier_curve"),
)
USERS = ("xy_m", "samples", "previous_samples", "twin_bits", "emd", "previous_server")
SERVERS = ("xy_m", "cycles_per_bit", "compute_capacity", "sync_capacity")


def score(instance: dict[str, Any]) -> dict[str, Any]:
    """Terms of one decision.

    Args:
        instance: `model`, `params`, `users`, `servers` and `action`; or these under `instance`, with whatever
            is `expected` beside them, which is not looked at.

    Returns:
        JSON-ready terms: total_samples, history, utility, energy, normalised_energy, objective, barrier and
        reward by (Zhou 2025, eqs 24-25) to the letter, feasible; and for an optimal history its certificate.

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range.
    """
    if isinstance(instance, dict) and "instance" in instance:  # an example file, with expected values beside it
        _fields("the file", {"expected": None, **instance}, ("instance", "expected"))
        instance = instance["instance"]
    _fields("instance", instance, ("model", "params", "users", "servers", "action"))
    if instance["model"] != "association":
        raise InstanceError(f"model must be 'association', got {instance['model']!r}")
    constants, slot = _constants(instance["params"]), _slot(instance["users"], instance["servers"])
    users, servers = len(slot.samples), len(slot.compute_capacity)
    action = instance["action"]
    _fields("action", action, ("server", "history"))
    server = _indices("action.server", action["server"], users, servers)
    terms, work = new_terms(1, users, servers), new_work(1, users)
    if isinstance(action["history"], str):
        if action["history"] not in ("optimal", "optimal-barrier"):
            raise InstanceError(
                f"action.history must be a list, 'optimal' or 'optimal-barrier', got {action['history']!r}"
            )
        constants = constants._replace(mode=MODES[action["history"]])
    else:
        terms.history[0] = _numbers("action.history", action["history"], users, low=0.0, high=1.0)
    evaluate(as_record(constants)[0], slot, server, work.users[0], work.slopes[0], terms, 0)
    return _report(constants, slot, terms)


def _report(c: Constants, slot: Slot, terms: Any) -> dict[str, Any]:
    migration, synchronisation, computation = terms.energy[0].T
    history, totals = terms.history[0], terms.totals[0]
    barrier = sum(
        literal_barrier(x, q, c.barrier_curve) for x, q in zip(computation, slot.compute_capacity, strict=True)
    )
    barrier += sum(
        literal_barrier(x, p, c.barrier_curve) for x, p in zip(synchronisation, slot.sync_capacity, strict=True)
    )
    report = {
        "total_samples": (slot.samples + history * slot.previous_samples).tolist(),
        "history": history.tolist(),
        "utility": terms.utility[0].tolist(),
        "energy": {
            "migration": migration.tolist(),
            "synchronisation": synchronisation.tolist(),
            "computation": computation.tolist(),
        },
        "normalised_energy": [normalised_energy(x, c.f0) for x in terms.energy[0].sum(axis=1).tolist()],
        "objective": float(totals[OBJECTIVE]),
        "barrier": _finite(barrier),
        "reward": _finite(totals[OBJECTIVE] - barrier),
        "feasible": {
            "compute": not any(map(is_violated, computation, slot.compute_capacity)),
            "synchronisation": not any(map(is_violated, synchronisation, slot.sync_capacity)),
        },
    }
    if c.mode != GIVEN:
        value, bound = float(totals[CERTIFIED_VALUE]), float(totals[CERTIFIED_BOUND])
        report["certificate"] = {"value": value, "bound": bound, "gap": bound - value}
    return report


def _finite(value: float) -> float | str:
    """The number, or "inf" / "-inf", which JSON has no number for."""
    return float(value) if math.isfinite(value) else str(float(value))


def _constants(params: Any) -> Constants:
    _fields("params", params, PARAMS)
    for name in PARAMS:
        if name == "alpha":
            _numbers("params.alpha", params["alpha"], 6)
        elif name == "migrate_current_data":
            if not isinstance(params[name], bool):
                raise InstanceError(f"params.{name} must be true or false, got {params[name]!r}")
        else:
            _number(f"params.{name}", params[name])
    try:
        learning = Learning(**{k: params[k] for k in ("alpha", "epochs_local", "epochs_fine_tune")})
        radio = Radio(**{k: params[k] for k in ("bandwidth_hz", "transmit_power_w", "channel_gain", "noise_dbm")})
        energy = Energy(**{k: params[k] for k in ("n_mig", "n_syn", "n_cmp", "migrate_current_data")})
        objective = Objective(**{k: params[k] for k in ("f0", "beta1", "beta2", "barrier_curve")})
        data = Data(bits_per_sample=params["bits_per_sample"])
    except ValueError as error:
        raise InstanceError(f"params.{error}") from None
    return Constants.of_groups(learning, radio, energy, objective, data, mode=GIVEN)


def _slot(users: Any, servers: Any) -> Slot:
    _fields("users", users, USERS)
    _fields("servers", servers, SERVERS)
    u, s = _length("users.samples", users["samples"]), _length("servers.compute_capacity", servers["compute_capacity"])
    above = math.ulp(0.0)  # the least number above zero
    return Slot(
        user_xy=_points("users.xy_m", users["xy_m"], u),
        samples=_numbers("users.samples", users["samples"], u, low=0.0),
        previous_samples=_numbers("users.previous_samples", users["previous_samples"], u, low=0.0),
        twin_bits=_numbers("users.twin_bits", users["twin_bits"], u, low=0.0),
        emd=_numbers("users.emd", users["emd"], u, low=0.0, high=2.0),
        previous_server=_indices("users.previous_server", users["previous_server"], u, s),
        server_xy=_points("servers.xy_m", servers["xy_m"], s),
        cycles_per_bit=_numbers("servers.cycles_per_bit", servers["cycles_per_bit"], s, low=above),
        compute_capacity=_numbers("servers.compute_capacity", servers["compute_capacity"], s, low=above),
        sync_capacity=_numbers("servers.sync_capacity", servers["sync_capacity"], s, low=above),
    )


def _fields(name: str, group: Any, known: tuple[str, ...]) -> None:
    if not isinstance(group, dict):
        raise InstanceError(f"{name} must be an object, got {group!r}")
    for field in group:
        if field not in known:
            raise InstanceError(f"{name} has an unknown field {field!r}; known: {', '.join(known)}")
    for field in known:
        if field not in group:
            raise InstanceError(f"{name} lacks the field {field!r}")


def _number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise InstanceError(f"{name} must be a finite number, got {value!r}")
    if not low <= value <= high:
        bounds = "not negative" if (low, high) == (0.0, math.inf) else f"in [{low:g}, {high:g}]"
        raise InstanceError(f"{name} must be {'positive' if low == math.ulp(0.0) else bounds}, got {value!r}")
    return float(value)


def _length(name: str, values: Any) -> int:
    if not isinstance(values, list) or not values:
        raise InstanceError(f"{name} must be a list of at least one entry, got {values!r}")
    return len(values)


def _list(name: str, values: Any, length: int, read: Callable[[str, Any], Any]) -> np.ndarray:
    if not isinstance(values, list):
        raise InstanceError(f"{name} must be a list, got {values!r}")
    if len(values) != length:
        raise InstanceError(f"{name} must have {length} entries, got {len(values)}")
    return np.array([read(f"{name}[{i}]", value) for i, value in enumerate(values)])


def _numbers(name: str, values: Any, length: int, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    return _list(name, values, length, lambda entry, value: _number(entry, value, low, high))


def _points(name: str, values: Any, length: int) -> np.ndarray:
    return _list(name, values, length, lambda entry, value: _numbers(entry, value, 2))


def _indices(name: str, values: Any, length: int, count: int) -> np.ndarray:
    def read(entry: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
            raise InstanceError(f"{entry} must be a whole number in 0..{count - 1}, got {value!r}")
        return value

    return _list(name, values, length, read).astype(np.int64)


def loads(text: str) -> dict[str, Any]:
    """An instance from JSON text; NaN and Infinity are refused like any other bad number."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InstanceError(f"not JSON: {error}") from None
