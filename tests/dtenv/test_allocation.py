"""The history allocation (26) is globally optimal, feasible and proven so; the paper's Theorem 2 is false.

The allocation is reached through `dtenv.instance.score`. Its rivals (many-start SLSQP, grids, CVXPY with tanh
linearised until nothing changes) work on `Model`, made of tests/helpers/reference_association.py.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
from reference_association import TABLE_II, ceiling, random_instance, terms
from scipy.optimize import minimize

from dtenv import instance as dtenv_instance
from dtenv.physics.utility import utility_ceiling
from dtenv.tasks.association import allocation

NEVER_WORSE = 1e-8
MODES = ("optimal", "optimal-barrier")
ROOM = (9.0, 0.7, 0.3, 0.02)  # C2 slack, then ever tighter


class Model:
    """e of one instance as a function of γ; the energies are affine in γ, so their coefficients suffice."""

    def __init__(self, instance, barrier=False):
        count = len(instance["users"]["samples"])
        params, users = instance["params"], instance["users"]
        self.a1, self.a2, self.a3 = params["alpha"][:3]
        self.v = np.array([ceiling(params["alpha"], emd) for emd in users["emd"]])
        self.fresh, self.past = np.array(users["samples"], float), np.array(users["previous_samples"], float)
        self.f0, self.f = params["f0"], params["barrier_curve"] if barrier else None
        self.utility_weight = params["beta1"] / count
        self.energy_weight = params["beta2"] / len(instance["servers"]["xy_m"])
        self.q = np.array(instance["servers"]["compute_capacity"])
        self.energy0, self.load0 = self._energies(instance, np.zeros(count))
        ends = [self._energies(instance, unit) for unit in np.eye(count)]
        self.energy = np.stack([energy - self.energy0 for energy, _ in ends], axis=1)  # (S, U) for γ = 1
        self.load = np.stack([load - self.load0 for _, load in ends], axis=1)
        self.open = self.load0 <= self.q  # where C2 cannot be met, γ = 0 by definition
        self.box = np.where(self.open[instance["action"]["server"]], 1.0, 0.0)

    @staticmethod
    def _energies(instance, history):
        parts = terms(instance, history)["energy"]
        return np.sum(list(parts.values()), axis=0), np.array(parts["computation"])

    def value(self, history):
        """e, or with a barrier e - Σ B over C2; γ has shape (U,) or (U, points)."""
        fresh, past, v = (x.reshape(-1, *[1] * (np.ndim(history) - 1)) for x in (self.fresh, self.past, self.v))
        rho = v - self.a1 * np.exp(-self.a2 * (self.a3 * (fresh + past * history)) ** v)
        spent = np.tanh((self.energy0 + (self.energy @ history).T).T / (4 * self.f0))
        value = self.utility_weight * rho.sum(axis=0) - self.energy_weight * spent.sum(axis=0)
        if self.f is not None:
            slack = ((self.q - self.load0) - (self.load @ history).T).T[self.open]
            value = value + np.log(slack).sum(axis=0) / self.f
        return value

    def gradient(self, history):
        power = (self.a3 * (self.fresh + self.past * history)) ** self.v
        data = np.maximum(self.fresh + self.past * history, 1e-300)
        rho = self.a1 * self.a2 * self.v * power * np.exp(-self.a2 * power) / data * self.past
        falling = 1 - np.tanh((self.energy0 + self.energy @ history) / (4 * self.f0)) ** 2
        gradient = self.utility_weight * rho - self.energy_weight * (falling / (4 * self.f0)) @ self.energy
        if self.f is not None:
            slack = (self.q - self.load0 - self.load @ history)[self.open]
            gradient -= (self.load[self.open] / slack[:, None]).sum(axis=0) / self.f
        return gradient

    def inside(self, history):
        """γ clipped to the box and scaled down, server by server, until C2 holds."""
        history = np.clip(history, 0, self.box)
        use = self.load @ history
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(use > 0, (self.q - self.load0) * (1 - 1e-10) / use, 1.0)
        return history * np.where(self.load > 0, np.minimum(share, 1.0)[:, None], 1.0).min(axis=0)

    def climb(self, start):
        """A local maximiser, by SLSQP from `start`."""
        busy = self.open & (self.load.sum(axis=1) > 0)
        room = (self.q - self.load0)[busy]
        constraint = {
            "type": "ineq",
            "fun": lambda g: 1 - self.load[busy] @ g / room - (1e-7 if self.f else 0.0),
            "jac": lambda g: -self.load[busy] / room[:, None],
        }

        def loss(history):  # SLSQP leaves the barrier's domain in its line search
            value = -self.value(history)
            return value if math.isfinite(value) else 1e3

        with np.errstate(invalid="ignore", divide="ignore"):
            found = minimize(
                loss,
                self.inside(start),
                jac=lambda g: -self.gradient(g),
                bounds=[(0, top) for top in self.box],
                constraints=[constraint] if busy.any() else [],
                method="SLSQP",
                options={"ftol": 1e-13, "maxiter": 200},
            ).x
        return self.inside(np.nan_to_num(found))


def solve(instance, mode="optimal"):
    """Our γ and report."""
    report = dtenv_instance.score(copy.deepcopy(instance) | {"action": instance["action"] | {"history": mode}})
    return np.array(report["history"]), report


def check_solution(instance, mode="optimal"):
    """Check a solution's invariants and return our value."""
    history, report = solve(instance, mode)
    model, certificate = Model(instance, mode == "optimal-barrier"), report["certificate"]
    assert ((history >= 0) & (history <= model.box)).all()
    assert (model.load @ history <= np.maximum(model.q - model.load0, 0) + 1e-9 * model.q).all()
    assert certificate["value"] == pytest.approx(model.value(history), abs=1e-11)
    assert -1e-12 <= certificate["gap"] <= 1e-9
    assert certificate["bound"] == pytest.approx(certificate["value"], abs=1e-9)
    return model, certificate


def starts(rng, count, more):
    """Starts 0, 1/2 and 1, then random corners and random points."""
    fixed = [np.full(count, share) for share in (0.0, 0.5, 1.0)]
    return fixed + [rng.integers(0, 2, count).astype(float) for _ in range(more)] + list(rng.random((more, count)))


def compare_with_slsqp(seed, most_users, more):
    """Whether some start of SLSQP ended at a worse local minimum of (26)."""
    rng = np.random.default_rng(seed)
    instance = random_instance(
        rng,
        users=int(rng.integers(1, most_users + 1)),
        servers=int(rng.integers(1, 4)),
        samples=[(50, 150), (50, 600), (100, 1000)][seed % 3],
        migrants=0.7,
        crowd=0.6,
        room=ROOM if seed % 5 else (-0.2, 0.5),
        migrate_current_data=bool(seed % 2),
        barrier_curve=float(rng.choice([10.0, 1000.0, 1e5])),
    )
    spread = {}
    for mode in MODES:
        model, certificate = check_solution(instance, mode)
        values = [model.value(model.climb(start)) for start in starts(rng, len(model.fresh), more)]
        assert certificate["value"] >= max(values) - NEVER_WORSE, (seed, mode)
        assert certificate["bound"] >= max(values) - 1e-12, (seed, mode)
        spread[mode] = max(values) - min(values)
    return spread["optimal"] > 1e-5


def test_no_local_search_of_many_starts_beats_it():
    assert sum(compare_with_slsqp(seed, most_users=4, more=6) for seed in range(100)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10, 20))
def test_no_local_search_of_many_starts_beats_it_on_a_thousand(hundred):
    seeds = range(100 * hundred, 100 * hundred + 100)
    assert sum(compare_with_slsqp(seed, most_users=8, more=10) for seed in seeds) >= 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("users", [1, 2])
def test_no_point_of_a_fine_grid_beats_it(users, mode):
    axis = np.linspace(0, 1, 20001 if users == 1 else 201)
    grid = np.array(list(itertools.product(axis, repeat=users))).T
    rng = np.random.default_rng(users)
    for k in range(25):
        instance = random_instance(rng, users, 2, room=ROOM, migrate_current_data=bool(k % 2))
        model, certificate = check_solution(instance, mode)
        points = grid[:, (model.load @ grid < (model.q - model.load0)[:, None]).all(axis=0)]
        assert certificate["value"] >= model.value(points).max() - NEVER_WORSE


def two_on_one_server(samples, previous, before, apart, **params):
    """Two users 15 m from server 0; server 1 is `apart` metres from it; φ = 0, ε = 55."""
    return {
        "model": "association",
        "params": TABLE_II | params,
        "users": {
            "xy_m": [[15.0, 0.0], [15.0, 0.0]],
            "samples": samples,
            "previous_samples": previous,
            "twin_bits": [4500.0, 4500.0],
            "emd": [0.0, 0.0],
            "previous_server": before,
        },
        "servers": {
            "xy_m": [[0.0, 0.0], [0.0, apart]][: 1 + max(before)],
            "cycles_per_bit": [55.0, 55.0][: 1 + max(before)],
            "compute_capacity": [1450.0, 1450.0][: 1 + max(before)],
            "sync_capacity": [125.0, 125.0][: 1 + max(before)],
        },
        "action": {"server": [0, 0], "history": "optimal"},
    }


TWO_MINIMA = [  # instance, where -e is least, a worse local minimum, and -e at both
    (two_on_one_server([51, 70], [167, 570], [0, 1], 42.0), (1, 0), (1, 1), (-0.00297, 0.12687)),
    (  # the weights of 20 users and 15 servers
        two_on_one_server([54, 55], [61, 511], [0, 1], 54.0, beta1=0.3 * 2 / 20, beta2=0.7 * 2 / 15),
        (1, 0),
        (1, 1),
        (0.00651, 0.02745),
    ),
]


@pytest.mark.parametrize(("instance", "good", "bad", "values"), TWO_MINIMA, ids=["U2 S2", "U20 S15"])
def test_a_local_solver_stays_at_the_bad_minimum_and_ours_does_not(instance, good, bad, values):
    model = Model(instance)
    assert (-model.value(np.array(good)), -model.value(np.array(bad))) == pytest.approx(values, abs=6e-6)
    stuck = model.climb(np.array(bad, float))
    assert stuck == pytest.approx(bad, abs=1e-6)
    nearby = [np.clip(bad + step, 0, 1) for step in np.random.default_rng(0).uniform(-0.05, 0.05, (50, 2))]
    assert model.value(stuck) >= max(map(model.value, nearby))  # a minimum of -e indeed
    assert solve(instance)[0] == pytest.approx(good, abs=1e-9)
    assert solve(instance)[1]["objective"] == pytest.approx(-values[0], abs=6e-6)


def test_two_migrants_have_two_minima():
    model, certificate = check_solution(two_on_one_server([71, 50], [135, 141], [1, 1], 37.0))
    assert -certificate["value"] == pytest.approx(0.0841, abs=5e-5)
    assert -model.value(model.climb(np.ones(2))) == pytest.approx(0.1487, abs=1e-4)


# Theorem 2


HESSIAN_CASE = two_on_one_server([600, 600], [800, 800], [0, 0], 0.0)
MIDDLE = np.full(2, 0.5)


def hessian_of_loss(model, at, step=1e-3):
    """Hessian of -e, by central differences."""
    corner = step * np.eye(2)
    return -np.array(
        [
            [
                model.value(at + a + b) - model.value(at + a - b) - model.value(at - a + b) + model.value(at - a - b)
                for b in corner
            ]
            for a in corner
        ]
    ) / (4 * step**2)


def test_the_allocation_is_not_convex():
    """Users who stay, C2 slack: an interior Hessian of -e with a negative eigenvalue and diagonal."""
    model = Model(HESSIAN_CASE)
    assert (model.load0 + model.load @ MIDDLE < model.q).all()
    hessian = hessian_of_loss(model, MIDDLE)
    np.testing.assert_allclose(hessian, [[-0.01757, -0.03606], [-0.03606, -0.01757]], atol=1e-5)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [-0.0536, 0.0185], atol=1e-4)
    along = [-model.value(np.full(2, share)) for share in (0.0, 0.5, 1.0)]
    assert along == pytest.approx([0.0031, 0.1282, 0.2297], abs=5e-5)
    assert along[1] > (along[0] + along[2]) / 2


def test_theorem_2_as_printed_is_refuted():
    """(27)-(30) claim a diagonal Hessian of -e without negative entries; the true one has neither property."""
    model, v = Model(HESSIAN_CASE), 0.9172 * math.exp(-((0.0231 / 0.8366) ** 2))
    a1, a2, a3 = TABLE_II["alpha"][:3]
    power = (a3 * 1000) ** v  # D-bar = 600 + 800 / 2
    eta1 = (a3 * 800) ** 2 * a1 * a2 * 0.3 * v * math.exp(-a2 * power) / (2 * (a3 * 1000) ** (2 - v))
    eta2 = v - 1 - a2 * v * power
    u = math.exp(-float(model.energy0[0] + model.energy[0] @ MIDDLE) / 400)
    eta3 = 0.7 * u**2 * (1 - u) / (200**2 * (u + 1) ** 3) * model.energy[0, 0] ** 2
    printed = -eta1 * eta2 + eta3
    hessian = hessian_of_loss(model, MIDDLE)
    assert printed > 0
    assert hessian[0, 0] < 0
    assert hessian[0, 1] < -0.03  # (27) has 0 here
    # The utility's part is right; Norm'' has the other sign, exp(-C / 2 f0) and a factor 1/2.
    true = -eta1 * eta2 - 0.7 * u * (1 - u) / (2 * 200**2 * (u + 1) ** 3) * model.energy[0, 0] ** 2
    assert true == pytest.approx(hessian[0, 0], abs=1e-6)


# CVXPY: successive linearisation of tanh at the last γ


def linearise_and_repeat(model, start, cp):
    history, slopes = cp.Variable(len(model.fresh)), cp.Parameter(len(model.q), nonneg=True)
    utility = sum(
        v - model.a1 * cp.exp(-model.a2 * cp.power(model.a3 * (fresh + past * history[u]), v, approx=False))
        for u, (v, fresh, past) in enumerate(zip(model.v.tolist(), model.fresh, model.past, strict=True))
    )
    energy = cp.sum(cp.multiply(slopes, model.energy @ history))
    limits = [history >= 0, history <= 1, model.load @ history <= model.q - model.load0]
    problem = cp.Problem(cp.Maximize(model.utility_weight * utility - model.energy_weight * energy), limits)
    at, best = model.inside(start), -math.inf
    for _ in range(30):
        falling = 1 - np.tanh((model.energy0 + model.energy @ at) / (4 * model.f0)) ** 2
        slopes.value = falling / (4 * model.f0)
        problem.solve(solver=cp.CLARABEL)
        at = model.inside(history.value)
        if model.value(at) < best + 1e-10:
            break
        best = max(best, model.value(at))
    return best


def compare_with_cvxpy(seeds, migrants):
    """Advantage of ours over linearising from 0, 1/2 and 1, (seeds, 3)."""
    cp = pytest.importorskip("cvxpy")
    gaps = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        users = int(rng.integers(2, 5))
        instance = random_instance(rng, users, 2, migrants=migrants, crowd=0.7, room=(9.0, 0.5))
        model, certificate = check_solution(instance)
        rivals = [linearise_and_repeat(model, np.full(users, start), cp) for start in (0.0, 0.5, 1.0)]
        gaps.append(certificate["value"] - np.array(rivals))
    assert np.min(gaps) >= -NEVER_WORSE
    return np.array(gaps)


def test_cvxpy_refuses_the_program_as_it_is():
    cp = pytest.importorskip("cvxpy")
    energy = cp.Variable(nonneg=True)
    assert not cp.Problem(cp.Minimize(2 * cp.inv_pos(1 + cp.exp(-energy)) - 1)).is_dcp()


def test_cvxpy_agrees_where_nobody_migrates():
    assert compare_with_cvxpy(range(8), migrants=0.0)[:, 1].max() < 1e-6


def test_cvxpy_is_never_better_where_users_migrate():
    compare_with_cvxpy(range(100, 115), migrants=0.8)


@pytest.mark.parametrize(("instance", "good", "bad", "values"), TWO_MINIMA, ids=["U2 S2", "U20 S15"])
def test_cvxpy_finds_the_good_or_the_bad_minimum_by_its_start(instance, good, bad, values):
    cp = pytest.importorskip("cvxpy")
    ends = [linearise_and_repeat(Model(instance), np.array(start, float), cp) for start in (good, bad)]
    assert ends == pytest.approx([-values[0], -values[1]], abs=1e-5)


@pytest.mark.slow
def test_cvxpy_is_never_better_on_a_hundred_and_at_times_worse():
    assert compare_with_cvxpy(range(1000, 1100), migrants=0.8).max() > 1e-4


# Extremes


EXTREMES = {
    "no samples": {"samples": [0, 0]},
    "no previous samples": {"previous_samples": [0, 0]},
    "no data at all": {"samples": [0, 0], "previous_samples": [0, 0]},
    "one user without data": {"samples": [0, 300], "previous_samples": [0, 200]},
    "one sample each": {"samples": [1, 1], "previous_samples": [1, 1]},
    "a million samples": {"samples": [10**6, 100], "previous_samples": [10**6, 100]},
    "no labels in common": {"emd": [2.0, 2.0]},
    "mixed labels": {"emd": [0.0, 2.0]},
    "tiny f0": {"f0": 1e-6},
    "huge f0": {"f0": 1e12},
    "utility is everything": {"beta2": 1e-12},
    "energy is everything": {"beta1": 1e-12},
    "a server far away": {"apart": 1e5},
    "free of charge": {"n_mig": 0.0, "n_syn": 0.0, "n_cmp": 1e-300},
    "steep barrier": {"barrier_curve": 1e9},
    "flat barrier": {"barrier_curve": 1e-3},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_inputs(name, mode):
    changes = {"samples": [200, 150], "previous_samples": [300, 250], "apart": 40.0} | EXTREMES[name]
    emd = changes.pop("emd", [0.2, 0.4])
    instance = two_on_one_server(
        changes.pop("samples"), changes.pop("previous_samples"), [0, 1], changes.pop("apart"), **changes
    )
    instance["users"]["emd"] = emd
    model, certificate = check_solution(instance, mode)
    rng = np.random.default_rng(0)
    best = max(model.value(model.inside(start)) for start in starts(rng, 2, 200))
    assert certificate["value"] >= best - NEVER_WORSE * max(1.0, abs(best))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("excess", [-1e-12, 0.0, 1e-12, 0.5])
def test_capacity_at_the_fresh_load(excess, mode):
    """With no or almost no room γ is 0 (up to that room) and nothing breaks."""
    instance = two_on_one_server([200, 150], [300, 250], [0, 1], 40.0)
    load = terms(instance, [0, 0])["energy"]["computation"][0]
    instance["servers"]["compute_capacity"][0] = load * (1 - excess)
    history, report = solve(instance, mode)
    assert history == pytest.approx(0, abs=1e-10)
    assert report["feasible"]["compute"] == (excess < 0.5)
    assert report["certificate"]["gap"] <= 1e-9
    assert report["objective"] == pytest.approx(terms(instance, history)["objective"], rel=1e-12)


def test_c2_holds_where_further_data_is_worth_next_to_nothing():
    """120,000 samples: marginal utilities of about 1e-130, and tanh is saturated to the last bit."""
    instance = two_on_one_server([120_000, 120_000], [120_000, 120_000], [0, 0], 0.0, n_cmp=1e-4)
    low, high = (terms(instance, [share, share])["energy"]["computation"][0] for share in (0, 1))
    instance["servers"]["compute_capacity"] = [low + 0.3 * (high - low)]
    check_solution(instance)


def test_wild_servers_keep_c2_and_the_certificate():
    """2,000 servers far from Table II: users without data, any EMD, 1 to 20,000 samples, any capacity and scale."""
    rng = np.random.default_rng(7)
    alpha = (0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366)
    for _ in range(2000):
        n, scale = rng.integers(1, 21), 10 ** rng.uniform(0, 4.3)
        users, slopes = allocation.work_arrays(n)
        users[allocation.FRESH], users[allocation.PAST] = rng.integers(0, scale + 1, (2, n))
        users[allocation.CEILING] = [utility_ceiling(phi, *alpha[3:]) for phi in rng.uniform(0, 2, n)]
        unit = 784 * 1e-7 * 55 * 60
        users[allocation.COST] = unit + 784 * 1e-4 * rng.choice([0, 1], n, p=[0.7, 0.3]) * rng.uniform(0, 200, n)
        load = unit * users[allocation.FRESH].sum()
        shared = (0.3 / 20, 0.7 / rng.integers(2, 30), 10 ** rng.uniform(0, 4), *alpha[:3], load + rng.uniform(0, 300))
        curve = float(rng.choice([0, 0, 10, 1000, 1e6]))
        program = allocation.Program(*map(float, (*shared, load, unit, 10 ** rng.uniform(1, 5), curve)))
        allocation.prepare(users, n, program)
        value, bound = allocation.allocate(users, slopes, n, program, 1e-11)
        taken = users[allocation.BEST]
        assert 0 <= value - bound <= 1.1e-11
        assert (taken >= 0).all() and (taken <= users[allocation.PAST]).all()
        assert load + unit * taken.sum() <= max(program.capacity * (1 + 1e-9), load)
