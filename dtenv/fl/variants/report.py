"""Table and plot of variants, from rows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtenv.fl.costs import DELTA
from dtenv.fl.metrics import METRICS
from dtenv.fl.variants.catalogue import VARIANTS
from dtenv.fl.variants.comparison import Difference, differences, mean_of, reached
from dtenv.reporting.markdown import markdown_table

TARGET = 0.97
"""Target accuracy, as a share of the final accuracy of plain averaging."""

PLAIN = "fedavg"
EVEN = "q-ffl-0"
"""Variant with equal client weights, the reference of weighting by loss."""
Rows = Sequence[Mapping[str, Any]]

COLUMNS = (
    "variant", "§", "global", "to fedavg", "own, to fedavg", "bytes", "cloud MB", "reached", "seconds", "κ", "compute",
    "ε",
)  # fmt: skip

INTRODUCTION = """\
Accuracy in per cent, mean ± half of the 95 % t-interval over seeds. Differences to `{reference}` are in points, in
pairs of the same seed, with 95 % t-intervals; * differs from nothing after Holm's correction over the column. *own*
is the personalised network on the user's own mix of labels. Bytes are a client's in a round, cloud MB what reaches
the cloud in all. *reached* is the first round and simulated second with {target:.1f} % accuracy ({share:.0f} % of
the {plain:.1f} of `{reference}`). κ is the share of its time that a client sends. Compute is that of clients over
plain averaging's. ε is at δ = {delta:g}, of all rounds together, for a client or a sample."""


def table(rows: Rows, settings: Mapping[str, Any]) -> str:
    """Return the table in Markdown: each variant against plain averaging and against its own reference."""
    names = [name for name in VARIANTS if any(row["variant"] == name for row in rows)]
    plain = mean_of(rows, PLAIN, "global").mean
    target = TARGET * plain
    others = [(name, PLAIN) for name in names if name != PLAIN]
    whole, own = differences(rows, others, "global"), differences(rows, others, "personalised-own")
    seeds = {row["seed"] for row in rows}
    setting = ", ".join(f"{key} {value}" for key, value in settings.items() if value not in (None, "", ()))
    introduction = INTRODUCTION.format(
        target=100 * target, share=100 * TARGET, plain=100 * plain, delta=DELTA, reference=PLAIN
    )
    lines = [
        "# Variants of federated training",
        "",
        f"Written by `python -m dtenv.fl variants`: {setting}; {len(seeds)} seeds.",
        "",
        textwrap.fill(introduction, 120, break_on_hyphens=False),
        "",
    ]
    cells = [_cells(rows, name, whole.get((name, PLAIN)), own.get((name, PLAIN)), target) for name in names]
    lines += markdown_table(COLUMNS, cells)
    legend = ["## What they are", "", *(f"- `{name}`: {VARIANTS[name].about}" for name in names)]
    lines += ["", *_lost(rows, names), *_references(rows, names), *_fairness(rows, names), *legend]
    return "\n".join(lines).rstrip() + "\n"


def _cells(rows: Rows, name: str, whole: Difference | None, own: Difference | None, target: float) -> tuple[str, ...]:
    mine = [row for row in rows if row["variant"] == name]
    kept = [row for row in mine if not row["diverged"]] or mine
    average = {
        column: float(np.mean([row[column] for row in kept]))
        for column in ("upload_bytes", "cloud_bytes", "communication", "compute")
    }
    ends = [row["seconds"][-1] for row in kept if row["seconds"]]
    epsilon = kept[0]["epsilon"]
    return (
        f"`{name}`",
        VARIANTS[name].section or "–",
        str(mean_of(rows, name, "global")),
        "–" if whole is None else str(whole),
        "–" if own is None else str(own),
        f"{average['upload_bytes']:,.0f}",
        f"{average['cloud_bytes'] / 1e6:.3g}",
        str(reached(rows, name, target)),
        f"{np.mean(ends):.0f}" if ends else "–",
        f"{average['communication']:.2f}",
        f"{average['compute']:.2f}",
        "–" if epsilon is None else f"{epsilon:.3g} ({kept[0]['protects']})",
    )


def _lost(rows: Rows, names: Sequence[str]) -> list[str]:
    lines = [
        f"- `{name}`, seed {row['seed']}: after {len(row['accuracy'])} rounds, at {100 * row['global']:.1f} %"
        for name in names
        for row in rows
        if row["variant"] == name and row["diverged"]
    ]
    if not lines:
        return []
    return ["Diverged, with the accuracy of the last good state; they count in no mean:", "", *lines, ""]


def _references(rows: Rows, names: Sequence[str]) -> list[str]:
    pairs = [(name, VARIANTS[name].against) for name in names if VARIANTS[name].against in {*names} - {PLAIN}]
    if not pairs:
        return []
    columns = [differences(rows, pairs, metric) for metric in METRICS]
    lines = [
        "## Against what they are meant to mend",
        "",
        "Where a variant has no global network of its own (`distillation`), compare users' own networks.",
        "",
    ]
    cells = ([f"`{a}`", f"`{b}`", *(column[a, b] for column in columns)] for a, b in pairs)
    return [*lines, *markdown_table(["variant", "against", *METRICS], cells), ""]


def _fairness(rows: Rows, names: Sequence[str]) -> list[str]:
    fair = [name for name in names if name == PLAIN or name.startswith("q-ffl")]
    if len(fair) < 2:
        return []
    pairs = [(name, PLAIN) for name in fair if name != PLAIN]
    worst, spread = (differences(rows, pairs, column) for column in ("worst", "variance"))
    even = differences(rows, [(name, EVEN) for name in fair if name not in (PLAIN, EVEN)], "worst")
    lines = [
        "## How unequal clients are",
        "",
        "Of the global network, as it is, on each client's own mix of labels: the worst 10 % of clients, and the "
        "variance over clients in squared points.",
        "",
    ]
    heads, table = ["variant", "worst 10 %", f"to {PLAIN}", f"to {EVEN}", "variance", "distinct"], []
    for name in fair:
        low, variance = mean_of(rows, name, "worst"), f"{1e4 * mean_of(rows, name, 'variance').mean:.1f}"
        changed = spread.get((name, PLAIN))
        distinct = "–" if changed is None else "yes" if changed.distinct else "no"
        gains = worst.get((name, PLAIN), "–"), even.get((name, EVEN), "–")
        table.append((f"`{name}`", low, *gains, variance, distinct))
    return [*lines, *markdown_table(heads, table), ""]


def picture(rows: Rows, path: Path, title: str) -> None:
    """Plot differences to plain averaging with intervals, for the global and for users' own networks."""
    from matplotlib.figure import Figure

    names = [name for name in VARIANTS if name != PLAIN and any(row["variant"] == name for row in rows)]
    figure = Figure(figsize=(10, 1.2 + 0.19 * len(names)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    metrics = (("global", "global network, balanced test"), ("personalised-own", "own network, own labels"))
    for axes, (metric, label) in zip(panels, metrics, strict=True):
        found = differences(rows, [(name, PLAIN) for name in names], metric)
        for y, value in enumerate(reversed(found.values())):
            colour = "#0072b2" if value.distinct else "#8a96a3"
            axes.plot([100 * value.low, 100 * value.high], [y, y], color=colour, linewidth=1.5)
            axes.plot(100 * value.mean, y, "o", color=colour, markersize=4)
        axes.axvline(0.0, color="#22303c", linewidth=0.8)
        axes.margins(y=0.02)
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xlabel(f"points of accuracy to fedavg: {label}", fontsize=8)
        axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=7)
        axes.tick_params(labelsize=7, length=0)
        axes.grid(axis="x", color="#e3e7eb")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title} (blue: differs from nothing after Holm's correction)", fontsize=9)
    figure.savefig(path, dpi=130)
