"""Table of forecasters in Markdown, and plot of their accuracy by horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dtenv.fl.forecast.roster import FREE
from dtenv.fl.forecast.rows import Row, SeedInterval, difference, values_of

HORIZONS = (1, 2, 5, 10, 20)
PAIRS = (
    ("trs-pre", "persistence"),
    ("trs-pre-class", "trs-pre"),
    ("trs-pre-class", "hour-markov"),
    ("federated v", "local only"),
    ("federated v", "federated v, garbage W"),
    ("federated v", "federated w"),
    ("federated v", "hour-markov"),
)
"""Pairs of models whose differences are listed."""

COLOURS = {
    "persistence": "#8a96a3", "most-frequent": "#bcc4cc", "markov": "#56b4e9", "hour-markov": "#0072b2",
    "trs-pre": "#d55e00", "trs-pre-class": "#e69f00", "local only": "#009e73", "federated w": "#cc79a7",
    "federated v": "#22303c",
}  # fmt: skip
INK, GRID = "#22303c", "#e3e7eb"


def table(rows: Sequence[Row], title: str) -> str:
    """Return the table of all models over all seeds: next step, by horizon, and paired differences."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    moved = SeedInterval.of([row["moved"][0] for row in rows if row["model"] == models[0]])
    horizon = len(rows[0]["accuracy"])
    steps = [h for h in HORIZONS if h <= horizon]
    lines = [
        title,
        "",
        f"Seeds {', '.join(map(str, seeds))}; mean ± half of the 95 % interval over seeds (Student's t). In the next "
        f"step another cell serves in {moved:.3f} of all windows: persistence gets these wrong, and no others.",
        "",
        "## The next step",
        "",
        "| model | accuracy | on moves only | where to, on moves | log-loss | seconds | ε, broadcasts / uploads |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in models:
        columns = [_cell(rows, model, field, 0) for field in ("accuracy", "moves", "destination", "log_loss")]
        seconds = np.mean([row["train_seconds"] for row in rows if row["model"] == model])
        lines.append(f"| {model} | {' | '.join(columns)} | {seconds:.1f} | {_cost(rows, model)} |")
    for field, head in (("accuracy", "Accuracy"), ("moves", "On moves only"), ("log_loss", "Log-loss, nats")):
        lines += ["", f"## {head}, by horizon", "", "| model | " + " | ".join(f"{h}" for h in steps) + " |"]
        lines.append("|---|" + "---|" * len(steps))
        lines += [f"| {m} | " + " | ".join(_cell(rows, m, field, h - 1) for h in steps) + " |" for m in models]
    noised = [model for model in models if model.startswith("federated v, ε")]
    pairs = [pair for pair in (*PAIRS, *((model, "local only") for model in noised)) if set(pair) <= set(models)]
    if pairs and len(seeds) > 1:
        lines += ["", "## Differences on the same seeds", "", "| | accuracy, 1 | on moves, 1 | log-loss, 1 "]
        lines[-1] += f"| accuracy, {horizon} | on moves, {horizon} |"
        lines.append("|---|---|---|---|---|---|")
        asked = [(f, 0) for f in ("accuracy", "moves", "log_loss")] + [(f, horizon - 1) for f in ("accuracy", "moves")]
        for a, b in pairs:
            lines.append(f"| {a} − {b} | " + " | ".join(f"{difference(rows, a, b, *at):+.3f}" for at in asked) + " |")
    lines += [
        "",
        "Accuracy: the likeliest cell is right. On moves: of steps in which another cell serves than now. Where to: "
        "the same steps, the cell now left out. Horizon h: the cell that serves h steps on; a move is then one against "
        "now. Log-loss: nats, of predictions of which a thousandth is spread over all cells. Models of a squared error "
        "name one cell for certain. ε: of one client at the δ in manifest.json, all rounds together; after it the norm "
        "of the noise on a round's average change, which without it is at most C. Seconds of w hold those of v.",
        "",
    ]
    return "\n".join(lines)


def _cell(rows: Sequence[Row], model: str, field: str, step: int) -> str:
    return format(SeedInterval.of(values_of(rows, model, field)[1][:, step]), ".3f")


def _cost(rows: Sequence[Row], model: str) -> str:
    row = next(row for row in rows if row["model"] == model)
    if "epsilon_broadcasts" not in row:
        return ""
    spent = (row[name] for name in ("epsilon_broadcasts", "epsilon_uploads"))
    return " / ".join(f"{cost:.3g}" for cost in spent) + f"; noise {row['noise_over_clip']:.3g} C"


def draw(path: Path, rows: Sequence[Row], title: str) -> None:
    """Plot accuracy, overall and on moves, by horizon, with intervals over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.4), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2)
    models = [m for m in COLOURS if any(row["model"] == m for row in rows)]
    for axes, field, head in zip(panels, ("accuracy", "moves"), ("accuracy", "on moves only"), strict=True):
        for model in models:
            values = values_of(rows, model, field)[1]
            spread = [SeedInterval.of(column) for column in values.T]
            mean, half = np.array([[s.mean, 0.0 if math.isnan(s.half) else s.half] for s in spread]).T
            ahead = np.arange(1, len(mean) + 1)
            style = "--" if model in FREE else "-"
            axes.plot(ahead, mean, style, color=COLOURS[model], linewidth=1.8, label=model)
            axes.fill_between(ahead, mean - half, mean + half, color=COLOURS[model], alpha=0.15, linewidth=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, length=0)
        axes.set(xlabel="horizon, steps", ylabel=head, ylim=(0.0, None))
        axes.set_xticks([h for h in HORIZONS if h <= len(rows[0]["accuracy"])])
        axes.grid(axis="y", color=GRID)
    panels[0].set_title(title, loc="left", fontsize=10, color=INK)
    panels[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path)
