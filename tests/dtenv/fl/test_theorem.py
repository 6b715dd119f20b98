"""Theorem 1 of (Zhou 2025) measured: constants, descent and bound, and what breaks it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from dtenv.fl.data.images import load_images
from dtenv.fl.theorem import command as theorem
from dtenv.fl.theorem.convergence import Curvature, Ridge, bound, descend
from dtenv.fl.training.network import Perceptron

LOGISTIC = Perceptron(inputs=3, classes=4, hidden=())


def problem(ridge: float = 0.2, samples: int = 40, seed: int = 0) -> Ridge:
    rng = np.random.default_rng(seed)
    x, y = torch.from_numpy(rng.normal(size=(samples, 3))), torch.from_numpy(rng.integers(0, 4, samples))
    return Ridge(network=LOGISTIC, x=x, y=y, ridge=ridge)


def start(seed: int = 1) -> torch.Tensor:
    return LOGISTIC.initial(np.random.default_rng(seed)).double()


def test_the_loss_is_cross_entropy_and_ridge():
    p, weights = problem(), start()
    matrix, offset = weights[:12].view(3, 4), weights[12:]
    log_share = torch.log_softmax(p.x @ matrix + offset, dim=1)
    by_hand = -log_share[torch.arange(40), p.y].mean() + 0.1 * (weights**2).sum()
    assert float(p.loss(weights)) == pytest.approx(float(by_hand), rel=1e-12)


def test_constants_bound_the_hessian_everywhere():
    p = problem()
    for seed in range(5):
        weights = start(seed) * 3.0
        hessian = torch.autograd.functional.hessian(p.loss, weights)
        exact = torch.linalg.eigvalsh(hessian)
        measured = p.curvature_at(weights)
        assert measured.least == pytest.approx(float(exact[0]), abs=1e-6)
        assert measured.most == pytest.approx(float(exact[-1]), abs=1e-6)
        assert p.curvature().least - 1e-9 <= exact[0] and exact[-1] <= p.curvature().most + 1e-9
    # Softmax does not feel a shift of all logits, so that the ridge is the least eigenvalue: ψ cannot be larger.
    assert float(exact[0]) == pytest.approx(0.2, abs=1e-9)


def test_no_constant_of_a_network_that_is_not_convex():
    deep = Ridge(network=Perceptron(inputs=3, classes=4, hidden=(5,)), x=problem().x, y=problem().y, ridge=0.01)
    with pytest.raises(ValueError, match=r"hidden must be empty .* got \(5,\)"):
        deep.curvature()
    begin = deep.network.initial(np.random.default_rng(0)).double()
    assert deep.curvature_at(begin).least < 0.0


def test_the_bound_by_hand():
    limit = bound(Curvature(0.5, 2.0), 0.25, 8.0, 2)
    rate = 2 * 0.5 * 0.25 - 2.0 * 0.5 * 0.25**2
    np.testing.assert_allclose(limit, [8.0, 8.0 * np.exp(-rate), 8.0 * np.exp(-2 * rate)], rtol=1e-12)
    assert np.all(np.diff(bound(Curvature(0.5, 2.0), 1.01, 8.0, 5)) > 0), "past 2/L it promises nothing"


def test_one_local_step_is_gradient_descent_on_the_whole():
    p, weights = problem(), start()
    measured = descend(p, torch.arange(40).view(4, 10), weights, rounds=3, learning_rate=0.3)
    expected = [float(p.loss(weights))]
    for _ in range(3):
        at = weights.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(p.loss(at), at)
        weights = weights - 0.3 * gradient
        expected.append(float(p.loss(weights)))
    np.testing.assert_allclose(measured, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0.1, 1.0, 1.9])
def test_the_theorem_holds_where_its_assumptions_do(seed, step):
    p = problem(seed=seed)
    curvature = p.curvature()
    best = float(p.loss(p.minimum(start())))
    rate = step / curvature.most
    excess = descend(p, torch.arange(40).view(4, 10), start(seed), rounds=60, learning_rate=rate) - best
    assert (excess >= -1e-9).all()
    assert (excess <= bound(curvature, rate, excess[0], 60) + 1e-9).all()


def test_more_local_steps_end_elsewhere():
    p = problem()
    order = torch.argsort(p.y)  # clients with labels of their own
    best = float(p.loss(p.minimum(start())))
    rate = 1.0 / p.curvature().most
    one, many = (
        descend(p, order.view(4, 10), start(), rounds=400, learning_rate=rate, local_steps=steps) - best
        for steps in (1, 20)
    )
    assert one[-1] < 1e-9 < 1e-5 < many[-1]


def test_the_command_writes_what_it_found(tmp_path):
    settings = theorem.Theorem(samples=20, clients=4, emd=0.6, rounds=12, local_steps=2, hidden=3, out=tmp_path)
    theorem.main(settings)
    runs = json.loads((tmp_path / "rows.json").read_text())["runs"]
    assert [len(run["excess"]) for run in runs] == [13] * 6
    convex = runs[0]
    assert not theorem.broken(convex).any() and convex["psi"] == settings.ridge
    assert "rounds above the bound" in (tmp_path / "theorem.md").read_text()
    assert (tmp_path / "theorem.png").stat().st_size > 10_000


def test_a_broken_bound_is_seen():
    run = {"excess": [1.0, 0.9, 0.1], "bound": [1.0, 0.5, 0.25]}
    assert theorem.broken(run).tolist() == [False, True, False]
    assert theorem.broken({"excess": [1.0, float("nan")], "bound": [1.0, 2.0]}).tolist() == [False, True]


def test_digits_are_there():
    assert load_images("digits").classes == 10
