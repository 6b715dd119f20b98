"""Page that compares measurements with Table I of (Khan 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.deployment.claims import AGREES, CLAIMS, CONTRADICTS, MODES, OPEN, Measured, verdict, verdicts
from benchmarks.statistics import mean_interval
from dtenv.reporting.markdown import markdown_table

SIGNS = {AGREES: "✓", CONTRADICTS: "✗", OPEN: "?"}


def page(
    found: Mapping[str, Measured],
    varied: Mapping[str, Mapping[str, Measured]],
    lines: Sequence[Mapping[str, Any]],
    episodes: int,
    few: int,
) -> str:
    """Markdown page: the table, verdicts on pairs under variations, and the parameters at which orders flip."""
    return "\n".join(
        [
            f"Means over {episodes} episodes with 95 % bootstrap intervals. In brackets what the paper says.",
            "",
            *_table(found),
            "",
            *(f"- {claim.row}, `{claim.measure}`: {claim.about}." for claim in CLAIMS if claim.measure),
            *(f"- {claim.row}: {claim.about}." for claim in CLAIMS if not claim.measure),
            "",
            f"Pairs under variations ({few} episodes each): edge before edge-cloud, edge before cloud, edge-cloud "
            f"before cloud; {SIGNS[AGREES]} agrees, {SIGNS[CONTRADICTS]} contradicts, {SIGNS[OPEN]} cannot tell.",
            "",
            *_variations(varied),
            "",
            *_flips(lines),
            "",
        ]
    )


def _table(found: Mapping[str, Measured]) -> list[str]:
    rows = []
    for claim in CLAIMS:
        cells, order = [f"({entry})" for entry in claim.paper], OPEN
        if claim.measure:
            values = found[claim.measure]
            means = [f"{mean_interval(values[mode]):.{claim.digits}f}" for mode in MODES]
            cells = [f"{mean} {entry}" for mean, entry in zip(means, cells, strict=True)]
            pairs = verdicts(claim, values)
            wrong, open_ = (
                ", ".join(f"{a} / {b}" for (a, b), answer in pairs.items() if answer == kind)
                for kind in (CONTRADICTS, OPEN)
            )
            order = f"**{verdict(claim, values)}**"
            order += (f" ({wrong})" if wrong else "") + (f"; open: {open_}" if open_ else "")
        rows.append([claim.row, f"`{claim.measure}`" if claim.measure else "none", *cells, order])
    return markdown_table(["Table I", "scalar", *MODES, "order"], rows)


def _variations(varied: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    asked = [claim for claim in CLAIMS if claim.measure]
    rows = [
        [name, *("".join(map(SIGNS.get, verdicts(claim, found[claim.measure]).values())) for claim in asked)]
        for name, found in varied.items()
    ]
    return markdown_table(["", *(f"`{claim.measure}`" for claim in asked)], rows)


def _flips(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for line in lines:
        if line["parameter"] == "flip of latency":
            wire = f"with {line['value']:g} m of wire to the cloud"
            numbers = "{:.1f} ms [{:.1f}, {:.1f}]"
            if line["mean"] > 0.0:
                numbers = numbers.format(line["mean"], line["low"], line["high"])
                found.append(f"- Latency, {wire}: the cloud is as fast as the edge at `cloud_latency_s` = {numbers}.")
            else:
                numbers = numbers.format(-line["mean"], -line["high"], -line["low"])
                found.append(f"- Latency, {wire}: the cloud is slower at any `cloud_latency_s`, by {numbers} at 0.")
    flip = crossing(lines, "cloud_compute_hz", "slope")
    if flip is None:
        return [*found, "- Scalability: edge and cloud keep their order over the whole range of `cloud_compute_hz`."]
    return [
        *found,
        f"- Scalability: the cloud's latency grows as fast with users as the edge's at `cloud_compute_hz` = "
        f"{flip / 1e9:.0f} GHz, by interpolation; with less it grows faster. Stations have 160 GHz together.",
    ]


def crossing(lines: Sequence[Mapping[str, Any]], parameter: str, measure: str) -> float | None:
    """Parameter value where cloud's mean equals edge's, interpolated on a logarithmic scale; None if nowhere."""
    own = [line for line in lines if (line["parameter"], line["measure"]) == (parameter, measure)]
    edge, cloud = ({line["value"]: line["mean"] for line in own if line["mode"] == mode} for mode in ("edge", "cloud"))
    x = np.array(sorted(cloud))
    lead = np.array([cloud[value] - edge[value] for value in x])
    for i in range(len(x) - 1):
        if lead[i] * lead[i + 1] < 0.0:
            part = lead[i] / (lead[i] - lead[i + 1])
            return float(np.exp(np.log(x[i]) + part * np.log(x[i + 1] / x[i])))
    return None
