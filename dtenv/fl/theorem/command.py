"""python -m dtenv.fl theorem: validity and tightness of (Zhou 2025, Theorem 1)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dtenv.fl.data.images import Images, load_images
from dtenv.fl.data.skew import client_counts, deal
from dtenv.fl.theorem.convergence import Curvature, Ridge, bound, descend
from dtenv.fl.training.network import Perceptron

NEAR_ZERO = 1e-3
"""Factor on the initial weights of the run that starts near the saddle at zero."""

DEEP_ITERATIONS = 500
"""Iterations of L-BFGS on the network with a hidden layer, whose lowest loss has no proof."""

HIGHEST = 1e3
"""Largest plotted bound."""

TOLERANCE = 1e-9
"""Excess loss that counts as zero."""


@dataclass
class Theorem:
    """Settings of the experiment."""

    data: str = "digits"
    """"digits", a folder of IDX files, or an .npz"""
    skew: str = "missing"
    """construction of the label skew"""
    emd: float = 0.6
    """φ, earth mover's distance of every client"""
    samples: int = 100
    """samples of every client"""
    clients: int = 10
    """number of clients"""
    ridge: float = 0.05
    """ψ of the regularised logistic regression"""
    rounds: int = 1000
    """rounds of federated averaging"""
    hidden: int = 16
    """width of the hidden layer of the non-convex network"""
    local_steps: int = 10
    """local steps of the run with more than the one of the theorem"""
    seed: int = 0
    """seed of data and weights"""
    out: Path = Path("runs/theorem")
    """folder to write to"""


def main(settings: Theorem) -> None:
    """Run the experiments and write rows, table and plot."""
    settings.out.mkdir(parents=True, exist_ok=True)
    runs = experiments(settings, load_images(settings.data))
    table = summary(settings, runs)
    rows = json.dumps({"settings": asdict(settings), "runs": runs}, default=str)
    (settings.out / "rows.json").write_text(rows + "\n")
    (settings.out / "theorem.md").write_text(table)
    draw(runs, settings.out / "theorem.png")
    print(table)
    print(f"written: {settings.out}/theorem.md, theorem.png, rows.json")


def experiments(settings: Theorem, images: Images) -> list[dict[str, Any]]:
    """Return all runs with their constants, excess losses and bounds by round."""
    rng = np.random.default_rng(settings.seed)
    counts = client_counts(settings.skew, settings.emd, settings.samples, images.classes, settings.clients)
    index = torch.from_numpy(deal(images, counts, rng))
    pooled = index.flatten()
    clients = torch.arange(len(pooled)).view(index.shape)
    convex = Perceptron(inputs=images.pixels, classes=images.classes, hidden=())
    problem = Ridge(network=convex, x=images.x[pooled].double(), y=images.y[pooled], ridge=settings.ridge)
    curvature = problem.curvature()
    start = convex.initial(rng).double()
    best = problem.minimum(start)
    optimum, rate = float(problem.loss(best)), 1.0 / curvature.most

    def run(name, loss: Ridge, index, start, floor, limits: Curvature, rate, local_steps=1) -> dict[str, Any]:
        losses = descend(loss, index, start, rounds=settings.rounds, learning_rate=rate, local_steps=local_steps)
        if loss.network.hidden:  # the run may end below the minimum that L-BFGS found
            floor = min(floor, losses.min())
        excess = losses - floor
        limit = bound(limits, rate, excess[0], settings.rounds)
        series = {"excess": [float(f"{v:.6g}") for v in excess], "bound": [float(f"{v:.6g}") for v in limit]}
        return {"name": name, "psi": limits.least, "L": limits.most, "chi": rate, **series}

    steps, too_fast = settings.local_steps, 3.0 / problem.curvature_at(best).most
    own = Ridge(network=convex, x=images.x[index[0]].double(), y=images.y[index[0]], ridge=settings.ridge)
    local, every = own.curvature(), torch.arange(settings.samples)[None]
    floor = float(own.loss(own.minimum(best)))
    runs = [
        run("convex, one local step (19)", problem, clients, start, optimum, curvature, rate),
        run(f"convex, {steps} local steps", problem, clients, start, optimum, curvature, rate, steps),
        run("convex, χ = 3 / λ_max(∇²F(ω*))", problem, clients, start, optimum, curvature, too_fast),
        run("convex, fine-tuning of user 0 (20)", own, every, best, floor, local, 1.0 / local.most),
    ]
    network = Perceptron(inputs=images.pixels, classes=images.classes, hidden=(settings.hidden,))
    deep = Ridge(network=network, x=problem.x, y=problem.y, ridge=settings.ridge)
    begin = network.initial(rng).double()
    floor = float(deep.loss(deep.minimum(begin, iterations=DEEP_ITERATIONS)))
    for name, first in (("hidden layer", begin), ("hidden layer, begun near zero", NEAR_ZERO * begin)):
        steepest = deep.curvature_at(first)
        rate = 1.0 / max(steepest.most, deep.curvature_at(begin).most)
        done = run(name, deep, clients, first, floor, Curvature(settings.ridge, 1.0 / rate), rate)
        runs.append(done | {"hessian_least": steepest.least, "hessian_most": steepest.most})
    return runs


def broken(run: dict[str, Any]) -> np.ndarray:
    """Return a mask of the rounds whose loss exceeds the bound, (rounds + 1,)."""
    excess, limit = np.array(run["excess"]), np.array(run["bound"])
    return ~(excess <= limit * (1.0 + 1e-9) + TOLERANCE)


def summary(settings: Theorem, runs: list[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    lines = [
        f"`{settings.data}`, {settings.clients} clients of {settings.samples} samples, φ = {settings.emd} "
        f"({settings.skew}), ridge {settings.ridge}, {settings.rounds} rounds, seed {settings.seed}.",
        "",
        "| run | ψ | L | χ | excess at the start | at the end | bound at the end | rounds above the bound |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for run in runs:
        above = np.flatnonzero(broken(run))
        broken_rounds = f"{len(above)}, first {above[0]}" if len(above) else "none"
        lines.append(
            f"| {run['name']} | {run['psi']:.4g} | {run['L']:.4g} | {run['chi']:.4g} | {run['excess'][0]:.4g} | "
            f"{run['excess'][-1]:.3g} | {run['bound'][-1]:.3g} | {broken_rounds} |"
        )
    least = [f"{run['hessian_least']:.3g}" for run in runs if "hessian_least" in run]
    lines += [
        "",
        "ψ and L of the convex runs hold everywhere: ψ is the ridge, L half the largest eigenvalue of E x xᵀ plus the "
        "ridge. With a hidden layer no ψ > 0 exists wherever the Hessian has a negative eigenvalue; at the two starts "
        f"the smallest are {' and '.join(least)}. The line drawn there is what (19) would say with ψ = ridge and the L "
        "measured at the start; the excess is over the lowest loss that L-BFGS or the run itself found.",
        "",
    ]
    return "\n".join(lines)


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Plot measured losses and bounds, one panel per run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, -(-len(runs) // 2))
    for axis, run in zip(axes.flat, runs, strict=True):
        excess = np.maximum(run["excess"], TOLERANCE)
        axis.semilogy(excess, color="#1f77b4", label="measured")
        axis.semilogy(np.minimum(run["bound"], HIGHEST), color="#d62728", linestyle="--", label="bound")
        axis.set_title(run["name"].replace(", ", ",\n", 1), fontsize=9)
        axis.set_xlabel("round")
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("loss above the optimum")
    axes.flat[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
