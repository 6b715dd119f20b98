"""python -m dtenv.fl theorem: where Theorem 1 of (Zhou 2025) holds, how loose it is, and what breaks it."""

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
"""Factor on the weights of the run that begins beside the saddle at zero."""

DEEP_ITERATIONS = 500
"""Of L-BFGS on the network with a hidden layer, whose lowest loss nobody can prove."""

HIGHEST = 1e3
"""Where a bound that grows leaves the picture."""

TOLERANCE = 1e-9
"""Losses are told apart from their optimum down to this; what lies below counts as reached."""


@dataclass
class Theorem:
    """Settings of the experiment."""

    data: str = "digits"
    """"digits", a folder of IDX files, or an .npz"""
    skew: str = "missing"
    """construction of the label skew"""
    emd: float = 0.6
    """earth mover's distance of every client"""
    samples: int = 100
    """samples of every client"""
    clients: int = 10
    """clients"""
    ridge: float = 0.05
    """ψ of the regularised logistic regression"""
    rounds: int = 1000
    """rounds of federated averaging"""
    hidden: int = 16
    """width of the network that is not convex"""
    local_steps: int = 10
    """local steps of the run that takes more than the theorem's one"""
    seed: int = 0
    """seed of data and weights"""
    out: Path = Path("runs/theorem")
    """folder to write to"""


def main(settings: Theorem) -> None:
    """Run, write rows, table and picture."""
    settings.out.mkdir(parents=True, exist_ok=True)
    runs = experiments(settings, load_images(settings.data))
    table = summary(settings, runs)
    (settings.out / "rows.json").write_text(
        json.dumps({"settings": asdict(settings), "runs": runs}, default=str) + "\n"
    )
    (settings.out / "theorem.md").write_text(table)
    draw(runs, settings.out / "theorem.png")
    print(table)
    print(f"written: {settings.out}/theorem.md, theorem.png, rows.json")


def experiments(settings: Theorem, images: Images) -> list[dict[str, Any]]:
    """All runs: each with its constants, its losses above the optimum and its bound, round by round."""
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
    rate = 1.0 / curvature.most
    fits: dict[str, Any] = {"rounds": settings.rounds, "learning_rate": rate}
    optimum = float(problem.loss(best))

    def run(name: str, losses: np.ndarray, floor: float, least: float, most: float, rate: float) -> dict[str, Any]:
        excess = losses - floor
        limit = bound(Curvature(least, most), rate, excess[0], len(losses) - 1)
        told = {"excess": [float(f"{v:.6g}") for v in excess], "bound": [float(f"{v:.6g}") for v in limit]}
        return {"name": name, "psi": least, "L": most, "chi": rate, **told}

    losses = descend(problem, clients, start, **fits)
    runs = [run("convex, one local step (19)", losses, optimum, *curvature, rate)]
    losses = descend(problem, clients, start, **fits, local_steps=settings.local_steps)
    runs.append(run(f"convex, {settings.local_steps} local steps", losses, optimum, *curvature, rate))
    too_fast = 3.0 / problem.curvature_at(best).most
    losses = descend(problem, clients, start, rounds=settings.rounds, learning_rate=too_fast)
    runs.append(run("convex, χ = 3 / λ_max(∇²F(ω*))", losses, optimum, *curvature, too_fast))
    own = Ridge(network=convex, x=images.x[index[0]].double(), y=images.y[index[0]], ridge=settings.ridge)
    local = own.curvature()
    losses = descend(
        own, torch.arange(settings.samples)[None], best, rounds=settings.rounds, learning_rate=1.0 / local.most
    )
    floor = float(own.loss(own.minimum(best)))
    runs.append(run("convex, fine-tuning of user 0 (20)", losses, floor, *local, 1.0 / local.most))
    network = Perceptron(inputs=images.pixels, classes=images.classes, hidden=(settings.hidden,))
    deep = Ridge(network=network, x=problem.x, y=problem.y, ridge=settings.ridge)
    begin = network.initial(rng).double()
    floor = float(deep.loss(deep.minimum(begin, iterations=DEEP_ITERATIONS)))
    for name, first in (("hidden layer", begin), ("hidden layer, begun near zero", NEAR_ZERO * begin)):
        steepest = deep.curvature_at(first)
        rate = 1.0 / max(steepest.most, deep.curvature_at(begin).most)
        losses = descend(deep, clients, first, rounds=settings.rounds, learning_rate=rate)
        done = run(name, losses, min(floor, losses.min()), settings.ridge, 1.0 / rate, rate)
        runs.append(done | {"hessian_least": steepest.least, "hessian_most": steepest.most})
    return runs


def broken(run: dict[str, Any]) -> np.ndarray:
    """Rounds whose loss is above the bound, (rounds + 1,)."""
    excess, limit = np.array(run["excess"]), np.array(run["bound"])
    return ~(excess <= limit * (1.0 + 1e-9) + TOLERANCE)


def summary(settings: Theorem, runs: list[dict[str, Any]]) -> str:
    """The table in Markdown."""
    lines = [
        f"`{settings.data}`, {settings.clients} clients of {settings.samples} samples, φ = {settings.emd} "
        f"({settings.skew}), ridge {settings.ridge}, {settings.rounds} rounds, seed {settings.seed}.",
        "",
        "| run | ψ | L | χ | excess at the start | at the end | bound at the end | rounds above the bound |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for run in runs:
        above = np.flatnonzero(broken(run))
        told = f"{len(above)}, first {above[0]}" if len(above) else "none"
        lines.append(
            f"| {run['name']} | {run['psi']:.4g} | {run['L']:.4g} | {run['chi']:.4g} | {run['excess'][0]:.4g} | "
            f"{run['excess'][-1]:.3g} | {run['bound'][-1]:.3g} | {told} |"
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
    """Measured losses and bounds, one panel a run."""
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
