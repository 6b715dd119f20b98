"""Score and optimum of one association (Zhou 2025)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dtenv.compiled import as_record
from dtenv.instance.reading import (
    ABOVE_ZERO,
    InstanceError,
    fields,
    finite,
    indices,
    length,
    number,
    numbers,
    parameter,
    rows,
)
from dtenv.oracle.association import solve_slot
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.solution import Solution
from dtenv.physics.barrier import is_violated, literal_barrier
from dtenv.physics.energy import model_transfer_energy, normalised_energy
from dtenv.scenario.association import Data, Energy, Learning, Objective, Radio
from dtenv.tasks.association.slot import GIVEN, MODES, Constants, Slot
from dtenv.tasks.association.terms import TOTAL, evaluate, new_terms, new_work

FIELDS = ("model", "params", "users", "servers", "action")
PARAMS = (
    *("alpha", "epochs_local", "epochs_fine_tune", "bits_per_sample"),
    *("bandwidth_hz", "transmit_power_w", "channel_gain", "noise_dbm"),
    *("n_mig", "n_syn", "n_cmp", "migrate_current_data"),
    *("f0", "beta1", "beta2", "barrier_curve"),
)
USERS = ("xy_m", "samples", "previous_samples", "twin_bits", "emd", "previous_server")
LATER_PARAMS = {"compute_factor": 1.0, "n_agg": 0.0, "model_bits": 0.0}
"""Optional parameters and their defaults."""
SERVERS = ("xy_m", "cycles_per_bit", "compute_capacity", "sync_capacity")


def score(instance: dict[str, Any]) -> dict[str, Any]:
    """Terms of one association.

    Args:
        instance: an object of exactly FIELDS.

    Returns:
        Per user: total_samples, history, utility; per server: energy, normalised_energy; objective; barrier and reward
        exactly as in (Zhou 2025, eqs 24-25); feasible; and for an optimal history its certificate.

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range.
    """
    constants, slot = _constants(instance["params"]), _slot(instance["users"], instance["servers"])
    users, servers = len(slot.samples), len(slot.compute_capacity)
    action = instance["action"]
    fields("action", action, ("server", "history"))
    server = indices("action.server", action["server"], users, servers)
    terms, work = new_terms(1, users, servers), new_work(1, users)
    if isinstance(action["history"], str):
        if action["history"] not in ("optimal", "optimal-barrier"):
            known = "a list, 'optimal' or 'optimal-barrier'"
            raise InstanceError(f"action.history must be {known}, got {action['history']!r}")
        constants = constants._replace(mode=MODES[action["history"]])
    else:
        terms.history[0] = numbers("action.history", action["history"], users, low=0.0, high=1.0)
    evaluate(as_record(constants)[0], slot, server, work.users[0], work.slopes[0], terms, 0)
    return _report(constants, slot, terms)


def optimum(instance: dict[str, Any], **settings: Any) -> Solution:
    """Association and history that maximise the objective (22) under C2 and C3; settings are the oracle's."""
    constants, slot = _constants(instance["params"]), _slot(instance["users"], instance["servers"])
    solution = solve_slot(constants, slot, constraints="hard", **settings)
    if solution.action is None:
        return solution
    history = Problem(constants, slot, penalised=False).history(solution.action)
    return replace(solution, action={"server": solution.action.tolist(), "history": history.tolist()})


def _report(c: Constants, slot: Slot, terms: Any) -> dict[str, Any]:
    energy = dict(zip(("migration", "synchronisation", "computation", "transfer"), terms.energy[0].T, strict=True))
    computation, synchronisation = energy["computation"], energy["synchronisation"]
    history, totals = terms.history[0], terms.totals[0]
    barrier = 0.0
    for used, capacity in ((computation, slot.compute_capacity), (synchronisation, slot.sync_capacity)):
        barrier += sum(literal_barrier(x, q, c.barrier_curve) for x, q in zip(used, capacity, strict=True))
    report = {
        "total_samples": (slot.samples + history * slot.previous_samples).tolist(),
        "history": history.tolist(),
        "utility": terms.utility[0].tolist(),
        "energy": {name: values.tolist() for name, values in energy.items()},
        "normalised_energy": [normalised_energy(x, c.f0) for x in terms.energy[0].sum(axis=1).tolist()],
        "objective": float(totals[TOTAL.objective]),
        "barrier": finite(barrier),
        "reward": finite(totals[TOTAL.objective] - barrier),
        "feasible": {
            "compute": not any(map(is_violated, computation, slot.compute_capacity)),
            "synchronisation": not any(map(is_violated, synchronisation, slot.sync_capacity)),
        },
    }
    if c.mode != GIVEN:
        value, bound = float(totals[TOTAL.certified_value]), float(totals[TOTAL.certified_bound])
        report["certificate"] = {"value": value, "bound": bound, "gap": bound - value}
    return report


def _constants(params: Any) -> Constants:
    if isinstance(params, dict):
        if ("n_agg" in params) != ("model_bits" in params):
            lacking = "n_agg" if "model_bits" in params else "model_bits"
            raise InstanceError(f"params must have both n_agg and model_bits or neither, lacks the field {lacking!r}")
        params = {**LATER_PARAMS, **params}
    fields("params", params, (*PARAMS, *LATER_PARAMS))
    values = dict(params)
    for name in (*PARAMS, *LATER_PARAMS):
        if name == "alpha":
            numbers("params.alpha", params["alpha"], 6)
            values["alpha"] = [parameter(f"params.alpha[{i}]", a) for i, a in enumerate(params["alpha"])]
        elif name == "migrate_current_data":
            if not isinstance(params[name], bool):
                raise InstanceError(f"params.{name} must be true or false, got {params[name]!r}")
        elif name in LATER_PARAMS:
            number(f"params.{name}", params[name], low=ABOVE_ZERO if name == "compute_factor" else 0.0)
        elif name in ("epochs_local", "epochs_fine_tune"):  # counts stay integers, however large
            number(f"params.{name}", params[name])
        else:
            values[name] = parameter(f"params.{name}", params[name])
    try:
        learning = Learning(**{k: values[k] for k in ("alpha", "epochs_local", "epochs_fine_tune")})
        radio = Radio(**{k: values[k] for k in ("bandwidth_hz", "transmit_power_w", "channel_gain", "noise_dbm")})
        energy = Energy(**{k: values[k] for k in ("n_mig", "n_syn", "n_cmp", "migrate_current_data")})
        objective = Objective(**{k: values[k] for k in ("f0", "beta1", "beta2", "barrier_curve")})
        data = Data(bits_per_sample=values["bits_per_sample"])
    except ValueError as error:
        raise InstanceError(f"params.{error}") from None
    transfer = model_transfer_energy(float(values["n_agg"]), float(values["model_bits"]))
    factor = float(values["compute_factor"])
    return Constants.of_groups(learning, radio, energy, objective, data, GIVEN, factor, transfer)


def _slot(users: Any, servers: Any) -> Slot:
    fields("users", users, USERS)
    fields("servers", servers, SERVERS)
    u, s = length("users.samples", users["samples"]), length("servers.compute_capacity", servers["compute_capacity"])
    return Slot(
        user_xy=rows("users.xy_m", users["xy_m"], u, 2),
        samples=numbers("users.samples", users["samples"], u, low=0.0),
        previous_samples=numbers("users.previous_samples", users["previous_samples"], u, low=0.0),
        twin_bits=numbers("users.twin_bits", users["twin_bits"], u, low=0.0),
        emd=numbers("users.emd", users["emd"], u, low=0.0, high=2.0),
        previous_server=indices("users.previous_server", users["previous_server"], u, s),
        server_xy=rows("servers.xy_m", servers["xy_m"], s, 2),
        cycles_per_bit=numbers("servers.cycles_per_bit", servers["cycles_per_bit"], s, low=ABOVE_ZERO),
        compute_capacity=numbers("servers.compute_capacity", servers["compute_capacity"], s, low=ABOVE_ZERO),
        sync_capacity=numbers("servers.sync_capacity", servers["sync_capacity"], s, low=ABOVE_ZERO),
    )
